"""What the simulated venue has on offer: symbols, durations, limits."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

CENT = Decimal("0.01")
CURRENCIES = ("USD", "EUR", "GBP", "AUD")
"""Account currencies; all with two decimals."""
USD_PER_UNIT = {
    "USD": Decimal("1.0000"),
    "EUR": Decimal("1.0842"),
    "GBP": Decimal("1.2675"),
    "AUD": Decimal("0.6581"),
}
"""What one unit of a currency is worth. The simulator's own figures, fixed so that every sum can be proved."""

MIN_STAKE = Decimal("0.35")
MAX_PAYOUT = Decimal("50000.00")
DEFAULT_STAKE = Decimal("10.00")

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
TICKS_OFFERED = range(1, 11)
SHORTEST_SECONDS = 15
LONGEST_SECONDS = 86400


def exchange_rate(base: str, target: str) -> Decimal:
    """Units of ``target`` for one of ``base``, six decimals, rounded down; the same whichever way money goes.

    Rounding down keeps the product of a rate and its reverse at one or below: no tour of the accounts makes money.
    """
    return (USD_PER_UNIT[base] / USD_PER_UNIT[target]).quantize(Decimal("0.000001"), ROUND_DOWN)


def exchanged(amount: Decimal, base: str, target: str) -> Decimal:
    """An amount of ``base`` in ``target``, at the published rate, rounded down to the cent."""
    return (amount * exchange_rate(base, target)).quantize(CENT, ROUND_DOWN)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A synthetic index. ``volatility`` is per year, as a fraction; ``decimals`` is the pip size."""

    code: str
    name: str
    volatility: Decimal
    interval: int
    decimals: int
    start: Decimal
    order: int

    @property
    def pip(self) -> Decimal:
        return Decimal(1).scaleb(-self.decimals)


def _index(code: str, percent: int, interval: int, decimals: int, start: str, order: int) -> Symbol:
    name = f"Volatility {percent} Index" if interval == 2 else f"Volatility {percent} (1s) Index"
    return Symbol(code, name, Decimal(percent) / 100, interval, decimals, Decimal(start), order)


SYMBOLS: dict[str, Symbol] = {
    symbol.code: symbol
    for symbol in (
        _index("R_10", 10, 2, 3, "6325.418", 0),
        _index("R_25", 25, 2, 3, "2817.365", 1),
        _index("R_50", 50, 2, 4, "268.4127", 2),
        _index("R_75", 75, 2, 4, "94218.6173", 3),
        _index("R_100", 100, 2, 2, "1574.26", 4),
        _index("1HZ10V", 10, 1, 2, "9641.83", 5),
        _index("1HZ25V", 25, 1, 2, "618243.57", 6),
        _index("1HZ50V", 50, 1, 2, "214766.09", 7),
        _index("1HZ75V", 75, 1, 2, "5186.44", 8),
        _index("1HZ100V", 100, 1, 2, "1089.71", 9),
    )
}
