"""Several `streams` processes share the accounts: one connection for each throughout, whoever comes or goes."""

import asyncio
import time

import pytest

from brokerage.deriv.errors import ConnectionLost
from brokerage.deriv.opening import Credentials
from brokerage.streams import leases, sharing
from brokerage.streams.holding import CONNECTING_AT_ONCE, Holding
from brokerage.streams.leases import Lease, renew_all, take_all
from tests.brokerage.test_streams import OpenGate, in_loop


async def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.01)


class Venue:
    """Stands for the venue: how many connections each account has, and has had at the same time."""

    def __init__(self):
        self.now, self.most, self.opening, self.most_opening = {}, {}, 0, 0
        self.may_open, self.may_close = asyncio.Event(), asyncio.Event()
        self.may_open.set()
        self.may_close.set()

    async def connect(self, credentials, admission, hook):
        self.opening += 1
        self.most_opening = max(self.most_opening, self.opening)
        try:
            await self.may_open.wait()
        finally:
            self.opening -= 1
        name = credentials.login_id
        self.now[name] = self.now.get(name, 0) + 1
        self.most[name] = max(self.most.get(name, 0), self.now[name])
        return Socket(self, name)


class Socket:
    """One connection of an account, on which nothing happens until it is closed."""

    heard_at = 0.0

    def __init__(self, venue, name):
        self.venue, self.name, self.lost, self.is_closed = venue, name, asyncio.Event(), False

    async def _follow(self):
        async def nothing():
            await self.lost.wait()
            raise ConnectionLost("LOST", "The connection broke.")
            yield

        return nothing()

    follow_contracts = follow_transactions = follow_site_status = _follow

    async def close(self):
        await self.venue.may_close.wait()
        if not self.is_closed:
            self.is_closed = True
            self.venue.now[self.name] -= 1
        self.lost.set()


class Process:
    """A `streams` process's holding, which looks again and again until it is killed."""

    def __init__(self, client, venue, owner, accounts):
        async def report(*what):
            self.reports.append(what)

        self.reports = []
        self.holding = Holding(client, owner, venue.connect, report, OpenGate())
        self.holding.want({str(n): Credentials("v3", str(n), "token") for n in range(accounts)})
        self.looking = asyncio.create_task(self._look())

    async def _look(self):
        while True:
            await self.holding.look()
            await asyncio.sleep(0.05)

    @property
    def up(self):
        return len(self.holding.open_to_questions())

    async def kill(self):
        """Its sockets are closed by the machine; nothing is given back."""
        while not self.looking.done():  # a cancellation is lost where the Redis client catches it
            self.looking.cancel()
            await asyncio.wait([self.looking], timeout=0.2)
        for held in self.holding.held.values():
            held.running.cancel()
        await asyncio.wait([held.running for held in self.holding.held.values()])

    async def end(self):
        await self.holding.stop_sharing()
        await self.holding.give_up_all()
        self.looking.cancel()


async def started(client, venue, *owners, accounts=60):
    return [Process(client, venue, owner, accounts) for owner in owners]


def test_many_leases_are_taken_and_renewed_in_one_round_trip_each(redis):
    async def work(client):
        ours = [Lease(client, str(n), "one") for n in range(200)]
        theirs = [Lease(client, str(n), "two") for n in range(200)]
        asked, execute = [], client.execute_command

        async def counted(*command, **options):
            asked.append(command[0])
            return await execute(*command, **options)

        client.execute_command = counted
        assert await take_all(client, theirs, room=50) == theirs[:50]
        assert await take_all(client, ours, room=120) == ours[50:170]
        lost = await renew_all(client, ours)
        assert lost == ours[:50] + ours[170:]
        assert [lease.is_held for lease in ours] == [50 <= n < 170 for n in range(200)]
        # One for each of the three; a script that Redis does not know yet is asked for twice and loaded.
        assert 3 <= asked.count("EVALSHA") <= 6

    in_loop(work)


@pytest.mark.parametrize(
    ("wanted", "alive", "part"), [(200, 1, 200), (201, 2, 101), (3, 5, 1), (0, 2, 0), (7, 0, 7)]
)
def test_the_part_of_each_is_rounded_up_so_that_nothing_is_left(wanted, alive, part):
    assert sharing.part(wanted, alive) == part


