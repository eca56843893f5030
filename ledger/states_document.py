"""How `docs/states.md` tells the life of a hold, and of an asserted balance."""

from backoffice.state_diagrams import StateDiagram, Waiting
from ledger.models import BalanceAssertion, Hold


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
