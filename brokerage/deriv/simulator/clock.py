"""When tick *n* of a symbol falls due.

Wall time stays true at any speed. *Market time* counts the seconds in which ticks fall: it runs ``speed`` times
as fast as wall time, and tick *n* of a symbol with interval *i* falls at market time ``n × i``. A change of speed
between two runs starts a new *stretch*; earlier ones are kept, so old ticks keep their old times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

FIRST_MARKET_TIME = 1 << 23
"""Market time when a data file is made. Ticks from before it exist too (at speed 1), as history."""
_SLACK = 1e-3
"""Market seconds by which a tick may come early, so that rounding never makes it late at its own time."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From ``wall`` on (Unix seconds), market time runs from ``market`` on at ``speed``."""

    wall: float
    market: float
    speed: float


class Clock:
    """When each tick of a symbol falls due, at the chosen speed."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        """``stretches`` in the order of time, at least one."""
        self.stretches = tuple(stretches)

    @classmethod
    def begin(cls, at: float, speed: float) -> "Clock":
        """The clock of a new data file. Ticks fall on even wall seconds, as the venue's do."""
        return cls((Stretch(floor(at / 2) * 2.0, float(FIRST_MARKET_TIME), speed),))

    def at_speed(self, at: float, speed: float) -> "Clock":
        """The same clock, going on at ``speed`` from about ``at``; itself if that is its speed already."""
        if self.stretches[-1].speed == speed:
            return self
        market = floor(self._market(at) / 2) * 2 + 2.0
        return Clock((*self.stretches, Stretch(floor(at / 2) * 2.0, market, speed)))

    @property
    def speed(self) -> float:
        return self.stretches[-1].speed

    def _market(self, wall: float) -> float:
        for stretch in reversed(self.stretches):
            if wall >= stretch.wall:
                return stretch.market + (wall - stretch.wall) * stretch.speed
        first = self.stretches[0]
        return first.market + (wall - first.wall)

    def index_at(self, interval: int, wall: float) -> int:
        """The number of the last tick due at or before ``wall``."""
        return floor((self._market(wall) + _SLACK) / interval)

    def time_of(self, interval: int, index: int) -> float:
        """The wall time at which tick ``index`` falls due; never decreasing in ``index``."""
        market = float(index * interval)
        later = float("inf")
        for stretch in reversed(self.stretches):
            if market >= stretch.market:
                return min(stretch.wall + (market - stretch.market) / stretch.speed, later)
            later = stretch.wall
        first = self.stretches[0]
        return first.wall + (market - first.market)

    def epoch_of(self, interval: int, index: int) -> int:
        """``time_of`` in whole seconds, rounded down."""
        return floor(self.time_of(interval, index) + 1e-5)
