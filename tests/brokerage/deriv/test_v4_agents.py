"""Payment agents over real HTTP: who is shown to whom, money in and out, and everything that is refused."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokerage.deriv.errors import (
    MalformedAnswer,
    NotAuthorized,
    OutcomeUnknown,
    Refused,
    RequestUsed,
    RetryLater,
    VenueError,
)
from brokerage.deriv.rest import RestClient
from brokerage.deriv.rest_types import AgentTerms, Payment, PaymentAgent
from brokerage.deriv.simulator.books import Agent, Refusal
from brokerage.deriv.simulator.clock import Clock
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.nicknames import nickname, user_of
from brokerage.deriv.simulator.payments import Payments
from brokerage.deriv.simulator.prices import Market
from brokerage.deriv.simulator.rules import Rules
from brokerage.deriv.simulator.store import Store
from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.schemas import Recorder
from tests.brokerage.deriv.test_control import status_of

pytestmark = pytest.mark.processes

Account = dict[str, Any]
_numbers = itertools.count(1)
TEN = Decimal("10.00")


def wallet(venue: SimulatorProcess, balance: str = "100.00", **fields: Any) -> Account:
    """A new person's real account in USD."""
    return venue.open_account(f"wallet-{next(_numbers)}", is_demo=False, balance=balance, **fields)


def agent(venue: SimulatorProcess, balance: str = "500.00", **fields: Any) -> Account:
    """A new person who is an agent; `agent_id` beside what an account has."""
    account = wallet(venue, balance)
    return account | venue.control("PUT", f"accounts/{account['login_id']}/agent", fields)


@asynccontextmanager
async def asking(
    venue: SimulatorProcess, account: Account, seen: list[Any] | None = None
) -> AsyncIterator[RestClient]:
    """Every request and every answer is checked against its published schema."""
    recorder = Recorder("v4")

    def hook(direction: str, frame: dict[str, Any]) -> None:
        recorder.hook(direction, frame)
        if seen is not None:
            seen.append(frame)

    base = f"http://127.0.0.1:{venue.port}"
    async with RestClient(base, "1234", account["token"], on_message=hook) as rest:
        yield rest


def moved(venue: SimulatorProcess, account: Account) -> list[tuple[str, str]]:
    """The account's lines after its first."""
    lines = venue.books(account["login_id"])["lines"][1:]
    return [(line["action"], line["amount"]) for line in lines]


def code_of(venue: SimulatorProcess, account: Account) -> str:
    return str(venue.control("GET", f"accounts/{account['login_id']}/verification-code")["code"])


async def decided(rest: RestClient, request_id: str) -> str:
    async with asyncio.timeout(10):
        while (payment := await rest.withdrawal(request_id)).status == "pending":
            await asyncio.sleep(0.02)
    return payment.status


# ── who ──────────────────────────────────────────────────────────────────────────────────────────────


