"""What a handler gives back, and the registry of handlers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.v3.fields import Field, any_object, whole
from brokerage.deriv.simulator.v3.streams import Stream

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

Request = dict[str, Any]


@dataclass(slots=True)
class Answer:
    """The answer to one request, and the frames that follow it at once on the same request id."""

    msg_type: str
    body: dict[str, Any]
    stream: Stream | None = None
    more: list["Answer"] = field(default_factory=list)


Handler = Callable[["Session", Request, float], Answer]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the protocol. ``scope`` is what the token must be allowed; ``None`` needs no token."""

    name: str
    fields: Mapping[str, Field]
    scope: str | None
    group: str
    handler: Handler


CALLS: dict[str, Call] = {}

COMMON = {"req_id": Field(whole()), "passthrough": Field(any_object)}


def call(
    name: str, fields: Mapping[str, Field], scope: str | None = None, group: str = "general"
) -> Callable[[Handler], Handler]:
    """Make a function the handler of a call."""

    def register(handler: Handler) -> Handler:
        CALLS[name] = Call(name, {**fields, **COMMON}, scope, group, handler)
        return handler

    return register
