"""Calls about the venue, its symbols and prices, and the connection itself. None needs a token."""

from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.books import Refusal
from brokerage.deriv.simulator.catalog import CURRENCIES, DEFAULT_STAKE, SYMBOLS, Symbol
from brokerage.deriv.simulator.prices import Market, Quote
from brokerage.deriv.simulator.v3 import frames, limits
from brokerage.deriv.simulator.v3.answers import Answer, Request, call
from brokerage.deriv.simulator.v3.fields import Field, either, list_of, one_of, text, whole
from brokerage.deriv.simulator.v3.streams import CandleStream, StatusStream, Stream, TickStream

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

WORD = text(r"[A-Za-z0-9_]{2,30}")
CURRENCY = text(r"[A-Za-z0-9]{2,20}")
CONTRACT_TYPE = text(r"[A-Z]{3,20}")
LOGIN = Field(text(r"[A-Za-z]{1,10}[0-9]{1,20}"))
COMPANY = Field(text(r"[a-z]{2,20}"))
EPOCH = whole(0, 9_999_999_999)
SUBSCRIBE = Field(one_of(1))
STREAM_ID = text(r"[A-Za-z0-9_-]{32,128}")
STREAM_KIND = one_of(
    "balance", "candles", "proposal", "proposal_open_contract", "ticks", "transaction", "website_status"
)
MOST_TICKS = 5000
MOST_SAMPLED = 20_000
GRANULARITIES = (60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)


def listed(code: str) -> Symbol:
    """Raises ``Refusal`` for an unknown symbol."""
    if code not in SYMBOLS:
        raise Refusal("InvalidSymbol", f"There is no symbol {code}.", {"field": "symbol"})
    return SYMBOLS[code]


@call("ping", {"ping": Field(one_of(1), True)})
def ping(session: "Session", request: Request, at: float) -> Answer:
    """An answer."""
    return Answer("ping", {"ping": "pong"})


@call("time", {"time": Field(one_of(1), True)})
def server_time(session: "Session", request: Request, at: float) -> Answer:
    """The venue's clock."""
    return Answer("time", {"time": int(at)})


@call("payout_currencies", {"payout_currencies": Field(one_of(1), True), "loginid": LOGIN})
def payout_currencies(session: "Session", request: Request, at: float) -> Answer:
    """The account's currency, or all."""
    known = [session.account().currency] if session.login_id else list(CURRENCIES)
    return Answer("payout_currencies", {"payout_currencies": known})


@call(
    "active_symbols",
    {
        "active_symbols": Field(one_of("brief", "full"), True),
        "product_type": Field(one_of("basic")),
        "barrier_category": Field(list_of(WORD)),
        "contract_type": Field(list_of(CONTRACT_TYPE)),
        "landing_company": COMPANY,
        "landing_company_short": COMPANY,
        "loginid": LOGIN,
    },
)
def active_symbols(session: "Session", request: Request, at: float) -> Answer:
    """The symbols, with their current price."""
    wanted = request.get("contract_type", ["CALL"])
    offered = SYMBOLS.values() if {"CALL", "PUT"} & set(wanted) else ()
    rows = [frames.active_symbol(symbol, session.engine.market.last(symbol.code, at)) for symbol in offered]
    return Answer("active_symbols", {"active_symbols": rows})


@call(
    "contracts_for",
    {
        "contracts_for": Field(WORD, True),
        "currency": Field(CURRENCY),
        "product_type": Field(one_of("basic")),
        "landing_company": COMPANY,
        "landing_company_short": COMPANY,
        "loginid": LOGIN,
    },
)
def contracts_for(session: "Session", request: Request, at: float) -> Answer:
    """What can be bought on a symbol."""
    symbol = listed(request["contracts_for"])
    available = frames.offers(symbol)
    body = {
        "available": available,
        "hit_count": len(available),
        "feed_license": "realtime",
        "spot": session.engine.market.last(symbol.code, at).price,
        "open": None,
        "close": None,
    }
    return Answer("contracts_for", {"contracts_for": body})


@call("ticks", {"ticks": Field(either(WORD, list_of(WORD)), True), "subscribe": SUBSCRIBE})
def ticks(session: "Session", request: Request, at: float) -> Answer:
    """The current tick of a symbol; can be followed."""
    asked = request["ticks"] if isinstance(request["ticks"], list) else [request["ticks"]]
    symbols = [listed(code) for code in dict.fromkeys(asked)]
    if not symbols:
        raise Refusal("InputValidationFailed", "Name a symbol.", {"ticks": "must not be empty"})
    streams: list[Stream | None] = [None] * len(symbols)
    if request.get("subscribe"):
        streams = []
        try:
            for symbol in symbols:
                streams.append(session.subscribe(TickStream(session, symbol.code)))
        except Refusal:
            for stream in streams:
                session.streams.pop(stream.id if stream else "", None)
            raise
    answers = [
        Answer(
            "tick",
            {"tick": frames.tick(session.engine.market.last(symbol.code, at), stream.id if stream else None)},
            stream,
        )
        for symbol, stream in zip(symbols, streams, strict=True)
    ]
    answers[0].more = answers[1:]
    return answers[0]