def test_agents_are_shown_to_whom_they_may_serve(venue: SimulatorProcess) -> None:
    client = wallet(venue)
    terms = {
        "deposit_commission": "1.5",
        "withdrawal_commission": "2",
        "withdrawal_minimum": "5.00",
        "withdrawal_maximum": "1000.00",
    }
    listed = agent(venue, name="Bright", countries=["id", "ng"], **terms)
    hidden = agent(venue, name="Quiet", is_listed=False)
    retired = agent(venue, name="Gone", is_active=False, countries=["zz"])

    async def story() -> None:
        async with asking(venue, client) as rest:

            async def shown(**asked: Any) -> dict[int, PaymentAgent]:
                return {one.agent_id: one for one in await rest.agents(**asked)}

            before = await shown()
            assert listed["agent_id"] in before
            assert not {hidden["agent_id"], retired["agent_id"]} & set(before)
            expected = PaymentAgent(
                listed["agent_id"], "Bright", ("id", "ng"), True,
                (AgentTerms("USD", Decimal("1.5"), Decimal("2"), Decimal("5.00"), Decimal("1000.00")),),
            )  # fmt: skip
            assert before[listed["agent_id"]] == expected == await rest.agent(listed["agent_id"])
            assert listed["agent_id"] in await shown(country="ng")
            assert listed["agent_id"] not in await shown(country="fr")
            assert await shown(currency="EUR") == {}
            unknown = await rest.agent(hidden["agent_id"])
            assert (unknown.name, unknown.is_listed) == ("Quiet", False), "whoever has the number sees it"
            async with asking(venue, hidden) as other:
                assert await other.agent("me") == unknown
                await other.transfer(await rest.nickname(), TEN, request_id="first")
            now = await shown()
            assert set(now) - set(before) == {hidden["agent_id"]}, "known from a transfer"
            assert now[hidden["agent_id"]].is_listed is False
            coverage = await rest.agent_coverage()
            assert {"id", "ng"} <= set(coverage.countries) and "zz" not in coverage.countries
            assert coverage.currencies == ("USD",)
            for wrong, code in (("me", "AgentNotFound"), (10**8, "AgentNotFound"), ("x", "InvalidAgentID")):
                with pytest.raises(Refused) as refused:
                    await rest.agent(wrong)  # type: ignore[arg-type]
                assert refused.value.code == code

    asyncio.run(story())


def test_a_list_of_agents_comes_in_pages(venue: SimulatorProcess) -> None:
    client = wallet(venue)
    for _ in range(3):
        agent(venue)

    def page(**asked: Any) -> httpx.Response:
        return httpx.get(
            f"http://127.0.0.1:{venue.port}/payment-agents/v1/agents",
            params=asked,
            headers={"Deriv-App-ID": "1", "Authorization": f"Bearer {client['token']}"},
        )

    everyone = [row["id"] for row in page(currency="USD", per_page=1000).json()["data"]]
    assert len(everyone) >= 3 and everyone == sorted(everyone)
    pages = [page(currency="USD", per_page=2, page=number).json()["data"] for number in (1, 2)]
    assert [row["id"] for rows in pages for row in rows] == everyone[:4]
    assert page(currency="USD", per_page=2, page=999).json()["data"] == []
    for wrong in ({}, {"currency": "USD", "page": 0}, {"currency": "USD", "per_page": "x"}):
        refused = page(**wrong)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "InputError")


def test_a_nickname_is_a_word_and_its_user_is_read_out_of_it() -> None:
    assert nickname(0) == "ba" and nickname(9_000_001) == "cubababe"
    for number in (*range(300), 9_000_123, 10**12):
        assert user_of(nickname(number)) == number
    assert [user_of(word) for word in ("", "b", "baba", "BA", "ba ", "xy", "ba" * 40, "zu" * 40)] == [
        None
    ] * 8


def test_only_a_user_s_wallet_makes_them_an_agent(venue: SimulatorProcess) -> None:
    demo = venue.open_account(f"demo-{next(_numbers)}")
    real = wallet(venue)
    for account, fields in (
        (demo, {}), (real, {"surprise": 1}), (real, {"countries": ["ID"]}), (real, {"rejects": 1}),
        (real, {"withdrawal_minimum": 5}), (real, {"withdrawal_minimum": "NaN"}), (real, {"name": None}),
    ):  # fmt: skip
        assert status_of(venue.control, "PUT", f"accounts/{account['login_id']}/agent", fields) == 422
    for path in ("CR1/verification-code", f"{real['login_id']}/verification-code"):
        assert status_of(venue.control, "GET", f"accounts/{path}") == 404
    first = venue.control("PUT", f"accounts/{real['login_id']}/agent", {"name": "One"})
    assert venue.control("PUT", f"accounts/{real['login_id']}/agent", {"name": "Two"}) == first


# ── transfers ────────────────────────────────────────────────────────────────────────────────────────


