"""What one generation of the protocol is to a session: its calls, how it writes answers, how often it may be asked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.answers import Call

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many requests in any so many seconds."""

    count: int
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Generation:
    """``shown`` turns a body as the handlers make it (they speak v3) into what goes out."""

    name: str
    calls: Mapping[str, "Call"]
    rates: Mapping[str, Rate]
    shown: Callable[[str, Body], Body]
