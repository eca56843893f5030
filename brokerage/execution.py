"""Buying, selling and following at the venue: each step stores what it means to do before the wire sees it.

Every function may be called twice, at the same time, by two workers, or again after a crash: the trade's state,
read under its lock, decides whether anything is left to do.
"""

from datetime import datetime, timedelta

from django.conf import settings

from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.wake import wake, wake_swept
from backoffice.who import By
from brokerage import accounts, gate, markup, reconciliation, statements, trades, venue
from brokerage.deriv import errors
from brokerage.deriv.types import ContractState, ContractTerms, Proposal
from brokerage.models import Difference, Trade, TradingAccount, VenueLine, unconfirmed
from brokerage.translation import Clock, bought_from_purchase, instant, order_of, settle_from, terms_of

EXECUTION = By.system("execution")
# A price asked for and not got within this is asked for again: nothing was bought.
PRICE_SECONDS = 5.0
# How long a trade may wait in the queue for a connection before we say no.
QUEUE_PATIENCE = timedelta(seconds=45)
WAITING = "The venue gives no price at the moment; it is asked again, and nothing has been bought."
EARLIER = "An earlier purchase of this account is looked up at the venue first; nothing has been bought."
STALE = "The venue's prices stand still at the moment; it is asked again, and nothing has been bought."
WRONG = "The venue's price was not for what was asked; it is asked again, and nothing has been bought."
# A price made from a spot older than this, by the venue's own clock, is no price to buy at.
STALE_SECONDS = 10
# A bought or ended trade that the statement has not confirmed for so long is looked up there.
UNCONFIRMED_FOR = timedelta(seconds=15)
TOO_LATE = "The venue could not be reached in time; nothing was bought and the stake is free again."


def submit(trade: Trade, *, now: Clock) -> Trade:
    """Buy the trade at the venue: price it, store the intent, then send one purchase and record its answer.

    Earlier purchases of the account whose answers were lost are reconciled first. A price that could not be had, is
    stale or not for these terms leaves it queued (nothing was sent); one that has waited too long is denied. A lost
    answer to the purchase makes it *uncertain*; nothing is ever sent a second time.
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
        gate.check_may_buy(trade.account, trade.instrument)
    except (accounts.AccountNotReady, gate.TradingHalted, gate.TradingReducing) as found:
        return trades.deny(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    if not _earlier_ones_known(trade, now=now):
        return trades.flag(trade, code="EARLIER_PURCHASE", message=EARLIER, by=EXECUTION, at=now())
    terms = terms_of(trade)
    try:
        offer = venue.proposal(link, terms, deadline=venue.deadline_in(PRICE_SECONDS))
        deadline = venue.deadline_in(settings.CONFIG.venue_timeout_seconds)
    except errors.Refused as found:
        return trades.record_refused(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    except errors.VenueError as found:
        # Nothing was bought: it stays queued, and the sweep tries again until it has waited long enough.
        return trades.flag(trade, code=found.code, message=WAITING, by=EXECUTION, at=now())
    if problem := _no_price_to_buy_at(offer, terms):
        code, message = problem
        return trades.flag(trade, code=code, message=message, by=EXECUTION, at=now())
    try:
        trade = trades.begin_submission(
            trade, proposal_id=offer.id, deadline=instant(deadline),
            offered_payout=markup.expected_payout(
                offer, trade.markup_rate, exponent=trade.account.currency.exponent
            ),
            by=EXECUTION, at=now(),
        )  # fmt: skip
    except (MoveNotAllowed, trades.IdenticalInFlight):
        return _fresh(trade)
    trade = _purchase(trade, terms, deadline=deadline, now=now)
    if trade.state == Trade.State.QUEUED:
        # Nothing was bought: two that wake each other would ask the venue as fast as it answers. The sweep waits.
        return trade
    # An identical one may have waited for this answer; the sweep would find it too, only later.
    alike = Trade.objects.queued().like(trade).exclude(pk=trade.pk)
    for waiting in alike.values_list("pk", flat=True)[:5]:
        wake("trading.submit", waiting)
    return trade


def _earlier_ones_known(trade: Trade, *, now: Clock) -> bool:
    """Reconcile what is uncertain on the account; whether nothing is left but what waits for a person."""
    for earlier in Trade.objects.uncertain().filter(account_id=trade.account_id).exclude(pk=trade.pk):
        found = reconciliation.reconcile(earlier, now=now)
        if found.state == Trade.State.UNCERTAIN and found.problem_code != "TWO_CANDIDATES":
            return False
    return True


def _no_price_to_buy_at(offer: Proposal, terms: ContractTerms) -> tuple[str, str] | None:
    if offer.date_start - offer.spot_at > STALE_SECONDS:
        return "STALE_PRICE", STALE
    if offer.ask_price != terms.amount or offer.payout <= 0:
        return "WRONG_PRICE", WRONG
    return None


def _purchase(trade: Trade, terms: ContractTerms, *, deadline: float, now: Clock) -> Trade:
    order = order_of(trade)
    try:
        if trade.markup_rate is None:
            purchase = venue.buy(order, trade.proposal_id, trade.stake, deadline=deadline)
        else:
            purchase = venue.buy_with_terms(order, terms, trade.stake, trade.markup_rate, deadline=deadline)
    except errors.Halted as found:
        return trades.deny(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    except (errors.NotSent, errors.RetryLater, errors.Reprice) as found:
        return trades.requeue(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    except (errors.Refused, errors.NotAuthorized) as found:
        return trades.record_refused(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    except errors.VenueError as found:
        return trades.mark_uncertain(trade, code=found.code, message=found.message, by=EXECUTION, at=now())
    if purchase.buy_price > trade.stake:
        # The most we allowed was the stake: an answer that says more cannot be trusted, the venue's books can.
        return trades.mark_uncertain(
            trade, code="ABOVE_STAKE", message="The venue answered a price above the stake.", by=EXECUTION, at=now()
        )  # fmt: skip
    return trades.record_bought(trade, bought_from_purchase(trade, purchase), by=EXECUTION, at=now())


def sell(trade: Trade, *, now: Clock) -> Trade:
    """Send the sale a client or a member of staff asked for. A lost answer is found out by following the contract."""
    trade = _fresh(trade)
    if trade.state != Trade.State.OPEN or trade.sale_requested_at is None:
        return trade
    assert trade.contract_id is not None
    try:
        deadline = venue.deadline_in(settings.CONFIG.venue_timeout_seconds)
        venue.sell(order_of(trade), trade.contract_id, deadline=deadline)
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
    trade = settle_from(trade, state, by=EXECUTION, at=now())
    if trade.state == Trade.State.OPEN:
        statements.find_other_end(trade, at=now())
    return trade


def observe(account: TradingAccount, state: ContractState, *, now: Clock) -> Trade | None:
    """A contract's frame that `streams` saw: settle the trade it belongs to, if it has ended and is known."""
    trade = Trade.objects.filter(account=account, contract_id=state.contract_id).first()
    return None if trade is None else settle_from(trade, state, by=EXECUTION, at=now())


