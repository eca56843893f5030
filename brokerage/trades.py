"""A trade's life: placed with us, bought at the venue, settled; every step moves the mirror with it.

The order inside each verb: lock the trade, already done?, may we?, move money, change state, record, return.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import IntegrityError, transaction

from backoffice import events
from backoffice.errors import DomainError, InvalidInput, KeyReused, MoveNotAllowed, NotAllowed, NotFound
from backoffice.logs import correlation
from backoffice.models import User
from backoffice.money import parse_amount
from backoffice.wake import notify, wake
from backoffice.who import By
from brokerage import accounts, pricing
from brokerage.models import Instrument, Trade, TradingAccount
from compliance.models import Membership
from ledger import accounts as ledger_accounts
from ledger import holds, journal
from ledger.models import Account

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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


class NotOpen(DomainError):
    """The trade is not open, so there is nothing to sell."""

    code = "NOT_OPEN"


class NotQueued(DomainError):
    """The trade is no longer queued, so it cannot be withdrawn."""

    code = "NOT_QUEUED"


class IdenticalInFlight(DomainError):
    """An identical purchase of the same account is still being bought; this one waits for it."""

    code = "IDENTICAL_IN_FLIGHT"


class ContractClaimed(DomainError):
    """The venue's contract already belongs to another trade."""

    code = "CONTRACT_CLAIMED"


@dataclass(frozen=True, slots=True)
class Bought:
    """What the venue sold us: amounts in the trade's currency, times by the venue's clock."""

    contract_id: int
    transaction_id: int | None
    buy_price: Decimal
    payout: Decimal
    purchased_at: datetime
    expires_at: datetime
    commission: Decimal | None = None
    markup: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a contract ended, by the venue: `state` is one of won, lost, sold, refunded."""

    state: str
    proceeds: Decimal
    settled_at: datetime
    transaction_id: int | None = None
    entry_spot: Decimal | None = None
    entry_spot_at: datetime | None = None
    exit_spot: Decimal | None = None
    exit_spot_at: datetime | None = None


# ── placed by a client ──────────────────────────────────────────────────────────────────────────────────────────


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
    trade; nothing moves twice. Locks the mirror's cash account. Nothing is sent to the venue here.

    :raises AccountNotReady: if the account is not open at the venue.
    :raises UnknownInstrument: if the symbol is not offered.
    :raises InvalidAmount: if the stake has too many decimals or is not a number.
    :raises StakeOutOfRange: if the stake is below or above the instrument's limits.
    :raises DurationNotOffered: if the duration is outside the instrument's offer.
    :raises InsufficientFunds: if the account's available balance is below the stake.
    :raises KeyReused: if the key was used with other content.
    """
    if not re.fullmatch(r"[\x21-\x7e]{1,100}", key):
        raise InvalidInput("A key is 1 to 100 printable characters without spaces.", field="key")
    if side not in Trade.Side.values:
        raise InvalidInput("A side is CALL (rise) or PUT (fall).", field="side")
    amount = parse_amount(stake, exponent=account.currency.exponent, field="stake")
    content = f"{account.uuid}|{symbol}|{side}|{amount}|{duration}|{duration_unit}"
    content_hash = hashlib.sha256(content.encode()).hexdigest()
    if (first := _placed_before(account, key, content_hash)) is not None:
        return first
    accounts.check_may_trade(account)
    instrument = Instrument.objects.offered().filter(symbol=symbol).first()
    if instrument is None:
        raise UnknownInstrument(f"“{symbol[:30]}” is not offered.")
    check_stake(instrument, amount, account.currency_id)
    check_duration(instrument, duration, duration_unit)
    try:
        with transaction.atomic():
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
                markup_rate=account.markup_rate if account.markup_rate is not None else account.client.markup_rate,
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
            _announce("trade.placed", trade, by=by, at=at, stake=amount, symbol=symbol)
            wake("trading.submit", trade.pk)
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
    first = Trade.objects.filter(client=account.client_id, key=key).select_related("instrument", "account").first()
    if first is not None and first.content_hash != content_hash:
        raise KeyReused("This key was used before for another trade.")
    return first


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


