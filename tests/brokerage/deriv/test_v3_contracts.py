"""Purchases for many accounts, expired contracts and what rise/fall contracts cannot do, on the wire."""

import asyncio
from typing import Any

import pytest

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.talking import TERMS, TIMED, talk

pytestmark = pytest.mark.processes

Account = dict[str, Any]
MANY = "buy_contract_for_multiple_accounts"


def balances(venue: SimulatorProcess, *accounts: Account) -> list[str]:
    return [venue.books(account["login_id"])["account"]["balance"] for account in accounts]


def test_each_account_buys_or_is_refused_by_itself(venue: SimulatorProcess, account: Account) -> None:
    rich = venue.open_account("many-rich", balance="100.00")
    poor = venue.open_account("many-poor", balance="5.00")
    euros = venue.open_account("many-euros", currency="EUR", balance="100.00")
    reader = venue.open_account("many-reader", balance="100.00", scopes=["read"])
    tokens = [one["token"] for one in (rich, poor, euros, reader, rich)]
    tokens.insert(1, "no-such-token")

    async def story() -> None:
        async with talk(venue, account) as wire, talk(venue, rich) as other:
            await other.ask({"transaction": 1, "subscribe": 1})
            request = {MANY: "1", "price": 10, "tokens": tokens, "parameters": TIMED}
            answer = await wire.ask(request)
            assert answer["echo_req"]["tokens"] == ["<not shown>"] * 6
            rows = answer[MANY]["result"]
            assert [row["token"] for row in rows] == tokens
            assert [row.get("code", "bought") for row in rows] == [
                "bought",
                "InvalidToken",
                "InsufficientBalance",
                "ContractBuyValidationError",
                "PermissionDenied",
                "bought",
            ]
            assert [row["buy_price"] for row in (rows[0], rows[-1])] == [10, 10]
            told = [(await other.read())["transaction"] for _ in range(2)]
            assert [frame["contract_id"] for frame in told] == [
                rows[0]["contract_id"],
                rows[-1]["contract_id"],
            ]
            assert [frame["transaction_id"] for frame in told] == [
                row["transaction_id"] for row in (rows[0], rows[-1])
            ]
        assert balances(venue, account, rich, poor, euros, reader) == [
            "10000.00",
            "80.00",
            "5.00",
            "100.00",
            "100.00",
        ]

    asyncio.run(story())


def test_a_proposal_for_many_accounts_is_used_up_by_the_first_who_buys(
    venue: SimulatorProcess, account: Account
) -> None:
    async def story() -> None:
        async with talk(venue, account) as wire:
            number = (await wire.ask({"proposal": 1, **TIMED}))["proposal"]["id"]
            request = {MANY: number, "price": 10, "tokens": ["no-such-token"]}
            assert (await wire.ask(request))[MANY]["result"][0]["code"] == "InvalidToken"
            assert (await wire.ask({**request, "tokens": []}))[MANY]["result"] == []
            request["tokens"] = [account["token"]]
            (cheap,) = (await wire.ask({**request, "price": 9.99}))[MANY]["result"]
            assert cheap["code"] == "PriceMoved"
            (row,) = (await wire.ask(request))[MANY]["result"]
            assert row["buy_price"] == 10
            assert await wire.refusal(request) == "InvalidContractProposal"
            assert await wire.refusal({**request, "tokens": ["x"] * 101}) == "TooManyTokens"
        assert balances(venue, account) == ["9990.00"]

    asyncio.run(story())


def test_expired_contracts_that_wait_are_settled_on_request(
    venue: SimulatorProcess, account: Account
) -> None:
    venue.fault("late_settlement", "buy", account["login_id"], seconds=3600)

    async def story() -> None:
        async with talk(venue, account) as wire:
            request = {"buy": "1", "price": 10, "parameters": TERMS, "subscribe": 1}
            number = (await wire.ask(request))["buy"]["contract_id"]
            name = "proposal_open_contract"
            await wire.until(lambda frame: name in frame and frame[name]["is_expired"])
            assert (await wire.ask({"sell_expired": 1}))["sell_expired"] == {"count": 1}
            state = await wire.ask({name: 1, "contract_id": number})
            assert (state[name]["is_sold"], state[name]["status"] in ("won", "lost")) == (1, True)
            assert (await wire.ask({"sell_expired": 1}))["sell_expired"] == {"count": 0}
            lines = (await wire.ask({"statement": 1, "action_type": "sell"}))["statement"]["transactions"]
            assert [line["contract_id"] for line in lines] == [number]

    asyncio.run(story())


def test_a_rise_or_fall_contract_can_be_neither_cancelled_nor_changed(
    venue: SimulatorProcess, account: Account
) -> None:
    stranger = venue.open_account("cancel-stranger")
    hour = {**TIMED, "duration": 1, "duration_unit": "h"}

    async def story() -> None:
        async with talk(venue, account) as wire:
            number = (await wire.ask({"buy": "1", "price": 10, "parameters": hour}))["buy"]["contract_id"]
            before = venue.books(account["login_id"])
            update = {"contract_update": 1, "contract_id": number, "limit_order": {"take_profit": None}}
            assert await wire.refusal({"cancel": number}) == "CancelFailed"
            assert await wire.refusal(update) == "ContractUpdateNotAllowed"
            assert (
                await wire.refusal({**update, "limit_order": {"stop_loss": 1.5}})
                == "ContractUpdateNotAllowed"
            )
            assert await wire.refusal({"cancel": 1}) == "ContractNotFound"
            assert venue.books(account["login_id"]) == before
            async with talk(venue, stranger) as other:
                assert await other.refusal({"cancel": number}) == "ContractNotFound"
                assert await other.refusal(update) == "ContractNotFound"
            short = await wire.ask({"buy": "1", "price": 10, "parameters": TERMS, "subscribe": 1})
            name = "proposal_open_contract"
            await wire.until(lambda frame: name in frame and frame[name]["is_sold"])
            assert await wire.refusal({"cancel": short["buy"]["contract_id"]}) == "ContractAlreadySold"

    asyncio.run(story())
