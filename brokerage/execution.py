"""Buying, selling and following at the venue: each step stores what it means to do before the wire sees it.

Every function may be called twice, at the same time, by two workers, or again after a crash: the trade's state,
read under its lock, decides whether anything is left to do.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.conf import settings

from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.wake import wake
from backoffice.who import By
from brokerage import accounts, trades, venue
from brokerage.deriv import errors
from brokerage.deriv.types import ContractState, ContractTerms, Purchase
from brokerage.models import Trade, TradingAccount
from brokerage.placing import SECONDS

Clock = Callable[[], datetime]
EXECUTION = By.system("execution")
# A price asked for and not got within this is asked for again: nothing was bought.
PRICE_SECONDS = 5.0
# How long a trade may wait in the queue for a connection before we say no.
QUEUE_PATIENCE = timedelta(seconds=45)
WAITING = "The venue gives no price at the moment; it is asked again, and nothing has been bought."
TOO_LATE = "The venue could not be reached in time; nothing was bought and the stake is free again."


def submit(trade: Trade, *, now: Clock) -> Trade:
    """Buy the trade at the venue: price it, store the intent, then send one purchase and record its answer.

    A price that could not be had leaves it queued (nothing was sent); one that has waited too long is denied. A lost answer to the purchase makes it *uncertain*; nothing is ever sent a second time.
    """
    trade = _fresh(trade)
    if trade.state != Trade.State.QUEUED:
        return trade
    if now() - trade.placed_at >= QUEUE_PATIENCE:
        # A price of a minute ago is not what the client asked for.
        return trades.deny(trade, code="NOT_BOUGHT_IN_TIME", message=TOO_LATE, by=EXECUTION, at=now())
    link = str(trade.account_id)
    try:
        accounts.check_may_trade(trade.account)
    except accounts.AccountNotReady as found:
        return trades.deny(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    terms = terms_of(trade)
    try:
        offer = venue.proposal(link, terms, deadline=venue.deadline_in(PRICE_SECONDS))
        deadline = venue.deadline_in(settings.CONFIG.venue_timeout_seconds)
    except errors.Refused as found:
        return trades.record_refused(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    except errors.VenueError as found:
        # Nothing was bought: it stays queued, and the sweep tries again until it has waited long enough.
        return trades.flag(trade, code=found.code, message=WAITING, by=EXECUTION, at=now())
    try:
        trade = trades.begin_submission(
            trade, proposal_id=offer.id, deadline=instant(deadline), by=EXECUTION, at=now()
        )
    except (MoveNotAllowed, trades.IdenticalInFlight):
        return _fresh(trade)
    trade = _purchase(trade, terms, deadline=deadline, now=now)
    # An identical one may have waited for this answer; the sweep would find it too, only later.
    for waiting in Trade.objects.queued().filter(account_id=trade.account_id).exclude(pk=trade.pk)[:5]:
        wake("trading.submit", waiting.pk)
    return trade


def _purchase(trade: Trade, terms: ContractTerms, *, deadline: float, now: Clock) -> Trade:
    link = str(trade.account_id)
    try:
        if trade.markup_rate is None:
            purchase = venue.buy(link, trade.proposal_id, trade.stake, deadline=deadline)
        else:
            purchase = venue.buy_with_terms(link, terms, trade.stake, trade.markup_rate, deadline=deadline)
    except (errors.NotSent, errors.RetryLater, errors.Reprice) as found:
        return trades.requeue(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    except (errors.Refused, errors.NotAuthorized) as found:
        return trades.record_refused(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    except errors.VenueError as found:
        return trades.mark_uncertain(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    return trades.record_bought(trade, bought_from_purchase(trade, purchase), by=EXECUTION, at=now())


def sell(trade: Trade, *, now: Clock) -> Trade:
    """Send the sale a client or a member of staff asked for. A lost answer is found out by following the contract."""
    trade = _fresh(trade)
    if trade.state != Trade.State.OPEN or trade.sale_requested_at is None:
        return trade
    assert trade.contract_id is not None
    try:
        deadline = venue.deadline_in(settings.CONFIG.venue_timeout_seconds)
        venue.sell(str(trade.account_id), trade.contract_id, deadline=deadline)
    except (errors.SaleRefused, errors.Refused) as found:
        trade = follow_up(trade, now=now)  # it may have been sold or settled by an earlier attempt
        return trades.record_sale_refused(
            trade, code=found.code, message=found.message, by=EXECUTION, at=now()
        )
    except errors.VenueError as found:
        trade = trades.record_sale_refused(
            trade, code=found.code, message=found.message, by=EXECUTION, at=now()
        )
        if isinstance(found, errors.OutcomeUnknown):
            wake("trading.follow_up", trade.pk)
        return trade
    return follow_up(trade, now=now)


def follow_up(trade: Trade, *, now: Clock) -> Trade:
    """Ask the venue how an open trade's contract stands, and settle it if it has ended."""
    trade = _fresh(trade)
    if trade.state != Trade.State.OPEN:
        return trade
    assert trade.contract_id is not None
    try:
        state = venue.contract(
            str(trade.account_id), trade.contract_id, deadline=venue.deadline_in(PRICE_SECONDS)
        )
    except errors.VenueError:
        return trade  # still open for all we know: the sweep asks again
    return settle_from(trade, state, at=now())


