"""The venue's words in ours: what is asked for, what was bought, and how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from backoffice.who import By
from brokerage import trades
from brokerage.deriv.types import (
    ContractState,
    ContractTerms,
    Purchase,
    StatementLine,
    TransactionUpdate,
)
from brokerage.matching import Candidate
from brokerage.models import Trade
from brokerage.models.trades import SECONDS
from brokerage.venue import Order

# Whose clock: the edge's, read when it is needed, since asking the venue takes time.
Clock = Callable[[], datetime]


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
    return trades.Bought(
        contract_id=purchase.contract_id,
        transaction_id=purchase.transaction_id,
        buy_price=purchase.buy_price,
        payout=purchase.payout,
        purchased_at=instant(purchase.purchase_time),
        expires_at=instant(purchase.start_time + length_in_seconds(trade)),
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


def bought_from_candidate(trade: Trade, candidate: Candidate) -> trades.Bought:
    """A purchase that a person recognized; its expiry follows from the trade's own length."""
    return trades.Bought(
        contract_id=candidate.contract_id,
        transaction_id=None,
        buy_price=candidate.buy_price,
        payout=candidate.payout or candidate.buy_price,
        purchased_at=instant(candidate.purchase_time),
        expires_at=instant(candidate.purchase_time + length_in_seconds(trade)),
    )


def settle_from(trade: Trade, state: ContractState, *, by: By, at: datetime) -> Trade:
    """Settle the trade if the venue has settled its contract: only *sold* settles, *expired* alone does not."""
    if trade.state != Trade.State.OPEN or not state.is_sold:
        return trade
    return trades.settle(trade, outcome_from(state), by=by, at=at)


def order_of(trade: Trade) -> Order:
    """The trade as the order gate looks at it."""
    return Order(symbol=trade.instrument.symbol, client_id=trade.client_id, account_id=trade.account_id)


def length_in_seconds(trade: Trade) -> int:
    """How long the contract runs from its start; for ticks an estimate, the entry tick included."""
    if trade.duration_unit == Trade.Unit.TICKS:
        return (trade.duration + 1) * trade.instrument.tick_seconds
    return trade.duration * SECONDS[trade.duration_unit]


@dataclass(frozen=True, slots=True)
class Heard:
    """A movement of an account's balance as the venue tells it, on its stream or in its statement."""

    transaction_id: int
    action: str
    amount: Decimal
    balance_after: Decimal
    happened_at: datetime
    contract_id: int | None
    shortcode: str


def heard_on_stream(update: TransactionUpdate) -> Heard:
    """A movement told as it happened. The stream names no shortcode."""
    return Heard(
        transaction_id=update.transaction_id,
        action=update.action,
        amount=update.amount,
        balance_after=update.balance,
        happened_at=instant(update.at),
        contract_id=update.contract_id,
        shortcode="",
    )


def heard_in_statement(line: StatementLine) -> Heard:
    """A movement read in the statement."""
    return Heard(
        transaction_id=line.transaction_id,
        action=line.action,
        amount=line.amount,
        balance_after=line.balance_after,
        happened_at=instant(line.at),
        contract_id=line.contract_id,
        shortcode=line.shortcode or "",
    )
