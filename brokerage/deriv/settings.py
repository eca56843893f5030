"""What a connection is given: times and sizes, somebody who sees its messages; and what it counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Frame = dict[str, Any]
Direction = Literal["in", "out"]
Hook = Callable[[Direction, Frame], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds, sizes in bytes or frames."""

    connect_timeout: float = 10.0
    call_timeout: float = 10.0
    ping_every: float = 30.0
    pong_within: float = 5.0
    max_frame: int = 1024 * 1024
    queue: int = 1000
    proxy: str | None = None
    """The address of an HTTP or SOCKS proxy; none is taken from the environment."""


@dataclass(slots=True)
class Counters:
    """What was received and could not be used."""

    unreadable: int = 0
    unexpected: int = 0
    malformed: int = 0
    hook_failures: int = 0