def withdraw(trade: Trade, *, by: By, at: datetime) -> Trade:
    """Take back a trade that was not sent yet; its stake is free again. Twice is once.

    :raises NotQueued: if it was already sent or has ended.
    """
    with _moving(trade) as trade:
        if trade.state == Trade.State.WITHDRAWN:
            return trade
        if trade.state != Trade.State.QUEUED:
            raise NotQueued(f"The trade is {trade.get_state_display().lower()}; only a queued one can be withdrawn.")
        _free_stake(trade, by=by, at=at)
        return _move(trade, Trade.State.WITHDRAWN, "trade.withdrawn", by=by, at=at)


def request_sale(trade: Trade, *, by: By, at: datetime, reason: str = "") -> Trade:
    """Ask the venue to buy the contract back now, at its price. The venue's answer settles the trade.

    A second request while the first runs changes nothing.

    :raises NotOpen: if the trade is not open.
    """
    with _moving(trade) as trade:
        if trade.state != Trade.State.OPEN:
            raise NotOpen(f"The trade is {trade.get_state_display().lower()}; only an open one can be sold.")
        if trade.sale_requested_at is None:
            trade.sale_requested_at = at
            trade.problem_code = trade.problem = ""
            _save(trade, at)
            _announce("trade.sale_requested", trade, by=by, at=at, reason=reason[:200])
        wake("trading.sell", trade.pk)
    return trade


# ── at the venue ────────────────────────────────────────────────────────────────────────────────────────────────


def begin_submission(trade: Trade, *, proposal_id: str, deadline: datetime, by: By, at: datetime) -> Trade:
    """Store that the purchase is about to be sent, before it is. Commit this before the wire sees anything.

    After `deadline` nobody sends it any more, so an answer missing then can only mean *uncertain*.

    :raises MoveNotAllowed: if it is not queued (another worker took it, or it was withdrawn).
    :raises IdenticalInFlight: if the account already has an identical purchase in flight; it stays queued.
    """
    try:
        with _moving(trade) as trade:
            if trade.state != Trade.State.QUEUED:
                raise MoveNotAllowed(f"The trade is {trade.get_state_display().lower()}, not queued.")
            trade.proposal_id, trade.submitted_at, trade.deadline_at = proposal_id, at, deadline
            trade.problem_code = trade.problem = ""
            return _move(trade, Trade.State.SUBMITTING, "trade.submitted", by=by, at=at)
    except IntegrityError as found:
        if "trade_one_identical_in_flight" not in str(found):
            raise
        raise IdenticalInFlight("An identical purchase of this account is still being bought.") from None


def record_bought(trade: Trade, bought: Bought, *, by: By, at: datetime) -> Trade:
    """The venue sold us the contract: claim it, and move the stake from cash to open stakes. Twice is once.

    The markup is booked as its own entry in the mirror: a share of the payout, as the venue reports it or by
    the trade's rate, half a cent up. The part of the hold the price did not need is free again.

    :raises ContractClaimed: if another trade already claimed this contract.
    :raises MoveNotAllowed: if the trade ended otherwise meanwhile.
    """
    try:
        with _moving(trade) as trade:
            if trade.contract_id == bought.contract_id:
                return trade
            _check_may_move(trade, Trade.State.OPEN)
            assert trade.hold is not None
            stakes = trade.account.stakes
            subject = ("trade", trade.uuid)
            holds.capture(
                trade.hold,
                amount=bought.buy_price,
                lines=[journal.credit(stakes, bought.buy_price)],
                kind="stake",
                by=by,
                at=at,
                key=f"trade:{trade.uuid}:bought",
                narration=f"Stake of contract {bought.contract_id}",
                reference=str(bought.contract_id),
                subject=subject,
                client_id=trade.client.uuid,
            )
            trade.markup = bought.markup
            if trade.markup is None:
                exponent = trade.account.currency.exponent
                trade.markup = pricing.markup_amount(bought.payout, trade.markup_rate, exponent=exponent)
            if trade.markup > 0:
                journal.post(
                    kind="markup",
                    lines=[
                        journal.debit(_house(trade, "venue_result", Account.Kind.INCOME), trade.markup),
                        journal.credit(_house(trade, "markup", Account.Kind.INCOME), trade.markup),
                    ],
                    by=by,
                    at=at,
                    key=f"trade:{trade.uuid}:markup",
                    narration=f"Markup in contract {bought.contract_id}",
                    reference=str(bought.contract_id),
                    subject=subject,
                    client_id=trade.client.uuid,
                )
            trade.contract_id, trade.purchase_transaction_id = bought.contract_id, bought.transaction_id
            trade.buy_price, trade.payout, trade.commission = bought.buy_price, bought.payout, bought.commission
            trade.purchased_at, trade.expires_at = bought.purchased_at, bought.expires_at
            trade.problem_code = trade.problem = ""
            return _move(
                trade, Trade.State.OPEN, "trade.opened", by=by, at=at,
                contract=bought.contract_id, buy_price=bought.buy_price, payout=bought.payout, markup=trade.markup,
            )  # fmt: skip
    except IntegrityError as found:
        if "trade_contract_claimed_once" not in str(found):
            raise
        raise ContractClaimed(f"Contract {bought.contract_id} already belongs to another trade.") from None


