"""What a rise/fall contract costs, and what it is worth before its end. Pure arithmetic.

On a stake basis ``payout = stake / (p + c + m)``, on a payout basis ``ask = payout × (p + c + m)``, both rounded
half-up to the cent: *p* is the probability of winning, *c* the venue's commission, *m* the application's markup,
each as a fraction of the payout. Money is ``Decimal`` throughout; only the probability, which is an estimate and
no amount, passes through floating point and is fixed to eight decimals.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from math import erf, log, sqrt
from typing import Literal

from brokerage.deriv.simulator.catalog import CENT
from brokerage.deriv.simulator.prices import SECONDS_PER_YEAR

_PROBABILITY_STEP = Decimal("0.00000001")


@dataclass(frozen=True, slots=True)
class Price:
    """A price in cents. ``commission`` and ``markup`` are the shares of the payout inside ``ask``, for display."""

    ask: Decimal
    payout: Decimal
    commission: Decimal
    markup: Decimal


def cents(amount: Decimal) -> Decimal:
    """Rounded half-up to the cent."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def win_probability(
    contract_type: str, volatility: Decimal, seconds: float, spot: Decimal, entry: Decimal
) -> Decimal:
    """The chance to end strictly beyond ``entry`` in ``seconds`` from now: N(d2), without drift or interest."""
    deviation = float(volatility) * sqrt(max(seconds, 0.001) / SECONDS_PER_YEAR)
    d2 = log(float(spot / entry)) / deviation - deviation / 2
    rises = (1 + erf(d2 / sqrt(2))) / 2
    chance = rises if contract_type == "CALL" else 1 - rises
    return Decimal(repr(chance)).quantize(_PROBABILITY_STEP, ROUND_HALF_EVEN)


def price(
    basis: Literal["stake", "payout"],
    amount: Decimal,
    probability: Decimal,
    commission: Decimal,
    markup: Decimal,
) -> Price:
    """The price of a contract; all rates are fractions of the payout."""
    rate = probability + commission + markup
    ask, payout = (amount, cents(amount / rate)) if basis == "stake" else (cents(amount * rate), amount)
    return Price(ask, payout, cents(payout * commission), cents(payout * markup))


def bid(payout: Decimal, probability: Decimal, commission: Decimal) -> Decimal:
    """What the venue pays for a running contract: its fair value less commission, rounded down, never below 0."""
    return max(payout * (probability - commission), Decimal(0)).quantize(CENT, ROUND_DOWN)
