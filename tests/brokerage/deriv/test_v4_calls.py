"""Calls of a v4 socket beside the common ones, on the bare wire: what is offered, when, and what cannot be changed."""

import asyncio
from typing import Any

import pytest

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.talking import talk, talk_v4

pytestmark = pytest.mark.processes

Account = dict[str, Any]
TIMED = {
    "contract_type": "CALL",
    "underlying_symbol": "1HZ100V",
    "basis": "stake",
    "amount": 10,
    "duration": 5,
    "duration_unit": "m",
    "currency": "USD",
}


def test_what_is_sold_and_when_is_told_to_anyone(venue: SimulatorProcess) -> None:
    async def story() -> None:
        async with talk_v4(venue) as wire:
            assert (await wire.ask({"contracts_list": 1}))["contracts_list"] == [
                {"contract_category": "callput", "contract_types": ["CALL", "PUT"], "display_name": "Up/Down"}
            ]
            for day in ("today", "2026-02-28"):
                times = (await wire.ask({"trading_times": day}))["trading_times"]
                (market,) = times["markets"]
                (submarket,) = market["submarkets"]
                first = submarket["symbols"][0]
                assert (first["underlying_symbol"], first["name"]) == ("R_10", "Volatility 10 Index")
                assert first["times"]["open"] == ["00:00:00"] and len(submarket["symbols"]) == 10
            assert await wire.refusal({"trading_times": "2026-02-30"}) == "InputValidationFailed"
            assert await wire.refusal({"contract_update_history": 1, "contract_id": 1}) == (
                "AuthorizationRequired"
            )

    asyncio.run(story())


def test_a_contract_without_limits_cannot_be_changed_or_canceled(
    venue: SimulatorProcess, account: Account
) -> None:
    other = venue.open_account(f"other-{account['login_id']}")

    async def story() -> None:
        async with talk_v4(venue, account) as wire:
            bought = (await wire.ask({"buy": "1", "price": 10, "parameters": TIMED}))["buy"]["contract_id"]
            before = venue.books(account["login_id"])
            limits = {"contract_update": 1, "contract_id": bought}
            assert await wire.refusal({"cancel": bought}) == "CancelFailed"
            for order in ({"stop_loss": 2}, {"take_profit": None, "stop_loss": 1.5}, {}):
                assert await wire.refusal({**limits, "limit_order": order}) == "ContractUpdateNotAllowed"
            assert (
                await wire.refusal({**limits, "limit_order": {"stop_loss": "2"}}, valid=False)
                == "InputValidationFailed"
            )
            history = {"contract_update_history": 1, "contract_id": bought, "limit": 1}
            assert (await wire.ask(history))["contract_update_history"] == []
            assert await wire.refusal({**history, "limit": 0}, valid=False) == "InputValidationFailed"
            assert venue.books(account["login_id"]) == before
            await wire.ask({"proposal_open_contract": 1, "contract_id": bought, "subscribe": 1})
            await wire.until(lambda frame: frame.get("proposal_open_contract", {}).get("is_valid_to_sell"))
            assert "sell" in await wire.ask({"sell": bought, "price": 0})
            assert (await wire.ask(history))["contract_update_history"] == []
            assert await wire.refusal({"cancel": bought}) == "ContractAlreadySold"
        async with talk_v4(venue, other) as wire:
            assert await wire.refusal({"cancel": bought}) == "ContractNotFound"
            assert await wire.refusal({**limits, "limit_order": {}}) == "ContractNotFound"
            assert await wire.refusal(history) == "ContractNotFound"

    asyncio.run(story())


def test_bots_of_the_venue_s_own_are_no_calls_here(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with talk_v4(venue, account) as wire:
            assert await wire.refusal({"auto_list": 1}) == "UnrecognisedRequest"

    asyncio.run(story())


def test_a_statement_asked_for_deposits_shows_money_that_came_under_another_name(
    venue: SimulatorProcess, account: Account
) -> None:
    """v3 books a demo account's first balance as a credit, and money between accounts as transfers."""
    dollars = venue.open_account(f"from-{account['login_id']}", is_demo=False, balance="50.00")
    euros = venue.open_account(
        f"to-{account['login_id']}",
        is_demo=False,
        balance="0.00",
        currency="EUR",
        same_user_as=dollars["login_id"],
    )
    venue.control(
        "POST", f"accounts/{dollars['login_id']}/activity", {"kind": "withdrawal", "amount": "5.00"}
    )

    async def moved(of: Account, action: str) -> list[tuple[str, float]]:
        async with talk_v4(venue, of) as wire:
            answer = await wire.ask({"statement": 1, "action_type": action})
            rows = answer["statement"]["transactions"]
            assert answer["statement"]["count"] == len(rows)
            return [(row["action_type"], row["amount"]) for row in rows]

    async def story() -> None:
        async with talk(venue, dollars) as wire:
            asked = {"account_from": dollars["login_id"], "account_to": euros["login_id"]}
            await wire.ask({"transfer_between_accounts": 1, **asked, "amount": 20, "currency": "USD"})
            await wire.ask({"buy": "1", "price": 10, "parameters": _in_v3(TIMED)})
        assert await moved(account, "deposit") == [("deposit", 10000.0)]
        assert await moved(account, "withdrawal") == []
        assert await moved(dollars, "withdrawal") == [("withdrawal", -20.0), ("withdrawal", -5.0)]
        assert await moved(dollars, "deposit") == [("deposit", 50.0)]
        assert await moved(dollars, "buy") == [("buy", -10.0)]
        assert await moved(euros, "deposit") == [("deposit", 18.44), ("deposit", 0.0)]

    asyncio.run(story())


def _in_v3(terms: dict[str, Any]) -> dict[str, Any]:
    return {"symbol" if name == "underlying_symbol" else name: value for name, value in terms.items()}
