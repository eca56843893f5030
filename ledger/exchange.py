"""What money is worth in another currency: exact arithmetic, with neither Django nor the clock.

Rates are fractions, so nothing is rounded on the way. Rounded is once, at the end, and never in the client's favor.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

# How many decimals of a rate are kept to be shown; what is booked follows from the amounts.
RATE_DIGITS: Final = 10
_WHOLE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What an amount brings in another currency: `worth` at the mid rate, of which the client gets `got` and we `spread`."""

    given: Decimal
    worth: Decimal
    got: Decimal
    rate: Decimal

    @property
    def spread(self) -> Decimal:
        """What we keep, in the currency that is got; what rounding leaves over is in it."""
        return self.worth - self.got


def exchanged(
    given: Decimal, *, mid: Fraction, spread_bps: int, least: Decimal = Decimal(0), exponent: int
) -> Exchanged:
    """What `given` brings at a mid rate less the spread, in a currency of so many decimals.

    Both what it is worth at the mid rate and what the client gets are rounded down, so nobody gets more than the exact
    amount; the spread is at least `least`. `got` may be zero: too little to be exchanged.
    """
    exact = Fraction(given) * mid
    kept = max(exact * spread_bps / _WHOLE, Fraction(least))
    worth, got = _down(exact, exponent), _down(max(exact - kept, Fraction(0)), exponent)
    return Exchanged(given, worth, got, _down(Fraction(got) / Fraction(given), RATE_DIGITS))


def shown(rate: Fraction) -> Decimal:
    """A rate with the decimals that are kept of it, rounded down."""
    return _down(rate, RATE_DIGITS)


def inverse(rate: Decimal) -> Decimal:
    """A rate read the other way round, as it is shown."""
    return shown(1 / Fraction(rate))


def _down(value: Fraction, exponent: int) -> Decimal:
    """The greatest number of so many decimals that is not above a value of zero or more."""
    units = value.numerator * 10**exponent // value.denominator
    return Decimal(units).scaleb(-exponent)
