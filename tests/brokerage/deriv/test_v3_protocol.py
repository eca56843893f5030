"""The simulator on the wire: every call, every frame checked against Deriv's published schemas."""

import asyncio
import time
from typing import Any

import pytest

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.talking import TERMS, TIMED, Wire, talk

pytestmark = pytest.mark.processes

Account = dict[str, Any]
SYMBOLS = {f"R_{n}" for n in (10, 25, 50, 75, 100)} | {f"1HZ{n}V" for n in (10, 25, 50, 75, 100)}


async def buy(wire: Wire, parameters: dict[str, Any] = TERMS, **fields: Any) -> dict[str, Any]:
    answer = await wire.ask({"buy": "1", "price": 100, "parameters": parameters, **fields})
    return dict(answer["buy"])


def test_the_envelope_comes_back_without_the_token(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with talk(venue) as wire:
            answer = await wire.ask({"authorize": account["token"], "passthrough": {"a": [1]}, "req_id": 77})
            assert answer["echo_req"] == {"authorize": "<not shown>", "passthrough": {"a": [1]}, "req_id": 77}
            assert (answer["req_id"], answer["passthrough"], answer["msg_type"]) == (
                77,
                {"a": [1]},
                "authorize",
            )
            body = answer["authorize"]
            assert (body["loginid"], body["balance"], body["is_virtual"]) == (account["login_id"], 10000.0, 1)

    asyncio.run(story())


def test_calls_without_a_token(venue: SimulatorProcess) -> None:
    async def story() -> None:
        async with talk(venue) as wire:
            assert (await wire.ask({"ping": 1}))["ping"] == "pong"
            assert abs((await wire.ask({"time": 1}))["time"] - time.time()) < 2
            status = (await wire.ask({"website_status": 1}))["website_status"]
            assert status["site_status"] == "up"
            assert status["api_call_limits"]["max_requests_pricing"]["minutely"] == 80
            symbols = (await wire.ask({"active_symbols": "brief"}))["active_symbols"]
            assert {row["symbol"] for row in symbols} == SYMBOLS
            offers = (await wire.ask({"contracts_for": "R_100"}))["contracts_for"]["available"]
            assert {(row["contract_type"], row["min_contract_duration"]) for row in offers} == {
                ("CALL", "1t"),
                ("CALL", "15s"),
                ("PUT", "1t"),
                ("PUT", "15s"),
            }
            assert (await wire.ask({"payout_currencies": 1}))["payout_currencies"] == [
                "USD",
                "EUR",
                "GBP",
                "AUD",
            ]
            assert (await wire.ask({"logout": 1}))["logout"] == 1

    asyncio.run(story())


def test_tick_streams_one_or_several(venue: SimulatorProcess) -> None:
    async def story() -> None:
        async with talk(venue) as wire:
            assert "subscription" not in await wire.ask({"ticks": "R_100"})
            first = await wire.ask({"ticks": ["R_10", "1HZ10V"], "subscribe": 1})
            ids = {
                frame["tick"]["symbol"]: frame["subscription"]["id"] for frame in (first, await wire.read())
            }
            assert set(ids) == {"R_10", "1HZ10V"} and len(set(ids.values())) == 2
            fast = [first["tick"]["epoch"]]
            while len(fast) < 10:
                frame = await wire.read()
                assert frame["subscription"]["id"] == frame["tick"]["id"] == ids[frame["tick"]["symbol"]]
                if frame["tick"]["symbol"] == "1HZ10V":
                    fast.append(frame["tick"]["epoch"])
            assert fast == sorted(fast)
            assert await wire.refusal({"ticks": "R_10", "subscribe": 1}) == "AlreadySubscribed"
            assert (await wire.ask({"forget": ids["R_10"]}))["forget"] == 1
            assert (await wire.ask({"forget": ids["R_10"]}))["forget"] == 0
            assert (await wire.ask({"forget_all": ["ticks", "candles"]}))["forget_all"] == [ids["1HZ10V"]]
            assert (await wire.ask({"forget_all": "ticks"}))["forget_all"] == []

    asyncio.run(story())


def test_history_and_candles(venue: SimulatorProcess) -> None:
    async def story() -> None:
        async with talk(venue) as wire:
            request = {"ticks_history": "1HZ100V", "end": "latest", "count": 50, "subscribe": 1}
            answer = await wire.ask(request)
            history = answer["history"]
            assert len(history["prices"]) == len(history["times"]) == 50
            assert history["times"] == sorted(history["times"])
            assert (await wire.read())["msg_type"] == "tick"
            assert (await wire.ask({"forget_all": "ticks"}))["forget_all"] == [answer["subscription"]["id"]]
            again = await wire.ask(
                {
                    "ticks_history": "1HZ100V",
                    "end": str(history["times"][-1] + 1),
                    "start": history["times"][0],
                }
            )
            prices = again["history"]["prices"]
            assert any(history["prices"] == prices[i : i + 50] for i in range(len(prices) - 49))
            for style in ("ticks", "candles"):  # long before there were prices
                none = await wire.ask({"ticks_history": "R_50", "end": "1", "style": style, "count": 5})
                assert none.get("candles", none.get("history", {}).get("prices")) == []
            candles = await wire.ask(
                {"ticks_history": "R_50", "end": "latest", "count": 5, "style": "candles", "subscribe": 1}
            )
            assert [row["epoch"] % 60 for row in candles["candles"]] == [0] * 5
            assert all(row["low"] <= min(row["open"], row["close"]) for row in candles["candles"])
            ohlc = (await wire.until(lambda frame: frame["msg_type"] == "ohlc"))["ohlc"]
            assert ohlc["open_time"] == ohlc["epoch"] - ohlc["epoch"] % 60
            assert len((await wire.ask({"forget_all": "candles"}))["forget_all"]) == 1

    asyncio.run(story())


def test_a_proposal_is_bought_once(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with talk(venue, account) as wire:
            offer = await wire.ask({"proposal": 1, **TERMS, "subscribe": 1})
            proposal = offer["proposal"]
            assert (proposal["ask_price"], proposal["payout"]) == (10.0, 19.53)
            assert await wire.refusal({"proposal": 1, **TERMS, "subscribe": 1}) == "AlreadySubscribed"
            update = await wire.until(lambda frame: frame["msg_type"] == "proposal" and "proposal" in frame)
            assert update["subscription"]["id"] == offer["subscription"]["id"]
            bought = (await wire.ask({"buy": proposal["id"], "price": 10}))["buy"]
            assert (bought["buy_price"], bought["payout"], bought["balance_after"]) == (10.0, 19.53, 9990.0)
            assert (await wire.ask({"forget": offer["subscription"]["id"]}))["forget"] == 0
            assert await wire.refusal({"buy": proposal["id"], "price": 10}) == "InvalidContractProposal"
            assert await wire.refusal({"buy": "x" * 32, "price": 10}) == "InvalidContractProposal"
            payout = await wire.ask({"proposal": 1, **TERMS, "basis": "payout", "amount": 100})
            assert (payout["proposal"]["ask_price"], payout["proposal"]["payout"]) == (51.2, 100.0)
            assert await wire.refusal({"buy": payout["proposal"]["id"], "price": 51.19}) == "PriceMoved"

    asyncio.run(story())


def test_a_contract_from_purchase_to_settlement(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with talk(venue, account) as wire:
            transactions = (await wire.ask({"transaction": 1, "subscribe": 1}))["subscription"]["id"]
            assert (await wire.ask({"balance": 1, "subscribe": 1}))["balance"]["balance"] == 10000.0
            answer = await wire.ask({"buy": "1", "price": 10, "parameters": TERMS, "subscribe": 1})
            number, follows = answer["buy"]["contract_id"], answer["subscription"]["id"]

            def settled(frame: dict[str, Any]) -> bool:
                return bool(frame.get("proposal_open_contract", {}).get("is_sold") == 1)

            last = (await wire.until(settled))["proposal_open_contract"]
            states = [f for f in wire.frames if f["msg_type"] == "proposal_open_contract"]
            assert {f["subscription"]["id"] for f in states} == {follows}
            assert {f["req_id"] for f in states} == {answer["req_id"]}
            shown = [f["proposal_open_contract"] for f in states]
            assert any(s["is_expired"] == 1 and s["is_sold"] == 0 and s["status"] == "open" for s in shown)
            assert last["status"] == ("won" if last["exit_tick"] > last["entry_tick"] else "lost")
            assert last["sell_price"] == (19.53 if last["status"] == "won" else 0)
            assert last["profit"] == round(last["sell_price"] - 10, 2)
            assert [row["tick"] for row in last["tick_stream"]] == [last["entry_tick"], last["exit_tick"]]
            assert last["transaction_ids"]["buy"] == answer["buy"]["transaction_id"]
            await wire.ask({"ping": 1})
            moves = [
                f["transaction"]
                for f in wire.frames
                if f["msg_type"] == "transaction" and "action" in f["transaction"]
            ]
            assert [(move["action"], move["contract_id"]) for move in moves] == [
                ("buy", number),
                ("sell", number),
            ]
            assert moves[1]["transaction_id"] == last["transaction_ids"]["sell"]
            balances = [f["balance"]["balance"] for f in wire.frames if f["msg_type"] == "balance"]
            assert balances == [10000.0, 9990.0, round(9990 + last["sell_price"], 2)]
            assert (await wire.ask({"forget": transactions}))["forget"] == 1

            table = (await wire.ask({"profit_table": 1, "description": 1}))["profit_table"]
            assert [row["contract_id"] for row in table["transactions"]] == [number]
            assert table["transactions"][0]["shortcode"] == last["shortcode"]
            today = time.strftime("%Y-%m-%d", time.gmtime())
            by_day = await wire.ask({"profit_table": 1, "date_from": today, "contract_type": ["CALL"]})
            assert by_day["profit_table"]["count"] == 1
            none = await wire.ask({"profit_table": 1, "contract_type": ["PUT"], "sort": "ASC"})
            assert none["profit_table"]["count"] == 0
            lines = (await wire.ask({"statement": 1, "description": 1, "limit": 2}))["statement"][
                "transactions"
            ]
            assert [(line["action_type"], line["amount"]) for line in lines] == [
                ("sell", last["sell_price"]),
                ("buy", -10.0),
            ]
            assert lines[0]["reference_id"] == lines[1]["transaction_id"]
            rest = await wire.ask({"statement": 1, "offset": 2})
            assert [line["action_type"] for line in rest["statement"]["transactions"]] == ["virtual_credit"]
            only = await wire.ask(
                {"statement": 1, "action_type": "buy", "date_from": 1, "date_to": 9999999999}
            )
            assert only["statement"]["count"] == 1
            assert (await wire.ask({"portfolio": 1}))["portfolio"]["contracts"] == []
            over = await wire.ask({"proposal_open_contract": 1, "contract_id": number, "subscribe": 1})
            assert "subscription" not in over and over["proposal_open_contract"]["is_sold"] == 1

    asyncio.run(story())


def test_all_contracts_in_one_stream(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with talk(venue, account) as wire:
            empty = await wire.ask({"proposal_open_contract": 1, "subscribe": 1})
            assert empty["proposal_open_contract"] == {}
            numbers = {(await buy(wire, TIMED))["contract_id"] for _ in range(2)}
            seen: set[int] = set()
            while seen != numbers:
                frame = await wire.until(lambda frame: frame["msg_type"] == "proposal_open_contract")
                assert frame["subscription"]["id"] == empty["subscription"]["id"]
                seen.add(frame["proposal_open_contract"]["contract_id"])
            again = {"proposal_open_contract": 1, "subscribe": 1}
            assert await wire.refusal(again) == "AlreadySubscribed"
            held = (await wire.ask({"portfolio": 1, "contract_type": ["CALL"]}))["portfolio"]["contracts"]
            assert {row["contract_id"] for row in held} == numbers
        async with talk(venue, account) as wire:
            await wire.ask({"proposal_open_contract": 1})
            await wire.until(lambda frame: frame["msg_type"] == "proposal_open_contract")
            shown = [f["proposal_open_contract"]["contract_id"] for f in wire.frames[-2:]]
            assert set(shown) == numbers

    asyncio.run(story())


def test_a_sale(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with talk(venue, account) as wire:
            number = (await buy(wire, TIMED, subscribe=1))["contract_id"]
            state = await wire.until(
                lambda frame: frame.get("proposal_open_contract", {}).get("is_valid_to_sell") == 1
            )
            assert "entry_tick" in state["proposal_open_contract"]
            assert await wire.refusal({"sell": number, "price": 5000}) == "PriceMoved"
            sold = (await wire.ask({"sell": number, "price": 0}))["sell"]
            assert sold["contract_id"] == number and 0 < sold["sold_for"] < 19.53
            last = await wire.until(lambda f: f.get("proposal_open_contract", {}).get("is_sold") == 1)
            assert last["proposal_open_contract"]["status"] == "sold"
            assert await wire.refusal({"sell": number, "price": 0}) == "ContractAlreadySold"
            assert await wire.refusal({"sell": 1, "price": 0}) == "NoOpenPosition"
            ticking = (await buy(wire, {**TERMS, "duration": 10}))["contract_id"]
            assert await wire.refusal({"sell": ticking, "price": 0}) == "ResaleNotOffered"

    asyncio.run(story())


def test_markup_is_the_application_s_or_the_purchase_s(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with talk(venue, account, app_id=4321) as wire:
            proposal = (await wire.ask({"proposal": 1, **TERMS}))["proposal"]
            assert proposal["payout"] == 18.98
            assert proposal["contract_details"]["app_markup_amount"] == "0.28"
            bought = await buy(wire, {**TIMED, "app_markup_percentage": 3})
            assert bought["payout"] == pytest.approx(18.46, abs=0.011)
            state = await wire.ask({"proposal_open_contract": 1, "contract_id": bought["contract_id"]})
            assert state["proposal_open_contract"]["app_markup_amount"] == "0.55"
            too_much = {"buy": "1", "price": 10, "parameters": {**TERMS, "app_markup_percentage": 3.5}}
            assert await wire.refusal(too_much) == "InputValidationFailed"

    asyncio.run(story())
