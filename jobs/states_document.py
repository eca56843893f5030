"""How `docs/states.md` tells the life of a failed job."""

from backoffice.state_diagrams import StateDiagram, Waiting
from jobs.models import FailedJob


def failed_job() -> StateDiagram:
    """A job that failed for good, from its record to somebody's decision."""
    State = FailedJob.State
    return StateDiagram(
        title="Failed job",
        about="`jobs.models.FailedJob.MOVES`; decided once, by the verbs of `jobs.dead_letters`, under its row lock. "
        "A refusal is recorded as discarded: it is an answer.",
        moves=FailedJob.MOVES,
        first=State.OPEN,
        waiting={
            State.OPEN: Waiting(
                "a person, who sends it again or discards it with a reason",
                patience=f"{FailedJob.PATIENCE[State.OPEN].length.total_seconds():.0f} s from when it failed",
            ),
            State.REPLAYING: Waiting(
                "whoever decided, right after the commit",
                "`jobs.resend` sends it every 10 s",
                f"{FailedJob.PATIENCE[State.REPLAYING].length.total_seconds():.0f} s from the decision",
            ),
        },
    )