def test_a_transfer_moves_money_once(venue: SimulatorProcess) -> None:
    giver, client = agent(venue), wallet(venue)

    async def story() -> None:
        async with asking(venue, client) as rest:
            name = await rest.nickname()
        async with asking(venue, giver) as rest:
            done = await rest.transfer(name, Decimal("12.34"), request_id="salary", notes="for May")
            line = venue.books(client["login_id"])["lines"][-1]
            assert done == Payment("complete", line["transaction_id"])
            for amount in (Decimal("12.34"), Decimal("1.00")):
                with pytest.raises(RequestUsed):
                    await rest.transfer(name, amount, request_id="salary")
        async with asking(venue, client) as rest:
            with pytest.raises(Refused, match="AgentIDInvalid"):
                await rest.transfer(name, TEN, request_id="salary")

    asyncio.run(story())
    assert moved(venue, giver) == [("withdrawal", "-12.34")]
    assert moved(venue, client) == [("deposit", "12.34")]
    assert venue.books(giver["login_id"])["account"]["balance"] == "487.66"
    assert venue.books(client["login_id"])["account"]["balance"] == "112.34"


@pytest.mark.parametrize(
    ("of_agent", "asked", "code"),
    [
        ({"is_active": False}, {}, "AgentInactive"),
        ({}, {"currency": "EUR"}, "AgentCurrencyUnsupported"),
        ({}, {"to_nickname": "nobody"}, "NicknameNotFound"),
        ({}, {"to_nickname": "self"}, "AgentSelfTransfer"),
        ({}, {"to_nickname": "demo"}, "NoClientWallet"),
        ({"countries": ["fr"]}, {}, "ClientCountryUnsupported"),
        ({}, {"amount": Decimal("500.01")}, "WalletFundsInsufficient"),
        ({}, {"amount": Decimal("0.00")}, "InputError"),
        ({}, {"amount": Decimal("1.001")}, "InputError"),
        ({}, {"amount": Decimal("-1")}, "InputError"),
        ({}, {"request_id": "with space"}, "InvalidRequestIDFormat"),
        ({}, {"request_id": "x" * 129}, "InvalidRequestIDFormat"),
    ],
)
def test_a_transfer_that_is_refused_moves_nothing(
    venue: SimulatorProcess, of_agent: dict[str, Any], asked: dict[str, Any], code: str
) -> None:
    giver, client = agent(venue, **of_agent), wallet(venue)
    demo = venue.open_account(f"demo-{next(_numbers)}")
    before = [venue.books(one["login_id"]) for one in (giver, client, demo)]

    async def story() -> None:
        names = {"self": giver, "demo": demo, "client": client}
        for name, account in list(names.items()):
            async with asking(venue, account) as rest:
                names[name] = await rest.nickname()
        request: dict[str, Any] = {"to_nickname": "client", "amount": TEN, "request_id": "r", **asked}
        request["to_nickname"] = names.get(request["to_nickname"], request["to_nickname"])
        base = f"http://127.0.0.1:{venue.port}"
        async with RestClient(base, "1234", giver["token"]) as rest:  # the schema forbids some of it
            with pytest.raises(Refused) as refused:
                await rest.transfer(**request)
            assert refused.value.code == code
            assert not isinstance(refused.value, RequestUsed)

    asyncio.run(story())
    assert [venue.books(one["login_id"]) for one in (giver, client, demo)] == before


