"""How `docs/states.md` tells the life of a hold."""

from backoffice.state_diagrams import StateDiagram, Waiting
from ledger.models import Hold


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
