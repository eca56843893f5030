"""The typed client against the simulator: every method, every frame checked against the published schemas."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokerage.deriv.errors import (
    AnswerTimeout,
    ConnectionLost,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    Refused,
    Reprice,
    RetryLater,
    SaleRefused,
    VenueError,
)
from brokerage.deriv.types import ContractState, ContractTerms
from brokerage.deriv.v3 import V3Client
from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.speaking import SPOKEN, client_of, opened

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("generation")]

Account = dict[str, Any]
RISE = ContractTerms("CALL", "1HZ100V", "stake", Decimal("10.00"), 1, "t", "USD")
MINUTE = replace(RISE, contract_type="PUT", duration=60, duration_unit="s")
HOURS = 3600


async def settled(states: AsyncIterator[ContractState], contract_id: int) -> ContractState:
    async with asyncio.timeout(10):
        async for state in states:
            if state.contract_id == contract_id and state.is_sold:
                return state
    raise AssertionError("the stream ended")


def test_the_public_calls(venue: SimulatorProcess) -> None:
    async def story() -> None:
        async with client_of(venue) as client:
            await client.ping()
            assert abs(await client.time() - time.time()) < 2
            if isinstance(client, V3Client):
                status = await client.website_status()
                limits = status.limits
                told = (status.status, limits.general_per_minute, limits.proposal_streams)
                assert told == ("up", 180, 5)
            symbols = {symbol.symbol: symbol for symbol in await client.active_symbols()}
            assert len(symbols) == 10 and symbols["R_100"].pip == Decimal("0.01")
            offers = await client.contracts_for("R_100")
            assert {(offer.contract_type, offer.min_duration, offer.max_duration) for offer in offers} == {
                ("CALL", "1t", "10t"),
                ("CALL", "15s", "1d"),
                ("PUT", "1t", "10t"),
                ("PUT", "15s", "1d"),
            }
            assert offers[0].min_stake == Decimal("0.35")
            history = await client.ticks_history("R_50", 20)
            assert len(history) == 20 and all(point.quote.as_tuple().exponent == -4 for point in history)
            older = await client.ticks_history("R_50", 20, until=history[0].at)
            assert older[-1].at <= history[0].at
            candles = await client.candles("R_50", 3, 60)
            assert all(candle.low <= candle.open <= candle.high and candle.at % 60 == 0 for candle in candles)
            ticks = await client.ticks("R_50")
            first, second = await anext(ticks), await anext(ticks)
            assert first.at <= second.at and first.pip_size == 4
            assert await client.forget_all("ticks") != ()
            assert await client.forget("a" * 32) is False
            with pytest.raises(Refused) as refused:
                await client.contracts_for("NOPE")
            assert (refused.value.code, refused.value.field) == ("InvalidSymbol", "symbol")

    asyncio.run(story())


def test_a_contract_from_proposal_to_statement(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with client_of(venue, account) as client:
            states, moves = await client.follow_contracts(), await client.follow_transactions()
            balances = await client.follow_balance()
            assert (await anext(balances)).balance == Decimal("10000.00")
            proposal = await client.proposal(RISE)
            assert (proposal.ask_price, proposal.payout) == (Decimal("10.00"), Decimal("19.53"))
            purchase = await client.buy(proposal.id, proposal.ask_price)
            assert purchase.balance_after == Decimal("9990.00")
            end = await settled(states, purchase.contract_id)
            assert end.entry_spot is not None and end.exit_spot is not None
            won = end.exit_spot > end.entry_spot
            assert (end.status, end.sell_price) == (("won", purchase.payout) if won else ("lost", Decimal(0)))
            assert end.sell_price is not None and end.profit == end.sell_price - purchase.buy_price
            assert (end.buy_transaction_id, end.shortcode) == (purchase.transaction_id, purchase.shortcode)
            assert end.app_markup_amount == Decimal("0.00")
            assert await client.contract(purchase.contract_id) == replace(end)
            told = [await anext(moves), await anext(moves)]
            assert [(move.action, move.amount) for move in told] == [
                ("buy", Decimal("-10.00")),
                ("sell", end.sell_price),
            ]
            assert [(await anext(balances)).balance for _ in range(2)] == [
                Decimal("9990.00"),
                Decimal("9990.00") + end.sell_price,
            ]
            lines = await client.statement(since=purchase.purchase_time, limit=50)
            assert [line.transaction_id for line in lines[:2]] == [
                end.sell_transaction_id,
                end.buy_transaction_id,
            ]
            assert lines[0].balance_after == told[1].balance
            (row,) = await client.profit_table(since=purchase.purchase_time, contract_types=["CALL"])
            assert (row.contract_id, row.sell_price, row.app_id) == (
                purchase.contract_id,
                end.sell_price,
                1234 if SPOKEN.get() == "v3" else None,
            )
            assert await client.profit_table(until=purchase.purchase_time - HOURS) == ()
            assert await client.portfolio() == ()
            await client.logout()
            with pytest.raises(NotAuthorized):
                await client.balance()

    asyncio.run(story())


def test_a_purchase_by_terms_with_a_markup_and_its_sale(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with client_of(venue, account) as client:
            purchase = await client.buy_with_terms(MINUTE, Decimal(10), Decimal("1.5"))
            (held,) = await client.portfolio()
            assert (held.contract_id, held.payout, held.shortcode) == (
                purchase.contract_id,
                purchase.payout,
                purchase.shortcode,
            )
            states = await client.follow_contract(purchase.contract_id)
            async with asyncio.timeout(10):
                async for state in states:
                    if state.is_valid_to_sell:
                        break
            assert state.app_markup_amount == (purchase.payout * Decimal("0.015")).quantize(Decimal("0.01"))
            with pytest.raises(Reprice):
                await client.sell(purchase.contract_id, Decimal(1000))
            sale = await client.sell(purchase.contract_id)
            assert (sale.contract_id, sale.reference_id) == (purchase.contract_id, purchase.transaction_id)
            assert sale.balance_after == Decimal("9990.00") + sale.sold_for
            end = await settled(states, purchase.contract_id)
            assert (end.status, end.sell_price) == ("sold", sale.sold_for)
            with pytest.raises(SaleRefused) as refused:
                await client.sell(purchase.contract_id)
            assert refused.value.code == "ContractAlreadySold"

    asyncio.run(story())


def test_a_proposal_stream_ends_its_life_with_the_purchase(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with client_of(venue, account, app_id=4321) as client:
            prices = await client.follow_proposal(RISE)
            offer, later = await anext(prices), await anext(prices)
            assert offer.payout == later.payout == Decimal("18.98") and offer.id == later.id
            await client.buy(offer.id, offer.ask_price)
            with pytest.raises(Reprice) as refused:
                await client.buy(offer.id, offer.ask_price)
            assert refused.value.code == "InvalidContractProposal"
            await prices.close()
            ticks = await client.ticks("R_100")
            await ticks.close()
            assert len([tick async for tick in ticks]) >= 1
            for _ in range(5):  # ended at the venue too, so the same can be followed again at once
                again = await client.ticks("R_100")
                await again.close()

    asyncio.run(story())


def test_exact_amounts_reach_the_venue(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with client_of(venue, account) as client:
            for text in ("0.35", "1.10", "2.20", "3.30", "70.07", "123.45"):
                purchase = await client.buy_with_terms(replace(RISE, amount=Decimal(text)), Decimal(text))
                assert str(purchase.buy_price) == text
            with pytest.raises(Refused) as refused:
                await client.buy_with_terms(replace(RISE, amount=Decimal("1.001")), Decimal(2))
            assert (refused.value.code, refused.value.field) == ("ContractBuyValidationError", "amount")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("fault", "error", "bought"),
    [
        ("lose_answer", AnswerTimeout, True),
        ("drop_after_purchase", ConnectionLost, True),
        ("drop_before_purchase", ConnectionLost, False),
    ],
)
def test_an_unknown_outcome_is_never_taken_for_a_no(
    venue: SimulatorProcess, account: Account, fault: str, error: type[VenueError], bought: bool
) -> None:
    venue.fault(fault, "buy", account["login_id"])

    async def story() -> None:
        async with client_of(venue, account, timeout=0.7) as client:
            states = await client.follow_contracts()
            with pytest.raises(OutcomeUnknown) as unknown:
                await client.buy_with_terms(MINUTE, Decimal(10))
            assert type(unknown.value) is error
            if error is ConnectionLost:
                with pytest.raises(ConnectionLost):
                    await anext(states)
                with pytest.raises(NotSent):
                    await client.portfolio()
        async with client_of(venue, account) as client:
            assert len(await client.portfolio()) == int(bought)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("code", "call", "error"),
    [
        ("RateLimit", "buy", RetryLater),
        ("InternalServerError", "balance", RetryLater),
        ("InternalServerError", "buy", OutcomeUnknown),
        ("WrongResponse", "buy", OutcomeUnknown),
        ("WrongResponse", "balance", OutcomeUnknown),
        ("NeverHeardOfIt", "buy", OutcomeUnknown),
        ("NeverHeardOfIt", "balance", Refused),
        ("InsufficientBalance", "buy", Refused),
        ("PermissionDenied", "buy", NotAuthorized),
        ("PriceMoved", "buy", Reprice),
    ],
)
def test_each_code_says_what_to_do(
    venue: SimulatorProcess, account: Account, code: str, call: str, error: type[VenueError]
) -> None:
    venue.fault("refuse", call, account["login_id"], code=code)

    async def story() -> None:
        async with client_of(venue, account) as client:
            with pytest.raises(VenueError) as refused:
                await (client.buy_with_terms(RISE, Decimal(10)) if call == "buy" else client.balance())
            assert (type(refused.value), refused.value.code) == (error, code)
            assert (await client.balance()).balance == Decimal("10000.00")

    asyncio.run(story())


def test_a_bad_token_a_token_of_another_account_and_a_bad_application(
    venue: SimulatorProcess, account: Account
) -> None:
    other = venue.open_account(f"other-{account['login_id']}")

    async def story() -> None:
        with pytest.raises(NotAuthorized) as refused:
            await opened(venue, {**account, "token": "wrong-token"})
        assert "wrong-token" not in str(refused.value)
        with pytest.raises(NotAuthorized) as refused_too:
            await opened(venue, {**account, "token": other["token"]})
        assert other["token"] not in str(refused_too.value)
        with pytest.raises(NotAuthorized):
            await opened(venue, account, app_id=-5)

    asyncio.run(story())


def test_the_hook_never_sees_a_token(venue: SimulatorProcess, account: Account) -> None:
    seen: list[tuple[str, Any]] = []

    async def story() -> None:
        hook = lambda direction, frame: seen.append((direction, frame))  # noqa: E731
        client = await opened(venue, account, on_message=hook)
        await client.close()

    asyncio.run(story())
    assert [direction for direction, _ in seen] == ["out", "in"]
    assert account["token"] not in repr(seen) and "<not shown>" in repr(seen) and "otp=" not in repr(seen)


def test_many_calls_at_once_find_their_answers(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with client_of(venue, account) as client:
            amounts = [Decimal(cents).scaleb(-2) for cents in range(100, 200)]
            proposals = await asyncio.gather(*(client.proposal(replace(RISE, amount=a)) for a in amounts))
            assert [proposal.ask_price for proposal in proposals] == amounts

    asyncio.run(story())


def test_a_hundred_contracts_at_once_each_settle_once(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with client_of(venue, account) as client:
            states = await client.follow_contracts()
            purchases = await asyncio.gather(*(client.buy_with_terms(RISE, Decimal(10)) for _ in range(100)))
            numbers = {purchase.contract_id for purchase in purchases}
            assert len(numbers) == 100
            ends: list[int] = []
            async with asyncio.timeout(15):
                while len(ends) < 100:
                    state = await anext(states)
                    if state.is_sold:
                        ends.append(state.contract_id)
            assert sorted(ends) == sorted(numbers)
            lines = await client.statement(limit=500)
            assert (
                sum(line.amount for line in lines)
                == (await client.balance()).balance
                == lines[0].balance_after
            )
            assert len(lines) == 201

    asyncio.run(story())
