"""How a trade comes to us: placed by a client, withdrawn while queued, or asked to be sold early."""

import hashlib
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import IntegrityError, transaction

from backoffice import keys, metrics
from backoffice.errors import DomainError, InvalidInput, KeyReused, NotFound
from backoffice.logs import correlation
from backoffice.models import User
from backoffice.money import parse_amount
from backoffice.wake import wake
from backoffice.who import By
from brokerage import accounts, gate, limits, markup, trades
from brokerage.models import Instrument, Trade, TradingAccount
from brokerage.models.trades import SECONDS
from compliance import clients
from ledger import holds


class UnknownInstrument(DomainError):
    """There is no such instrument, or it is not offered now."""

    code = "UNKNOWN_INSTRUMENT"
    field = "symbol"


class StakeOutOfRange(DomainError):
    """The stake is below or above what may be staked on this instrument."""

    code = "STAKE_OUT_OF_RANGE"
    field = "stake"


class DurationNotOffered(DomainError):
    """The instrument is not offered for that long, or that short."""

    code = "DURATION_NOT_OFFERED"
    field = "duration"


class NotQueued(DomainError):
    """The trade is no longer queued, so it cannot be withdrawn."""

    code = "NOT_QUEUED"


class NotOpen(DomainError):
    """The trade is not open, so there is nothing to sell."""

    code = "NOT_OPEN"


@metrics.verb("trade.place")
def place(
    *,
    account: TradingAccount,
    symbol: str,
    side: str,
    stake: str | Decimal,
    duration: int,
    duration_unit: str,
    by: By,
    at: datetime,
    key: str,
    source: str = Trade.Source.CLIENT,
) -> Trade:
    """Take a client's trade: its stake is held at once, and a worker buys it at the venue.

    `stake` is in the account's currency and never rounded. The same key with the same content returns the first
    trade; nothing moves twice. Locks the mirror's cash account, and the client's row before it where a trade limit
    counts the client's trades. Nothing is sent to the venue here.

    :raises AccountNotReady: if the account is not open at the venue.
    :raises UnknownInstrument: if the symbol is not offered.
    :raises TradingHalted, TradingReducing: if the order gate lets no purchase of it through.
    :raises InvalidAmount: if the stake has too many decimals or is not a number.
    :raises StakeOutOfRange: if the stake is below or above the instrument's limits.
    :raises DurationNotOffered: if the duration is outside the instrument's offer.
    :raises StakeLimit, ExposureLimit, TradeRateLimit: if a trade limit lets it not through.
    :raises InsufficientFunds: if the account's available balance is below the stake.
    :raises KeyReused: if the key was used with other content.
    """
    keys.check(key)
    amount = parse_amount(stake, exponent=account.currency.exponent, field="stake")
    content = f"{account.uuid}|{symbol}|{side}|{amount}|{duration}|{duration_unit}"
    content_hash = hashlib.sha256(content.encode()).hexdigest()
    if (first := _placed_before(account, key, content_hash)) is not None:
        return first
    amount, instrument = check_terms(
        account, symbol=symbol, side=side, stake=amount, duration=duration, duration_unit=duration_unit
    )
    gate.check_may_buy(account, instrument)
    try:
        with transaction.atomic():
            limits.check(account, instrument, amount, at=at)
            trade = Trade.objects.create(
                client=account.client,
                account=account,
                instrument=instrument,
                side=side,
                stake=amount,
                currency=account.currency_id,
                duration=duration,
                duration_unit=duration_unit,
                source=source,
                key=key,
                content_hash=content_hash,
                correlation_id=correlation.get(),
                markup_rate=markup.override_of(account),
                placed_at=at,
                changed_at=at,
            )
            trade.hold = holds.place(
                account=account.cash,
                amount=amount,
                purpose="stake",
                by=by,
                at=at,
                key=f"trade:{trade.uuid}:stake",
                subject=("trade", trade.uuid),
                client_id=account.client.uuid,
            ).hold
            trade.save(update_fields=["hold"])
            trades.announce("trade.placed", trade, by=by, at=at, stake=amount, symbol=symbol)
            wake("trading.submit", trade.pk)
    except limits.LimitReached:
        # Two requests with one key at the same time: it is the first one's trade that fills the limit.
        if (first := _placed_before(account, key, content_hash)) is not None:
            return first
        raise
    except IntegrityError as found:
        # Two requests with one key at the same time: the second finds the first one's row.
        if "trade_key_once" not in str(found):
            raise
        first = _placed_before(account, key, content_hash)
        if first is None:
            raise
        return first
    return trade


def _placed_before(account: TradingAccount, key: str, content_hash: str) -> Trade | None:
    first = (
        Trade.objects.filter(client=account.client_id, key=key)
        .select_related("instrument", "account")
        .first()
    )
    if first is not None and first.content_hash != content_hash:
        raise KeyReused("This key was used before for another trade.")
    return first


