"""Amounts as collectors write them: in the smallest unit of a currency, or as text. Exact, never rounded."""

from decimal import Decimal

from backoffice.models import Currency


def minor(amount: Decimal, exponent: int) -> int:
    """10.25 of a currency with two decimals is 1025. :raises ValueError: if the amount has more decimals than that."""
    scaled = amount.scaleb(exponent)
    if scaled != scaled.to_integral_value():
        raise ValueError("The amount has more decimals than its currency.")
    return int(scaled)


def of_minor(amount: int, currency: str) -> Decimal:
    """1025 in a currency with two decimals is 10.25; of one that is not known, by two. Above zero, whatever the sign."""
    exponent = Currency.objects.filter(code=currency.upper()).values_list("exponent", flat=True).first()
    return abs(Decimal(amount)).scaleb(-(2 if exponent is None else exponent))
