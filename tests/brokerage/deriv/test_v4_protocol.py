"""What only v4 has on the wire: accounts over HTTP, addresses that work once, permissions, a user's move."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from brokerage.deriv.errors import (
    AnswerTimeout,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    Refused,
    RetryLater,
    VenueError,
)
from brokerage.deriv.opening import Credentials, open_client
from brokerage.deriv.rest import RestClient
from brokerage.deriv.simulator.v4.passwords import LIFE_SECONDS, Passwords
from tests.brokerage.deriv.running import SimulatorProcess, free_port
from tests.brokerage.deriv.schemas import Recorder
from tests.brokerage.deriv.speaking import addresses
from tests.brokerage.deriv.test_client import MINUTE

pytestmark = pytest.mark.processes

Account = dict[str, Any]


@asynccontextmanager
async def asking(
    venue: SimulatorProcess, account: Account, app_id: str = "1234", timeout: float = 5
) -> AsyncIterator[RestClient]:
    """Every answer is checked against its published schema."""
    hook = Recorder("v4").hook
    base = f"http://127.0.0.1:{venue.port}"
    async with RestClient(base, app_id, account["token"], on_message=hook, timeout=timeout) as rest:
        yield rest


def test_a_user_sees_their_accounts_and_opens_one_of_each_kind(
    venue: SimulatorProcess, account: Account
) -> None:
    async def story() -> None:
        async with asking(venue, account) as rest:
            (first,) = await rest.accounts()
            assert (first.login_id, first.balance, first.currency, first.is_demo, first.is_active) == (
                account["login_id"], Decimal("10000.00"), "USD", True, True,
            )  # fmt: skip
            assert await rest.create_account(is_demo=True) == first, "there is one already"
            real = await rest.create_account(is_demo=False)
            assert (real.is_demo, real.balance) == (False, Decimal("0.00"))
            assert await rest.create_account(is_demo=False) == real
            assert await rest.accounts() == (first, real)
            assert await rest.migration() == "not_applicable"

    asyncio.run(story())


def test_a_demo_balance_goes_back_to_where_it_began(venue: SimulatorProcess, account: Account) -> None:
    path = f"accounts/{account['login_id']}/activity"
    venue.control("POST", path, {"kind": "withdrawal", "amount": "2500.00"})

    async def story() -> None:
        async with asking(venue, account) as rest:
            await rest.reset_demo_balance(account["login_id"])
            assert (await rest.accounts())[0].balance == Decimal("10000.00")
            await rest.reset_demo_balance(account["login_id"])
            real = await rest.create_account(is_demo=False)
            with pytest.raises(Refused, match="NotDemo"):
                await rest.reset_demo_balance(real.login_id)

    asyncio.run(story())
    lines = venue.books(account["login_id"])["lines"]
    assert [(line["action"], line["amount"]) for line in lines] == [
        ("virtual_credit", "10000.00"), ("withdrawal", "-2500.00"), ("deposit", "2500.00"),
    ]  # fmt: skip


def test_an_address_opens_one_socket_once(venue: SimulatorProcess, account: Account) -> None:
    async def story() -> None:
        async with asking(venue, account) as rest:
            address = await rest.socket_address(account["login_id"])
        async with connect(address, proxy=None):
            pass
        false = (address, address[:-3] + "xyz", address.split("?")[0], address.replace("/demo", "/real"))
        for used in false:
            with pytest.raises(InvalidStatus) as refused:
                await connect(used, proxy=None)
            assert refused.value.response.status_code == 401

    asyncio.run(story())


def test_an_address_is_good_for_two_minutes() -> None:
    passwords, now = Passwords(), time.time()
    first, second = passwords.give("VRTC1", 1, now), passwords.give("VRTC1", 1, now)
    assert passwords.use(first, now + LIFE_SECONDS) is not None
    assert passwords.use(second, now + LIFE_SECONDS + 0.001) is None
    assert passwords.use(second, now) is None, "it was tried, so it is used"


def test_who_is_not_known_or_may_not_is_told_so(venue: SimulatorProcess, account: Account) -> None:
    reader = venue.open_account(f"reader-{account['login_id']}", scopes=["read"])

    async def story() -> None:
        for wrong, app_id, code in (
            ({**account, "token": "nobody"}, "1234", "InvalidToken"),
            (account, "", "InvalidAppID"),
            (account, "no-such*app", "InvalidAppID"),
            (reader, "1234", "PermissionDenied"),
        ):
            async with asking(venue, wrong, app_id) as rest:
                with pytest.raises(NotAuthorized) as refused:
                    await rest.socket_address(account["login_id"])
                assert refused.value.code == code
                assert wrong["token"] not in str(refused.value)
        async with asking(venue, account) as rest:
            with pytest.raises(Refused, match="AccountNotFound"):
                await rest.socket_address(reader["login_id"])
        for wrong in ({**account, "token": "nobody"}, {**account, "login_id": reader["login_id"]}, reader):
            credentials = Credentials("v4", wrong["login_id"], wrong["token"])
            with pytest.raises(NotAuthorized):
                await open_client(addresses(venue), credentials)

    asyncio.run(story())


def test_the_public_socket_sells_nothing(venue: SimulatorProcess) -> None:
    async def story() -> None:
        client = await open_client(addresses(venue), Credentials("v4"))
        try:
            assert len(await client.active_symbols()) == 10
            assert await client.follow_site_status() is None
            for ask in (client.balance, client.portfolio, client.statement, client.follow_transactions):
                with pytest.raises(NotAuthorized, match="AuthorizationRequired"):
                    await ask()
            with pytest.raises(NotAuthorized, match="AuthorizationRequired"):
                await client.buy("x" * 32, Decimal(1))
        finally:
            await client.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("fault", "call", "error"),
    [
        ({"fault": "refuse", "code": "RateLimit"}, "accounts", RetryLater),
        ({"fault": "refuse", "code": "InternalServerError"}, "accounts", RetryLater),
        ({"fault": "refuse", "code": "InternalServerError"}, "create_account", OutcomeUnknown),
        ({"fault": "lose_answer"}, "create_account", OutcomeUnknown),
        ({"fault": "drop_after_purchase"}, "create_account", OutcomeUnknown),
        ({"fault": "delay", "seconds": 2}, "create_account", AnswerTimeout),
        ({"fault": "refuse", "code": "NeverHeardOfIt"}, "create_account", Refused),
    ],
)
def test_what_goes_wrong_over_http_says_what_to_do(
    venue: SimulatorProcess, account: Account, fault: dict[str, Any], call: str, error: type[VenueError]
) -> None:
    fields = {**fault, "call": call, "login_id": account["login_id"]}
    venue.control("POST", "faults", fields)

    async def story() -> None:
        async with asking(venue, account, timeout=0.5) as rest:
            with pytest.raises(VenueError) as refused:
                await (rest.accounts() if call == "accounts" else rest.create_account(is_demo=False))
            assert isinstance(refused.value, error), refused.value

    asyncio.run(story())


def test_nothing_is_sent_where_nobody_listens() -> None:
    async def story() -> None:
        async with RestClient(f"http://127.0.0.1:{free_port()}", "1", "token") as rest:
            with pytest.raises(NotSent):
                await rest.create_account(is_demo=True)

    asyncio.run(story())


def test_health_is_a_word(venue: SimulatorProcess) -> None:
    answer = httpx.get(f"http://127.0.0.1:{venue.port}/v1/health")
    assert (answer.status_code, answer.text) == (200, "OK")


def test_a_user_who_is_moved_has_another_login_and_an_old_statement(
    venue: SimulatorProcess, account: Account
) -> None:
    path = f"accounts/{account['login_id']}"
    for amount in ("1.00", "2.00"):
        venue.control("POST", f"{path}/activity", {"kind": "withdrawal", "amount": amount})

    async def story() -> None:
        old = await open_client(addresses(venue), Credentials("v3", account["login_id"], account["token"]))
        running = await old.buy_with_terms(MINUTE, Decimal("10.00"))
        venue.control("POST", f"{path}/migration", {"status": "pending"})
        async with asking(venue, account) as rest:
            assert await rest.migration() == "pending"
            with pytest.raises(Refused, match="MigrationNotComplete"):
                await rest.legacy_statement(account["login_id"])
        assert (await old.balance()).balance == Decimal("9987.00"), "until it is done, v3 goes on"
        done = venue.control("POST", f"{path}/migration", {"status": "complete"})
        new = done["moves"][account["login_id"]]
        assert new != account["login_id"]
        await asyncio.wait_for(old.wait_lost(), 5)
        with pytest.raises(NotAuthorized, match="InvalidToken"):
            await open_client(addresses(venue), Credentials("v3", account["login_id"], account["token"]))
        async with asking(venue, account) as rest:
            assert await rest.legacy_logins() == (account["login_id"],)
            assert (await rest.migration(), (await rest.accounts())[0].login_id) == ("complete", new)
            older = await rest.legacy_statement(account["login_id"])
            assert [(line.action, line.amount, line.balance_after) for line in older] == [
                ("buy", Decimal("-10.00"), Decimal("9987.00")),
                ("withdrawal", Decimal("-2.00"), Decimal("9997.00")),
                ("withdrawal", Decimal("-1.00"), Decimal("9999.00")),
                ("deposit", Decimal("10000.00"), Decimal("10000.00")),
            ]
            assert await rest.legacy_statement(account["login_id"], since=older[0].at + 1) == ()
        moved = Credentials("v4", new, account["token"], account["login_id"], int(time.time()) + 1)
        client = await open_client(addresses(venue), moved)
        try:
            (held,) = await client.portfolio()
            assert held.contract_id == running.contract_id, "an open contract stays what it is"
            assert await client.statement() == ()
            assert await client.older_statement() == older
            assert await client.older_statement(since=moved.moved_at) == ()
        finally:
            await client.close()

    asyncio.run(story())
