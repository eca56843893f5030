"""Types every part of the API shares: money, problems, who is asking."""

import time
from decimal import Decimal

import strawberry

from backoffice.errors import DomainError
from backoffice.models import Currency
from backoffice.money import quantum
from backoffice.throttle import TooManyRequests

_exponents: dict[str, int] = {}
_read_at = 0.0


def exponent(currency: str) -> int:
    """A currency's number of decimals; read once a minute at most."""
    global _exponents, _read_at
    if currency not in _exponents or time.monotonic() - _read_at > 60:
        _exponents = dict(Currency.objects.values_list("code", "exponent"))
        _read_at = time.monotonic()
    return _exponents[currency]


@strawberry.type(description="An exact amount of money; a string, so that no reader rounds it.")
class Money:
    amount: str
    currency: str

    @staticmethod
    def of(amount: Decimal, currency: str) -> "Money":
        return Money(amount=f"{amount.quantize(quantum(exponent(currency))):f}", currency=currency)

    @staticmethod
    def maybe(amount: Decimal | None, currency: str) -> "Money | None":
        return None if amount is None else Money.of(amount, currency)


@strawberry.type(description="Why something was refused. Nothing was changed.")
class Problem:
    code: str = strawberry.field(description="Permanent; apps switch on it.")
    message: str = strawberry.field(description="Safe to show to the person who asked.")
    field: str | None = strawberry.field(description="The argument at fault, if there is one.")
    retry_after_seconds: int | None = strawberry.field(
        default=None, description="Of `TOO_MANY_REQUESTS`: when to come back."
    )

    @staticmethod
    def of(refusal: DomainError) -> "Problem":
        wait = refusal.wait_seconds if isinstance(refusal, TooManyRequests) else None
        return Problem(
            code=refusal.code, message=refusal.message, field=camel(refusal.field), retry_after_seconds=wait
        )


def camel(name: str | None) -> str | None:
    """An argument's name as the API spells it."""
    if name is None:
        return None
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def price(value: Decimal | None) -> str | None:
    """A price as text, without the zeros it is stored with."""
    return None if value is None else f"{value.normalize():f}"
