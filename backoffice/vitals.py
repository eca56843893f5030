"""The vital signs of a deployment: figures with a limit, each with a sentence and what to do when it is past it.

One table, four uses: gauges at `/metrics`, the rules of an alarm manager (`docs/alarms.yml`), readiness
(`/health/ready`) and the console's page. An app registers its own from `AppConfig.ready`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import redis
from django.db import DatabaseError

from backoffice.metrics import Labelled, gauge
from backoffice.registry import Port


@dataclass(frozen=True, slots=True)
class Vital:
    """A figure that is well while it is not above `most`."""

    name: str
    """Of the gauge; ends with its unit."""
    help: str
    read: Callable[[], Labelled]
    """Pairs of labels and value, by the clock of whoever keeps them."""
    most: float
    wrong: str
    """The sentence when it is past its limit; `{value}` and the labels may stand in it."""
    runbook: str
    """The bold beginning of a paragraph in `docs/operations.md`."""
    is_ready: bool = False
    """Whether a deployment past this limit should get no more traffic."""
    lasting_seconds: int = 60
    """How long it must last before somebody is called."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a vital sign now."""

    vital: Vital
    labels: dict[str, str]
    value: float

    @property
    def is_well(self) -> bool:
        return self.value <= self.vital.most

    @property
    def sentence(self) -> str:
        """What is wrong, in words; empty while nothing is."""
        return "" if self.is_well else self.vital.wrong.format(value=_told(self.value), **self.labels)


vitals: Final[Port[Vital]] = Port("vitals")


def register(vital: Vital, *, order: int = 100) -> None:
    """Add a vital sign; it is a gauge at `/metrics` from now on."""
    vitals.register(vital.name, vital, order=order)
    gauge(vital.name, vital.help, vital.read)


def readings(chosen: Iterable[Vital] | None = None) -> tuple[list[Reading], list[str]]:
    """Every value now, and a sentence for each sign that could not be read."""
    found, unread = [], []
    for vital in vitals if chosen is None else chosen:
        try:
            found += [Reading(vital, labels, value) for labels, value in vital.read()]
        except (redis.RedisError, DatabaseError) as error:
            unread.append(f"{vital.help}: not known, {type(error).__name__}.")
    return found, unread


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
