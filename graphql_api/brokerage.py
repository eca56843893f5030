"""Trading accounts, instruments, proposals and trades."""

import uuid
from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice.errors import NotFound
from backoffice.models import User
from backoffice.who import By
from brokerage import accounts, offers, placing
from brokerage import models as db
from brokerage.models.trades import TradeQuerySet
from brokerage.translation import instant
from compliance import clients
from compliance.models import Client
from graphql_api import connections, limits
from graphql_api.types import Money, Problem, price
from graphql_api.viewer import problem_as_answer, problem_as_error, user_of


@strawberry.enum(description="CALL wins if the price rises, PUT if it falls; an equal price loses both.")
class Side(Enum):
    CALL = "CALL"
    PUT = "PUT"


@strawberry.enum
class DurationUnit(Enum):
    TICKS = "t"
    SECONDS = "s"
    MINUTES = "m"
    HOURS = "h"
    DAYS = "d"


TradeState = db.Trade.State
strawberry.enum(
    TradeState,
    name="TradeState",
    description="Where a trade is; QUEUED, SUBMITTING, UNCERTAIN and OPEN are not final.",
)


@strawberry.enum
class TradeOrder(Enum):
    NEWEST_FIRST = "newest"
    OLDEST_FIRST = "oldest"


@strawberry.type(description="Something that can be traded, with the limits of contracts on it.")
class Instrument:
    symbol: str
    name: str
    kind: str
    pip: str
    is_open: bool
    tick_seconds: int
    min_stake: str
    max_stake: str
    min_ticks: int
    max_ticks: int
    min_seconds: int
    max_seconds: int

    @staticmethod
    def of(row: db.Instrument) -> "Instrument":
        return Instrument(
            symbol=row.symbol,
            name=row.name,
            kind=row.kind,
            pip=price(row.pip) or "",
            is_open=row.is_offered and not row.is_suspended,
            tick_seconds=row.tick_seconds,
            min_stake=price(row.min_stake) or "",
            max_stake=price(row.max_stake) or "",
            min_ticks=row.min_ticks,
            max_ticks=row.max_ticks,
            min_seconds=row.min_seconds,
            max_seconds=row.max_seconds,
        )


@strawberry.type(description="A client's account at the venue. `available` is what can be staked now.")
class TradingAccount:
    id: strawberry.ID
    kind: str
    generation: str = strawberry.field(description="Of Deriv's protocol: `v3` or `v4`.")
    login_id: str | None
    currency: str
    state: str
    why: str = strawberry.field(description="Why it is where it is, and what happens next.")
    is_default: bool
    balance: Money
    held: Money = strawberry.field(description="Stakes of trades that are not bought yet.")
    available: Money
    open_stakes: Money

    @staticmethod
    def of(row: db.TradingAccount) -> "TradingAccount":
        currency = row.currency_id
        return TradingAccount(
            id=strawberry.ID(str(row.uuid)),
            kind=row.kind,
            generation=row.generation,
            login_id=row.login_id or None,
            currency=currency,
            state=row.state,
            why=row.why,
            is_default=row.is_default,
            balance=Money.of(row.cash.posted, currency),
            held=Money.of(row.cash.held, currency),
            available=Money.of(row.cash.available, currency),
            open_stakes=Money.of(row.stakes.posted, currency),
        )


