"""Copy trading on the wire: who copies whom, what the copier hears of it, how the trader has done."""

import asyncio
from typing import Any

import pytest

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.talking import TERMS, TIMED, talk

pytestmark = pytest.mark.processes

Account = dict[str, Any]
BUY = {"buy": "1", "price": 10, "parameters": TIMED}


def contracts(venue: SimulatorProcess, account: Account) -> list[dict[str, Any]]:
    return list(venue.books(account["login_id"])["contracts"])


def test_a_purchase_of_the_trader_is_one_of_the_copier_until_it_stops(
    venue: SimulatorProcess, account: Account
) -> None:
    trader = venue.open_account("copied-trader", scopes=["read", "trade", "admin"])

    async def story() -> None:
        async with talk(venue, trader) as master, talk(venue, account) as wire:
            answer = await wire.ask(
                {
                    "copy_start": trader["token"],
                    "assets": "1HZ100V",
                    "trade_types": ["CALL", "PUT"],
                    "max_trade_stake": 10.5,
                }
            )
            assert (answer["copy_start"], answer["echo_req"]["copy_start"]) == (1, "<not shown>")
            assert (await wire.ask({"copytrading_list": 1}))["copytrading_list"] == {
                "copiers": [],
                "traders": [
                    {
                        "assets": ["1HZ100V"],
                        "loginid": trader["login_id"],
                        "max_trade_stake": 10.5,
                        "min_trade_stake": None,
                        "token": trader["token"],
                        "trade_types": ["CALL", "PUT"],
                    }
                ],
            }
            copiers = (await master.ask({"copytrading_list": 1}))["copytrading_list"]
            assert copiers == {"copiers": [{"loginid": account["login_id"]}], "traders": []}
            await wire.ask({"transaction": 1, "subscribe": 1})
            await wire.ask({"balance": 1, "subscribe": 1})
            bought = (await master.ask(BUY))["buy"]
            told = await wire.until(lambda frame: frame["msg_type"] == "transaction")
            frame = told["transaction"]
            assert (frame["action"], frame["amount"], frame["balance"]) == ("buy", -10.0, 9990.0)
            assert frame["contract_id"] != bought["contract_id"]
            left = await wire.until(lambda frame: frame["msg_type"] == "balance")
            assert left["balance"]["balance"] == 9990.0
            (row,) = (await wire.ask({"portfolio": 1}))["portfolio"]["contracts"]
            assert (row["contract_id"], row["shortcode"]) == (frame["contract_id"], bought["shortcode"])

            await master.ask({"buy": "1", "price": 11, "parameters": {**TIMED, "amount": 10.51}})
            await master.ask({"buy": "1", "price": 10, "parameters": {**TIMED, "symbol": "R_100"}})
            assert len(contracts(venue, account)) == 1
            stop = await wire.ask({"copy_stop": trader["token"]})
            assert (stop["copy_stop"], stop["echo_req"]["copy_stop"]) == (1, "<not shown>")
            await master.ask(BUY)
            assert len(contracts(venue, account)) == 1
            assert (await master.ask({"copytrading_list": 1}))["copytrading_list"]["copiers"] == []
        assert trader["token"] not in venue.log.read_text()

    asyncio.run(story())


def test_copying_that_is_refused_changes_nothing(venue: SimulatorProcess, account: Account) -> None:
    silent = venue.open_account("copied-silent", scopes=["trade"])
    real = venue.open_account("copied-real", is_demo=False)
    euros = venue.open_account("copied-euros", currency="EUR")
    trader = venue.open_account("copied-other")

    async def story() -> None:
        async with talk(venue, account) as wire:
            for code, whom, filters in (
                ("InvalidToken", "x" * 32, {}),
                ("PermissionDenied", silent["token"], {}),
                ("CopyTradingNotAllowed", real["token"], {}),
                ("CopyTradingNotAllowed", account["token"], {}),
                ("CopyTradingWrongCurrency", euros["token"], {}),
                ("InvalidSymbol", trader["token"], {"assets": ["frxUSDJPY"]}),
                ("InvalidTradeType", trader["token"], {"trade_types": "DIGITODD"}),
                ("InputValidationFailed", trader["token"], {"min_trade_stake": 2, "max_trade_stake": 1}),
            ):
                assert await wire.refusal({"copy_start": whom, **filters}) == code
            assert await wire.refusal({"copy_stop": "x" * 32}) == "InvalidToken"
            assert (await wire.ask({"copy_stop": trader["token"]}))["copy_stop"] == 1
            listed = (await wire.ask({"copytrading_list": 1}))["copytrading_list"]
            assert listed == {"copiers": [], "traders": []}

    asyncio.run(story())


def test_a_trader_s_statistics_are_those_of_its_closed_contracts(
    venue: SimulatorProcess, account: Account
) -> None:
    trader = venue.open_account("copied-statistics")

    async def story() -> None:
        question = {"copytrading_statistics": 1, "trader_id": trader["login_id"]}
        async with talk(venue, account) as copier, talk(venue, trader) as wire:
            none = (await copier.ask(question))["copytrading_statistics"]
            assert (none["total_trades"], none["copiers"], none["trades_breakdown"]) == (0, 0, {})
            await copier.ask({"copy_start": trader["token"]})
            won, name = 0, "proposal_open_contract"
            for kind in ("CALL", "PUT", "CALL"):
                parameters = {**TERMS, "contract_type": kind}
                await wire.ask({"buy": "1", "price": 10, "parameters": parameters, "subscribe": 1})
                end = await wire.until(lambda frame: name in frame and frame[name]["is_sold"])
                won += end[name]["status"] == "won"
            await wire.ask(BUY)
            first = contracts(venue, trader)[0]
            share = round(won * 100 / 3, 2)
            async with talk(venue) as stranger:
                body = (await stranger.ask(question))["copytrading_statistics"]
                refusal = await stranger.refusal({**question, "trader_id": "CR1"})
            assert (body["total_trades"], body["copiers"]) == (3, 1)
            assert body["active_since"] == first["purchase_time"]
            assert body["trades_profitable"] == body["last_12months_profitable_trades"] == share
            assert body["trades_breakdown"] == {"synthetic_index": 100}
            assert list(body["yearly_profitable_trades"].values()) == [share]
            assert body["avg_loss"] == (100 if won < 3 else 0)
            assert refusal == "WrongLoginID"

    asyncio.run(story())