def check_terms(
    account: TradingAccount,
    *,
    symbol: str,
    side: str,
    stake: str | Decimal,
    duration: int,
    duration_unit: str,
) -> tuple[Decimal, Instrument]:
    """The exact stake and the instrument of terms that may be traded on this account.

    :raises DomainError: as `place`, for the first thing that is wrong.
    """
    if side not in Trade.Side.values:
        raise InvalidInput("A side is CALL (rise) or PUT (fall).", field="side")
    amount = parse_amount(stake, exponent=account.currency.exponent, field="stake")
    accounts.check_may_trade(account)
    instrument = Instrument.objects.offered().filter(symbol=symbol).first()
    if instrument is None:
        raise UnknownInstrument(f"“{symbol[:30]}” is not offered.")
    check_stake(instrument, amount, account.currency_id)
    check_duration(instrument, duration, duration_unit)
    return amount, instrument


def check_stake(instrument: Instrument, stake: Decimal, currency: str) -> None:
    """:raises StakeOutOfRange: if the stake is outside the instrument's limits."""
    if not instrument.min_stake <= stake <= instrument.max_stake:
        raise StakeOutOfRange(
            f"A stake on {instrument.name} is {instrument.min_stake:,.2f} to {instrument.max_stake:,.2f} {currency}."
        )


def check_duration(instrument: Instrument, duration: int, unit: str) -> None:
    """:raises DurationNotOffered: if the instrument is not offered for this duration."""
    if unit == Trade.Unit.TICKS:
        offered, low, high, word = duration, instrument.min_ticks, instrument.max_ticks, "ticks"
    elif unit in SECONDS:
        offered, low, high, word = (
            duration * SECONDS[unit], instrument.min_seconds, instrument.max_seconds, "seconds",
        )  # fmt: skip
    else:
        raise InvalidInput("A duration is counted in t, s, m, h or d.", field="duration_unit")
    if not low <= offered <= high:
        raise DurationNotOffered(f"{instrument.name} is offered for {low} to {high} {word}.")


def check_may_withdraw(trade: Trade) -> None:
    """:raises NotQueued: if the trade was already sent or has ended."""
    if trade.state != Trade.State.QUEUED:
        raise NotQueued(
            f"The trade is {trade.get_state_display().lower()}; only a queued one can be withdrawn."
        )


def check_may_sell(trade: Trade) -> None:
    """:raises NotOpen: if the trade is not open."""
    if trade.state != Trade.State.OPEN:
        raise NotOpen(f"The trade is {trade.get_state_display().lower()}; only an open one can be sold.")


@metrics.verb("trade.withdraw")
def withdraw(trade: Trade, *, by: By, at: datetime, key: str, reason: str = "") -> Trade:
    """Take back a trade that was not sent yet; its stake is free again. Twice is once.

    :raises NotQueued: if it was already sent or has ended.
    :raises KeyReused: if the key was used to withdraw another trade.
    """
    with trades.moving(trade) as trade:
        keys.claim(by=by, verb="trade.withdraw", key=key, content=str(trade.uuid), at=at)
        if trade.state == Trade.State.WITHDRAWN:
            return trade
        check_may_withdraw(trade)
        trades.free_stake(trade, by=by, at=at)
        return trades.move(trade, Trade.State.WITHDRAWN, "trade.withdrawn", by=by, at=at, reason=reason)


@metrics.verb("trade.request_sale")
def request_sale(trade: Trade, *, by: By, at: datetime, key: str, reason: str = "") -> Trade:
    """Ask the venue to buy the contract back now, at its price. The venue's answer settles the trade.

    A second request while the first runs changes nothing.

    :raises NotOpen: if the trade is not open.
    :raises TradingHalted: if the order gate lets no sale of it through.
    :raises KeyReused: if the key was used to sell another trade.
    """
    with trades.moving(trade) as trade:
        keys.claim(by=by, verb="trade.sell", key=key, content=str(trade.uuid), at=at)
        check_may_sell(trade)
        gate.check_may_sell(trade)
        if trade.sale_requested_at is None:
            trade.sale_requested_at = at
            trade.problem_code = trade.problem = ""
            trades.save(trade, at)
            trades.announce("trade.sale_requested", trade, by=by, at=at, reason=reason)
        wake("trading.sell", trade.pk)
    return trade


def of_user(user: User, public_id: UUID) -> Trade:
    """One of this user's trades.

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    found = (
        Trade.objects.of_user(user).select_related("instrument", "account", "client").filter(uuid=public_id)
    )
    trade = found.first()
    if trade is None:
        raise NotFound("There is no such trade.", field="id")
    return trade


def check_may_act(user: User, account: TradingAccount) -> None:
    """:raises NotAllowed: if the user may look at this client's money but not trade with it."""
    clients.check_may_act(user, account.client_id)
