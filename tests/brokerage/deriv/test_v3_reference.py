"""What the venue offers, when and at what rates, on the wire; and all symbols' ticks in one stream."""

import asyncio

import pytest

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.talking import talk
from tests.brokerage.deriv.test_v3_protocol import SYMBOLS

pytestmark = pytest.mark.processes


def test_every_symbol_has_its_contracts_and_is_open_around_the_clock(venue: SimulatorProcess) -> None:
    async def story() -> None:
        async with talk(venue) as wire:
            index = (await wire.ask({"asset_index": 1, "landing_company_short": "svg"}))["asset_index"]
            assert {row[0] for row in index} == SYMBOLS
            assert index[4] == ["R_100", "Volatility 100 Index", [["callput", "Up/Down", "1t", "1d"]]]
            times = []
            for day in ("today", "2015-9-14"):
                (market,) = (await wire.ask({"trading_times": day}))["trading_times"]["markets"]
                assert market["name"] == "Derived"
                (submarket,) = market["submarkets"]
                times.append(submarket["symbols"])
            assert times[0] == times[1]
            assert {row["symbol"] for row in times[0]} == SYMBOLS
            assert {len(row["trading_days"]) for row in times[0]} == {7}
            assert times[0][0]["times"] == {
                "open": ["00:00:00"],
                "close": ["23:59:59"],
                "settlement": "23:59:59",
            }

    asyncio.run(story())


def test_exchange_rates_are_fixed_and_without_a_spread(venue: SimulatorProcess) -> None:
    async def story() -> None:
        async with talk(venue) as wire:
            base = {"exchange_rates": 1, "base_currency": "USD"}
            body = (await wire.ask(base))["exchange_rates"]
            assert body["base_currency"] == "USD"
            assert body["rates"] == {"EUR": 0.922339, "GBP": 0.788954, "AUD": 1.519525}
            to_euros = {**base, "target_currency": "EUR"}
            body = (await wire.ask({**to_euros, "include_spread": 1}))["exchange_rates"]
            assert body["rates"] == {
                "EUR": {"spot_rate": 0.922339, "ask_rate": 0.922339, "bid_rate": 0.922339}
            }
            stream = await wire.ask({**to_euros, "subscribe": 1})
            assert stream["exchange_rates"]["rates"] == {"EUR": 0.922339}
            assert await wire.refusal({**to_euros, "subscribe": 1}) == "AlreadySubscribed"
            assert (await wire.ask({"forget": stream["subscription"]["id"]}))["forget"] == 1
            assert await wire.refusal({**base, "target_currency": "BTC"}) == "InvalidCurrency"
            assert await wire.refusal({**base, "base_currency": "BTC"}) == "InvalidCurrency"

    asyncio.run(story())


def test_one_frame_brings_the_ticks_of_all_symbols(venue: SimulatorProcess) -> None:
    async def story() -> None:
        async with talk(venue) as wire:
            request = {"ticks_batch": 1, "market": "synthetic_index"}
            once = await wire.ask(request)
            assert "subscription" not in once
            assert {row["symbol"] for row in once["ticks_batch"]} == SYMBOLS
            first = await wire.ask({**request, "subscribe": 1})
            assert {row["symbol"] for row in first["ticks_batch"]} == SYMBOLS
            frame = await wire.read()
            assert frame["subscription"] == first["subscription"]
            # at this speed every symbol moves ten times between two frames
            assert {row["symbol"] for row in frame["ticks_batch"]} == SYMBOLS
            newest = {row["symbol"]: row for row in frame["ticks_batch"]}
            for row in first["ticks_batch"]:
                assert newest[row["symbol"]]["epoch"] >= row["epoch"]
                decimals = row["quote"].partition(".")[2]
                assert len(decimals) == len(row["bid"].partition(".")[2]) >= 2
            history = await wire.ask({"ticks_history": "R_50", "end": str(newest["R_50"]["epoch"] + 1)})
            assert float(newest["R_50"]["quote"]) in history["history"]["prices"]
            assert await wire.refusal({**request, "subscribe": 1}) == "AlreadySubscribed"
            assert (await wire.ask({"forget": first["subscription"]["id"]}))["forget"] == 1
            assert await wire.refusal({**request, "market": "forex"}) == "OfferingsValidationError"

    asyncio.run(story())
