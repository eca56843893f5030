"""What became of a purchase whose answer was lost: found at the venue and adopted, or never placed.

The venue keeps no order id of ours. A lost purchase is recognised by its type, symbol, duration, price and time
window among the contracts that no trade has claimed. Where two fit, nobody guesses: a person decides.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from backoffice import keys
from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.wake import wake
from backoffice.who import By
from brokerage import trades, venue
from brokerage.deriv import errors
from brokerage.deriv.types import PortfolioContract, ProfitRow
from brokerage.execution import Clock, bought_from_state, instant, settle_from
from brokerage.models import Trade
from brokerage.placing import SECONDS

RECONCILER = By.system("reconciler")
ASK_SECONDS: Final = 8.0
# The venue's clock and ours may differ by this much, and a purchase is stamped within it of being sent.
CLOCK_SLACK: Final = timedelta(seconds=5)
# After the deadline nobody sends the purchase any more; this long after it, the venue's books would show it.
SETTLE_DOWN: Final = timedelta(seconds=3)
SHORTCODE: Final = re.compile(r"^(CALL|PUT)_(.+)_([0-9.]+)_(\d+)_(\d+)(T?)_S0P_0$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A contract at the venue that could be the lost purchase."""

    contract_id: int
    shortcode: str
    buy_price: Decimal
    purchase_time: int


def fits(trade: Trade, candidate: Candidate) -> bool:
    """Whether the venue's contract has the trade's terms and was bought while the trade was being sent."""
    assert trade.submitted_at is not None and trade.deadline_at is not None
    found = SHORTCODE.match(candidate.shortcode)
    if found is None:
        return False
    side, symbol, _payout, start, end, ticks = found.groups()
    if ticks:
        same_length = trade.duration_unit == "t" and int(end) == trade.duration
    else:
        same_length = (
            trade.duration_unit != "t"
            and int(end) - int(start) == trade.duration * SECONDS[trade.duration_unit]
        )
    earliest = (trade.submitted_at - CLOCK_SLACK).timestamp()
    latest = (trade.deadline_at + CLOCK_SLACK).timestamp()
    return (
        side.upper() == trade.side
        and symbol == trade.instrument.symbol
        and same_length
        and candidate.buy_price <= trade.stake
        and trade.stake - candidate.buy_price < Decimal("0.01") + trade.stake / 100
        and earliest <= candidate.purchase_time <= latest
    )


class NothingToReconcile(DomainError):
    """The trade is not waiting for anything the venue could tell."""

    code = "NOTHING_TO_RECONCILE"


def check_may_request(trade: Trade) -> None:
    """:raises NothingToReconcile: unless the trade is uncertain, or open and so may have ended at the venue."""
    if trade.state not in (Trade.State.UNCERTAIN, Trade.State.OPEN):
        raise NothingToReconcile(
            f"The trade is {trade.get_state_display().lower()}; there is nothing to look up at the venue."
        )


def request(trade: Trade, *, by: By, at: datetime, key: str, reason: str) -> Trade:
    """Have the venue asked again, now: an uncertain trade is reconciled, an open one followed up. Moves nothing.

    :raises NothingToReconcile: if the trade is neither uncertain nor open.
    :raises KeyReused: if the key was used on another trade.
    """
    with trades.moving(trade) as trade:
        keys.claim(by=by, verb="trade.reconcile", key=key, content=str(trade.uuid), at=at)
        check_may_request(trade)
        trades.announce("trade.reconciliation_requested", trade, by=by, at=at, reason=reason)
        uncertain = trade.state == Trade.State.UNCERTAIN
        wake("trading.reconcile" if uncertain else "trading.follow_up", trade.pk)
    return trade


def reconcile(trade: Trade, *, now: Clock) -> Trade:
    """Settle an uncertain trade from the venue's own books: adopt the contract, or say it was never placed.

    Never buys. A venue that cannot be asked leaves the trade as it is; the sweep asks again. Where more than one
    unclaimed contract fits, the trade stays uncertain and says so: a person decides.
    """
    trade = Trade.objects.select_related("account__currency", "account__client", "instrument").get(
        pk=trade.pk
    )
    if trade.state != Trade.State.UNCERTAIN:
        return trade
    assert trade.submitted_at is not None and trade.deadline_at is not None
    try:
        asked_at = instant(venue.deadline_in(0))
        found = _candidates(trade)
    except errors.VenueError:
        return trade
    if len(found) > 1:
        listed = ", ".join(str(row.contract_id) for row in found[:5])
        return trades.flag(
            trade, code="TWO_CANDIDATES", message=f"{len(found)} contracts at the venue fit ({listed}): a person decides.",
            by=RECONCILER, at=now(),
        )  # fmt: skip
    if not found:
        # Only an answer asked for after the last moment of sending proves that there is no purchase.
        if asked_at < trade.deadline_at + SETTLE_DOWN:
            return trade
        try:
            return trades.mark_never_placed(trade, by=RECONCILER, at=now())
        except MoveNotAllowed:
            return trade
    try:
        state = venue.contract(
            str(trade.account_id), found[0].contract_id, deadline=venue.deadline_in(ASK_SECONDS)
        )
    except errors.VenueError:
        return trade
    try:
        trade = trades.record_bought(trade, bought_from_state(trade, state), by=RECONCILER, at=now())
    except (MoveNotAllowed, trades.ContractClaimed):
        return trade
    return settle_from(trade, state, at=now())


def _candidates(trade: Trade) -> list[Candidate]:
    """Unclaimed contracts at the venue, held or ended, that fit the trade."""
    assert trade.submitted_at is not None
    link = str(trade.account_id)
    since = int((trade.submitted_at - CLOCK_SLACK).timestamp())
    held: list[PortfolioContract | ProfitRow] = [
        *venue.portfolio(link, deadline=venue.deadline_in(ASK_SECONDS))
    ]
    # The profit table is read after the portfolio: a contract that ends in between is in one of the two.
    held += venue.profit_table(link, since, deadline=venue.deadline_in(ASK_SECONDS))
    rows: dict[int, Candidate] = {
        row.contract_id: Candidate(row.contract_id, row.shortcode, row.buy_price, row.purchase_time)
        for row in held
        if row.contract_id is not None
    }
    claimed = set(Trade.objects.filter(contract_id__in=rows).values_list("contract_id", flat=True))
    return [row for row in rows.values() if row.contract_id not in claimed and fits(trade, row)]
