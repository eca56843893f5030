"""Whatever the venue answers, in either generation, is read exactly or refused; nothing else ever happens."""

import asyncio
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokerage.deriv import answers, v3, v4
from brokerage.deriv.errors import MalformedAnswer, VenueError
from brokerage.deriv.rest import RestClient
from brokerage.deriv.rest_types import Buyer
from brokerage.deriv.subscription import Subscription
from brokerage.deriv.types import ContractTerms
from brokerage.deriv.wire import decode, encode
from tests.brokerage.deriv.from_schema import allowed, broken, written
from tests.brokerage.deriv.schemas import needs_schemas, schema_of

pytestmark = needs_schemas

Reader = Callable[[Any], Any]
DIALECTS = {"v3": v3.DIALECT, "v4": v4.DIALECT}
SHARED: dict[str, Reader] = {
    "balance": answers.balance,
    "buy": answers.purchase,
    "sell": answers.sale,
    "proposal": answers.proposal,
    "ticks": answers.tick,
    "ticks_history": answers.history,
    "contracts_for": answers.offers,
    "profit_table": answers.profit_table,
    "statement": answers.statement,
}


def readers(generation: str) -> dict[str, Reader]:
    dialect = DIALECTS[generation]
    own: dict[str, Reader] = {
        "active_symbols": dialect.active_symbols,
        "proposal_open_contract": dialect.contract_state,
        "portfolio": dialect.portfolio,
        "transaction": dialect.transaction,
    }
    of_v3: dict[str, Reader] = {"authorize": answers.authorization, "website_status": answers.site_status}
    return SHARED | own | (of_v3 if generation == "v3" else {})


CALLS = [(generation, call) for generation in DIALECTS for call in readers(generation)]
TERMS = ContractTerms("CALL", "R_100", "stake", Decimal("1.00"), 1, "t", "USD")
REQUESTS = {
    "get_accounts": lambda rest: rest.accounts(),
    "create_account": lambda rest: rest.create_account(is_demo=True),
    "websocket": lambda rest: rest.socket_address("VRTC1"),
    "reset_demo_balance": lambda rest: rest.reset_demo_balance("VRTC1"),
    "legacy_migration_status": lambda rest: rest.migration(),
    "legacy_accounts": lambda rest: rest.legacy_logins(),
    "legacy_statement": lambda rest: rest.legacy_statement("CR1"),
    "markup_statistics": lambda rest: rest.markup_statistics(date(2026, 5, 1), date(2026, 5, 6)),
    "bulk_purchase": lambda rest: rest.bulk_purchase(TERMS, [Buyer("VRTC1", "t")], is_demo=True),
    "payment_agent_list": lambda rest: rest.agents(),
    "payment_agent_get": lambda rest: rest.agent("me"),
    "payment_agent_statistics": lambda rest: rest.agent_coverage(),
    "payment_agent_transfer": lambda rest: rest.transfer("baba", Decimal("1.00"), request_id="r"),
    "payment_agent_withdraw_verification": lambda rest: rest.request_withdrawal_code(1, Decimal("1.00")),
    "payment_agent_withdraw": lambda rest: rest.withdraw(1, Decimal("1.00"), "000000", request_id="r"),
    "payment_agent_withdraw_status": lambda rest: rest.withdrawal("r"),
    "nickname": lambda rest: rest.nickname(),
}


def decimals(value: Any) -> list[Decimal]:
    """Every decimal in a value the client made."""
    if isinstance(value, Decimal):
        return [value]
    if isinstance(value, tuple):
        return [one for item in value for one in decimals(item)]
    if is_dataclass(value):
        return [one for field in fields(value) for one in decimals(getattr(value, field.name))]
    return []


def read(reader: Reader, frame: Any) -> Any:
    """What the client makes of a frame that came over the wire; ``None`` if it refuses it."""
    arrived = decode(encode(frame))
    if not isinstance(arrived, dict):
        return None  # the connection drops it before anybody reads it
    subscription: Subscription[Any] = Subscription("any", reader, 10)
    taken = subscription.feed(arrived)
    try:
        value = reader(arrived)
    except ValueError:
        assert not taken
        return None
    assert taken
    assert {str(number) for number in decimals(value)} <= written(arrived), "a price was changed on its way"
    return value


def test_readers_find_the_prices_that_are_there() -> None:
    balance = {"balance": {"balance": Decimal("0.1000"), "currency": "USD", "loginid": "CR1"}}
    assert decimals(read(answers.balance, balance)) == [Decimal("0.1000")]
    assert str(read(answers.balance, balance).balance) == "0.1000"
    assert read(answers.balance, {"balance": {**balance["balance"], "balance": "0.1000"}}) is None


@pytest.mark.parametrize(("generation", "call"), CALLS)
def test_every_answer_is_read_exactly_or_refused(generation: str, call: str) -> None:
    reader, schema = readers(generation)[call], schema_of(generation, call, "receive")
    frames, understood = allowed(schema), list[bool]()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def each(data: st.DataObject) -> None:
        frame = data.draw(frames)
        understood.append(read(reader, frame) is not None)
        read(reader, data.draw(broken(frame)) if isinstance(frame, dict) else {})

    each()
    assert any(understood), "some of what the schema allows is read"


@pytest.mark.parametrize("request_name", REQUESTS)
def test_every_answer_over_http_is_read_exactly_or_refused(request_name: str) -> None:
    schema = schema_of("v4", request_name, "receive")

    async def ask(body: Any, status: int) -> Any:
        async with RestClient("http://venue.invalid", "1", "token") as rest:
            await rest._http.aclose()
            answer = httpx.Response(status, content=encode(body))
            rest._http = httpx.AsyncClient(
                base_url="http://venue.invalid", transport=httpx.MockTransport(lambda request: answer)
            )
            return await REQUESTS[request_name](rest)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def each(data: st.DataObject) -> None:
        body = data.draw(allowed(schema))
        if data.draw(st.booleans()):
            body = data.draw(broken(body))
        status = data.draw(st.sampled_from([200, 200, 200, 201, 400, 401, 403, 404, 429, 500, 503, 504]))
        try:
            value = asyncio.run(ask(body, status))
        except VenueError as found:
            assert status >= 400 or isinstance(found, MalformedAnswer)
        else:
            assert status < 400
            assert {str(number) for number in decimals(value)} <= written(body)

    each()
