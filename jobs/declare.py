"""The one way to declare an actor, and to say that it runs by the clock.

    @actor("trading.submit", time_limit_seconds=60)
    def submit(trade_id: int) -> None: ...

    @actor("ledger.expire_holds", every=60)
    def expire_holds() -> None: ...

The queue is the part of the name before the first dot. A refusal (`DomainError`) is an answer, not an accident:
it is not tried again.
"""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

import dramatiq

from backoffice.errors import DomainError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Default:
    """The schedule an actor asks for; what staff made of it stands in the `Schedule` table."""

    name: str
    every: int
    at_time: datetime.time | None
    catch_up: bool


DEFAULTS: Final[dict[str, Default]] = {}


def actor(
    name: str,
    *,
    time_limit_seconds: float = 60.0,
    max_retries: int = 5,
    first_retry_seconds: float = 1.0,
    longest_retry_seconds: float = 300.0,
    throws: tuple[type[Exception], ...] = (DomainError,),
    priority: int = 0,
    every: int | None = None,
    at_time: datetime.time | None = None,
    catch_up: bool = False,
) -> Callable[[Callable[P, R]], dramatiq.Actor[P, R]]:
    """Declare a function as the actor `name` on the queue before the name's first dot.

    Messages may arrive twice (a killed worker's come back within half a minute), so an actor must be idempotent.
    It is interrupted after `time_limit_seconds`, except inside C code and database waits, which the database ends
    by itself. Any exception but those in `throws` is retried `max_retries` times, at `first_retry_seconds`
    doubling up to `longest_retry_seconds`; then, and at once for `throws`, the failure is kept as a `FailedJob`.

    `every` (seconds) has the scheduler send it without arguments; with `at_time` (UTC, `every` whole days) at that
    time of day. With `catch_up` each missed run is made up for, else missed runs collapse to one.

    :raises ValueError: if the name has no dot, or the schedule makes no sense.
    """
    queue, dot, _ = name.partition(".")
    if not dot:
        raise ValueError(f"An actor is named queue.verb; “{name}” has no dot.")
    if every is not None:
        if every < 1 or (at_time is not None and every % 86400):
            raise ValueError(f"{name}: every is whole seconds from 1, and whole days with a time of day.")
        DEFAULTS[name] = Default(name, every, at_time, catch_up)

    def declare(function: Callable[P, R]) -> dramatiq.Actor[P, R]:
        options: dict[str, Any] = {
            "time_limit": int(time_limit_seconds * 1000),
            "max_retries": max_retries,
            "min_backoff": int(first_retry_seconds * 1000),
            "max_backoff": int(longest_retry_seconds * 1000),
            "throws": throws,
        }
        made: dramatiq.Actor[P, R] = dramatiq.actor(
            actor_name=name, queue_name=queue, priority=priority, **options
        )(function)
        return made

    return declare


def is_declared(name: str) -> bool:
    """Whether there is an actor of this name, in whatever process this is asked: the web process runs none of them."""
    load_actors()
    return name in dramatiq.get_broker().get_declared_actors()


def load_actors() -> None:
    """Import every module of `jobs.actors`, which declares them all. A second call does nothing."""
    import importlib
    import pkgutil

    from jobs import actors

    for module in pkgutil.walk_packages(actors.__path__, f"{actors.__name__}."):
        importlib.import_module(module.name)
