"""Exact amounts of money: a decimal and its currency, never a float, never mixed.

Rounding happens once, by name, where something is booked; `docs/money.md` lists every place.
"""

from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    ROUND_HALF_UP,
    Decimal,
    InvalidOperation,
)
from typing import Final

from backoffice.errors import InvalidInput

ROUNDINGS: Final = {
    "half_even": ROUND_HALF_EVEN,
    "half_up": ROUND_HALF_UP,
    "down": ROUND_DOWN,
    "floor": ROUND_FLOOR,
    "ceiling": ROUND_CEILING,
}


class InvalidAmount(InvalidInput):
    """Not an amount of this currency: stray digits, not finite, or not a number."""

    code = "INVALID_AMOUNT"
    field = "amount"


class CurrencyMismatch(InvalidInput):
    """Two currencies met in one sum."""

    code = "CURRENCY_MISMATCH"
    field = "currency"


def quantum(exponent: int) -> Decimal:
    """The smallest amount of a currency with this exponent: 2 → 0.01."""
    return Decimal(1).scaleb(-exponent)


def parse_amount(text: str | Decimal | int, *, exponent: int, field: str = "amount") -> Decimal:
    """The exact amount a person or machine wrote, with the currency's number of decimals.

    Never rounds: more decimals than the currency has are refused, so nobody is charged what they did not write.

    :raises InvalidAmount: if it is not a finite number, has too many decimals, or 20 or more integer digits.
    """
    try:
        value = text if isinstance(text, Decimal) else Decimal(str(text).strip())
    except InvalidOperation:
        raise InvalidAmount(f"“{str(text)[:40]}” is not an amount.", field=field) from None
    if not value.is_finite():
        raise InvalidAmount("An amount must be a finite number.", field=field)
    if abs(value) >= Decimal(10) ** 20:
        raise InvalidAmount("That amount is too large.", field=field)
    quantized = value.quantize(quantum(exponent))
    if quantized != value:
        raise InvalidAmount(f"At most {exponent} decimals are possible here.", field=field)
    return quantized


def round_amount(value: Decimal, *, exponent: int, mode: str) -> Decimal:
    """Round to the currency's exponent by a named mode (a key of `ROUNDINGS`)."""
    return value.quantize(quantum(exponent), rounding=ROUNDINGS[mode])


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in one currency. Refuses to be added to, or compared with, another currency."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError("Money needs a Decimal, never a float or a string.")
        if not self.amount.is_finite():
            raise InvalidAmount("An amount must be a finite number.")

    def _same(self, other: "Money") -> Decimal:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be mixed.")
        return other.amount

    def __add__(self, other: "Money") -> "Money":
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.amount - self._same(other), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._same(other)

    def __str__(self) -> str:
        return f"{self.amount:,f} {self.currency}"
