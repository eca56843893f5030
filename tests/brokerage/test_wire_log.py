"""The last messages with the venue: secrets masked, the newest first, so many and no more."""

import asyncio
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from backoffice.cache import async_redis
from brokerage.deriv.opening import Addresses, Credentials, open_client
from brokerage.streams import wire_log
from brokerage.streams.wire_log import WireLog
from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.test_client import MINUTE

pytestmark = pytest.mark.usefixtures("redis")
BUY = {"buy": "p1", "price": Decimal("10.00"), "req_id": 1}
PRICE = {
    "msg_type": "proposal_open_contract",
    "proposal_open_contract": {"is_sold": 0},
    "subscription": {"id": "s"},
}


def written(work):
    """What stands in the log of account 7 after this was heard and said."""

    async def run():
        client: Redis = async_redis()
        log = WireLog(client)
        hook = log.hook("7")
        await work(hook) if asyncio.iscoroutinefunction(work) else work(hook)
        await log.flush()
        await client.aclose()

    asyncio.run(run())
    return wire_log.latest("7")


def test_what_is_said_and_heard_is_kept_the_newest_first():
    def work(hook):
        hook("out", BUY)
        hook("in", {"msg_type": "buy", "error": {"code": "PriceMoved"}})

    refused, asked = written(work)
    assert (refused.direction, refused.call, refused.is_error) == ("in", "buy", True)
    assert (asked.direction, asked.call, asked.is_error) == ("out", "buy", False)
    assert '"price":10.00' in asked.text.replace(" ", "")


def test_prices_that_come_by_themselves_and_pings_are_left_out():
    def work(hook):
        hook("in", PRICE)
        hook("in", {"msg_type": "tick", "tick": {}})
        hook("out", {"ping": 1})
        hook("in", {"msg_type": "ping", "ping": "pong"})
        hook("in", {**PRICE, "proposal_open_contract": {"is_sold": 1}})

    (end,) = written(work)
    assert end.call == "proposal_open_contract" and '"is_sold"' in end.text


def test_only_the_last_ones_are_kept():
    def work(hook):
        for number in range(wire_log.KEPT + 50):
            hook("out", {"balance": 1, "req_id": number})

    written(work)
    kept = wire_log.latest("7", many=10_000)
    assert len(kept) == wire_log.KEPT
    assert f'"req_id":{wire_log.KEPT + 49}' in kept[0].text.replace(" ", "")


@pytest.mark.processes
@pytest.mark.parametrize("generation", ["v3", "v4"])
def test_no_token_and_no_one_time_address_is_ever_kept(tmp_path, generation):
    with SimulatorProcess(tmp_path / "venue.sqlite3", 20, "--no-limits") as venue:
        account = venue.open_account("a")
        addresses = Addresses(venue.socket_url, 1, f"http://127.0.0.1:{venue.port}", "1")

        async def work(hook):
            credentials = Credentials(generation, account["login_id"], account["token"])
            client = await open_client(addresses, credentials, on_message=hook)
            await client.buy_with_terms(MINUTE, Decimal("10.00"))
            await client.close()

        messages = written(work)
    assert {"buy"} < {one.call for one in messages}
    assert account["token"] not in repr(messages) and "otp=" not in repr(messages)
