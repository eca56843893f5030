"""Whatever a client asks, the venue answers something it meant to answer."""

import json
import time
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from brokerage.deriv.simulator.clock import Clock
from brokerage.deriv.simulator.conditions import Conditions
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.faults import Faults
from brokerage.deriv.simulator.generation import Generation
from brokerage.deriv.simulator.moves import Moves
from brokerage.deriv.simulator.prices import Market
from brokerage.deriv.simulator.pulse import Pulse
from brokerage.deriv.simulator.rules import Rules
from brokerage.deriv.simulator.store import Store
from brokerage.deriv.simulator.v3.generation import V3
from brokerage.deriv.simulator.v3.limits import Limits
from brokerage.deriv.simulator.v3.session import Session
from brokerage.deriv.simulator.v4.generation import V4
from brokerage.deriv.wire import encode
from tests.brokerage.deriv.schemas import Recorder

LIKELY: list[Any] = [
    0,
    1,
    2,
    -1,
    10,
    60,
    1000,
    10**18,
    10**30,
    1_795_262_400,
    Decimal("0.5"),
    Decimal("10.25"),
]
LIKELY += [
    Decimal("1e39"),
    Decimal("1e-39"),
    True,
    None,
    "",
    "1",
    "0",
    "latest",
    "9999999999",
    "R_100",
    "1HZ100V",
]
LIKELY += [
    "CALL",
    "PUT",
    "USD",
    "stake",
    "payout",
    "t",
    "s",
    "m",
    "d",
    "candles",
    "ticks",
    "ASC",
    "brief",
    "all",
    "EUR",
    "forex",
    "today",
]
LIKELY += [
    "2026-02-30",
    "2026-02-28",
    "0000-01-01",
    "2026-02-31 10:00:00",
    "2026-2-3 4:5:6",
    "x" * 36,
    ["R_100", "R_10"],
    ["CALL"],
    [],
    {},
    [None],
    "\ud800",
]
TERMS: dict[str, Any] = {
    "contract_type": "CALL",
    "symbol": "1HZ100V",
    "basis": "stake",
    "amount": 1,
    "duration": 1,
    "duration_unit": "t",
    "currency": "USD",
}
DEMO, REAL, ITS_OTHER = "VRTC9000001", "CR9000003", "CR9000004"
MOVED = {"account_from": REAL, "account_to": ITS_OTHER, "amount": 1, "currency": "USD"}
MUST: dict[str, dict[str, Any]] = {
    "proposal": TERMS,
    "buy": {"price": 5, "parameters": TERMS},
    "ticks_history": {"end": "latest"},
    "app_markup_details": {"date_from": "1", "date_to": "2100-01-01 00:00:00"},
    "app_markup_statistics": {"date_from": "1", "date_to": "9999999999"},
    "buy_contract_for_multiple_accounts": {"price": 5, "parameters": TERMS, "tokens": ["x"]},
    "contract_update": {"contract_id": 1, "limit_order": {}},
    "contract_update_history": {"contract_id": 1},
    "copytrading_statistics": {"trader_id": DEMO},
    "exchange_rates": {"base_currency": "USD"},
    "ticks_batch": {"market": "synthetic_index"},
    "transfer_between_accounts": MOVED,
}
FIRST = {
    "buy": "1",
    "buy_contract_for_multiple_accounts": "1",
    "ticks": "R_100",
    "ticks_history": "R_100",
    "contracts_for": "R_100",
    "active_symbols": "brief",
    "trading_times": "today",
}


def make_session(generation: Generation) -> Session:
    now = time.time()
    engine = Engine(Store(None), Market(5, Clock.begin(now, 20)), Rules(open_positions=10**6))
    balance = Decimal("1000000.00")
    account = engine.open_account("a", "USD", balance, True, now)
    trader = engine.open_account("b", "USD", balance, True, now)
    real = engine.open_account("c", "USD", balance, False, now)
    engine.open_account("d", "EUR", balance, False, now, user_id=real.user_id)
    if generation is V3:
        FIRST["copy_start"] = FIRST["copy_stop"] = trader.token
        MUST["buy_contract_for_multiple_accounts"]["tokens"] = [trader.token, "x"]
    conditions, moves = Conditions(engine.reload), Moves(engine)
    session = Session("s", generation, 1, Pulse(engine), Faults(), Limits(False), conditions, moves)
    session.belong_to(account.login_id)
    return session


@st.composite
def requests(draw: st.DrawFn) -> tuple[Generation, dict[str, Any]]:
    generation = draw(st.sampled_from((V3, V4)))
    calls = generation.calls
    name = draw(st.sampled_from(sorted(calls)))
    values = st.sampled_from(LIKELY) | st.text(max_size=5) | st.integers()
    request: dict[str, Any] = {name: FIRST.get(name, 1), **MUST.get(name, {})}
    if generation is V4:
        request = _in_v4(request)
    fields = draw(st.dictionaries(st.sampled_from(sorted(calls[name].fields)), values, max_size=3))
    request |= fields
    if "parameters" in MUST.get(name, {}) and draw(st.booleans()):
        parameter = st.sampled_from([*TERMS, "app_markup_percentage", "barrier"])
        parameters = TERMS | draw(st.dictionaries(parameter, values, max_size=2))
        request["parameters"] = _in_v4(parameters) if generation is V4 else parameters
    return generation, request


def _in_v4(request: dict[str, Any]) -> dict[str, Any]:
    named = {"underlying_symbol" if name == "symbol" else name: value for name, value in request.items()}
    return named | ({"parameters": _in_v4(named["parameters"])} if "parameters" in named else {})


SESSIONS = {generation.name: make_session(generation) for generation in (V3, V4)}


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example((V3, {"proposal": 1, **TERMS, "amount": 10**30}), DEMO)
@example(
    (V3, {"buy": "1", "price": 10**30, "parameters": {**TERMS, "amount": 10**30, "basis": "payout"}}), DEMO
)
@example(
    (V3, {"buy": "1", "price": 5, "parameters": {**TERMS, "app_markup_percentage": Decimal("1e39")}}), DEMO
)
@example(
    (V3, {"ticks_history": "R_100", "end": "latest", "start": 1, "count": 10**18, "style": "candles"}), DEMO
)
@example((V3, {"sell": 10**30, "price": 0}), DEMO)
@example((V3, {"statement": 1, "offset": 10**30}), DEMO)
@example((V3, {"transfer_between_accounts": 1, **MOVED, "amount": Decimal("1e39")}), REAL)
@example((V3, {"transfer_between_accounts": 1, **MOVED, "amount": Decimal("1e-39")}), REAL)
@given(requests(), st.sampled_from([DEMO, REAL]))
def test_no_request_makes_the_venue_fail(asked: tuple[Generation, dict[str, Any]], login_id: str) -> None:
    generation, request = asked
    session = SESSIONS[generation.name]
    session.belong_to(login_id)
    session.receive(encode(request))
    text = session.outgoing.get_nowait()
    assert text is not None
    answer = json.loads(text)
    assert answer.get("error", {}).get("code") not in ("InternalServerError", "InvalidJSON"), answer
    Recorder(generation.name).received(answer)
    session.streams.clear()
    while not session.outgoing.empty():
        session.outgoing.get_nowait()


@given(st.text() | st.binary())
def test_no_text_makes_the_venue_fail(text: str | bytes) -> None:
    session = SESSIONS["v3"]
    session.receive(text)
    answer = json.loads(session.outgoing.get_nowait() or "")
    assert answer["error"]["code"] in ("InvalidJSON", "BadRequest", "UnrecognisedRequest")
