"""What the simulator refuses on the wire, and how: wrong tokens, wrong fields, nonsense, too much."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.talking import TERMS, TIMED, talk

pytestmark = pytest.mark.processes

Account = dict[str, Any]
MANY: dict[str, Any] = {
    "buy_contract_for_multiple_accounts": "1",
    "price": 10,
    "tokens": ["x"],
    "parameters": TERMS,
}


REFUSED_WITHOUT_TOKEN: list[dict[str, Any]] = [
    {"balance": 1},
    {"buy": "1", "price": 1, "parameters": TERMS},
    {"sell": 1, "price": 0},
    {"portfolio": 1},
    {"statement": 1},
    {"profit_table": 1},
    {"transaction": 1, "subscribe": 1},
    {"proposal_open_contract": 1},
    {"topup_virtual": 1},
    {"account_list": 1},
    {"app_markup_details": 1, "date_from": "1", "date_to": "2"},
    {"app_markup_statistics": 1, "date_from": "1", "date_to": "2"},
    {"buy_contract_for_multiple_accounts": "1", "price": 1, "tokens": [], "parameters": TERMS},
    {"cancel": 1},
    {"contract_update": 1, "contract_id": 1, "limit_order": {}},
    {"copy_start": "x" * 32},
    {"copy_stop": "x" * 32},
    {"copytrading_list": 1},
    {"get_settings": 1},
    {"sell_expired": 1},
    {"transfer_between_accounts": 1},
]


def test_what_needs_a_token_and_a_scope(venue: SimulatorProcess) -> None:
    reader = venue.open_account("reader-only", scopes=["read"])
    other = venue.open_account("somebody-else")

    async def story() -> None:
        async with talk(venue) as wire:
            for request in REFUSED_WITHOUT_TOKEN:
                assert await wire.refusal(request) == "AuthorizationRequired"
            assert await wire.refusal({"authorize": "wrong"}) == "InvalidToken"
        async with talk(venue, reader) as wire:
            assert await wire.refusal({"buy": "1", "price": 10, "parameters": TERMS}) == "PermissionDenied"
            assert await wire.refusal({"balance": 1, "loginid": other["login_id"]}) == "PermissionDenied"
            for request in ({"sell_expired": 1}, {"transfer_between_accounts": 1}, {"copytrading_list": 1}):
                assert await wire.refusal(request) == "PermissionDenied"
            assert (await wire.ask({"balance": 1, "account": "all"}))["balance"]["balance"] == 10000.0
            assert (await wire.ask({"logout": 1}))["logout"] == 1
            assert await wire.refusal({"balance": 1}) == "AuthorizationRequired"

    asyncio.run(story())


def test_another_account_s_contract_looks_like_none(venue: SimulatorProcess, account: Account) -> None:
    other = venue.open_account("a-third-one")

    async def story() -> None:
        async with talk(venue, account) as wire:
            request = {"buy": "1", "price": 100, "parameters": TIMED}
            number = (await wire.ask(request))["buy"]["contract_id"]
        async with talk(venue, other) as wire:
            assert await wire.refusal({"sell": number, "price": 0}) == "NoOpenPosition"
            request = {"proposal_open_contract": 1, "contract_id": number}
            assert await wire.refusal(request) == "NoOpenPosition"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("InvalidSymbol", {"symbol": "NOPE"}),
        ("OfferingsValidationError", {"contract_type": "ONETOUCH"}),
        ("OfferingsValidationError", {"duration": 99}),
        ("OfferingsValidationError", {"duration": 5, "duration_unit": "s"}),
        ("OfferingsValidationError", {"barrier": "+0.5"}),
        ("OfferingsValidationError", {"date_start": 1_900_000_000}),
        ("StakeLimits", {"amount": 0.1}),
        ("PayoutLimits", {"amount": 30_000}),
        ("ContractBuyValidationError", {"amount": 10.123}),
        ("ContractBuyValidationError", {"currency": "EUR"}),
    ],
)
def test_what_cannot_be_bought(
    venue: SimulatorProcess, account: Account, code: str, changes: dict[str, Any]
) -> None:
    async def story() -> None:
        async with talk(venue, account) as wire:
            parameters = {**TERMS, **changes}
            assert await wire.refusal({"proposal": 1, **parameters}) == code
            assert await wire.refusal({"buy": "1", "price": 90_000, "parameters": parameters}) == code
            assert (await wire.ask({"balance": 1}))["balance"]["balance"] == 10000.0

    asyncio.run(story())


def test_money_that_is_not_there(venue: SimulatorProcess) -> None:
    poor = venue.open_account("poor", balance="5.00")

    async def story() -> None:
        async with talk(venue, poor) as wire:
            assert await wire.refusal({"buy": "1", "price": 10, "parameters": TERMS}) == "InsufficientBalance"
            assert (await wire.ask({"topup_virtual": 1}))["topup_virtual"] == {
                "amount": 9995.0,
                "currency": "USD",
            }
            assert await wire.refusal({"topup_virtual": 1}) == "TopupVirtualError"
            assert (await wire.ask({"balance": 1}))["balance"]["balance"] == 10000.0

    asyncio.run(story())


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("ticks", {"ticks": 5}),
        ("ticks", {"ticks": []}),
        ("subscribe", {"ticks": "R_100", "subscribe": 2}),
        ("subscribe", {"ticks": "R_100", "subscribe": True}),
        ("surprise", {"ping": 1, "surprise": 1}),
        ("ping", {"ping": "1"}),
        ("passthrough", {"ping": 1, "passthrough": 1}),
        ("end", {"ticks_history": "R_100"}),
        ("granularity", {"ticks_history": "R_100", "end": "latest", "style": "candles", "granularity": 61}),
        ("contract_type", {"proposal": 1, "symbol": "R_100", "currency": "USD"}),
        ("amount", {"proposal": 1, **TERMS, "amount": "10"}),
        ("amount", {"proposal": 1, **TERMS, "amount": -1}),
        ("basis", {"proposal": 1, **TERMS, "basis": "gift"}),
        ("duration", {"proposal": 1, **TERMS, "duration": 1.5}),
        ("price", {"buy": "1", "parameters": TERMS}),
        ("buy", {"buy": 1, "price": 10}),
        ("parameters", {"buy": "1", "price": 10}),
        ("parameters.symbol", {"buy": "1", "price": 10, "parameters": {**TERMS, "symbol": 1}}),
        ("sell", {"sell": "1", "price": 0}),
        ("contract_id", {"proposal_open_contract": 1, "contract_id": "1"}),
        ("limit", {"statement": 1, "limit": 1000}),
        ("date_from", {"profit_table": 1, "date_from": "yesterday"}),
        ("date_from", {"profit_table": 1, "date_from": "2026-02-31"}),
        ("forget", {"forget": "short"}),
        ("forget_all", {"forget_all": ["everything"]}),
        ("authorize", {"authorize": "not a token!"}),
        ("loginid", {"account_list": 1, "loginid": "CR1"}),
        ("date_to", {"app_markup_statistics": 1, "date_from": "1"}),
        ("date_from", {"app_markup_statistics": 1, "date_from": "2026-01-01", "date_to": "1"}),
        ("date_from", {"app_markup_statistics": 1, "date_from": "2026-02-31 00:00:00", "date_to": "1"}),
        ("date_to", {"app_markup_details": 1, "date_from": "1", "date_to": "2026-01-01 24:00:00"}),
        (
            "client_loginid",
            {"app_markup_details": 1, "date_from": "1", "date_to": "2", "client_loginid": "1"},
        ),
        ("limit", {"app_markup_details": 1, "date_from": "1", "date_to": "2", "limit": 1001}),
        ("sort_fields", {"app_markup_details": 1, "date_from": "1", "date_to": "2", "sort_fields": ["id"]}),
        (
            "sort_fields",
            {"app_markup_details": 1, "date_from": "1", "date_to": "2", "sort_fields": ["app_id"] * 2},
        ),
        ("landing_company", {"asset_index": 1, "landing_company": "mars"}),
        ("tokens", {**MANY, "tokens": ["a token!"]}),
        ("parameters", {"buy_contract_for_multiple_accounts": "1", "price": 1, "tokens": []}),
        ("parameters.duration", {**MANY, "parameters": {**TERMS, "duration": 3601}}),
        ("parameters.cancellation", {**MANY, "parameters": {**TERMS, "cancellation": "1h"}}),
        ("cancel", {"cancel": "1"}),
        ("limit_order", {"contract_update": 1, "contract_id": 1}),
        ("limit_order.price", {"contract_update": 1, "contract_id": 1, "limit_order": {"price": 1}}),
        (
            "limit_order.stop_loss",
            {"contract_update": 1, "contract_id": 1, "limit_order": {"stop_loss": "1"}},
        ),
        ("copy_start", {"copy_start": "short"}),
        ("copy_stop", {"copy_stop": "x" * 33}),
        ("assets", {"copy_start": "x" * 32, "assets": ["R_100", 5]}),
        ("min_trade_stake", {"copy_start": "x" * 32, "min_trade_stake": "1"}),
        ("trader_id", {"copytrading_statistics": 1, "trader_id": "nobody"}),
        ("base_currency", {"exchange_rates": 1}),
        ("target_currency", {"exchange_rates": 1, "base_currency": "USD", "subscribe": 1}),
        ("target_currency", {"exchange_rates": 1, "base_currency": "USD", "include_spread": 1}),
        ("market", {"ticks_batch": 1}),
        ("market", {"ticks_batch": 1, "market": "horses"}),
        ("trading_times", {"trading_times": "tomorrow"}),
        ("trading_times", {"trading_times": "2026-02-30"}),
        ("accounts", {"transfer_between_accounts": 1, "accounts": "some"}),
        (
            "amount",
            {"transfer_between_accounts": 1, "account_from": "CR1", "account_to": "CR2", "currency": "USD"},
        ),
    ],
)
def test_a_wrong_field_is_named(
    venue: SimulatorProcess, account: Account, field: str, request_: dict[str, Any]
) -> None:
    async def story() -> None:
        async with talk(venue, account) as wire:
            answer = await wire.ask(request_, valid=False)
            assert answer["error"]["code"] == "InputValidationFailed"
            assert list(answer["error"]["details"]) == [field]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("InvalidJSON", "{"),
        ("InvalidJSON", ""),
        ("InvalidJSON", '{"ping": NaN}'),
        ("InvalidJSON", '{"ping": 1e999999999}'),
        ("InvalidJSON", '{"ping": ' + "9" * 5000 + "}"),
        ("InvalidJSON", "[" * 100_000),
        ("InvalidJSON", b"\xff\xfe{"),
        ("BadRequest", "[1]"),
        ("BadRequest", '"ping"'),
        ("BadRequest", "null"),
        ("UnrecognisedRequest", "{}"),
        ("UnrecognisedRequest", '{"make_me_rich": 1}'),
        ("InputValidationFailed", '{"ping": 1, "req_id": "x"}'),
        ("InputValidationFailed", '{"ping": 1, "\\ud800": 1}'),
    ],
)
def test_nonsense_gets_an_error_and_the_connection_lives(
    venue: SimulatorProcess, code: str, text: str | bytes
) -> None:
    async def story() -> None:
        async with talk(venue) as wire:
            await wire.socket.send(text)
            answer = await wire.read()
            assert answer["error"]["code"] == code
            assert (await wire.ask({"ping": 1}))["ping"] == "pong"

    asyncio.run(story())


def test_a_huge_frame_closes_its_connection_and_no_other(venue: SimulatorProcess) -> None:

    async def story() -> None:
        async with talk(venue) as bystander, talk(venue) as wire:
            with pytest.raises(ConnectionClosedError) as closed:
                await wire.socket.send(json.dumps({"ping": 1, "passthrough": {"x": "y" * 1_000_000}}))
                await wire.read()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
            assert (await bystander.ask({"ping": 1}))["ping"] == "pong"

    asyncio.run(story())


@pytest.mark.parametrize("query", ["", "?app_id=", "?app_id=abc", "?app_id=-1", "?app_id=99999999999"])
def test_a_connection_needs_an_application(venue: SimulatorProcess, query: str) -> None:

    async def story() -> None:
        with pytest.raises(InvalidStatus) as refused:
            async with connect(venue.socket_url + query, proxy=None):
                pass
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body)["error"]["code"] == "InvalidAppID"

    asyncio.run(story())


def test_no_token_in_the_log(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with talk(venue, account):
            pass

    asyncio.run(story())
    assert account["token"] not in venue.log.read_text()
