"""How `docs/states.md` tells the lives of holds, deposits, bank statements and lines, and asserted balances."""

from datetime import timedelta

from backoffice.state_diagrams import StateDiagram, Waiting
from ledger.models import BalanceAssertion, BankLine, BankStatement, Deposit, Hold


def hold() -> StateDiagram:
    """A hold: placed, and resolved once."""
    return StateDiagram(
        title="Hold",
        about="`ledger.models.Hold.MOVES`; moved by the verbs of `ledger.holds`. The database refuses a second resolution.",
        moves=Hold.MOVES,
        first=Hold.State.HELD,
        waiting={
            Hold.State.HELD: Waiting(
                "whoever placed it: `capture`, `release` or `transfer`",
                "`ledger.expire_holds`, where it has an expiry (stakes have none)",
            )
        },
    )


def deposit() -> StateDiagram:
    """A deposit: asked for, and completed when the money is there, however late."""
    return StateDiagram(
        title="Deposit",
        about="`ledger.models.Deposit.MOVES`; moved by the verbs of `ledger/deposits.py`, under its row lock. A bank transfer cannot be "
        "called back, so what comes after the end is credited all the same.",
        moves=Deposit.MOVES,
        first=Deposit.State.PENDING,
        waiting={
            Deposit.State.PENDING: Waiting(
                "the import of the bank statement the money is on, or its provider",
                "`ledger.expire_deposits`, when its time has run out",
                _length(Deposit.PATIENCE[Deposit.State.PENDING].length, "its expiry"),
            ),
            Deposit.State.PROCESSING: Waiting(
                "its provider, which says what became of it",
                patience=_length(Deposit.PATIENCE[Deposit.State.PROCESSING].length, "its last change"),
            ),
            Deposit.State.CANCELLED: Waiting("money that comes all the same (it may rest)"),
            Deposit.State.EXPIRED: Waiting("money that comes all the same (it may rest)"),
        },
    )


def bank_statement() -> StateDiagram:
    """A file of a bank: uploaded, then imported or discarded."""
    return StateDiagram(
        title="Bank statement",
        about="`ledger.models.BankStatement.MOVES`; moved by the verbs of `ledger/bank/importing.py`, under its row lock.",
        moves=BankStatement.MOVES,
        first=BankStatement.State.UPLOADED,
        waiting={
            BankStatement.State.UPLOADED: Waiting(
                "the payments desk, which imports or discards it",
                patience=_length(BankStatement.PATIENCE[BankStatement.State.UPLOADED].length, "the upload"),
            ),
            BankStatement.State.DISCARDED: Waiting("the same file, uploaded again (it may rest)"),
        },
    )


def bank_line() -> StateDiagram:
    """A line of a bank statement: credited, or in suspense until somebody decides; money out until it is explained."""
    return StateDiagram(
        title="Bank line",
        about="`ledger.models.BankLine.MOVES`; written by `ledger/bank/importing.py`, moved by the verbs of `ledger/bank/suspense.py`, "
        "under its row lock.",
        moves=BankLine.MOVES,
        first=BankLine.BORN,
        waiting={
            state: Waiting(mover, patience=_length(BankLine.PATIENCE[state].length, since))
            for state, mover, since in (
                (BankLine.State.SUSPENSE, "the payments desk: assigned, or sent back", "the import"),
                (BankLine.State.TO_RETURN, "the payments desk, which pays it back", "the decision"),
                (
                    BankLine.State.UNMATCHED_OUT,
                    "a payment of ours that claims it, or the payments desk: a fee of the bank",
                    "the import",
                ),
            )
        },
    )


def _length(length: timedelta, since: str) -> str:
    hours = int(length.total_seconds() // 3600)
    return f"{hours} h from {since}"


def balance_assertion() -> StateDiagram:
    """An asserted balance: held against the books at once and every night, and resolved by a person if it fails."""
    return StateDiagram(
        title="Asserted balance",
        about="`ledger.models.BalanceAssertion.MOVES`; moved by the verbs of `ledger.control.assertions`.",
        moves=BalanceAssertion.MOVES,
        first=BalanceAssertion.State.HOLDS,
        waiting={
            BalanceAssertion.State.HOLDS: Waiting("`check`, while the day is open", "`ledger.check_assertions`, every night"),
            BalanceAssertion.State.FAILS: Waiting(
                "whoever books what is missing, or says why the books are right: `resolve`",
                "`ledger.check_assertions`, every night", "1 d",
            ),
        },
    )  # fmt: skip