@strawberry.type(description="A trade: what the client asked for, and its life at the venue.")
class Trade:
    id: strawberry.ID
    account: TradingAccount
    instrument: Instrument
    side: Side
    state: TradeState
    why: str = strawberry.field(description="Why it is where it is, and what happens next.")
    is_final: bool
    version: int = strawberry.field(description="Rises with every change; subscriptions resume from it.")
    stake: Money
    duration: int
    duration_unit: DurationUnit
    contract_id: str | None
    buy_price: Money | None
    payout: Money | None = strawberry.field(description="What it pays if it wins, the stake included.")
    proceeds: Money | None = strawberry.field(description="What the venue paid at the end.")
    profit: Money | None
    markup: Money | None
    entry_spot: str | None
    exit_spot: str | None
    placed_at: datetime
    opened_at: datetime | None
    expires_at: datetime | None
    settled_at: datetime | None
    problem_code: str | None
    problem: str | None

    @staticmethod
    def of(row: db.Trade) -> "Trade":
        currency = row.currency
        return Trade(
            id=strawberry.ID(str(row.uuid)),
            account=TradingAccount.of(row.account),
            instrument=Instrument.of(row.instrument),
            side=Side(row.side),
            state=TradeState(row.state),
            why=row.why,
            is_final=row.is_final,
            version=row.version,
            stake=Money.of(row.stake, currency),
            duration=row.duration,
            duration_unit=DurationUnit(row.duration_unit),
            contract_id=str(row.contract_id) if row.contract_id else None,
            buy_price=Money.maybe(row.buy_price, currency),
            payout=Money.maybe(row.payout, currency),
            proceeds=Money.maybe(row.proceeds, currency),
            profit=Money.maybe(row.profit, currency),
            markup=Money.maybe(row.markup, currency),
            entry_spot=price(row.entry_spot),
            exit_spot=price(row.exit_spot),
            placed_at=row.placed_at,
            opened_at=row.purchased_at,
            expires_at=row.expires_at,
            settled_at=row.settled_at,
            problem_code=row.problem_code or None,
            problem=row.problem or None,
        )


@strawberry.type(description="A priced offer. Nothing is bought; the price holds for moments only.")
class Proposal:
    stake: Money
    payout: Money
    spot: str
    spot_at: datetime


@strawberry.input
class TradeTermsInput:
    symbol: str
    side: Side
    stake: str = strawberry.field(description="In the account's currency, as text.")
    duration: int
    duration_unit: DurationUnit = DurationUnit.TICKS
    account: strawberry.ID | None = strawberry.field(default=None, description="Unset: the default account.")


@strawberry.input
class PlaceTradeInput(TradeTermsInput):
    key: str = strawberry.field(description="Chosen by the app; the same key again is the same trade.")


@strawberry.input
class TradeFilter:
    state: list[TradeState] | None = None
    symbol: str | None = None
    account: strawberry.ID | None = None
    is_final: bool | None = None
    placed_from: datetime | None = None
    placed_before: datetime | None = None


@strawberry.type
class TradeAnswer:
    trade: Trade
    account: TradingAccount = strawberry.field(description="The account, with its balances after this.")

    @staticmethod
    def of(row: db.Trade) -> "TradeAnswer":
        fresh = trades_with_relations().get(pk=row.pk)
        return TradeAnswer(trade=Trade.of(fresh), account=TradingAccount.of(fresh.account))


ProposalResult = Annotated[Proposal | Problem, strawberry.union("ProposalResult")]
PlaceTradeResult = Annotated[TradeAnswer | Problem, strawberry.union("PlaceTradeResult")]
SellTradeResult = Annotated[TradeAnswer | Problem, strawberry.union("SellTradeResult")]
CancelTradeResult = Annotated[TradeAnswer | Problem, strawberry.union("CancelTradeResult")]


def trades_with_relations() -> TradeQuerySet:
    """Trades with everything a `Trade` shows, in one query."""
    return db.Trade.objects.select_related("account__cash", "account__stakes", "instrument", "client")


