"""Whatever is asked over HTTP, the venue answers something it meant to answer, and money does not come from nowhere."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokerage.deriv.simulator.books import Agent
from brokerage.deriv.simulator.clock import Clock
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.nicknames import nickname
from brokerage.deriv.simulator.payments import Payments
from brokerage.deriv.simulator.prices import Market
from brokerage.deriv.simulator.rules import Rules
from brokerage.deriv.simulator.server import Options, application
from brokerage.deriv.simulator.store import Store
from brokerage.deriv.wire import encode

NOW = time.time()
ENGINE = Engine(Store(None), Market(5, Clock.begin(NOW, 20)), Rules(open_positions=10**6))
AGENT = ENGINE.open_account("agent", "USD", Decimal("1000.00"), False, NOW)
CLIENT = ENGINE.open_account("client", "USD", Decimal("1000.00"), False, NOW)
APPLICATION = application(ENGINE, Options(limits=False))
MADE = Payments(ENGINE).make_agent(Agent(0, AGENT.user_id, int(NOW), "One", ("id",)))
PARAMETERS = {
    "contract_type": "CALL", "underlying_symbol": "1HZ100V", "basis": "stake", "amount": 1, "duration": 5,
    "duration_unit": "m", "currency": "USD",
}  # fmt: skip
PAIR = {"token": CLIENT.token, "account_id": CLIENT.login_id}
PAID = {"amount": "1.00", "currency": "USD", "request_id": "r", "notes": ""}
WITHDRAWN = {**PAID, "agent_id": MADE.agent_id, "verification_code": "123456"}
BODIES: dict[str, dict[str, Any]] = {
    "/payment-agents/v1/transfer": {"data": {**PAID, "to_nickname": nickname(CLIENT.user_id)}},
    "/payment-agents/v1/withdraw/verification_code": {"data": WITHDRAWN},
    "/payment-agents/v1/withdraw": {"data": WITHDRAWN},
    "/trading/v1/options/contracts/bulk-purchase/real": {
        "contract_parameters": PARAMETERS,
        "accounts": [PAIR],
    },
}
QUERIES: dict[str, dict[str, Any]] = {
    "/payment-agents/v1/agents": {"currency": "USD", "country": "id", "page": "1", "per_page": "25"},
    "/payment-agents/v1/agents/me": {},
    "/payment-agents/v1/withdraw/r": {},
    "/applications/v1/markup-statistics": {"date_from": "2026-05-01", "date_to": "2026-05-06"},
}
ODD = st.sampled_from([
    None, True, 0, 1, -1, 10**30, Decimal("0.5"), Decimal("1e39"), Decimal("1e-39"), "", "0", "1", "1.00", "0.001",
    "1e5", "NaN", "-1", "9" * 40, "\ud800", "ä", "x" * 600, [], {}, [None], "2026-02-30", "0000-00-00", "9999-12-31",
])  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, Any]:
    path = draw(st.sampled_from(sorted(BODIES)))
    body: dict[str, Any] = dict(BODIES[path])
    if draw(st.integers(0, 9)) == 0:
        return path, draw(ODD)
    name = draw(st.sampled_from(sorted(body)))
    inside = body[name]
    if draw(st.integers(0, 4)) == 0:
        return path, {**body, name: draw(ODD)}
    part = dict(inside[0] if isinstance(inside, list) else inside)
    part |= draw(st.dictionaries(st.sampled_from(sorted(part)), ODD, max_size=2))
    return path, {**body, name: [part] if isinstance(inside, list) else part}


def asked(account: Any, method: str, path: str, **options: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(APPLICATION, raise_app_exceptions=True)
        headers = {"Deriv-App-ID": "55", "Authorization": f"Bearer {account.token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://venue") as client:
            return await client.request(method, path, headers=headers, **options)

    return asyncio.run(ask())


def money() -> Decimal:
    """All that is in wallets, in open contracts and on its way through an agent."""
    held = sum(ENGINE.account(login).balance for login in (AGENT.login_id, CLIENT.login_id))
    bought = sum(contract.buy_price for contract in ENGINE.store.contracts(CLIENT.login_id))
    sold = sum(contract.sell_price or 0 for contract in ENGINE.store.contracts(CLIENT.login_id))
    return held + bought - sold


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bodies(), st.sampled_from([AGENT, CLIENT]))
def test_no_body_makes_the_venue_fail(sent: tuple[str, Any], account: Any) -> None:
    path, body = sent
    before = money()
    answer = asked(account, "POST", path, content=encode(body))
    assert answer.status_code in (200, 400), answer.text
    assert ("errors" in answer.json()) or answer.status_code == 200
    # Nobody knows the code, so nothing is withdrawn; a transfer and a purchase only change where the money is.
    assert money() == before


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_query_makes_the_venue_fail(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(QUERIES)))
    query = dict(QUERIES[path])
    if query:
        odd = ODD.filter(lambda value: isinstance(value, str) and value != "\ud800")
        query |= data.draw(st.dictionaries(st.sampled_from(sorted(query)), odd, max_size=2))
    answer = asked(data.draw(st.sampled_from([AGENT, CLIENT])), "GET", path, params=query)
    assert answer.status_code in (200, 400, 404, 422), answer.text
