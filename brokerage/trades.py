"""A trade's life at the venue: sent, bought, settled or refused; every step moves the mirror with it.

`placing` is how it comes to us; `execution` is how it is sent.

The order inside each verb: lock the trade, already done?, may we?, move money, change state, record, return.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, models, transaction

from backoffice import events, metrics
from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.wake import notify, wake
from backoffice.who import By
from brokerage import entries, markup, pricing
from brokerage.models import Trade
from ledger import holds, journal


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
    commission: Decimal | None = None
    markup: Decimal | None = None


@metrics.verb("trade.begin_submission")
def begin_submission(
    trade: Trade,
    *,
    proposal_id: str,
    deadline: datetime,
    by: By,
    at: datetime,
    offered_payout: Decimal | None = None,
) -> Trade:
    """Store that the purchase is about to be sent, before it is. Commit this before the wire sees anything.

    After `deadline` nobody sends it any more, so an answer missing then can only mean *uncertain*.

    :raises MoveNotAllowed: if it is not queued (another worker took it, or it was withdrawn).
    :raises IdenticalInFlight: if the account already has an identical purchase in flight; it stays queued.
    """
    try:
        with moving(trade) as trade:
            if trade.state != Trade.State.QUEUED:
                raise MoveNotAllowed(f"The trade is {trade.get_state_display().lower()}, not queued.")
            trade.proposal_id, trade.submitted_at, trade.deadline_at = proposal_id, at, deadline
            trade.offered_payout, trade.generation = offered_payout, trade.account.generation
            trade.problem_code = trade.problem = ""
            return move(trade, Trade.State.SUBMITTING, "trade.submitted", by=by, at=at)
    except IntegrityError as found:
        if "trade_one_identical_in_flight" not in str(found):
            raise
        raise IdenticalInFlight("An identical purchase of this account is still being bought.") from None


@metrics.verb("trade.record_bought")
def record_bought(trade: Trade, bought: Bought, *, by: By, at: datetime) -> Trade:
    """The venue sold us the contract: claim it, and move the stake from cash to open stakes. Twice is once.

    The markup is booked as its own entry in our own book, receivable from the venue: a share of the payout, as the
    venue reports it or by the trade's rate (without one, the application's), half a cent up; what the venue tells at
    the end corrects it. The part of the hold the price did not need is free again.

    :raises ContractClaimed: if another trade already claimed this contract.
    :raises MoveNotAllowed: if the trade ended otherwise meanwhile.
    """
    try:
        with moving(trade) as trade:
            if trade.contract_id == bought.contract_id:
                return trade
            check_may_move(trade, Trade.State.OPEN)
            exponent = trade.account.currency.exponent
            if bought.markup is None:
                trade.markup = pricing.markup_amount(bought.payout, markup.rate_of(trade), exponent=exponent)
            else:
                trade.markup = pricing.booked(bought.markup, exponent=exponent)
            drafts = entries.of_purchase(
                trade, contract_id=bought.contract_id, buy_price=bought.buy_price, markup=trade.markup, at=at
            )
            journal.post_many(drafts, by=by)
            trade.contract_id, trade.purchase_transaction_id = bought.contract_id, bought.transaction_id
            trade.buy_price, trade.payout, trade.commission = (
                bought.buy_price,
                bought.payout,
                bought.commission,
            )
            trade.purchased_at, trade.expires_at = bought.purchased_at, bought.expires_at
            trade.problem_code = trade.problem = ""
            return move(
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
    with moving(trade) as trade:
        check_may_move(trade, Trade.State.QUEUED)
        trade.problem_code, trade.problem = code, message[:300]
        trade.proposal_id, trade.submitted_at, trade.deadline_at = "", None, None
        trade.offered_payout = None
        return move(trade, Trade.State.QUEUED, "trade.requeued", by=by, at=at, code=code)


def mark_uncertain(trade: Trade, *, code: str, message: str, by: By, at: datetime) -> Trade:
    """The answer to the purchase was lost. The stake stays held; only the reconciler moves it on. Twice is once."""
    with moving(trade) as trade:
        if trade.state == Trade.State.UNCERTAIN:
            return trade
        check_may_move(trade, Trade.State.UNCERTAIN)
        trade.problem_code, trade.problem = code, message[:300]
        trade = move(trade, Trade.State.UNCERTAIN, "trade.uncertain", by=by, at=at, code=code)
        wake("trading.reconcile", trade.pk)
        return trade


def flag(trade: Trade, *, code: str, message: str, by: By, at: datetime) -> Trade:
    """Say on an unfinished trade what keeps it waiting. Saying the same again changes nothing."""
    with moving(trade) as trade:
        if not trade.is_final and (trade.problem_code, trade.problem) != (code, message[:300]):
            trade.problem_code, trade.problem = code, message[:300]
            save(trade, at)
            announce("trade.flagged", trade, by=by, at=at, code=code)
    return trade


def mark_never_placed(trade: Trade, *, by: By, at: datetime, reason: str = "") -> Trade:
    """The venue has no such purchase and nobody can send it any more: the stake is free again. Twice is once.

    :raises MoveNotAllowed: if the trade is not uncertain.
    """
    return _end_unbought(
        trade, Trade.State.NEVER_PLACED, code="NEVER_PLACED", message="The venue has no such purchase.",
        by=by, at=at, reason=reason,
    )  # fmt: skip


@metrics.verb("trade.settle")
def settle(trade: Trade, outcome: Outcome, *, by: By, at: datetime) -> Trade:
    """The venue ended the contract: its proceeds go to the mirror's cash, the rest to the venue's result.

    Twice is once: a settled trade is never settled again, whatever a second source says.

    :raises MoveNotAllowed: if the trade is not open.
    """
    with moving(trade) as trade:
        if trade.state in Trade.SETTLED:
            return trade
        check_may_move(trade, outcome.state)
        assert trade.buy_price is not None
        difference = pricing.profit(trade.buy_price, outcome.proceeds)
        earned = trade.markup or Decimal(0)
        if outcome.state == Trade.State.REFUNDED:
            earned = Decimal(0)  # the whole price went back to the client, and what was in it for us with it
        elif outcome.markup is not None:
            earned = pricing.booked(outcome.markup, exponent=trade.account.currency.exponent)
        drafts = entries.of_settlement(
            trade,
            state=outcome.state,
            proceeds=outcome.proceeds,
            markup_change=earned - (trade.markup or Decimal(0)),
            at=at,
        )
        journal.post_many(drafts, by=by)
        trade.markup = earned
        trade.commission = outcome.commission if outcome.commission is not None else trade.commission
        trade.proceeds, trade.profit, trade.settled_at = outcome.proceeds, difference, outcome.settled_at
        trade.sale_transaction_id = outcome.transaction_id
        trade.entry_spot, trade.entry_spot_at = outcome.entry_spot, outcome.entry_spot_at
        trade.exit_spot, trade.exit_spot_at = outcome.exit_spot, outcome.exit_spot_at
        return move(
            trade, outcome.state, f"trade.{outcome.state}", by=by, at=at,
            contract=trade.contract_id, proceeds=outcome.proceeds, profit=difference,
        )  # fmt: skip


def record_sale_refused(trade: Trade, *, code: str, message: str, by: By, at: datetime) -> Trade:
    """The venue would not buy it back: the contract runs on, and the client may ask again."""
    with moving(trade) as trade:
        if trade.state == Trade.State.OPEN and trade.sale_requested_at is not None:
            trade.sale_requested_at = None
            trade.problem_code, trade.problem = code, message[:300]
            save(trade, at)
            announce("trade.sale_refused", trade, by=by, at=at, code=code)
    return trade


# ── shared ──────────────────────────────────────────────────────────────────────────────────────────────────────


class moving:
    """The caller's transaction or an own one, with the trade's row locked, and it and its account's read afresh.

    What never changes (whose it is, on what, on which ledger accounts) is taken over from the trade as given, where that
    has it; a question that joins all of it costs the database several times what it does to find the row.
    """

    def __init__(self, trade: Trade) -> None:
        self._given = trade
        self._atomic = transaction.atomic()

    def __enter__(self) -> Trade:
        self._atomic.__enter__()
        try:
            rows = Trade.objects.select_for_update(of=("self",), no_key=True).select_related("account")
            found = rows.get(pk=self._given.pk)
        except BaseException as problem:
            self._atomic.__exit__(type(problem), problem, problem.__traceback__)
            raise
        _take_over(found, self._given, "client", "instrument", "hold")
        if "account" in self._given._state.fields_cache:
            _take_over(found.account, self._given.account, "cash", "stakes", "currency", "client")
        return found

    def __exit__(self, *found: Any) -> None:
        self._atomic.__exit__(*found)


def _take_over(row: models.Model, given: models.Model, *names: str) -> None:
    """Have `row` know the related rows that `given` knows and that it points at as well."""
    for name in names:
        known = given._state.fields_cache.get(name)
        if known is not None and getattr(row, f"{name}_id") == known.pk:
            setattr(row, name, known)


def check_may_move(trade: Trade, state: str) -> None:
    """:raises MoveNotAllowed: if the trade cannot go from its state to this one."""
    if state not in Trade.MOVES[Trade.State(trade.state)]:
        raise MoveNotAllowed(f"A trade that is {trade.get_state_display().lower()} cannot become {state}.")


def _end_unbought(
    trade: Trade, state: str, *, code: str, message: str, by: By, at: datetime, reason: str = ""
) -> Trade:
    with moving(trade) as trade:
        if trade.state == state:
            return trade
        check_may_move(trade, state)
        free_stake(trade, by=by, at=at)
        trade.problem_code, trade.problem = code[:64], message[:300]
        return move(trade, state, f"trade.{state}", by=by, at=at, code=code, reason=reason)


def free_stake(trade: Trade, *, by: By, at: datetime) -> None:
    """Release the hold on the stake; the caller moves the trade to a state in which none is held."""
    assert trade.hold is not None
    holds.release(trade.hold, by=by, at=at)


def move(
    trade: Trade, state: str, event: str, *, by: By, at: datetime, reason: str = "", **payload: object
) -> Trade:
    """Change the state, raise the version and record the event; the caller holds the trade's lock.

    :raises MoveNotAllowed: if MOVES has no such step.
    """
    check_may_move(trade, state)
    trade.state = state
    save(trade, at)
    announce(event, trade, by=by, at=at, reason=reason, **payload)
    return trade


def save(trade: Trade, at: datetime) -> None:
    """Keep a change of the trade: its version rises by one."""
    trade.version += 1
    trade.changed_at = at
    trade.save()


def announce(name: str, trade: Trade, *, by: By, at: datetime, reason: str = "", **payload: object) -> None:
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
        reason=reason,
    )
    message = {"trade": str(trade.uuid), "client": str(trade.client.uuid), "version": trade.version}
    notify("live:trades", message)
