"""How `docs/states.md` tells the lives of holds, deposits, bank statements and lines, and asserted balances."""

from datetime import timedelta
from typing import Final

from backoffice.state_diagrams import StateDiagram, Waiting
from ledger.models import (
    Adjustment,
    BalanceAssertion,
    BankLine,
    BankStatement,
    CoinArrival,
    Deposit,
    Hold,
    Payment,
    PaymentBatch,
    Transfer,
    Withdrawal,
)


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


def withdrawal() -> StateDiagram:
    """A withdrawal: decided about, agreed to, paid, and the client's again if it fails."""
    State = Withdrawal.State
    return StateDiagram(
        title="Withdrawal",
        about="`ledger.models.Withdrawal.MOVES`; moved by `ledger/withdrawals.py` and, once agreed to, by `ledger/payments.py`, under "
        "its row lock. Until it is being paid the money is held in the wallet.",
        moves=Withdrawal.MOVES,
        first=State.WAITING,
        waiting={
            State.BLOCKED: Waiting("compliance: `reject`, or the client's new standing", "nothing; the page of stuck things shows it", "2 days"),
            State.WAITING: Waiting("whoever must agree, in the approvals inbox", "`approvals.expire`, when nobody does", "4 hours"),
            State.APPROVED: Waiting("its payment", "`payouts.sweep`, or the sealing of its file", "10 minutes"),
            State.PAYING: Waiting("the provider, a statement, or a person with evidence", "`payouts.sweep`", "3 days"),
        },
    )  # fmt: skip


def payment() -> StateDiagram:
    """A payment: it leaves once, and is followed until somebody knows its end."""
    State = Payment.State
    return StateDiagram(
        title="Payment",
        about="`ledger.models.Payment.MOVES`; moved by `ledger/payments.py`, under the locks of its withdrawal and itself. What is "
        "*unknown* is never sent again.",
        moves=Payment.MOVES,
        first=State.QUEUED,
        waiting={
            State.QUEUED: Waiting("a worker, or the sealing of its file", "`payouts.sweep`", "1 day"),
            State.SENDING: Waiting("the worker that hands it over; in a file, whoever takes it to the bank", "`payouts.sweep` calls it unknown", "10 minutes"),
            State.UNKNOWN: Waiting("the provider's books, a statement, or a person with evidence", "`payouts.sweep` asks again", "30 minutes"),
            State.SENT: Waiting("the provider or the bank's statement", "`payouts.sweep` asks again", "3 days"),
        },
    )  # fmt: skip


def payment_batch() -> StateDiagram:
    """A file of payments: it takes some, is sealed, taken to the bank, and told of."""
    State = PaymentBatch.State
    return StateDiagram(
        title="Payment batch",
        about="`ledger.models.PaymentBatch.MOVES`; moved by `ledger/batches.py`, under its row lock.",
        moves=PaymentBatch.MOVES,
        first=State.OPEN,
        waiting={
            State.OPEN: Waiting("the payments desk: *Seal*", "nothing; the page of stuck things shows it", "1 day"),
            State.SEALING: Waiting("a worker", "`payouts.sweep` goes on where it was left", "10 minutes"),
            State.SEALED: Waiting("whoever takes the file to the bank: *Mark sent*", "nothing; the page of stuck things shows it", "4 hours"),
            State.SENT: Waiting("the bank's statement or status report", "`payouts.sweep` closes it when all is told", "3 days"),
        },
    )  # fmt: skip


def coin_arrival() -> StateDiagram:
    """Coins that came: seen, buried by blocks, credited once; or forgotten by their chain."""
    State = CoinArrival.State
    return StateDiagram(
        title="Coins that arrived",
        about="`ledger.models.CoinArrival.MOVES`; moved by `ledger/coins.py`, under its row lock, as the custodian tells.",
        moves=CoinArrival.MOVES,
        first=State.SEEN,
        waiting={
            State.SEEN: Waiting("a block with it", "`coins.read`, every five seconds", "1 day"),
            State.CONFIRMING: Waiting("the blocks that bury it", "`coins.read`, every five seconds", "6 hours"),
            State.LOST: Waiting("whoever makes it good: *Close*", "nothing; the page of stuck things shows it", "1 hour"),
        },
    )  # fmt: skip


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


def transfer() -> StateDiagram:
    """A transfer: done at once, held until somebody agrees, or blocked; as compliance decides."""
    return StateDiagram(
        title="Transfer",
        about="`ledger.models.Transfer.MOVES`; moved by `ledger/transfers.py`, under its row lock. What waits is held in the wallet.",
        moves=Transfer.MOVES,
        first=Transfer.BORN,
        waiting={
            Transfer.State.WAITING: Waiting(
                "whoever must agree, in the approvals inbox",
                "`approvals.expire`, when nobody does",
                "4 hours",
            )
        },
    )


def adjustment() -> StateDiagram:
    """An adjustment: asked for by one member of staff, agreed to by another."""
    return StateDiagram(
        title="Adjustment",
        about="`ledger.models.Adjustment.MOVES`; moved by `ledger/adjustments.py`, under its row lock. A reversal is another adjustment.",
        moves=Adjustment.MOVES,
        first=Adjustment.State.WAITING,
        waiting={
            Adjustment.State.WAITING: Waiting(
                "whoever must agree, in the approvals inbox",
                "`approvals.expire`, when nobody does",
                "24 hours",
            )
        },
    )


DIAGRAMS: Final = (
    hold, deposit, bank_statement, bank_line, withdrawal, payment, payment_batch, coin_arrival, transfer, adjustment, balance_assertion,
)  # fmt: skip
