"""What a connection has subscribed to. A stream makes frames from news; the session sends them."""

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from brokerage.deriv.simulator.books import Refusal, Terms
from brokerage.deriv.simulator.events import Booked, Event
from brokerage.deriv.simulator.prices import Quote
from brokerage.deriv.simulator.v3 import frames

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

Body = dict[str, Any]


class Stream:
    """``kind`` is its word in ``forget_all``; ``key`` tells which other stream would be the same one again."""

    kind: ClassVar[str]
    msg_type: ClassVar[str]

    def __init__(self, session: "Session", key: tuple[object, ...]) -> None:
        self.id = str(uuid.uuid4())
        self.session = session
        self.key = (self.kind, *key)
        self.envelope: dict[str, Any] = {}
        self.symbol: str | None = None

    def symbols(self) -> set[str]:
        """Whose ticks it wants to hear of."""
        return set() if self.symbol is None else {self.symbol}

    def wants(self, symbol: str) -> bool:
        """Whether a tick of the symbol may concern it; cheap, and may say yes too often."""
        return symbol == self.symbol

    def ticked(self, quotes: list[Quote], at: float) -> Iterator[Body]:
        yield from ()

    def happened(self, event: Event, at: float) -> Iterator[Body]:
        yield from ()


class TickStream(Stream):
    kind = "ticks"
    msg_type = "tick"

    def __init__(self, session: "Session", symbol: str) -> None:
        super().__init__(session, (symbol,))
        self.symbol = symbol

    def ticked(self, quotes: list[Quote], at: float) -> Iterator[Body]:
        for quote in quotes:
            yield {"tick": frames.tick(quote, self.id)}


class CandleStream(Stream):
    kind = "candles"
    msg_type = "ohlc"

    def __init__(self, session: "Session", symbol: str, granularity: int) -> None:
        super().__init__(session, (symbol, granularity))
        self.symbol = symbol
        self.granularity = granularity
        self._candle: list[Decimal] = []
        self._opened = 0

    def take(self, quotes: list[Quote]) -> None:
        for quote in quotes:
            opened = quote.epoch - quote.epoch % self.granularity
            if opened != self._opened or not self._candle:
                self._opened, self._candle = opened, [quote.price] * 4
            first, high, low, _ = self._candle
            self._candle = [first, max(high, quote.price), min(low, quote.price), quote.price]

    def ticked(self, quotes: list[Quote], at: float) -> Iterator[Body]:
        self.take(quotes)
        first, high, low, last = (str(price) for price in self._candle)
        yield {
            "ohlc": {
                "id": self.id,
                "symbol": self.symbol,
                "granularity": self.granularity,
                "epoch": quotes[-1].epoch,
                "open_time": self._opened,
                "open": first,
                "high": high,
                "low": low,
                "close": last,
                "pip_size": len(last.partition(".")[2]),
            }
        }


class ProposalStream(Stream):
    kind = "proposal"
    msg_type = "proposal"

    def __init__(self, session: "Session", terms: Terms) -> None:
        super().__init__(session, (terms,))
        self.symbol = terms.symbol
        self.terms = terms

    def ticked(self, quotes: list[Quote], at: float) -> Iterator[Body]:
        try:
            yield {"proposal": self.session.priced(self.terms, self.id, at)}
        except Refusal as refusal:
            yield {"error": {"code": refusal.code, "message": refusal.message}}
            self.session.streams.pop(self.id, None)


class ContractStream(Stream):
    """One contract, or every contract of the account that is open now or later."""

    kind = "proposal_open_contract"
    msg_type = "proposal_open_contract"

    def __init__(self, session: "Session", login_id: str, contract_id: int | None) -> None:
        super().__init__(session, (contract_id,))
        self.login_id = login_id
        self.contract_id = contract_id

    def symbols(self) -> set[str]:
        open_contracts = self.session.engine.open_contracts(self.login_id)
        return {
            contract.terms.symbol
            for contract in open_contracts
            if self.contract_id in (None, contract.contract_id)
        }

    def wants(self, symbol: str) -> bool:
        return True

    def ticked(self, quotes: list[Quote], at: float) -> Iterator[Body]:
        for contract in self.session.engine.open_contracts(self.login_id):
            if contract.terms.symbol == quotes[-1].symbol and self.contract_id in (
                None,
                contract.contract_id,
            ):
                yield self.body(contract.contract_id, at)

    def happened(self, event: Event, at: float) -> Iterator[Body]:
        contract = event.contract
        if contract is None or contract.login_id != self.login_id:
            return
        if self.contract_id not in (None, contract.contract_id):
            return
        yield {
            "proposal_open_contract": {
                **frames.contract_state(
                    self.session.engine, contract, at, self.session.engine.account(self.login_id).user_id
                ),
                "id": self.id,
            }
        }
        if contract.is_sold and self.contract_id is not None:
            self.session.streams.pop(self.id, None)

    def body(self, contract_id: int, at: float) -> Body:
        engine = self.session.engine
        contract = engine.contract(self.login_id, contract_id)
        assert contract is not None, "a stream follows its own account's contracts"
        number = engine.account(self.login_id).user_id
        return {
            "proposal_open_contract": {
                **frames.contract_state(engine, contract, at, number),
                "id": self.id,
            }
        }


class BalanceStream(Stream):
    kind = "balance"
    msg_type = "balance"

    def __init__(self, session: "Session", login_id: str) -> None:
        super().__init__(session, ())
        self.login_id = login_id

    def happened(self, event: Event, at: float) -> Iterator[Body]:
        if isinstance(event, Booked) and event.account.login_id == self.login_id:
            yield {"balance": frames.balance(event.account, self.id)}


class TransactionStream(Stream):
    kind = "transaction"
    msg_type = "transaction"

    def __init__(self, session: "Session", login_id: str) -> None:
        super().__init__(session, ())
        self.login_id = login_id

    def happened(self, event: Event, at: float) -> Iterator[Body]:
        if isinstance(event, Booked) and event.account.login_id == self.login_id:
            yield {"transaction": frames.transaction(event.line, event.account, event.contract, self.id)}


class StatusStream(Stream):
    """The site's status; the session tells it when it changes."""

    kind = "website_status"
    msg_type = "website_status"

    def __init__(self, session: "Session") -> None:
        super().__init__(session, ())
