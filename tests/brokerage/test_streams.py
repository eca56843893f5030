"""`streams`: one holder per account, and no purchase sent without the lease or after the deadline."""

import asyncio
import json
from decimal import Decimal

import pytest

from backoffice.cache import async_redis
from brokerage.deriv import v3
from brokerage.deriv.budgets import ASKED_UNTIL
from brokerage.deriv.errors import ConnectionLost, Halted, NotAuthorized, NotSent
from brokerage.deriv.serial import to_json
from brokerage.deriv.types import CallLimits, Purchase, SiteStatus
from brokerage.gate import Closed
from brokerage.streams import leases
from brokerage.streams.gate_watch import GateWatch
from brokerage.streams.leases import Lease
from brokerage.streams.link import Link

PURCHASE = Purchase(1, 2, Decimal("10.00"), Decimal("19.53"), Decimal("9990.00"), 100, 100, "CODE", "words")


def in_loop(work):
    """Run an async test with a Redis client of its own loop."""

    async def run():
        client = async_redis()
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(run())


def test_one_process_holds_an_account_at_a_time(redis):
    async def work(client):
        first, second = Lease(client, "7", "one"), Lease(client, "7", "two")
        assert await first.take() and first.is_held
        assert not await second.take() and not second.is_held
        assert await first.renew()
        assert not await second.renew()
        await second.release()
        assert first.is_held and not await second.take(), "only the holder gives it back"
        await first.release()
        assert not first.is_held
        assert await second.take() and second.is_held

    in_loop(work)