@call(
    "ticks_history",
    {
        "ticks_history": Field(WORD, True),
        "end": Field(text(r"latest|[0-9]{1,10}"), True),
        "start": Field(EPOCH),
        "count": Field(whole(1)),
        "style": Field(one_of("ticks", "candles")),
        "granularity": Field(one_of(*GRANULARITIES)),
        "adjust_start_time": Field(one_of(1)),
        "subscribe": SUBSCRIBE,
    },
)
def ticks_history(session: "Session", request: Request, at: float) -> Answer:
    """Past ticks or candles; can be followed."""
    symbol = listed(request["ticks_history"])
    end = at if request["end"] == "latest" else min(float(request["end"]), at)
    count = min(request.get("count", MOST_TICKS if "start" in request else 1000), MOST_TICKS)
    candles = request.get("style") == "candles"
    length = request.get("granularity", 60)
    market = session.engine.market
    last = market.index_at(symbol.code, end)
    since = end - end % length - (count - 1) * length if candles else None
    first = last - count + 1 if since is None else market.index_at(symbol.code, since - 0.5) + 1
    if "start" in request:
        if request["start"] > end:
            raise Refusal(
                "InputValidationFailed", "The start is after the end.", {"start": "is after the end"}
            )
        first = max(first, market.index_at(symbol.code, request["start"] - 0.5) + 1)
    quotes = _sampled(market, symbol.code, max(first, 0), last)
    stream: Stream | None = None
    if request.get("subscribe"):
        stream = CandleStream(session, symbol.code, length) if candles else TickStream(session, symbol.code)
        session.subscribe(stream)
    body: dict[str, Any] = {"pip_size": symbol.decimals}
    if not candles:
        body["history"] = {
            "prices": [quote.price for quote in quotes],
            "times": [quote.epoch for quote in quotes],
        }
        return Answer("history", body, stream)
    body["candles"] = _candles(quotes, length)[-count:]
    if isinstance(stream, CandleStream):
        stream.take(quotes)
    return Answer("candles", body, stream)


def _sampled(market: Market, code: str, first: int, last: int) -> list[Quote]:
    """The ticks of a span; of a very long one (candles of hours and days) an even sample, to stay quick."""
    if last < first:
        return []
    stride = (last - first) // MOST_SAMPLED + 1
    indices = range(first + -first % stride, last + 1, stride)
    return [market.quote(code, index) for index in indices]


def _candles(quotes: list[Quote], length: int) -> list[dict[str, Any]]:
    candles: list[dict[str, Any]] = []
    for quote in quotes:
        opened, price = quote.epoch - quote.epoch % length, quote.price
        if not candles or candles[-1]["epoch"] != opened:
            candles.append({"epoch": opened, "open": price, "high": price, "low": price, "close": price})
        last = candles[-1]
        last |= {"high": max(last["high"], price), "low": min(last["low"], price), "close": price}
    return candles


@call("website_status", {"website_status": Field(one_of(1), True), "subscribe": Field(one_of(0, 1))})
def website_status(session: "Session", request: Request, at: float) -> Answer:
    """State of the site, currencies, request limits; can be followed."""
    stream = session.subscribe(StatusStream(session)) if request.get("subscribe") else None
    return Answer("website_status", site_status(session.conditions.site_status), stream)


def site_status(status: str) -> dict[str, Any]:
    """The body of a `website_status` frame."""
    per_minute = limits.PER_MINUTE
    currency = {
        "type": "fiat",
        "fractional_digits": 2,
        "stake_default": DEFAULT_STAKE,
        "is_suspended": 0,
        "is_deposit_suspended": 0,
        "is_withdrawal_suspended": 0,
        "transfer_between_accounts": {"fees": {}, "limits": None},
    }
    body = {
        "site_status": status,
        "supported_languages": ["EN"],
        "currencies_config": {code: {**currency, "name": code} for code in CURRENCIES},
        "api_call_limits": {
            "max_proposal_subscription": {"applies_to": "proposal streams", "max": limits.PROPOSAL_STREAMS},
            "max_requestes_general": _limit("calls in no other group", per_minute["general"]),
            "max_requests_pricing": _limit("proposal, proposal_open_contract", per_minute["pricing"]),
            "max_requests_outcome": _limit("portfolio, profit_table, statement", per_minute["outcome"]),
        },
    }
    return {"website_status": body}


def _limit(applies_to: str, per_minute: int) -> dict[str, Any]:
    return {"applies_to": applies_to, "minutely": per_minute, "hourly": per_minute * 60}


@call("forget", {"forget": Field(STREAM_ID, True)})
def forget(session: "Session", request: Request, at: float) -> Answer:
    """Ends one stream."""
    return Answer("forget", {"forget": int(session.streams.pop(request["forget"], None) is not None)})


@call("forget_all", {"forget_all": Field(either(STREAM_KIND, list_of(STREAM_KIND)), True)})
def forget_all(session: "Session", request: Request, at: float) -> Answer:
    """Ends all streams of a kind."""
    kinds = request["forget_all"] if isinstance(request["forget_all"], list) else [request["forget_all"]]
    ids = [stream.id for stream in session.streams.values() if stream.kind in kinds]
    for stream_id in ids:
        del session.streams[stream_id]
    return Answer("forget_all", {"forget_all": ids})
