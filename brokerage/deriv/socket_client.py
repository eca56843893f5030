"""The client over a socket: what every protocol generation shares. ``v3`` and ``v4`` add what they alone have."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Self, TypeVar

from brokerage.deriv import answers
from brokerage.deriv.answers import Dialect
from brokerage.deriv.connection import Connection
from brokerage.deriv.errors import MalformedAnswer, Refused
from brokerage.deriv.settings import Counters, Frame
from brokerage.deriv.subscription import Subscription
from brokerage.deriv.types import (
    ActiveSymbol,
    BalanceUpdate,
    Candle,
    ContractOffer,
    ContractState,
    ContractTerms,
    PortfolioContract,
    PricePoint,
    ProfitRow,
    Proposal,
    Purchase,
    Sale,
    StatementLine,
    Tick,
    TransactionUpdate,
)

T = TypeVar("T")
LastLook = Callable[[], None]


class SocketClient:
    """``DerivClient`` but for what only one generation has; what the methods promise is written there."""

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self._connection, self._dialect = connection, dialect

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.close()

    @property
    def is_up(self) -> bool:
        return self._connection.is_up

    @property
    def heard_at(self) -> float:
        return self._connection.heard_at

    @property
    def counters(self) -> Counters:
        """What was received and could not be used."""
        return self._connection.counters

    async def wait_lost(self) -> None:
        await self._connection.wait_lost()

    async def _ask(
        self,
        request: Frame,
        parse: Callable[[Frame], T],
        *msg_types: str,
        last_look: LastLook | None = None,
    ) -> T:
        frame = await self._connection.call(request, *msg_types, last_look=last_look)
        try:
            return parse(frame)
        except ValueError as error:
            self._connection.counters.malformed += 1
            raise MalformedAnswer("MalformedAnswer", f"{next(iter(request))}: {error}") from error

    async def _follow(
        self,
        request: Frame,
        parse: Callable[[Frame], T | None],
        *msg_types: str,
        survives_errors: bool = False,
    ) -> Subscription[T]:
        subscription: Subscription[T] = Subscription(
            next(iter(request)), parse, self._connection.settings.queue, survives_errors=survives_errors
        )
        await self._connection.subscribe(request, subscription, *msg_types)
        return subscription

    # ── account ──────────────────────────────────────────────────────────────────────────────────────

    async def reset_demo_balance(self) -> None:
        raise Refused("NotOnThisSocket", "This generation resets a demo balance over HTTP.")

    async def logout(self) -> None:
        await self._connection.call({"logout": 1})

    async def balance(self) -> BalanceUpdate:
        return await self._ask({"balance": 1}, answers.balance)

    async def follow_balance(self) -> Subscription[BalanceUpdate]:
        return await self._follow({"balance": 1}, answers.balance)

    async def follow_transactions(self) -> Subscription[TransactionUpdate]:
        return await self._follow({"transaction": 1}, self._dialect.transaction)

    async def statement(
        self, since: int | None = None, until: int | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[StatementLine, ...]:
        request = {"statement": 1, "description": 1, "limit": limit, "offset": offset}
        return await self._ask(request | _given(date_from=since, date_to=until), answers.statement)

    async def profit_table(
        self,
        since: int | None = None,
        until: int | None = None,
        limit: int = 50,
        offset: int = 0,
        contract_types: Sequence[str] = (),
    ) -> tuple[ProfitRow, ...]:
        request: Frame = {
            "profit_table": 1,
            "description": 1,
            "limit": limit,
            "offset": offset,
            "sort": "DESC",
        }
        times = _given(
            date_from=None if since is None else str(since), date_to=None if until is None else str(until)
        )
        return await self._ask(
            request | times | _given(contract_type=list(contract_types) or None), answers.profit_table
        )

    # ── market ───────────────────────────────────────────────────────────────────────────────────────

    async def active_symbols(self) -> tuple[ActiveSymbol, ...]:
        return await self._ask({"active_symbols": "brief"}, self._dialect.active_symbols)

    async def contracts_for(self, symbol: str) -> tuple[ContractOffer, ...]:
        return await self._ask({"contracts_for": symbol}, answers.offers)

    async def ticks(self, symbol: str) -> Subscription[Tick]:
        return await self._follow({"ticks": symbol}, answers.tick, "tick")

    async def ticks_history(
        self, symbol: str, count: int, until: int | None = None
    ) -> tuple[PricePoint, ...]:
        request = {"ticks_history": symbol, "count": count, "end": _end(until), "style": "ticks"}
        return await self._ask(request, answers.history, "history")

    async def candles(
        self, symbol: str, count: int, granularity: int, until: int | None = None
    ) -> tuple[Candle, ...]:
        request = {"ticks_history": symbol, "count": count, "end": _end(until), "style": "candles"}
        return await self._ask({**request, "granularity": granularity}, answers.candles, "candles")

    # ── trading ──────────────────────────────────────────────────────────────────────────────────────

    async def proposal(self, terms: ContractTerms) -> Proposal:
        return await self._ask({"proposal": 1, **self._terms(terms)}, answers.proposal)

    async def follow_proposal(self, terms: ContractTerms) -> Subscription[Proposal]:
        return await self._follow({"proposal": 1, **self._terms(terms)}, answers.proposal)

    async def buy(self, proposal_id: str, price: Decimal, *, last_look: LastLook | None = None) -> Purchase:
        request = {"buy": proposal_id, "price": price}
        return await self._ask(request, answers.purchase, last_look=last_look)

    async def buy_with_terms(
        self,
        terms: ContractTerms,
        price: Decimal,
        markup_percentage: Decimal | None = None,
        *,
        last_look: LastLook | None = None,
    ) -> Purchase:
        parameters = self._terms(terms) | _given(app_markup_percentage=markup_percentage)
        request = {"buy": "1", "price": price, "parameters": parameters}
        return await self._ask(request, answers.purchase, last_look=last_look)

    async def sell(
        self, contract_id: int, price: Decimal = Decimal(0), *, last_look: LastLook | None = None
    ) -> Sale:
        request = {"sell": contract_id, "price": price}
        return await self._ask(request, answers.sale, last_look=last_look)

    # ── contracts ────────────────────────────────────────────────────────────────────────────────────

    async def contract(self, contract_id: int) -> ContractState:
        def one(frame: Frame) -> ContractState:
            state = self._dialect.contract_state(frame)
            if state is None or state.contract_id != contract_id:
                raise ValueError("it is about another contract")
            return state

        return await self._ask({"proposal_open_contract": 1, "contract_id": contract_id}, one)

    async def follow_contract(self, contract_id: int) -> Subscription[ContractState]:
        request = {"proposal_open_contract": 1, "contract_id": contract_id}
        return await self._follow(request, self._dialect.contract_state)

    async def follow_contracts(self) -> Subscription[ContractState]:
        return await self._follow(
            {"proposal_open_contract": 1}, self._dialect.contract_state, survives_errors=True
        )

    async def portfolio(self) -> tuple[PortfolioContract, ...]:
        return await self._ask({"portfolio": 1}, self._dialect.portfolio)

    # ── connection ───────────────────────────────────────────────────────────────────────────────────

    async def forget(self, stream_id: str) -> bool:
        return await self._ask({"forget": stream_id}, lambda frame: answers.flag(frame, "forget"))

    async def forget_all(self, *kinds: str) -> tuple[str, ...]:
        return await self._ask({"forget_all": list(kinds)}, lambda frame: answers.texts(frame, "forget_all"))

    async def ping(self) -> None:
        await self._connection.call({"ping": 1})

    async def time(self) -> int:
        return await self._ask({"time": 1}, lambda frame: answers.whole(frame, "time"))

    async def close(self) -> None:
        await self._connection.close()

    def _terms(self, terms: ContractTerms) -> Frame:
        return {
            "contract_type": terms.contract_type,
            self._dialect.symbol: terms.symbol,
            "basis": terms.basis,
            "amount": terms.amount,
            "duration": terms.duration,
            "duration_unit": terms.duration_unit,
            "currency": terms.currency,
        }


def _end(until: int | None) -> str:
    return "latest" if until is None else str(until)


def _given(**fields: Any) -> Frame:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