def record_refused(trade: Trade, *, code: str, message: str, by: By, at: datetime) -> Trade:
    """The venue said no: *rejected*, with its reason; the stake is free again. Twice is once."""
    return _end_unbought(trade, Trade.State.REJECTED, code=code, message=message, by=by, at=at)


def deny(trade: Trade, *, code: str, message: str, by: By, at: datetime) -> Trade:
    """We say no before anything was bought: *denied*, with the reason; the stake is free again. Twice is once."""
    return _end_unbought(trade, Trade.State.DENIED, code=code, message=message, by=by, at=at)


def requeue(trade: Trade, *, code: str, message: str, by: By, at: datetime) -> Trade:
    """The purchase was certainly not sent: back to the queue, with what stopped it. A sweep tries again."""
    with _moving(trade) as trade:
        _check_may_move(trade, Trade.State.QUEUED)
        trade.problem_code, trade.problem = code, message[:300]
        trade.proposal_id, trade.submitted_at, trade.deadline_at = "", None, None
        return _move(trade, Trade.State.QUEUED, "trade.requeued", by=by, at=at, code=code)


def mark_uncertain(trade: Trade, *, code: str, message: str, by: By, at: datetime) -> Trade:
    """The answer to the purchase was lost. The stake stays held; only the reconciler moves it on. Twice is once."""
    with _moving(trade) as trade:
        if trade.state == Trade.State.UNCERTAIN:
            return trade
        _check_may_move(trade, Trade.State.UNCERTAIN)
        trade.problem_code, trade.problem = code, message[:300]
        trade = _move(trade, Trade.State.UNCERTAIN, "trade.uncertain", by=by, at=at, code=code)
        wake("trading.reconcile", trade.pk)
        return trade


def mark_never_placed(trade: Trade, *, by: By, at: datetime, reason: str = "") -> Trade:
    """The venue has no such purchase and nobody can send it any more: the stake is free again. Twice is once.

    :raises MoveNotAllowed: if the trade is not uncertain.
    """
    return _end_unbought(
        trade, Trade.State.NEVER_PLACED, code="NEVER_PLACED", message="The venue has no such purchase.",
        by=by, at=at, reason=reason,
    )  # fmt: skip


def settle(trade: Trade, outcome: Outcome, *, by: By, at: datetime) -> Trade:
    """The venue ended the contract: its proceeds go to the mirror's cash, the rest to the venue's result.

    Twice is once: a settled trade is never settled again, whatever a second source says.

    :raises MoveNotAllowed: if the trade is not open.
    """
    with _moving(trade) as trade:
        if trade.state in Trade.SETTLED:
            return trade
        _check_may_move(trade, outcome.state)
        assert trade.buy_price is not None
        result = _house(trade, "venue_result", Account.Kind.INCOME)
        lines = [journal.debit(trade.account.stakes, trade.buy_price)]
        if outcome.proceeds > 0:
            lines.append(journal.credit(trade.account.cash, outcome.proceeds))
        difference = pricing.profit(trade.buy_price, outcome.proceeds)
        if difference > 0:
            lines.append(journal.debit(result, difference))
        elif difference < 0:
            lines.append(journal.credit(result, -difference))
        journal.post(
            kind=f"contract_{outcome.state}",
            lines=lines,
            by=by,
            at=at,
            key=f"trade:{trade.uuid}:settled",
            narration=f"Contract {trade.contract_id} {outcome.state}",
            reference=str(trade.contract_id),
            subject=("trade", trade.uuid),
            client_id=trade.client.uuid,
        )
        trade.proceeds, trade.profit, trade.settled_at = outcome.proceeds, difference, outcome.settled_at
        trade.sale_transaction_id = outcome.transaction_id
        trade.entry_spot, trade.entry_spot_at = outcome.entry_spot, outcome.entry_spot_at
        trade.exit_spot, trade.exit_spot_at = outcome.exit_spot, outcome.exit_spot_at
        return _move(
            trade, outcome.state, f"trade.{outcome.state}", by=by, at=at,
            contract=trade.contract_id, proceeds=outcome.proceeds, profit=difference,
        )  # fmt: skip