# ── withdrawals ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "status", "of_client", "of_agent"),
    [
        ({}, "complete", [("withdrawal", "-10.00")], [("deposit", "10.00")]),
        ({"rejects": True}, "rejected", [("withdrawal", "-10.00"), ("deposit", "10.00")], []),
    ],
)
def test_a_withdrawal_is_pending_and_then_decided(
    venue: SimulatorProcess,
    fields: dict[str, Any],
    status: str,
    of_client: list[tuple[str, str]],
    of_agent: list[tuple[str, str]],
) -> None:
    taker, client, seen = agent(venue, **fields), wallet(venue), list[Any]()

    async def story() -> None:
        async with asking(venue, client, seen) as rest, asking(venue, taker) as other:
            sent = await rest.request_withdrawal_code(taker["agent_id"], TEN)
            assert 0 < sent.next_request_at < sent.expires_at
            with pytest.raises(Refused, match="RequestIDNotFound"):
                await rest.withdrawal("w-1")
            code = code_of(venue, client)
            accepted = await rest.withdraw(taker["agent_id"], TEN, code, request_id="w-1")
            assert accepted.status == "pending"
            assert moved(venue, client)[0] == ("withdrawal", "-10.00")
            assert venue.books(client["login_id"])["lines"][1]["transaction_id"] == accepted.transaction_id
            assert await decided(rest, "w-1") == status
            assert await rest.withdrawal("w-1") == Payment(status, accepted.transaction_id)  # type: ignore[arg-type]
            assert await other.withdrawal("w-1") == await rest.withdrawal("w-1"), "the agent may ask too"
            with pytest.raises(RequestUsed):
                await rest.withdraw(taker["agent_id"], TEN, code, request_id="w-1")
            async with asking(venue, wallet(venue)) as stranger:
                with pytest.raises(Refused, match="RequestIDNotFound"):
                    await stranger.withdrawal("w-1")
            told = json.dumps(seen, default=str)
            assert code not in told and client["token"] not in told

    asyncio.run(story())
    assert moved(venue, client) == of_client
    assert moved(venue, taker) == of_agent


def test_a_withdrawal_through_an_agent_who_gives_up_meanwhile_fails_when_it_is_due() -> None:
    now = 1_795_262_400.0
    engine = Engine(Store(None), Market(5, Clock.begin(now, 1)), Rules(withdrawal_delay=30.0))
    payments = Payments(engine)
    client = engine.open_account("client", "USD", Decimal("100.00"), False, now)
    taker = engine.open_account("agent", "USD", Decimal("0.00"), False, now)
    made = payments.make_agent(Agent(0, taker.user_id, int(now), "One", ("id",)))
    asked = (client.user_id, made.agent_id, TEN, "USD")
    code = payments.request_code(*asked, now, at_any_time=False)
    with pytest.raises(Refusal, match="OtpRateLimitExceeded"):
        payments.request_code(*asked, now + 59.9, at_any_time=False)
    with pytest.raises(Refusal, match="InvalidOTP"):
        payments.withdraw(*asked, code.code, "w", now + 361)
    payments.withdraw(*asked, code.code, "w", now + 360)
    payments.make_agent(replace(made, is_active=False))
    payments.advance(now + 389.9)
    assert payments.withdrawal(client.user_id, "w").status == "pending"
    payments.advance(now + 390)
    payments.advance(now + 500)
    assert payments.withdrawal(client.user_id, "w").status == "failed"
    lines = [(line.action, line.amount) for line in engine.store.lines(client.login_id)[::-1]]
    assert lines == [("deposit", Decimal("100.00")), ("withdrawal", -TEN), ("deposit", TEN)]
    assert engine.account(taker.login_id).balance == 0


def test_a_code_is_good_for_one_withdrawal_and_five_tries(venue: SimulatorProcess) -> None:
    taker, client = agent(venue), wallet(venue)

    async def story() -> None:
        async with asking(venue, client) as rest:

            async def refused(code: str, amount: Decimal = TEN) -> str:
                with pytest.raises(Refused) as found:
                    await rest.withdraw(taker["agent_id"], amount, code, request_id="w")
                return found.value.code

            async def new_code() -> str:
                await rest.request_withdrawal_code(taker["agent_id"], TEN)
                return code_of(venue, client)

            assert await refused("123456") == "InvalidOTP", "none was asked for"
            code = await new_code()
            wrong = "000000" if code != "000000" else "111111"
            assert await refused(code, Decimal("10.01")) == "InvalidOTP", "it is for another amount"
            assert [await refused(wrong) for _ in range(4)] == ["InvalidOTP"] * 4
            assert await refused(code) == "OtpValidationRateLimitExceeded", "even the right one, from now on"
            assert moved(venue, client) == []
            code = await new_code()
            assert (await rest.withdraw(taker["agent_id"], TEN, code, request_id="w")).status == "pending"
            with pytest.raises(Refused, match="InvalidOTP"):
                await rest.withdraw(taker["agent_id"], TEN, code, request_id="w2")

    asyncio.run(story())
    assert moved(venue, client) == [("withdrawal", "-10.00")]