@strawberry.type
class Query:
    @strawberry.field(description="The accounts of every client this person acts for.")
    @problem_as_error
    def trading_accounts(self, info: Info) -> list[TradingAccount]:
        rows = (
            db.TradingAccount.objects.of_user(user_of(info)).select_related("cash", "stakes").order_by("pk")
        )
        return [TradingAccount.of(row) for row in rows[: connections.LARGEST_PAGE]]

    @strawberry.field(description="What can be traded.")
    @problem_as_error
    def instruments(self, info: Info, include_closed: bool = False) -> list[Instrument]:
        user_of(info)
        rows = (
            db.Instrument.objects.filter(is_offered=True)
            if include_closed
            else db.Instrument.objects.offered()
        )
        return [Instrument.of(row) for row in rows.order_by("name")[:500]]

    @strawberry.field(description="Ask the venue for a price. Buys nothing.")
    @problem_as_answer
    def proposal(self, info: Info, input: TradeTermsInput) -> ProposalResult:
        account = _account(info, input.account)
        offer = offers.price(
            account=account,
            symbol=input.symbol,
            side=input.side.value,
            stake=input.stake,
            duration=input.duration,
            duration_unit=input.duration_unit.value,
        )
        return Proposal(
            stake=Money.of(offer.ask_price, account.currency_id),
            payout=Money.of(offer.payout, account.currency_id),
            spot=price(offer.spot) or "",
            spot_at=instant(offer.spot_at),
        )

    @strawberry.field(description="One trade, or null if there is none of yours with this id.")
    @problem_as_error
    def trade(self, info: Info, id: strawberry.ID) -> Trade | None:
        user = user_of(info)
        row = trades_with_relations().of_user(user).filter(uuid=id_of(id)).first()
        return Trade.of(row) if row else None

    @strawberry.field(description="Your trades, a page at a time.")
    @problem_as_error
    def trades(
        self,
        info: Info,
        filter: TradeFilter | None = None,
        order: TradeOrder = TradeOrder.NEWEST_FIRST,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> connections.Connection[Trade]:
        rows = _filtered(trades_with_relations().of_user(user_of(info)), filter or TradeFilter())
        return connections.paginate(
            rows, show=Trade.of, newest_first=order is TradeOrder.NEWEST_FIRST,
            first=first, after=after, last=last, before=before,
        )  # fmt: skip


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Place a trade. It is queued at once and bought in moments; watch `tradeStatus`."
    )
    @problem_as_answer
    def place_trade(self, info: Info, input: PlaceTradeInput) -> PlaceTradeResult:
        user = user_of(info)
        account = _account(info, input.account)
        placing.check_may_act(user, account)
        limits.take_all(info, ("trade", str(account.client_id)))
        row = placing.place(
            account=account,
            symbol=input.symbol,
            side=input.side.value,
            stake=input.stake,
            duration=input.duration,
            duration_unit=input.duration_unit.value,
            by=By.user(user),
            at=timezone.now(),
            key=input.key,
        )
        return TradeAnswer.of(row)

    @strawberry.mutation(
        description="Sell an open trade before its expiry, at the venue's price. Asking again changes nothing."
    )
    @problem_as_answer
    def sell_trade(self, info: Info, id: strawberry.ID, key: str) -> SellTradeResult:
        user = user_of(info)
        row = placing.of_user(user, id_of(id))
        placing.check_may_act(user, row.account)
        limits.take_all(info, ("trade", str(row.account.client_id)))
        return TradeAnswer.of(placing.request_sale(row, by=By.user(user), at=timezone.now(), key=key))

    @strawberry.mutation(description="Take back a trade while it is queued. Asking again changes nothing.")
    @problem_as_answer
    def cancel_trade(self, info: Info, id: strawberry.ID, key: str) -> CancelTradeResult:
        user = user_of(info)
        row = placing.of_user(user, id_of(id))
        placing.check_may_act(user, row.account)
        limits.take_all(info, ("trade", str(row.account.client_id)))
        return TradeAnswer.of(placing.withdraw(row, by=By.user(user), at=timezone.now(), key=key))


def id_of(given: str) -> uuid.UUID:
    """A public id; what is not one names nothing, like an id that does not exist."""
    try:
        return uuid.UUID(given)
    except ValueError:
        return uuid.UUID(int=0)


def client_of(user: User, given: str | None) -> Client:
    """A client this person acts for; the first where none is named. :raises NotFound: if there is no such client."""
    return clients.of_user(user, id_of(given) if given is not None else None)


def _account(info: Info, given: strawberry.ID | None) -> db.TradingAccount:
    user = user_of(info)
    if given is not None:
        return accounts.of_user(user, id_of(given))
    rows = db.TradingAccount.objects.of_user(user).filter(is_default=True)
    row = rows.select_related("client", "cash", "stakes", "currency").order_by("pk").first()
    if row is None:
        raise NotFound("There is no default trading account.", field="account")
    return row


def _filtered(rows: TradeQuerySet, given: TradeFilter) -> TradeQuerySet:
    if given.state is not None:
        rows = rows.filter(state__in=[state.value for state in given.state])
    if given.symbol is not None:
        rows = rows.filter(instrument__symbol=given.symbol)
    if given.account is not None:
        rows = rows.filter(account__uuid=id_of(given.account))
    if given.is_final is not None:
        rows = (
            rows.filter(state__in=db.Trade.FINAL)
            if given.is_final
            else rows.exclude(state__in=db.Trade.FINAL)
        )
    if given.placed_from is not None:
        rows = rows.filter(placed_at__gte=given.placed_from)
    if given.placed_before is not None:
        rows = rows.filter(placed_at__lt=given.placed_before)
    return rows