def test_a_second_process_gets_its_part_and_no_account_is_connected_twice(redis):
    async def work(client):
        venue = Venue()
        (first,) = await started(client, venue, "one")
        await until(lambda: first.up == 60)
        (second,) = await started(client, venue, "two")
        await until(lambda: first.up == second.up == 30)
        assert set(venue.now.values()) == {1} and set(venue.most.values()) == {1}
        await second.end()
        await until(lambda: first.up == 60)
        assert set(venue.most.values()) == {1}
        await first.end()
        assert set(venue.now.values()) == {0}
        assert not redis.keys("venue:lease:*")

    in_loop(work)


def test_what_a_killed_process_held_is_taken_over_when_its_leases_end(redis, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_SECONDS", 4.0)
    monkeypatch.setattr(sharing, "ALIVE_SECONDS", 1.0)

    async def work(client):
        venue = Venue()
        first, second = await started(client, venue, "one", "two")
        await until(lambda: first.up == second.up == 30)
        await first.kill()
        await until(lambda: second.up == 60)
        assert set(venue.most.values()) == {1}
        await second.end()

    in_loop(work)


def test_an_account_is_not_given_away_while_its_question_is_answered_or_its_contract_runs(redis):
    async def work(client):
        venue = Venue()
        (first,) = await started(client, venue, "one", accounts=4)
        await until(lambda: first.up == 4)
        links = {name: held.link for name, held in first.holding.held.items()}
        links["0"].in_flight = 1
        links["1"]._running.add(77)
        links["2"].in_flight = 1
        (second,) = await started(client, venue, "two", accounts=4)
        await until(lambda: first.up == 3 and second.up == 1)
        assert set(second.holding.held) == {"3"}
        links["2"].in_flight = 0
        await until(lambda: set(second.holding.held) == {"2", "3"} and second.up == 2)
        assert set(venue.most.values()) == {1}
        await first.end()
        await second.end()

    in_loop(work)


def test_a_lease_lasts_until_its_connection_is_closed_however_slowly(redis, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3.0)

    async def work(client):
        venue = Venue()
        (first,) = await started(client, venue, "one", accounts=4)
        await until(lambda: first.up == 4)
        venue.may_close.clear()
        (second,) = await started(client, venue, "two", accounts=4)
        await until(lambda: first.up == 2)
        closing = time.monotonic()
        seen = set()
        while time.monotonic() - closing < 4.0:  # longer than a lease lasts by itself
            seen.add((first.up, second.up, len(first.holding.held)))
            await asyncio.sleep(0.05)
        venue.may_close.set()
        assert seen == {(2, 0, 4)}, "the others are renewed meanwhile, and nobody else connects"
        await until(lambda: second.up == 2)
        assert set(venue.most.values()) == {1}
        await first.end()
        await second.end()

    in_loop(work)


def test_connections_are_opened_a_few_at_a_time_and_leases_renewed_meanwhile(redis, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3.0)

    async def work(client):
        venue = Venue()
        venue.may_open.clear()
        (first,) = await started(client, venue, "one")
        begun = time.monotonic()
        while time.monotonic() - begun < 4.0:
            await asyncio.sleep(0.05)
        assert venue.most_opening == CONNECTING_AT_ONCE and first.up == 0
        assert sum(held.lease.is_held for held in first.holding.held.values()) == 60
        venue.may_open.set()
        await until(lambda: first.up == 60)
        await first.end()

    in_loop(work)


def test_the_connection_of_a_lease_that_was_lost_is_closed(redis):
    async def work(client):
        venue = Venue()
        (first,) = await started(client, venue, "one", accounts=3)
        await until(lambda: first.up == 3)
        redis.set("venue:lease:1", "somebody else", px=2000)
        await until(lambda: venue.now["1"] == 0)
        assert first.up == 2 and redis.get("venue:lease:1") == "somebody else"
        await until(lambda: first.up == 3)
        await first.end()

    in_loop(work)


def test_when_redis_does_not_answer_connections_are_closed_before_a_lease_can_pass(redis, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3.0)

    async def work(client):
        venue = Venue()
        (first,) = await started(client, venue, "one", accounts=3)
        await until(lambda: first.up == 3)
        first.looking.cancel()
        begun = time.monotonic()

        async def away():
            raise ConnectionRefusedError

        monkeypatch.setattr(first.holding, "_share", away)
        while set(venue.now.values()) != {0}:
            with pytest.raises(ConnectionRefusedError):
                await first.holding.look()
            await asyncio.sleep(0.02)
        assert time.monotonic() - begun < 3.0, "the others could not have connected yet"

    in_loop(work)