def test_a_holder_stops_acting_before_its_lease_can_pass_on(redis, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_SECONDS", 2.2)

    async def work(client):
        first, second = Lease(client, "7", "one"), Lease(client, "7", "two")
        assert await first.take() and first.is_held
        while first.is_held:
            assert not await second.take()
            await asyncio.sleep(0.02)
        assert not await second.take(), "it is not free yet when the holder has stopped"
        while not await second.take():
            await asyncio.sleep(0.02)
        assert not await first.renew() and not first.is_held

    in_loop(work)


class Wire:
    """A connection that stands for the venue: it counts what reaches it, and can be broken."""

    def __init__(self, refuse=None):
        self.bought, self.lost, self.refuse = 0, asyncio.Event(), refuse
        self.sites, self.limits, self.asked_until = asyncio.Queue(), None, None

    async def follow_contracts(self):
        async def states():
            await self.lost.wait()
            raise ConnectionLost("LOST", "The connection broke.")
            yield

        return states()

    follow_transactions = follow_contracts

    async def follow_site_status(self):
        async def statuses():
            while True:
                yield SiteStatus(await self.sites.get(), self.limits, None)

        return statuses()

    async def buy(self, proposal_id, price, *, last_look):
        self.asked_until = ASKED_UNTIL.get()
        last_look()
        self.bought += 1
        return PURCHASE

    async def close(self):
        self.lost.set()


class OpenGate(GateWatch):
    """An order gate that was read this moment, with whatever is closed."""

    def __init__(self, *closed):
        super().__init__(lambda: list(closed))
        self._closed = list(closed)

    is_fresh = True


def link_to(client, wires, reports):
    lease = Lease(client, "7", "one")

    async def connect():
        wire = wires.pop(0)
        if wire.refuse:
            raise wire.refuse
        return wire

    async def report(*what):
        reports.append(what)

    return lease, Link("7", is_private=True, lease=lease, connect=connect, report=report, gate=OpenGate())


async def until(true):
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


BUY = {"proposal_id": "p1", "price": "10.00", "gate": {"symbol": "R_100", "client_id": 3, "account_id": 7}}


def test_a_purchase_is_sent_with_the_lease_and_before_the_deadline_only(redis):
    async def work(client):
        wire = Wire()
        lease, link = link_to(client, [wire], [])
        await lease.take()
        running = asyncio.create_task(link.run())
        await until(lambda: link.is_up)
        assert await link.answer("buy", BUY, still_wanted=lambda: True) == to_json(PURCHASE)
        for refused in ({"still_wanted": lambda: False}, {"still_wanted": lambda: True, "free": True}):
            if refused.pop("free", False):
                await lease.release()
            with pytest.raises(NotSent):
                await link.answer("buy", BUY, **refused)
        assert wire.bought == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    in_loop(work)


def test_how_long_a_question_is_wanted_and_what_the_venue_allows_reach_those_who_count(redis):
    async def work(client):
        wire, reports = Wire(), []
        wire.limits = CallLimits(90, 40, 12, 5)
        lease, link = link_to(client, [wire], reports)
        await lease.take()
        running = asyncio.create_task(link.run())
        await until(lambda: link.is_up)
        await link.answer("buy", BUY, still_wanted=lambda: True, until=123.5)
        assert wire.asked_until == 123.5
        wire.sites.put_nowait("up")
        await until(lambda: ("limits", "7", CallLimits(90, 40, 12, 5)) in reports)
        assert v3.told(wire.limits) == {"general": 90, "pricing": 40, "outcome": 12}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    in_loop(work)


def bought_while_halted(redis):
    """How many purchases reach the venue when everything is halted after the question was put."""

    async def work(client):
        wire = Wire()
        lease, link = link_to(client, [wire], [])
        await lease.take()
        running = asyncio.create_task(link.run())
        await until(lambda: link.is_up)
        link._gate = OpenGate(Closed("everything", "", "halted"))
        try:
            await link.answer("buy", BUY, still_wanted=lambda: True)
        except Halted as found:
            assert found.code == "TRADING_HALTED"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return wire.bought

    return in_loop(work)


def test_nothing_is_bought_once_everything_is_halted(redis):
    assert bought_while_halted(redis) == 0


def test_without_the_last_look_a_purchase_does_leave(redis, monkeypatch):
    monkeypatch.setattr(GateWatch, "check", lambda self, call, arguments: None)
    assert bought_while_halted(redis) == 1


def test_nothing_is_bought_while_the_venue_is_updating(redis):
    async def work(client):
        wire, reports = Wire(), []
        lease, link = link_to(client, [wire], reports)
        await lease.take()
        running = asyncio.create_task(link.run())
        await until(lambda: link.is_up)
        wire.sites.put_nowait("updating")
        await until(lambda: ("site", "7", "updating") in reports)
        with pytest.raises(NotSent, match="VENUE_UPDATING"):
            await link.answer("buy", BUY, still_wanted=lambda: True)
        wire.sites.put_nowait("up")
        await until(lambda: ("site", "7", "up") in reports)
        assert await link.answer("buy", BUY, still_wanted=lambda: True) == to_json(PURCHASE)
        assert wire.bought == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    in_loop(work)


def test_a_broken_connection_comes_back_and_is_reported_so_that_somebody_looks(redis):
    async def work(client):
        first, second, reports = Wire(), Wire(), []
        lease, link = link_to(client, [first, second], reports)
        await lease.take()
        running = asyncio.create_task(link.run())
        await until(lambda: link.is_up)
        first.lost.set()
        await until(lambda: not link.is_up)
        with pytest.raises(NotSent):
            await link.answer("buy", BUY, still_wanted=lambda: True)
        await until(lambda: link.is_up)
        assert (reports, link.connections) == ([("up", "7"), ("down", "7", "LOST"), ("up", "7")], 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    in_loop(work)


class Deaf(Wire):
    """A connection one of whose readers does not hear that it is cancelled, as the Redis client does not at times."""

    async def follow_transactions(self):
        async def updates():
            while not self.lost.is_set():
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue
            raise ConnectionLost("LOST", "The connection broke.")
            yield

        return updates()


def test_a_link_ends_even_if_a_reader_does_not_hear_that_it_is_cancelled(redis):
    async def work(client):
        wires = [Deaf(), Wire()]
        lease, link = link_to(client, wires, [])
        await lease.take()
        running = asyncio.create_task(link.run())
        await until(lambda: link.is_up)
        await asyncio.wait_for(link.end(running), 20)
        assert running.done() and not link.is_up
        assert len(wires) == 1, "it does not connect again"

    in_loop(work)


def test_a_refused_token_is_reported_once_and_not_tried_for_ever(redis):
    async def work(client):
        reports = []
        lease, link = link_to(client, [Wire(NotAuthorized("InvalidToken", "No."))], reports)
        await lease.take()
        running = asyncio.create_task(link.run())
        await until(lambda: reports)
        assert reports == [("unauthorized", "7", "InvalidToken")]
        assert not running.done(), "it waits until somebody has looked what it means"
        await link.end(running)

    in_loop(work)


def test_what_is_told_of_a_contract_is_plain_json():
    assert json.loads(json.dumps(to_json(PURCHASE)))["buy_price"] == "10.00"
