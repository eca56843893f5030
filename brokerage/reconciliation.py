"""What became of a purchase whose answer was lost: found at the venue and adopted, or never placed.

Asked after every reconnection, before any new purchase on the account, and on a sweep. It never buys. Where more
than one unclaimed contract fits (see `matching`), nobody guesses: a person decides.
"""

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import redis

from backoffice import keys
from backoffice.cache import redis_client
from backoffice.errors import DomainError, MoveNotAllowed, NotFound
from backoffice.wake import wake
from backoffice.who import By
from brokerage import differences, statements, trades, venue
from brokerage.deriv import errors
from brokerage.deriv.types import PortfolioContract, ProfitRow
from brokerage.matching import CLOCK_SLACK, Candidate, fits
from brokerage.models import Difference, Trade
from brokerage.translation import (
    Clock,
    bought_from_candidate,
    bought_from_state,
    instant,
    settle_from,
)

log = logging.getLogger(__name__)
RECONCILER: Final = By.system("reconciler")
ASK_SECONDS: Final = 8.0
# After the deadline nobody sends the purchase any more; this long after it, the venue's books would show it.
SETTLE_DOWN: Final = timedelta(seconds=3)
# No sooner than this is the venue asked again about one trade.
PACE_MS: Final = 3000
ADOPT: Final = Difference.Resolution.ADOPTED
NEVER_PLACED: Final = Difference.Resolution.NEVER_PLACED


class NothingToReconcile(DomainError):
    """The trade is not waiting for anything the venue could tell."""

    code = "NOTHING_TO_RECONCILE"


class TooSoon(DomainError):
    """The purchase may still be on its way to the venue; nobody can say yet that it was not placed."""

    code = "TOO_SOON"


class CandidatesFound(DomainError):
    """Contracts at the venue fit the trade; one of them is adopted, or all are ruled out, where they are listed."""

    code = "CANDIDATES_FOUND"


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

    Looks in the portfolio, then the profit table, then the statement. A venue that cannot be asked leaves the
    trade as it is; the sweep asks again. Where more than one unclaimed contract fits, the trade stays uncertain
    and a difference with the candidates side by side is listed. Looked at again within three seconds, by whomever, it
    stays as it is: the venue lets these questions be asked some 25 times a minute, and each look costs up to three.
    """
    trade = Trade.objects.select_related("account__currency", "account__client", "instrument", "client").get(
        pk=trade.pk
    )
    if trade.state != Trade.State.UNCERTAIN:
        return trade
    assert trade.submitted_at is not None and trade.deadline_at is not None
    if not _is_my_turn(trade):
        return trade
    try:
        asked_at = instant(venue.deadline_in(0))
        found = _candidates(trade) or _on_statement(trade, now=now)
    except errors.VenueError:
        _pass_on(trade)
        return trade
    if len(found) > 1:
        return _list_candidates(trade, found, at=now())
    if found:
        return _adopt_only(trade, found[0], now=now)
    # Only an answer asked for after the last moment of sending proves that there is no purchase.
    if asked_at >= trade.deadline_at + SETTLE_DOWN:
        try:
            trade = trades.mark_never_placed(trade, by=RECONCILER, at=now())
        except MoveNotAllowed:
            return trade  # somebody decided meanwhile
        _candidates_went_away(trade, at=now())
    return trade


def _is_my_turn(trade: Trade) -> bool:
    """Whether nobody has looked for this trade just now; whoever asks first looks."""
    try:
        return bool(redis_client().set(_turn(trade), "1", nx=True, px=PACE_MS))
    except redis.RedisError:
        return False  # the venue could not be asked either


def _pass_on(trade: Trade) -> None:
    """The venue could not be asked: the next one need not wait, for the connection may be back at any moment."""
    try:
        redis_client().delete(_turn(trade))
    except redis.RedisError:
        log.info("redis is away; the turn ends by itself", extra={"trade": str(trade.uuid)})


def _turn(trade: Trade) -> str:
    return f"reconcile:{trade.pk}"


def adopt(difference: Difference, contract_id: int, *, by: By, at: datetime, key: str, reason: str) -> Trade:
    """A person says which of the listed contracts is the trade's purchase: it is claimed, and the trade opens.

    Its end follows from the venue at once if it has ended. The others stay what they are, unclaimed. Locks the
    trade, then the difference.

    :raises AlreadyResolved: if somebody decided this difference before.
    :raises NotFound: if the contract is not among the candidates.
    :raises ContractClaimed: if another trade claimed it meanwhile; nothing changed.
    :raises MoveNotAllowed: if the trade is no longer uncertain.
    """
    with differences.deciding(difference, ADOPT, by=by, at=at, key=key, reason=reason) as row:
        chosen = next((each for each in candidates_of(row) if each.contract_id == contract_id), None)
        if chosen is None or row.trade is None:
            raise NotFound("That contract is not among the candidates.", field="contract")
        trade = Trade.objects.select_related("account__currency", "instrument").get(pk=row.trade.pk)
        trade = trades.record_bought(trade, bought_from_candidate(trade, chosen), by=by, at=at)
        wake("trading.follow_up", trade.pk)
        wake("trading.lay_lines", trade.account_id)
    return trade


def rule_out(difference: Difference, *, by: By, at: datetime, key: str, reason: str) -> Trade:
    """A person says that none of the listed contracts is the trade's: it was never placed, the stake is free again.

    The contracts are then what the client did at the venue without us. Locks the trade, then the difference.

    :raises AlreadyResolved: if somebody decided this difference before.
    :raises MoveNotAllowed: if the trade is no longer uncertain.
    """
    with differences.deciding(difference, NEVER_PLACED, by=by, at=at, key=key, reason=reason) as row:
        assert row.trade is not None
        trade = trades.mark_never_placed(row.trade, by=by, at=at, reason=reason)
        wake("trading.lay_lines", trade.account_id)
    return trade


def check_may_give_up(trade: Trade, *, at: datetime) -> None:
    """:raises NothingToReconcile, TooSoon, CandidatesFound: if a person may not call it never placed now."""
    if trade.state != Trade.State.UNCERTAIN:
        raise NothingToReconcile(f"The trade is {trade.get_state_display().lower()}, not uncertain.")
    assert trade.deadline_at is not None
    if at < trade.deadline_at + SETTLE_DOWN:
        raise TooSoon("The purchase may still be on its way; wait some seconds and look again.")
    if trade.differences.open().filter(kind=Difference.Kind.TWO_CANDIDATES).exists():
        raise CandidatesFound("Contracts at the venue fit this trade; decide it where they are listed.")


def give_up(trade: Trade, *, by: By, at: datetime, key: str, reason: str) -> Trade:
    """A person calls an uncertain trade never placed, where the venue cannot be asked for long: the stake is free.

    Should the venue show such a purchase afterwards, it is booked as outside activity and listed as a difference:
    the trade stays what it was called. Twice is once.

    :raises NothingToReconcile: if the trade is not uncertain.
    :raises TooSoon: if it may still be on its way.
    :raises CandidatesFound: if contracts at the venue fit it.
    :raises KeyReused: if the key was used on another trade.
    """
    with trades.moving(trade) as trade:
        keys.claim(by=by, verb="trade.give_up", key=key, content=str(trade.uuid), at=at)
        if trade.state == Trade.State.NEVER_PLACED:
            return trade
        check_may_give_up(trade, at=at)
        trade = trades.mark_never_placed(trade, by=by, at=at, reason=reason)
        wake("trading.lay_lines", trade.account_id)
    return trade


# ── candidates ──────────────────────────────────────────────────────────────────────────────────────────────────


def candidates_of(difference: Difference) -> list[Candidate]:
    """The contracts listed with a difference, side by side."""
    return [
        Candidate(
            contract_id=int(row["contract_id"]),
            shortcode=str(row["shortcode"]),
            buy_price=Decimal(str(row["buy_price"])),
            purchase_time=int(row["purchase_time"]),
        )
        for row in difference.facts.get("candidates", [])
    ]


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
    return _unclaimed(
        trade,
        [
            Candidate(row.contract_id, row.shortcode, row.buy_price, row.purchase_time)
            for row in held
            if row.contract_id is not None
        ],
    )


def _on_statement(trade: Trade, *, now: Clock) -> list[Candidate]:
    """Unclaimed purchases on the statement that fit the trade: the venue's money moved even if its lists lag."""
    statements.read(trade.account, now=now)
    return _unclaimed(
        trade,
        [
            Candidate(line.contract_id, line.shortcode, -line.amount, int(line.happened_at.timestamp()))
            for line in trade.account.venue_lines.waiting().filter(action="buy")
            if line.contract_id is not None
        ],
    )