def observe(account: TradingAccount, state: ContractState, *, now: Clock) -> Trade | None:
    """A contract's frame that `streams` saw: settle the trade it belongs to, if it has ended and is known."""
    trade = Trade.objects.filter(account=account, contract_id=state.contract_id).first()
    return None if trade is None else settle_from(trade, state, at=now())


def settle_from(trade: Trade, state: ContractState, *, at: datetime) -> Trade:
    """Settle the trade if the venue has settled its contract: only *sold* settles, *expired* alone does not."""
    if trade.state != Trade.State.OPEN or not state.is_sold:
        return trade
    return trades.settle(trade, outcome_from(state), by=EXECUTION, at=at)


def sweep(*, now: Clock) -> int:
    """The sweep: whatever a lost nudge, a dead worker or a closed socket left behind is picked up here.

    Returns how many trades were looked at. Safe to run in several processes at once.
    """
    looked_at = 0
    for trade in Trade.objects.queued().filter(changed_at__lt=now() - Trade.GRACE)[:200]:
        wake("trading.submit", trade.pk)
        looked_at += 1
    for trade in Trade.objects.overdue_submissions(now())[:200]:
        try:
            trades.mark_uncertain(
                trade, code="NO_ANSWER", message="No answer by the deadline.", by=By.system("sweep"), at=now()
            )
        except DomainError:
            continue  # its own worker was quicker
        looked_at += 1
    for trade in Trade.objects.unsold(now())[:200]:
        wake("trading.sell", trade.pk)
        looked_at += 1
    for trade in Trade.objects.due(now())[:200]:
        wake("trading.follow_up", trade.pk)
        looked_at += 1
    for account in TradingAccount.objects.opening()[:200]:
        wake("trading.open_account", account.pk)
    return looked_at


def sweep_uncertain() -> int:
    """The sweep of lost answers, apart and slower: each look costs the venue two of its scarcest requests."""
    found = list(Trade.objects.uncertain()[:200])
    for trade in found:
        wake("trading.reconcile", trade.pk)
    return len(found)


def catch_up(account: TradingAccount, *, now: Clock) -> int:
    """A connection is back: look at everything unfinished of this account. Returns how many trades that is."""
    unfinished = account.trades.exclude(state__in=Trade.FINAL).order_by("id")
    nudges = {Trade.State.QUEUED: "trading.submit", Trade.State.UNCERTAIN: "trading.reconcile"}
    looked_at = 0
    for trade in unfinished[:500]:
        if trade.state in nudges:
            wake(nudges[Trade.State(trade.state)], trade.pk)
        elif trade.state == Trade.State.OPEN and trade.expires_at and trade.expires_at <= now():
            wake("trading.follow_up", trade.pk)
        looked_at += 1
    return looked_at


# ── the venue's words in ours ───────────────────────────────────────────────────────────────────────────────────


def terms_of(trade: Trade) -> ContractTerms:
    """What we ask the venue for, on stake basis."""
    return ContractTerms(
        contract_type=trade.side,  # type: ignore[arg-type]
        symbol=trade.instrument.symbol,
        basis="stake",
        amount=trade.stake.quantize(Decimal(1).scaleb(-trade.account.currency.exponent)),
        duration=trade.duration,
        duration_unit=trade.duration_unit,  # type: ignore[arg-type]
        currency=trade.currency,
    )


def bought_from_purchase(trade: Trade, purchase: Purchase) -> trades.Bought:
    """A purchase's answer. It names no expiry: seconds are counted from the start, ticks are estimated."""
    unit = trade.instrument.tick_seconds if trade.duration_unit == "t" else SECONDS[trade.duration_unit]
    length = (trade.duration + 1 if trade.duration_unit == "t" else trade.duration) * unit
    return trades.Bought(
        contract_id=purchase.contract_id,
        transaction_id=purchase.transaction_id,
        buy_price=purchase.buy_price,
        payout=purchase.payout,
        purchased_at=instant(purchase.purchase_time),
        expires_at=instant(purchase.start_time + length),
    )


def bought_from_state(trade: Trade, state: ContractState) -> trades.Bought:
    """A purchase found at the venue after its answer was lost."""
    expiry = state.date_expiry or state.date_start + trade.duration
    return trades.Bought(
        contract_id=state.contract_id,
        transaction_id=state.buy_transaction_id,
        buy_price=state.buy_price,
        payout=state.payout,
        purchased_at=instant(state.purchase_time),
        expires_at=instant(expiry),
        commission=state.commission,
        markup=state.app_markup_amount,
    )


def outcome_from(state: ContractState) -> trades.Outcome:
    """How the venue says a contract ended."""
    return trades.Outcome(
        state=Trade.State.REFUNDED if state.status == "cancelled" else state.status,
        proceeds=state.sell_price or Decimal(0),
        settled_at=instant(state.sell_time or state.date_expiry or state.purchase_time),
        transaction_id=state.sell_transaction_id,
        entry_spot=state.entry_spot,
        entry_spot_at=instant(state.entry_spot_at) if state.entry_spot_at else None,
        exit_spot=state.exit_spot,
        exit_spot_at=instant(state.exit_spot_at) if state.exit_spot_at else None,
        commission=state.commission,
        markup=state.app_markup_amount,
    )


def instant(epoch: float) -> datetime:
    """Epoch seconds as an instant."""
    return datetime.fromtimestamp(epoch, tz=UTC)


def _fresh(trade: Trade) -> Trade:
    return Trade.objects.select_related("account__currency", "account__client", "instrument").get(pk=trade.pk)
