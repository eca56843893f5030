"""Exchange rates: entered by staff or a feed, kept for good, the newest counts, in either direction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from backoffice import events
from backoffice.errors import DomainError, InvalidInput
from backoffice.models import Currency
from backoffice.who import By
from ledger.exchange import RATE_DIGITS
from ledger.models import ExchangeRate

SUBJECT: Final = "exchange_rate"
# A rate that is further from the one before than this was probably mistyped.
FAR: Final = Fraction(1, 10)
MOST: Final = Decimal(10) ** 10
AT_ONCE: Final = 1000


class NoFreshRate(DomainError):
    """There is no exchange rate for these currencies, or it is too old to be quoted."""

    code = "NO_FRESH_RATE"
    field = "currency"


class RateFarOff(DomainError):
    """The rate is more than a tenth away from the one before; somebody has to say that it was looked at."""

    code = "RATE_FAR_OFF"
    field = "mid"


@dataclass(frozen=True, slots=True)
class Given:
    """A rate somebody enters, as it was written."""

    base: str
    quote: str
    mid: str | Decimal
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """The rate of two currencies in the direction asked for, and the row that says so."""

    mid: Fraction
    row: ExchangeRate


def enter(
    given: Iterable[Given], *, by: By, at: datetime, source: str = "", is_checked: bool = False
) -> list[ExchangeRate]:
    """Keep rates as they are given, all or none; at most ten decimals of each, never rounded. At most 1,000.

    Quotes from now on are by the newest of a pair. `source` is the feed's name; without, who entered it. The same rate
    of the same instant and source again is the same row.

    :raises InvalidInput: if a currency is not in use, a rate is not one, or it was taken later than now.
    :raises RateFarOff: if a rate is more than a tenth from the newest one before, unless `is_checked`.
    """
    rows = list(given)
    if len(rows) > AT_ONCE:
        raise InvalidInput(f"At most {AT_ONCE:,} rates at once.")
    known = set(Currency.objects.filter(is_active=True).values_list("code", flat=True))
    with transaction.atomic():
        return [_enter(one, known, source or by.name, by=by, at=at, is_checked=is_checked) for one in rows]


def newest(given: str, got: str, *, at: datetime) -> Found | None:
    """The newest rate taken until an instant, whichever way round it was written. One question."""
    either = Q(base=given, quote=got) | Q(base=got, quote=given)
    row = ExchangeRate.objects.filter(either, taken_at__lte=at).order_by("-taken_at", "-id").first()
    if row is None:
        return None
    mid = Fraction(row.mid)
    return Found(mid if row.base_id == given else 1 / mid, row)


def fresh(given: str, got: str, *, at: datetime) -> Found:
    """The newest rate, if it is young enough to be quoted (EXCHANGE_RATE_HOURS).

    :raises NoFreshRate: if there is none, or it is older.
    """
    found = newest(given, got, at=at)
    if found is None or at - found.row.taken_at > timedelta(hours=settings.CONFIG.exchange_rate_hours):
        raise NoFreshRate(f"There is no rate from {given} to {got} at the moment. Try again later.")
    return found


def _enter(
    given: Given, known: set[str], source: str, *, by: By, at: datetime, is_checked: bool
) -> ExchangeRate:
    for code in (given.base, given.quote):
        if code not in known:
            raise InvalidInput(f"“{code[:12]}” is not a currency in use.", field="base")
    if given.base == given.quote:
        raise InvalidInput("A rate is between two currencies.", field="quote")
    if given.taken_at > at:
        raise InvalidInput("A rate is not of the future.", field="taken_at")
    mid = _parsed(given.mid)
    before = newest(given.base, given.quote, at=given.taken_at)
    if before is not None and not is_checked and abs(Fraction(mid) / before.mid - 1) > FAR:
        raise RateFarOff(
            f"{given.base}/{given.quote} {mid.normalize():f} is more than a tenth away from the rate before. Look at it again."
        )
    row, is_new = ExchangeRate.objects.get_or_create(
        base_id=given.base, quote_id=given.quote, taken_at=given.taken_at, source=source,
        defaults={"mid": mid, "entered_at": at},
    )  # fmt: skip
    if not is_new and row.mid != mid:
        raise InvalidInput("There is another rate of that instant already.", field="taken_at")
    if is_new:
        events.record(
            "exchange_rate.entered", subject_type=SUBJECT, subject_id=row.uuid, by=by, at=at,
            payload={"base": row.base_id, "quote": row.quote_id, "mid": row.mid},
        )  # fmt: skip
    return row


def _parsed(text: str | Decimal) -> Decimal:
    try:
        value = text if isinstance(text, Decimal) else Decimal(text.strip())
    except InvalidOperation:
        raise InvalidInput(f"“{str(text)[:40]}” is not a rate.", field="mid") from None
    if not value.is_finite() or not 0 < value < MOST:
        raise InvalidInput("A rate is above zero and below 10^10.", field="mid")
    if value.as_tuple().exponent < -RATE_DIGITS:  # type: ignore[operator]
        raise InvalidInput(f"A rate has at most {RATE_DIGITS} decimals.", field="mid")
    return value
