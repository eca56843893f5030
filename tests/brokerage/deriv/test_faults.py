"""Every kind of misbehavior the simulator has, seen through the client the product uses."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from brokerage.deriv.errors import AnswerTimeout, RetryLater, VenueError
from brokerage.deriv.simulator import chaos
from brokerage.deriv.simulator.faults import Fault
from brokerage.deriv.v3 import V3Client
from tests.brokerage.deriv.running import SimulatorProcess, eventually
from tests.brokerage.deriv.speaking import client_of
from tests.brokerage.deriv.talking import TIMED, talk
from tests.brokerage.deriv.test_client import MINUTE, RISE, settled
from tests.brokerage.deriv.test_control import actions, status_of

pytestmark = pytest.mark.processes
Account = dict[str, Any]


async def told(frames: AsyncIterator[Any], many: int) -> list[Any]:
    """The next so many things a stream tells."""
    async with asyncio.timeout(10):
        return [await anext(frames) for _ in range(many)]


def test_an_answer_that_comes_late_or_twice_or_behind_another_finds_its_call(
    venue: SimulatorProcess, account: Account
) -> None:
    for fault in ("delay_answer", "duplicate", "reorder"):
        venue.fault(fault, "buy", account["login_id"], seconds=0.5)

    async def story() -> None:
        async with client_of(venue, account) as client:
            ids = {(await client.buy_with_terms(RISE, Decimal("10.00"))).contract_id for _ in range(3)}
            assert len(ids) == 3

    asyncio.run(story())
    assert actions(venue, account).count("buy") == 3


def test_a_late_answer_leaves_the_caller_in_doubt_though_it_was_bought(
    venue: SimulatorProcess, account: Account
) -> None:
    venue.fault("delay_answer", "buy", account["login_id"], seconds=1.5)

    async def story() -> None:
        async with client_of(venue, account, timeout=0.5) as client:
            with pytest.raises(AnswerTimeout):
                await client.buy_with_terms(RISE, Decimal("10.00"))

    asyncio.run(story())
    assert actions(venue, account).count("buy") == 1


def test_frames_are_lost_doubled_delayed_and_swapped(venue: SimulatorProcess, account: Account) -> None:
    login_id = account["login_id"]

    async def story() -> None:
        async with client_of(venue, account) as client:
            lines = aiter(await client.follow_transactions())

            async def buy(fault: str, **given: Any) -> int:
                venue.fault(fault, "transaction", login_id, **given)
                await client.buy_with_terms(MINUTE, Decimal("10.00"))
                return int(venue.books(login_id)["lines"][-1]["transaction_id"])

            lost = await buy("lose_frames")
            twice = await buy("duplicate_frames")
            assert [line.transaction_id for line in await told(lines, 2)] == [twice, twice]
            begun, late = time.monotonic(), await buy("delay_frames", seconds=0.5)
            assert [line.transaction_id for line in await told(lines, 1)] == [late]
            assert time.monotonic() - begun >= 0.5
            first = await buy("reorder_frames", seconds=5)
            await client.buy_with_terms(MINUTE, Decimal("10.00"))
            second = venue.books(login_id)["lines"][-1]["transaction_id"]
            # What goes out behind the next frame: here that is the answer to the purchase, or the line after it.
            assert sorted(line.transaction_id for line in await told(lines, 2)) == [first, second]
            assert lost < twice < late < first

    asyncio.run(story())


def test_an_answer_to_a_proposal_may_be_wrong_and_what_is_bought_costs_what_it_costs(
    venue: SimulatorProcess, account: Account
) -> None:
    venue.fault("wrong_proposal", "proposal", account["login_id"])

    async def story() -> None:
        async with client_of(venue, account) as client:
            wrong, right = await client.proposal(RISE), await client.proposal(RISE)
            assert (wrong.ask_price, right.ask_price) == (Decimal("11.00"), Decimal("10.00"))
            bought = await client.buy(wrong.id, wrong.ask_price)
            assert bought.buy_price == Decimal("10.00")

    asyncio.run(story())


def test_a_contract_settles_late_and_another_is_refunded(venue: SimulatorProcess, account: Account) -> None:
    venue.fault("late_settlement", "buy", account["login_id"], seconds=1.0)
    venue.fault("refund", "buy", account["login_id"])

    async def story() -> None:
        async with client_of(venue, account) as client:
            states = aiter(await client.follow_contracts())
            late = await client.buy_with_terms(RISE, Decimal("10.00"))
            end = await settled(states, late.contract_id)
            assert end.sell_time is not None and end.sell_time - end.date_expiry >= 1
            gone = await client.buy_with_terms(RISE, Decimal("10.00"))
            end = await settled(states, gone.contract_id)
            assert (end.status, end.sell_price) == ("cancelled", Decimal("10.00"))

    asyncio.run(story())
    assert [line["amount"] for line in venue.books(account["login_id"])["lines"]][-1] == "10.00"


def test_a_rate_limit_on_request(venue: SimulatorProcess, account: Account) -> None:
    venue.fault("rate_limit", "proposal", account["login_id"])

    async def story() -> None:
        async with client_of(venue, account) as client:
            with pytest.raises(RetryLater, match="RateLimit"):
                await client.proposal(RISE)

    asyncio.run(story())


# ── the whole venue: a process of its own, because everybody feels it ───────────────────────────────────────────


@pytest.fixture
def own(tmp_path: Any) -> Any:
    with SimulatorProcess(tmp_path / "own.sqlite3", 20, "--no-limits") as process:
        yield process


def begin(venue: SimulatorProcess, condition: str, seconds: float) -> None:
    venue.control("POST", "conditions", {"condition": condition, "seconds": seconds})


def test_a_venue_that_updates_says_so_closes_every_socket_and_is_up_again(own: SimulatorProcess) -> None:
    account = own.open_account("a")

    async def story() -> None:
        async with client_of(own, account) as client:
            assert isinstance(client, V3Client)
            site = aiter(await client.follow_site_status())
            assert [one.status for one in await told(site, 1)] == ["up"]
            begin(own, "updating", 0.5)
            assert [one.status for one in await told(site, 1)] == ["updating"]
            await asyncio.wait_for(client.wait_lost(), 5)
        async with client_of(own, account) as client:
            assert isinstance(client, V3Client)
            assert (await client.website_status()).status == "up"

    asyncio.run(story())
    assert own.control("GET", "conditions") == {"conditions": []}


def test_a_feed_that_stands_still_pushes_nothing_while_the_books_go_on(own: SimulatorProcess) -> None:
    account = own.open_account("a")

    async def story() -> None:
        async with client_of(own, account) as client:
            ticks, states = aiter(await client.ticks("1HZ100V")), aiter(await client.follow_contracts())
            await told(ticks, 2)
            begin(own, "frozen_feed", 30)
            bought = await client.buy_with_terms(RISE, Decimal("10.00"))
            await asyncio.to_thread(eventually, lambda: actions(own, account)[-1] == "sell")
            assert (await client.contract(bought.contract_id)).is_sold
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(states), 0.3)
            own.control("DELETE", "conditions")
            await told(ticks, 2)

    asyncio.run(story())


def test_a_restart_closes_every_socket_lets_nobody_in_and_forgets_nothing(own: SimulatorProcess) -> None:
    account = own.open_account("a")

    async def story() -> None:
        async with client_of(own, account) as client:
            await client.buy_with_terms(MINUTE, Decimal("10.00"))
            begin(own, "restart", 0.6)
            await asyncio.wait_for(client.wait_lost(), 5)
        with pytest.raises((VenueError, OSError)):
            async with client_of(own, account):
                pass
        await asyncio.to_thread(eventually, lambda: own.control("GET", "conditions") == {"conditions": []})
        async with client_of(own, account) as client:
            assert len(await client.portfolio()) == 1
            assert (await client.balance()).balance == Decimal("9990.00")

    asyncio.run(story())


def test_random_misbehavior_repeats_with_its_seed(own: SimulatorProcess) -> None:
    def first(seed: int) -> list[Any]:
        return list(itertools.islice(chaos.sequence(seed), 40))

    assert first(7) == first(7) != first(8)
    assert {kind for kind, _ in itertools.islice(chaos.sequence(1), 2000)} == set(chaos.KINDS)
    own.control("POST", "chaos", {"seed": 7, "every_seconds": 0.05, "kinds": ["lose_answer", "refund"]})
    done = eventually(lambda: len(own.control("GET", "chaos")["done"]) >= 5 and own.control("GET", "chaos"))
    own.control("DELETE", "chaos")
    wanted = itertools.islice(chaos.sequence(7, ["lose_answer", "refund"]), 5)
    assert [one["what"] for one in done["done"][:5]] == [kind for kind, _ in wanted]
    assert own.control("GET", "chaos")["running"] is False
    assert {rule["fault"] for rule in own.control("GET", "faults")["faults"]} <= {"lose_answer", "refund"}


def test_every_kind_is_drawn_or_left_out_on_purpose() -> None:
    assert set(Fault.kinds) - set(chaos.FAULTS) == {"refuse"}, "an error code is for whoever asks for one"


# ── what arrived, and what a client does without us ─────────────────────────────────────────────────────────────


def test_the_calls_that_arrived_are_remembered_with_their_time(
    venue: SimulatorProcess, account: Account
) -> None:
    before = time.time()

    async def story() -> None:
        async with talk(venue, account) as wire:
            await wire.ask({"buy": "1", "price": 10, "parameters": TIMED})
            await wire.ask({"ping": 1})

    asyncio.run(story())
    found = venue.control("GET", f"received?login_id={account['login_id']}")["received"]
    assert [row["call"] for row in found] == ["buy", "ping"]
    assert all(before <= row["at"] <= time.time() for row in found)
    (bought,) = venue.control("GET", f"received?call=buy&login_id={account['login_id']}")["received"]
    assert bought == found[0]


def test_what_a_client_does_at_the_venue_is_told_like_anything_else(
    venue: SimulatorProcess, account: Account
) -> None:
    path = f"accounts/{account['login_id']}/activity"
    purchase = {"kind": "buy", "contract_type": "CALL", "symbol": "1HZ100V", "stake": "10.00", "duration": 1,
                "duration_unit": "t", "app_id": 99}  # fmt: skip

    async def story() -> None:
        async with client_of(venue, account) as client:
            lines = aiter(await client.follow_transactions())
            for body in (
                {"kind": "deposit", "amount": "5.00"},
                {"kind": "withdrawal", "amount": "2.50"},
                purchase,
            ):
                await asyncio.to_thread(venue.control, "POST", path, body)
            seen = await told(lines, 3)
            assert [(line.action, line.amount) for line in seen] == [
                ("deposit", Decimal("5.00")), ("withdrawal", Decimal("-2.50")), ("buy", Decimal("-10.00")),
            ]  # fmt: skip
            assert seen[-1].balance == Decimal("9992.50")

    asyncio.run(story())
    assert [contract["app_id"] for contract in venue.books(account["login_id"])["contracts"]] == [99]


NONSENSE: list[tuple[str, dict[str, Any], int]] = [
    ("conditions", {"condition": "asleep"}, 422),
    ("conditions", {"condition": "updating", "seconds": 0}, 422),
    ("conditions", {"condition": "updating", "seconds": "long"}, 422),
    ("conditions", {"condition": "updating", "minutes": 1}, 422),
    ("chaos", {}, 422),
    ("chaos", {"seed": "x"}, 422),
    ("chaos", {"seed": 1, "every_seconds": 0}, 422),
    ("chaos", {"seed": 1, "kinds": ["earthquake"]}, 422),
    ("chaos", {"seed": 1, "colour": "red"}, 422),
    ("accounts/{}/activity", {"kind": "gift", "amount": "5.00"}, 422),
    ("accounts/{}/activity", {"kind": "deposit", "amount": "x"}, 422),
    ("accounts/{}/activity", {"kind": "deposit", "amount": "-5"}, 422),
    ("accounts/{}/activity", {"kind": "withdrawal", "amount": "999999.00"}, 422),
    ("accounts/{}/activity", {"kind": "deposit"}, 422),
    ("accounts/{}/activity", {"kind": "buy", "contract_type": "CALL"}, 422),
    ("accounts/VRTC1/activity", {"kind": "deposit", "amount": "5.00"}, 404),
]


@pytest.mark.parametrize(("path", "body", "status"), NONSENSE)
def test_what_makes_no_sense_is_refused_and_nothing_happens(
    venue: SimulatorProcess, account: Account, path: str, body: dict[str, Any], status: int
) -> None:
    before = venue.books(account["login_id"])
    control: Callable[..., Any] = venue.control
    assert status_of(control, "POST", path.format(account["login_id"]), body) == status
    assert venue.books(account["login_id"]) == before
    assert venue.control("GET", "conditions") == {"conditions": []}