def _unclaimed(trade: Trade, rows: list[Candidate]) -> list[Candidate]:
    by_contract = {row.contract_id: row for row in rows if fits(trade, row)}
    claimed = set(Trade.objects.filter(contract_id__in=by_contract).values_list("contract_id", flat=True))
    return [row for number, row in by_contract.items() if number not in claimed]


def _adopt_only(trade: Trade, candidate: Candidate, *, now: Clock) -> Trade:
    """The one contract that fits: read how it stands, claim it, and settle the trade if it has ended."""
    try:
        state = venue.contract(
            str(trade.account_id), candidate.contract_id, deadline=venue.deadline_in(ASK_SECONDS)
        )
    except errors.VenueError:
        return trade
    try:
        trade = trades.record_bought(trade, bought_from_state(trade, state), by=RECONCILER, at=now())
    except (MoveNotAllowed, trades.ContractClaimed):
        return trade
    _candidates_went_away(trade, at=now())
    return settle_from(trade, state, by=RECONCILER, at=now())


def _list_candidates(trade: Trade, found: list[Candidate], *, at: datetime) -> Trade:
    numbers = ", ".join(str(row.contract_id) for row in found[:5])
    differences.find(
        account=trade.account, kind=Difference.Kind.TWO_CANDIDATES, about=trade.uuid, trade=trade, by=RECONCILER, at=at,
        sentence=f"{len(found)} contracts at the venue fit the lost purchase.",
        facts={"candidates": [_facts(row) for row in sorted(found, key=lambda row: row.contract_id)]},
    )  # fmt: skip
    return trades.flag(
        trade, code="TWO_CANDIDATES", message=f"{len(found)} contracts at the venue fit ({numbers}): a person decides.",
        by=RECONCILER, at=at,
    )  # fmt: skip


def _facts(row: Candidate) -> dict[str, Any]:
    return {
        "contract_id": row.contract_id,
        "shortcode": row.shortcode,
        "buy_price": f"{row.buy_price:f}",
        "purchase_time": row.purchase_time,
    }


def _candidates_went_away(trade: Trade, *, at: datetime) -> None:
    listed = trade.differences.filter(kind=Difference.Kind.TWO_CANDIDATES)
    differences.went_away(listed, by=RECONCILER, at=at)