def record_sale_refused(trade: Trade, *, code: str, message: str, by: By, at: datetime) -> Trade:
    """The venue would not buy it back: the contract runs on, and the client may ask again."""
    with _moving(trade) as trade:
        if trade.state == Trade.State.OPEN and trade.sale_requested_at is not None:
            trade.sale_requested_at = None
            trade.problem_code, trade.problem = code, message[:300]
            _save(trade, at)
            _announce("trade.sale_refused", trade, by=by, at=at, code=code)
    return trade


def of_user(user: User, public_id: object) -> Trade:
    """One of this user's trades.

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    found = Trade.objects.of_user(user).select_related("instrument", "account", "client").filter(uuid=public_id)
    trade = found.first()
    if trade is None:
        raise NotFound("There is no such trade.", field="id")
    return trade


def check_may_act(user: User, account: TradingAccount) -> None:
    """:raises NotAllowed: if the user may look at this client's money but not trade with it."""
    role = Membership.objects.filter(user=user, client=account.client_id).values_list("role", flat=True).first()
    if role not in (Membership.Role.OWNER, Membership.Role.TRADER):
        raise NotAllowed("You may look at this account, not trade on it.")


# ── shared ──────────────────────────────────────────────────────────────────────────────────────────────────────


class _moving:
    """The caller's transaction or an own one, with the trade's row locked and read afresh."""

    def __init__(self, trade: Trade) -> None:
        self._pk = trade.pk
        self._atomic = transaction.atomic()

    def __enter__(self) -> Trade:
        self._atomic.__enter__()
        try:
            return (
                Trade.objects.select_for_update(of=("self",), no_key=True)
                .select_related("client", "instrument", "account__cash", "account__stakes", "account__currency", "hold")
                .get(pk=self._pk)
            )
        except BaseException as found:
            self._atomic.__exit__(type(found), found, found.__traceback__)
            raise

    def __exit__(self, *found: object) -> None:
        self._atomic.__exit__(*found)


def _check_may_move(trade: Trade, state: str) -> None:
    if state not in Trade.MOVES[Trade.State(trade.state)]:
        raise MoveNotAllowed(f"A trade that is {trade.get_state_display().lower()} cannot become {state}.")


def _end_unbought(
    trade: Trade, state: str, *, code: str, message: str, by: By, at: datetime, **payload: str
) -> Trade:
    with _moving(trade) as trade:
        if trade.state == state:
            return trade
        _check_may_move(trade, state)
        _free_stake(trade, by=by, at=at)
        trade.problem_code, trade.problem = code[:64], message[:300]
        return _move(trade, state, f"trade.{state}", by=by, at=at, code=code, **payload)


def _free_stake(trade: Trade, *, by: By, at: datetime) -> None:
    assert trade.hold is not None
    holds.release(trade.hold, by=by, at=at)


def _house(trade: Trade, purpose: str, kind: str) -> Account:
    """A house account of the mirror's book, sharded by account so that busy traders do not wait for each other."""
    return ledger_accounts.house(
        book=trade.account.cash.book,
        currency=trade.currency,
        purpose=purpose,
        kind=kind,
        shard_key=str(trade.account.uuid),
    )


def _move(trade: Trade, state: str, event: str, *, by: By, at: datetime, **payload: object) -> Trade:
    _check_may_move(trade, state)
    trade.state = state
    _save(trade, at)
    _announce(event, trade, by=by, at=at, **payload)
    return trade


def _save(trade: Trade, at: datetime) -> None:
    trade.version += 1
    trade.changed_at = at
    trade.save()


def _announce(name: str, trade: Trade, *, by: By, at: datetime, **payload: object) -> None:
    """Record the event, and tell live subscriptions after the commit."""
    events.record(
        name,
        subject_type="trade",
        subject_id=trade.uuid,
        subject_version=trade.version,
        client_id=trade.client.uuid,
        by=by,
        at=at,
        payload={"state": trade.state, **payload},  # type: ignore[dict-item]
    )
    message = {"trade": str(trade.uuid), "client": str(trade.client.uuid), "version": trade.version}
    notify("live:trades", message)
    wake("events.sequence")
