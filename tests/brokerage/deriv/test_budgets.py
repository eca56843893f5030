"""A client with budgets at a venue that enforces its limits: nothing is one too many, and orders go first."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from backoffice.cache import async_redis
from brokerage.deriv.budgets import ASKED_UNTIL
from brokerage.deriv.client import DerivClient
from brokerage.deriv.errors import NotSent, RetryLater, VenueError
from brokerage.deriv.opening import Credentials, open_client
from brokerage.deriv.settings import Settings
from brokerage.deriv.types import ContractTerms
from brokerage.streams.budget import AccountBudget
from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.speaking import SPOKEN, addresses

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("redis", "generation")]

TERMS = ContractTerms("CALL", "R_100", "stake", Decimal("10.00"), 5, "t", "USD")
# What a burst of questions gets: v3's 80 less those kept back, v4's 360 less those kept back.
PRICES = {"v3": 72, "v4": 300}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """A venue that enforces its limits."""
    with SimulatorProcess(tmp_path_factory.mktemp("strict") / "venue.sqlite3") as process:
        yield process


async def burst(client: DerivClient, count: int) -> Counter[str]:
    """So many prices asked for at once that anybody wants within three seconds."""

    async def one() -> str:
        try:
            await client.proposal(TERMS)
        except VenueError as found:
            return found.code
        return "priced"

    ASKED_UNTIL.set(asyncio.get_running_loop().time() + 3)
    return Counter(await asyncio.gather(*(one() for _ in range(count))))


def at_the_venue(strict: SimulatorProcess, name: str, work: Any, *, counted: bool = True) -> Any:
    """What the story returns, and how many requests the venue refused meanwhile as too many."""
    account = strict.open_account(f"{SPOKEN.get()}-{name}")
    credentials = Credentials(SPOKEN.get(), account["login_id"], account["token"])

    async def story() -> Any:
        shared = async_redis()
        admission = AccountBudget(shared, account["login_id"], SPOKEN.get()) if counted else None
        client = await open_client(addresses(strict), credentials, admission=admission)
        try:
            return await work(client)
        finally:
            await client.close()
            await shared.aclose()

    before = sum(strict.control("GET", "limits").values())
    found = asyncio.run(story())
    return found, sum(strict.control("GET", "limits").values()) - before


def test_of_a_burst_of_500_prices_the_venue_refuses_none(strict: SimulatorProcess) -> None:
    found, refused = at_the_venue(strict, "burst", lambda client: burst(client, 500))
    assert found == {"priced": PRICES[SPOKEN.get()], "BUDGET": 500 - PRICES[SPOKEN.get()]}
    assert refused == 0


def test_without_budgets_the_venue_refuses_the_rest_of_the_burst(strict: SimulatorProcess) -> None:
    found, refused = at_the_venue(strict, "storm", lambda client: burst(client, 500), counted=False)
    most = {"v3": 80, "v4": 360}[SPOKEN.get()]
    assert found == {"priced": most, "RateLimit": 500 - most} and refused == 500 - most


def test_two_connections_of_an_account_share_its_budget(strict: SimulatorProcess) -> None:
    account = strict.open_account(f"{SPOKEN.get()}-shared")
    credentials = Credentials(SPOKEN.get(), account["login_id"], account["token"])

    async def one() -> Counter[str]:
        shared = async_redis()
        admission = AccountBudget(shared, account["login_id"], SPOKEN.get())
        client = await open_client(addresses(strict), credentials, admission=admission)
        try:
            return await burst(client, 250)
        finally:
            await client.close()
            await shared.aclose()

    async def both() -> Counter[str]:
        first, second = await asyncio.gather(one(), one())
        return first + second

    assert asyncio.run(both())["priced"] == PRICES[SPOKEN.get()]


def test_a_purchase_leaves_though_no_question_may_any_more(strict: SimulatorProcess) -> None:
    async def work(client: DerivClient) -> Any:
        offer = await client.proposal(TERMS)
        await burst(client, 500)
        if SPOKEN.get() == "v3":  # where purchases share a group with everything that is no price
            ASKED_UNTIL.set(asyncio.get_running_loop().time() + 3)
            await asyncio.gather(*(client.time() for _ in range(200)), return_exceptions=True)
        ASKED_UNTIL.set(None)
        return (await client.buy(offer.id, Decimal("10.00"))).buy_price

    assert at_the_venue(strict, "order", work) == (Decimal("10.00"), 0)


def test_a_heartbeat_that_finds_no_place_does_not_make_the_connection_seem_dead(
    strict: SimulatorProcess,
) -> None:
    account = strict.open_account(f"{SPOKEN.get()}-heart")
    credentials = Credentials(SPOKEN.get(), account["login_id"], account["token"])

    class NoPings(AccountBudget):
        pings = 0

        async def admit(self, call: str, *, until: float, urgent: bool) -> None:
            if call == "ping":
                self.pings += 1
                raise RetryLater("BUDGET")
            await super().admit(call, until=until, urgent=urgent)

    async def story() -> None:
        shared = async_redis()
        admission = NoPings(shared, account["login_id"], SPOKEN.get())
        quick = Settings(ping_every=0.05, pong_within=0.05)
        client = await open_client(addresses(strict), credentials, settings=quick, admission=admission)
        try:
            while admission.pings < 5:
                await asyncio.sleep(0.01)
            assert client.is_up and (await client.proposal(TERMS)).ask_price == Decimal("10.00")
        finally:
            await client.close()
            await shared.aclose()

    asyncio.run(story())


def test_the_last_look_comes_after_the_wait_for_the_budget(strict: SimulatorProcess) -> None:
    steps: list[str] = []

    class Told(AccountBudget):
        async def admit(self, call: str, *, until: float, urgent: bool) -> None:
            await super().admit(call, until=until, urgent=urgent)
            steps.append(call)

    def look() -> None:
        steps.append("last look")
        raise NotSent("LEASE_LOST", "Another process holds this account.")

    account = strict.open_account(f"{SPOKEN.get()}-look")

    async def story() -> None:
        shared = async_redis()
        credentials = Credentials(SPOKEN.get(), account["login_id"], account["token"])
        admission = Told(shared, account["login_id"], SPOKEN.get())
        client = await open_client(addresses(strict), credentials, admission=admission)
        try:
            with pytest.raises(NotSent, match="LEASE_LOST"):
                await client.buy("1", Decimal("10.00"), last_look=look)
        finally:
            await client.close()
            await shared.aclose()

    asyncio.run(story())
    assert steps == [{"v3": "authorize", "v4": "otp"}[SPOKEN.get()], "buy", "last look"]
    assert strict.books(account["login_id"])["contracts"] == []
