"""Trade limits: looked at when a trade is placed, under a lock that keeps two at once from passing together."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, Q, Sum

from backoffice import events, keys
from backoffice.errors import DomainError, InvalidInput
from backoffice.models import Currency
from backoffice.money import parse_amount
from backoffice.who import By
from brokerage.models import Instrument, Trade, TradeLimit, TradingAccount
from compliance.models import Client

MINUTE: Final = timedelta(seconds=60)


class LimitReached(DomainError):
    """A trade limit that staff set lets this trade not through."""

    code = "LIMIT_REACHED"
    field: str | None = "stake"


class StakeLimit(LimitReached):
    """The stake is above the most that may be staked on one trade."""

    code = "STAKE_LIMIT"


class ExposureLimit(LimitReached):
    """With this stake the client would have more at stake at once than is allowed."""

    code = "EXPOSURE_LIMIT"


class TradeRateLimit(LimitReached):
    """The client has placed as many trades within a minute as is allowed."""

    code = "TRADE_RATE_LIMIT"
    field = None


@dataclass(frozen=True, slots=True)
class Maxima:
    """What a limit allows; None limits nothing."""

    stake: str | Decimal | None = None
    open_stake: str | Decimal | None = None
    per_minute: int | None = None


def check(account: TradingAccount, instrument: Instrument, stake: Decimal, *, at: datetime) -> None:
    """Whether the limits let this trade through. Call it in the transaction that places the trade.

    Counted are the client's trades in this currency, demo and real money apart: what is at stake in trades that are
    not final, and the trades placed in the 60 seconds before `at`. Where anything is to be counted, the client's row
    is locked, so two trades at once are counted one after the other; without such a limit nothing is locked.

    :raises StakeLimit: if the stake alone is above the most for one trade.
    :raises ExposureLimit: if the stakes not yet final and this one together are above the most at once.
    :raises TradeRateLimit: if as many trades as allowed were placed within the minute.
    """
    rows = TradeLimit.objects.applying(account, instrument)
    for row in rows:
        if row.max_stake is not None and stake > row.max_stake:
            raise StakeLimit(
                f"A stake{_on(row, instrument)} is {row.max_stake:,.2f} {row.currency_id} at most."
            )
    if all(row.max_open_stake is None and row.max_per_minute is None for row in rows):
        return
    Client.objects.select_for_update(no_key=True).get(pk=account.client_id)
    counted = _counted(account, instrument, at)
    for row in rows:
        name = "all" if row.instrument_id is None else "one"
        at_stake, recent = counted[f"{name}_at_stake"] or Decimal(0), counted[f"{name}_recent"]
        if row.max_open_stake is not None and at_stake + stake > row.max_open_stake:
            raise ExposureLimit(
                f"At most {row.max_open_stake:,.2f} {row.currency_id} may be at stake{_on(row, instrument)} at once; "
                f"{at_stake:,.2f} is now."
            )
        if row.max_per_minute is not None and recent >= row.max_per_minute:
            raise TradeRateLimit(
                f"At most {row.max_per_minute} trades a minute may be placed{_on(row, instrument)}; try again in a minute."
            )


def _counted(account: TradingAccount, instrument: Instrument, at: datetime) -> dict[str, Any]:
    """The client's trades over all instruments and on this one, in one question."""
    live, recent, one = Q(state__in=Trade.PATIENCE), Q(placed_at__gt=at - MINUTE), Q(instrument=instrument)
    mine = Trade.objects.filter(
        client=account.client_id, account__kind=account.kind, currency=account.currency_id
    )
    return mine.filter(live | recent).aggregate(
        all_at_stake=Sum("stake", filter=live),
        one_at_stake=Sum("stake", filter=live & one),
        all_recent=Count("pk", filter=recent),
        one_recent=Count("pk", filter=recent & one),
    )


def _on(row: TradeLimit, instrument: Instrument) -> str:
    return f" on {instrument.name}" if row.instrument_id is not None else ""


def change(
    client: Client | None,
    instrument: Instrument | None,
    currency: Currency,
    maxima: Maxima,
    *,
    by: By,
    at: datetime,
    key: str,
    reason: str,
) -> TradeLimit:
    """Set the limits of one client (None: of each alike) on one instrument (None: over all); all empty lifts them.

    Holds for trades placed from the commit on; what was placed before goes on. The same again changes nothing.
    Amounts are in the currency and never rounded. Locks the limit's row.

    :raises InvalidAmount: if an amount is not one of the currency.
    :raises InvalidInput: if a maximum is zero or less, the rate is above 10,000, or the reason is empty.
    :raises KeyReused: if the key was used for something else.
    """
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    wanted = (
        _amount(maxima.stake, currency, "max_stake"),
        _amount(maxima.open_stake, currency, "max_open_stake"),
        _rate(maxima.per_minute),
    )
    content = f"{client and client.pk}|{instrument and instrument.pk}|{currency.pk}|{wanted}"
    with transaction.atomic():
        keys.claim(by=by, verb="trade_limit.change", key=key, content=content, at=at)
        row = _locked(client, instrument, currency, by=by, at=at)
        before = row.maxima
        if before == wanted:
            return row
        row.max_stake, row.max_open_stake, row.max_per_minute = wanted
        row.reason, row.changed_by, row.changed_at = reason.strip()[:200], by.name, at
        row.save()
        events.record(
            "trade_limit.changed",
            subject_type="trade_limit",
            subject_id=row.uuid,
            client_id=client.uuid if client is not None else None,
            by=by,
            at=at,
            key=key,
            payload={
                "symbol": instrument.symbol if instrument is not None else None,
                "currency": currency.pk,
                **_told("before", before),
                **_told("after", wanted),
            },
            reason=reason,
        )
    return row


def _locked(
    client: Client | None, instrument: Instrument | None, currency: Currency, *, by: By, at: datetime
) -> TradeLimit:
    """The limit's row, made if there is none; two at once make one."""
    rows = TradeLimit.objects.filter(client=client, instrument=instrument, currency=currency)
    if not rows.exists():
        new = TradeLimit(
            client=client, instrument=instrument, currency=currency, changed_by=by.name, changed_at=at
        )
        TradeLimit.objects.bulk_create([new], ignore_conflicts=True)
    return rows.select_for_update(of=("self",), no_key=True).get()


def _amount(value: str | Decimal | None, currency: Currency, field: str) -> Decimal | None:
    if value is None or value == "":
        return None
    amount = parse_amount(value, exponent=currency.exponent, field=field)
    if amount <= 0:
        raise InvalidInput("A limit is above zero; leave it empty for none.", field=field)
    return amount


def _rate(value: int | None) -> int | None:
    if value is not None and not 1 <= value <= 10_000:
        raise InvalidInput(
            "Trades a minute are 1 to 10,000; leave it empty for no limit.", field="max_per_minute"
        )
    return value


def _told(
    when: str, maxima: tuple[Decimal | None, Decimal | None, int | None]
) -> dict[str, Decimal | int | None]:
    stake, open_stake, per_minute = maxima
    return {f"stake_{when}": stake, f"open_stake_{when}": open_stake, f"per_minute_{when}": per_minute}