@pytest.mark.parametrize(
    ("of_agent", "asked", "code"),
    [
        ({}, {"agent_id": 10**8}, "AgentIDInvalid"),
        ({"is_active": False}, {}, "AgentInactive"),
        ({}, {"currency": "EUR"}, "AgentCurrencyUnsupported"),
        ({}, {"verification_code": "12345"}, "VerificationCodeFormatInvalid"),
        ({"countries": ["fr"]}, {}, "ClientCountryUnsupported"),
        ({"withdrawal_minimum": "10.01"}, {}, "WithdrawalAmountMinimum"),
        ({"withdrawal_maximum": "9.99"}, {}, "WithdrawalAmountMaximum"),
        ({}, {"amount": Decimal("100.01")}, "WalletFundsInsufficient"),
        ({}, {"request_id": ""}, "InvalidRequestIDFormat"),
        ({}, {"request_id": "ä"}, "InvalidRequestIDFormat"),
    ],
)
def test_a_withdrawal_that_is_refused_takes_nothing(
    venue: SimulatorProcess, of_agent: dict[str, Any], asked: dict[str, Any], code: str
) -> None:
    taker, client = agent(venue, **of_agent), wallet(venue)

    async def story() -> None:
        request = {"agent_id": taker["agent_id"], "amount": TEN, "verification_code": "123456", **asked}
        base = f"http://127.0.0.1:{venue.port}"
        async with RestClient(base, "1234", client["token"]) as rest:  # the schema forbids some of it
            with pytest.raises(Refused) as refused:
                await rest.withdraw(**{"request_id": "r", **request})
            assert refused.value.code == code
            if code in ("AgentIDInvalid", "AgentInactive", "AgentCurrencyUnsupported"):
                wanted = {
                    name: request[name] for name in ("agent_id", "amount", "currency") if name in request
                }
                with pytest.raises(Refused, match=code):
                    await rest.request_withdrawal_code(**wanted)

    asyncio.run(story())
    assert (moved(venue, client), moved(venue, taker)) == ([], [])


def test_who_withdraws_through_themselves_or_without_a_wallet_is_refused(venue: SimulatorProcess) -> None:
    taker, demo = agent(venue), venue.open_account(f"demo-{next(_numbers)}")

    async def story() -> None:
        for account, code in ((taker, "AgentSelfWithdraw"), (demo, "NoClientWallet")):
            async with asking(venue, account) as rest:
                with pytest.raises(Refused, match=code):
                    await rest.withdraw(taker["agent_id"], TEN, "123456", request_id="r")
        async with asking(venue, taker) as rest:
            with pytest.raises(Refused, match="AgentSelfWithdraw"):
                await rest.request_withdrawal_code(taker["agent_id"], TEN)

    asyncio.run(story())


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "error", "happened"),
    [
        ({"fault": "lose_answer"}, OutcomeUnknown, True),
        ({"fault": "drop_after_purchase"}, OutcomeUnknown, True),
        ({"fault": "drop_before_purchase"}, OutcomeUnknown, False),
        ({"fault": "refuse", "code": "TransferFailed"}, OutcomeUnknown, False),
        ({"fault": "refuse", "code": "NeverHeardOfIt"}, OutcomeUnknown, False),
        ({"fault": "refuse", "code": "NoClientWallet"}, Refused, False),
        ({"fault": "rate_limit"}, RetryLater, False),
    ],
)
def test_a_transfer_that_may_have_been_made_is_found_out_by_asking_again(
    venue: SimulatorProcess, fault: dict[str, Any], error: type[VenueError], happened: bool
) -> None:
    giver, client = agent(venue), wallet(venue)
    rule = {**fault, "call": "payment_agent_transfer", "login_id": giver["login_id"]}

    async def story() -> None:
        async with asking(venue, client) as rest:
            name = await rest.nickname()
        venue.control("POST", "faults", rule)
        base = f"http://127.0.0.1:{venue.port}"
        async with RestClient(base, "1234", giver["token"]) as rest:
            with pytest.raises(VenueError) as found:
                await rest.transfer(name, TEN, request_id="once")
            assert isinstance(found.value, error) and not isinstance(found.value, MalformedAnswer)
            assert moved(venue, client) == ([("deposit", "10.00")] if happened else [])
            if happened:
                with pytest.raises(RequestUsed):
                    await rest.transfer(name, TEN, request_id="once")
            else:
                assert (await rest.transfer(name, TEN, request_id="once")).status == "complete"

    asyncio.run(story())
    assert moved(venue, client) == [("deposit", "10.00")]
    assert moved(venue, giver) == [("withdrawal", "-10.00")]


