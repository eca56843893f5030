"""How `docs/states.md` tells the life of an approval."""

from backoffice.state_diagrams import StateDiagram, Waiting
from compliance.models import Approval


def approval() -> StateDiagram:
    """An approval, from the request to the deed or its end."""
    State = Approval.State
    return StateDiagram(
        title="Approval",
        about="`compliance.models.Approval.MOVES`; moved by the verbs of `compliance.approvals`, under the locks of the subject and of "
        "the approval. The database refuses other moves, a vote of who asked, and an approval without its votes. One that its "
        "policy has nobody agree to begins approved.",
        moves=Approval.MOVES,
        first=State.OPEN,
        waiting={
            State.OPEN: Waiting(
                "as many people as its policy says, none of them who asked",
                "`approvals.expire`, every 60 s, ends what nobody decided within the policy's hours",
                f"{Approval.PATIENCE[State.OPEN].length.total_seconds():.0f} s from when it was asked for",
            ),
            State.APPROVED: Waiting(
                "the last vote, in its own transaction",
                "`approvals.apply_due`, every 15 s, where the database was in trouble then",
                f"{Approval.PATIENCE[State.APPROVED].length.total_seconds():.0f} s from the last vote",
            ),
            State.FAILED: Waiting(
                "somebody who may decide the kind: *Try again*, when what was in the way is gone; or whoever calls it off",
                "`approvals.expire` ends it when the policy's hours are over",
                f"{Approval.PATIENCE[State.FAILED].length.total_seconds():.0f} s from the last vote",
            ),
        },
    )
