"""Refusals: how every part of the system says no.

A refusal means *nothing moved*. It carries a permanent code, a message that is safe to show to the person who
asked, and the name of the input it is about. Bugs are not refusals: they escape.
"""

from typing import ClassVar


class DomainError(Exception):
    """A request that was understood and refused; nothing changed.

    Subclasses stand beside the verb that raises them and are named for the state of the world. `code` is
    permanent: client apps switch on it. `field` names the input at fault, in the verb's own words.
    """

    code: ClassVar[str] = "REFUSED"
    field: str | None = None

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if field is not None:
            self.field = field


class NotFound(DomainError):
    """There is no such thing, or it is somebody else's: the two look exactly alike."""

    code = "NOT_FOUND"


class NotAllowed(DomainError):
    """The person may not do this."""

    code = "NOT_ALLOWED"


class InvalidInput(DomainError):
    """A value that can never be accepted here, whatever the state of the world."""

    code = "INVALID_INPUT"


class KeyReused(DomainError):
    """The idempotency key was used before with other content; the first request stands."""

    code = "KEY_REUSED"
    field = "key"


class MoveNotAllowed(DomainError):
    """The object is in a state from which this move does not exist."""

    code = "MOVE_NOT_ALLOWED"