def test_a_withdrawal_whose_answer_was_lost_is_looked_up(venue: SimulatorProcess) -> None:
    taker, client = agent(venue), wallet(venue)
    venue.fault("lose_answer", "payment_agent_withdraw", client["login_id"])

    async def story() -> None:
        async with asking(venue, client) as rest:
            await rest.request_withdrawal_code(taker["agent_id"], TEN)
            with pytest.raises(OutcomeUnknown):
                await rest.withdraw(taker["agent_id"], TEN, code_of(venue, client), request_id="lost")
            assert await decided(rest, "lost") == "complete"

    asyncio.run(story())
    assert moved(venue, client) == [("withdrawal", "-10.00")]


def test_a_token_without_the_scope_sees_no_agents_and_no_nickname(venue: SimulatorProcess) -> None:
    reader = wallet(venue, scopes=["read", "trade"])

    async def story() -> None:
        async with asking(venue, reader) as rest:
            for asked in (
                rest.agents(), rest.agent("me"), rest.agent_coverage(), rest.nickname(), rest.withdrawal("r"),
                rest.transfer("ba", TEN, request_id="r"), rest.request_withdrawal_code(1, TEN),
                rest.withdraw(1, TEN, "123456", request_id="r"),
            ):  # fmt: skip
                with pytest.raises(NotAuthorized, match="PermissionDenied"):
                    await asked

    asyncio.run(story())


def test_a_pending_withdrawal_and_the_count_of_wrong_codes_outlive_the_death_of_the_venue(
    tmp_path: Path,
) -> None:
    with SimulatorProcess(tmp_path / "venue.sqlite3", 20, "--withdrawal-delay", "1.5") as venue:
        taker, client, other = agent(venue), wallet(venue), wallet(venue)

        async def before() -> None:
            async with asking(venue, other) as rest:
                await rest.request_withdrawal_code(taker["agent_id"], TEN)
                code = code_of(venue, other)
                wrong = "000000" if code != "000000" else "111111"
                for _ in range(5):
                    with pytest.raises(Refused, match="InvalidOTP"):
                        await rest.withdraw(taker["agent_id"], TEN, wrong, request_id="w")
                with pytest.raises(Refused, match="OtpRateLimitExceeded") as soon:
                    await rest.request_withdrawal_code(taker["agent_id"], TEN)
                assert isinstance(soon.value.details["next_request_at"], int)
            async with asking(venue, client) as rest:
                await rest.request_withdrawal_code(taker["agent_id"], TEN)
                accepted = await rest.withdraw(
                    taker["agent_id"], TEN, code_of(venue, client), request_id="survivor"
                )
                assert accepted.status == "pending"

        async def after() -> None:
            async with asking(venue, client) as rest:
                assert await decided(rest, "survivor") == "complete"
            async with asking(venue, other) as rest:
                code = code_of(venue, other)
                with pytest.raises(Refused, match="OtpValidationRateLimitExceeded"):
                    await rest.withdraw(taker["agent_id"], TEN, code, request_id="w")

        asyncio.run(before())
        venue.kill()
        venue.start()
        asyncio.run(after())
        assert moved(venue, client) == [("withdrawal", "-10.00")]
        assert moved(venue, taker) == [("deposit", "10.00")]
        assert moved(venue, other) == []
