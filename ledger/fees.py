"""What we take of a payment: the fee in use for its direction, method and currency."""

from decimal import Decimal

from backoffice.money import round_amount
from ledger.models import Fee


def fee(direction: str, method: str, amount: Decimal, currency: str) -> Decimal:
    """The fee of a payment, in its currency; zero where none is in use. One query."""
    row = in_use(direction, method, currency)
    return Decimal(0) if row is None else amount_of(row, amount)


def in_use(direction: str, method: str, currency: str) -> Fee | None:
    """The fee row that applies, with its currency, for whoever reckons many payments."""
    rows = Fee.objects.filter(direction=direction, method=method, currency=currency, is_active=True)
    return rows.select_related("currency").first()


def amount_of(row: Fee, amount: Decimal) -> Decimal:
    """The fixed part and the rate, rounded half up to the currency's exponent, within its bounds; never above the amount.

    The bounds are rounded like the rest, so that whatever was typed in as one can be booked.
    """
    most = amount if row.most is None else min(row.most, amount)
    taken = min(max(row.fixed + amount * row.rate, row.least), most)
    return min(round_amount(taken, exponent=row.currency.exponent, mode="half_up"), amount)
