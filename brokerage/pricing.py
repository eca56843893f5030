"""Pure arithmetic of a rise/fall trade: neither Django nor the clock."""

from decimal import ROUND_HALF_UP, Decimal

from backoffice.money import quantum


def markup_amount(payout: Decimal, rate: Decimal | None, *, exponent: int) -> Decimal:
    """What the markup is in money: a share of the **payout**, half a cent up.

    Source: Deriv defines the application markup as a percentage of the contract's payout, 0 to 3 %.
    """
    return booked(payout * (rate or Decimal(0)), exponent=exponent)


def payout_with(
    stake: Decimal, payout: Decimal, *, registered: Decimal, wanted: Decimal, exponent: int
) -> Decimal:
    """What a stake would pay with another markup than the one in an offer; an estimate, half a cent up.

    Source: a stake buys `stake / (p + c + m)`, m being the markup as a share of the payout; the offer tells p + c + m.
    """
    share = stake / payout - registered + wanted
    return booked(stake / share, exponent=exponent)


def booked(amount: Decimal, *, exponent: int) -> Decimal:
    """An amount as it is booked: to the currency's decimals, half a cent up."""
    return amount.quantize(quantum(exponent), rounding=ROUND_HALF_UP)


def profit(buy_price: Decimal, proceeds: Decimal) -> Decimal:
    """What the client gained, or lost if negative, in the currency of the trade. Exact: nothing is rounded."""
    return proceeds - buy_price
