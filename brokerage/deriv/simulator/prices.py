"""Seeded ticks.

Price *n* of a symbol is a geometric Brownian motion without drift, read at step *n*. It is built by halving
(Lévy's construction): every point of the motion is the middle of one interval and gets its own hash of
(seed, symbol, point). So any price can be computed alone, a restart goes on where it stopped without replaying
anything, and history before the start exists. Prices are rounded half-even to the symbol's pip.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from hashlib import blake2b
from math import cos, exp, log, pi, sqrt

from brokerage.deriv.simulator.catalog import SYMBOLS
from brokerage.deriv.simulator.clock import FIRST_MARKET_TIME, Clock

SECONDS_PER_YEAR = 365 * 86400
_SPAN = 1 << 40


@dataclass(frozen=True, slots=True)
class Quote:
    """Tick ``index`` of a symbol; ``epoch`` in whole seconds, rounded down."""

    symbol: str
    index: int
    epoch: int
    price: Decimal


class Motion:
    """The standard random walk W of one symbol: W(0) = 0, variance of one per step."""

    def __init__(self, seed: int, name: str) -> None:
        self._key = f"{seed}|{name}|".encode()
        self._path = [(0, 0.0, _SPAN, sqrt(_SPAN) * self._normal(_SPAN))]

    def at(self, step: int) -> float:
        """W(step), for 0 ≤ step ≤ 2⁴⁰. Neighboring steps share most of the work."""
        path = self._path
        while not path[-1][0] <= step <= path[-1][2]:
            path.pop()
        while True:
            low, w_low, high, w_high = path[-1]
            if step == low:
                return w_low
            if step == high:
                return w_high
            middle = (low + high) // 2
            w_middle = (w_low + w_high) / 2 + sqrt((high - low) / 4) * self._normal(middle)
            path.append(
                (low, w_low, middle, w_middle) if step <= middle else (middle, w_middle, high, w_high)
            )

    def _normal(self, point: int) -> float:
        digest = blake2b(self._key + str(point).encode(), digest_size=16).digest()
        first = (int.from_bytes(digest[:8], "big") + 1) / (1 << 64)
        second = int.from_bytes(digest[8:], "big") / (1 << 64)
        return sqrt(-2 * log(first)) * cos(2 * pi * second)


class Market:
    """All symbols' ticks under one seed and one clock."""

    def __init__(self, seed: int, clock: Clock) -> None:
        self.seed = seed
        self.clock = clock
        self._motions = {code: Motion(seed, code) for code in SYMBOLS}
        self._origins = {
            code: self._motions[code].at(FIRST_MARKET_TIME // symbol.interval)
            for code, symbol in SYMBOLS.items()
        }
        self._price = lru_cache(maxsize=50_000)(self._compute_price)

    def index_at(self, symbol: str, wall: float) -> int:
        """The number of the last tick at or before ``wall``."""
        return self.clock.index_at(SYMBOLS[symbol].interval, wall)

    def time_of(self, symbol: str, index: int) -> float:
        return self.clock.time_of(SYMBOLS[symbol].interval, index)

    def quote(self, symbol: str, index: int) -> Quote:
        listed = SYMBOLS[symbol]
        return Quote(
            symbol, index, self.clock.epoch_of(listed.interval, index), self._price(symbol, max(index, 0))
        )

    def last(self, symbol: str, wall: float) -> Quote:
        """The tick that is current at ``wall``."""
        return self.quote(symbol, self.index_at(symbol, wall))

    def quotes(self, symbol: str, first: int, last: int) -> Iterator[Quote]:
        """Ticks ``first`` to ``last``, both included."""
        return (self.quote(symbol, index) for index in range(first, last + 1))

    def _compute_price(self, code: str, index: int) -> Decimal:
        symbol = SYMBOLS[code]
        origin = FIRST_MARKET_TIME // symbol.interval
        deviation = float(symbol.volatility) * sqrt(symbol.interval / SECONDS_PER_YEAR)
        walked = self._motions[symbol.code].at(index) - self._origins[symbol.code]
        growth = exp(deviation * walked - deviation**2 / 2 * (index - origin))
        price = (symbol.start * Decimal(repr(growth))).quantize(symbol.pip, ROUND_HALF_EVEN)
        return max(price, 100 * symbol.pip)