def sweep(*, now: Clock) -> int:
    """The sweep: whatever a lost nudge, a dead worker or a closed socket left behind is picked up here.

    Returns how many trades were looked at. Safe to run in several processes at once.
    """
    looked_at = 0
    for trade in Trade.objects.queued().filter(changed_at__lt=now() - Trade.GRACE)[:200]:
        wake_swept("trading.submit", trade.pk)
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
        wake_swept("trading.sell", trade.pk)
        looked_at += 1
    for trade in Trade.objects.due(now())[:200]:
        wake_swept("trading.follow_up", trade.pk)
        looked_at += 1
    for account_id in _with_lines_to_lay(now())[:200]:
        wake_swept("trading.lay_lines", account_id)
    for account in TradingAccount.objects.opening()[:200]:
        wake_swept("trading.open_account", account.pk)
    return looked_at


def _with_lines_to_lay(at: datetime) -> "list[int]":
    return list(VenueLine.objects.overdue(at).order_by().values_list("account_id", flat=True).distinct())


def sweep_uncertain() -> int:
    """The sweep of lost answers, apart and slower: each look costs the venue some of its scarcest requests."""
    found = list(Trade.objects.uncertain()[:200])
    for trade in found:
        wake_swept("trading.reconcile", trade.pk)
    return len(found)


def sweep_statements(*, now: Clock) -> int:
    """Have the statement read where the second source is missing: trades it has not confirmed, lines that still wait.

    Accounts whose statement has a gap are read again too. Returns how many accounts were found.
    """
    at = now()
    quiet = unconfirmed(Trade.objects.filter(changed_at__lt=at - UNCONFIRMED_FOR))
    found = set(quiet.order_by().values_list("account_id", flat=True).distinct()[:200])
    found |= set(_with_lines_to_lay(at)[:200])
    gaps = Difference.objects.open().filter(kind=Difference.Kind.GAP)
    found |= set(gaps.values_list("account_id", flat=True)[:200])
    for account_id in TradingAccount.objects.to_stream().filter(pk__in=found).values_list("pk", flat=True):
        wake_swept("trading.read_statement", account_id)
    return len(found)


def catch_up(account: TradingAccount, *, now: Clock) -> int:
    """A connection is back: look at everything unfinished of this account. Returns how many trades that is."""
    unfinished = account.trades.exclude(state__in=Trade.FINAL).order_by("id")
    nudges = {Trade.State.QUEUED: "trading.submit", Trade.State.UNCERTAIN: "trading.reconcile"}
    looked_at = 0
    wake("trading.read_statement", account.pk)
    for trade in unfinished[:500]:
        if trade.state in nudges:
            wake(nudges[Trade.State(trade.state)], trade.pk)
        elif trade.state == Trade.State.OPEN and trade.expires_at and trade.expires_at <= now():
            wake("trading.follow_up", trade.pk)
        looked_at += 1
    return looked_at


def _fresh(trade: Trade) -> Trade:
    known = (
        "client",
        "instrument",
        "hold",
        "account__currency",
        "account__client",
        "account__cash",
        "account__stakes",
    )
    return Trade.objects.select_related(*known).get(pk=trade.pk)
