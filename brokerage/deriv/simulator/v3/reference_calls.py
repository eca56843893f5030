"""Calls about what the venue offers, when, and at what exchange rates. None needs a token."""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.books import Refusal
from brokerage.deriv.simulator.catalog import CURRENCIES, SYMBOLS, exchange_rate
from brokerage.deriv.simulator.prices import Market, Quote
from brokerage.deriv.simulator.v3 import frames
from brokerage.deriv.simulator.v3.answers import Answer, Request, call
from brokerage.deriv.simulator.v3.fields import Field, one_of, text
from brokerage.deriv.simulator.v3.market_calls import CURRENCY, LOGIN, SUBSCRIBE
from brokerage.deriv.simulator.v3.streams import Body, Stream

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

COMPANY = Field(one_of("iom", "malta", "maltainvest", "svg", "virtual", "vanuatu"))
MARKETS = one_of("forex", "indices", "commodities", "stocks", "cryptocurrency", "synthetic_index")
WEEK = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
DAY_SECONDS = 86400


@call(
    "asset_index",
    {
        "asset_index": Field(one_of(1), True),
        "landing_company": COMPANY,
        "landing_company_short": COMPANY,
        "loginid": LOGIN,
    },
)
def asset_index(session: "Session", request: Request, at: float) -> Answer:
    """Each symbol with its kinds of contract, from the shortest duration to the longest."""
    rows = []
    for symbol in SYMBOLS.values():
        offers = frames.offers(symbol)
        first, last = offers[0], offers[-1]
        kinds = [
            [
                first["contract_category"],
                first["contract_category_display"],
                first["min_contract_duration"],
                last["max_contract_duration"],
            ]
        ]
        rows.append([symbol.code, symbol.name, kinds])
    return Answer("asset_index", {"asset_index": rows})


@call("trading_times", {"trading_times": Field(text(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|today"), True)})
def trading_times(session: "Session", request: Request, at: float) -> Answer:
    """Around the clock, every day; a day that does not exist is refused."""
    if request["trading_times"] != "today":
        year, month, day = (int(part) for part in request["trading_times"].split("-"))
        try:
            date(year, month, day)
        except ValueError:
            problem = {"trading_times": "is no day"}
            raise Refusal("InputValidationFailed", "There is no such day.", problem) from None
    rows = [
        {
            "events": [],
            "name": symbol.name,
            "symbol": symbol.code,
            "times": {"open": ["00:00:00"], "close": ["23:59:59"], "settlement": "23:59:59"},
            "trading_days": WEEK,
        }
        for symbol in SYMBOLS.values()
    ]
    market = frames.active_symbol(SYMBOLS["R_100"], session.engine.market.last("R_100", at))
    submarkets = [{"name": market["submarket_display_name"], "symbols": rows}]
    markets = [{"name": market["market_display_name"], "submarkets": submarkets}]
    return Answer("trading_times", {"trading_times": {"markets": markets}})


class RatesStream(Stream):
    """The simulator's rates are fixed: a follower gets the first frame, and no other will ever be due."""

    kind = "exchange_rates"
    msg_type = "exchange_rates"


@call(
    "exchange_rates",
    {
        "exchange_rates": Field(one_of(1), True),
        "base_currency": Field(CURRENCY, True),
        "target_currency": Field(CURRENCY),
        "include_spread": Field(one_of(1)),
        "subscribe": SUBSCRIBE,
        "loginid": LOGIN,
    },
)
def exchange_rates(session: "Session", request: Request, at: float) -> Answer:
    """The rates at which money moves between accounts: units of the target for one of the base, without a spread."""
    base, target = request["base_currency"], request.get("target_currency")
    for name in ("base_currency", "target_currency"):
        if name in request and request[name] not in CURRENCIES:
            raise Refusal("InvalidCurrency", "There is no rate for this currency.", {"field": name})
    if target is None and ("subscribe" in request or "include_spread" in request):
        missing = {"target_currency": "is missing"}
        raise Refusal("InputValidationFailed", "Check the fields: target_currency.", missing)
    targets = [code for code in CURRENCIES if code != base] if target is None else [target]
    rates: dict[str, Any] = {code: exchange_rate(base, code) for code in targets}
    if "include_spread" in request:
        sides = ("ask_rate", "bid_rate", "spot_rate")
        rates = {code: dict.fromkeys(sides, rate) for code, rate in rates.items()}
    stream = session.subscribe(RatesStream(session, (base, target))) if "subscribe" in request else None
    body = {"base_currency": base, "date": int(at), "rates": rates}
    return Answer("exchange_rates", {"exchange_rates": body}, stream)


class BatchStream(Stream):
    """The latest ticks of all symbols that have moved, in one frame, at most once a second."""

    kind = "ticks_batch"
    msg_type = "ticks_batch"
    SHORTEST = 0.95
    """Seconds between two frames; a little under one, for a beat may come a moment late and the next in time."""

    def __init__(self, session: "Session", market: str) -> None:
        super().__init__(session, (market,))
        self._told: dict[str, int] = {}
        self._last = 0.0

    def symbols(self) -> set[str]:
        return set(SYMBOLS)

    def wants(self, symbol: str) -> bool:
        return True

    def first(self, at: float) -> list[Body]:
        """All symbols' ticks; what has been told once is told again when it has moved."""
        market = self.session.engine.market
        quotes = [market.last(code, at) for code in SYMBOLS]
        return self._tell([quote for quote in quotes if self._told.get(quote.symbol) != quote.index], at)

    def ticked(self, quotes: list[Quote], at: float) -> Iterator[Body]:
        # A beat brings one symbol after the other: the first of them takes the rest along.
        if at - self._last >= self.SHORTEST and (rows := self.first(at)):
            yield {"ticks_batch": rows}

    def _tell(self, quotes: list[Quote], at: float) -> list[Body]:
        self._told |= {quote.symbol: quote.index for quote in quotes}
        self._last = at
        return [_batched(self.session.engine.market, quote, at) for quote in quotes]


@call(
    "ticks_batch",
    {"ticks_batch": Field(one_of(1), True), "market": Field(MARKETS, True), "subscribe": SUBSCRIBE},
)
def ticks_batch(session: "Session", request: Request, at: float) -> Answer:
    """The current tick of every symbol of a market. Only synthetic indices are on offer."""
    if request["market"] != "synthetic_index":
        raise Refusal("OfferingsValidationError", "This market is not on offer.", {"field": "market"})
    stream = BatchStream(session, request["market"])
    if "subscribe" not in request:
        return Answer("ticks_batch", {"ticks_batch": stream.first(at)})
    session.subscribe(stream)
    return Answer("ticks_batch", {"ticks_batch": stream.first(at)}, stream)


def _batched(market: Market, quote: Quote, at: float) -> dict[str, Any]:
    """A tick with its change against 24 hours before ``at``, in percent with two decimals; prices as text."""
    tick = frames.tick(quote, None)
    before = market.last(quote.symbol, at - DAY_SECONDS).price
    change = (100 * (quote.price - before) / before).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return {
        "ask": str(tick["ask"]),
        "bid": str(tick["bid"]),
        "change": str(change),
        "epoch": quote.epoch,
        "quote": str(quote.price),
        "symbol": quote.symbol,
    }
