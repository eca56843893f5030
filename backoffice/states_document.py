"""How `docs/states.md` tells the life of a mail."""

from backoffice.models import Mail
from backoffice.state_diagrams import StateDiagram, Waiting


def mail() -> StateDiagram:
    """A mail in the outbox, from the transaction that wants it to the mail server's word."""
    State = Mail.State
    return StateDiagram(
        title="Mail",
        about="`backoffice.models.Mail.MOVES`; moved by `backoffice.mail`, which counts each try before it makes it.",
        moves=Mail.MOVES,
        first=State.QUEUED,
        waiting={
            State.QUEUED: Waiting(
                "a worker, right after the commit",
                "`mail.sweep`, every 15 s, tries what is due: after 30 s, 1 min, 2 min …, eight times at most",
                f"{Mail.PATIENCE[State.QUEUED].length.total_seconds():.0f} s from when it was queued",
            )
        },
    )
