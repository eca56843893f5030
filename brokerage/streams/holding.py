"""The links this process holds: leases taken, renewed and given back, so that each account has one connection.

Renewing never waits for a connection to open or to close, nor for the database. A lease is given back, and goes on
being renewed, until its connection is closed: no other process connects the account before. A lease that was lost or
could not be renewed has its connection closed before another process can have it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from brokerage.deriv.budgets import Admission
from brokerage.deriv.client import DerivClient
from brokerage.deriv.errors import NotSent
from brokerage.deriv.opening import GENERATIONS, Credentials
from brokerage.deriv.settings import Hook
from brokerage.streams import sharing
from brokerage.streams.budget import AccountBudget
from brokerage.streams.call_clock import timed
from brokerage.streams.gate_watch import GateWatch
from brokerage.streams.leases import Lease, renew_all, take_all
from brokerage.streams.link import Link, Report
from brokerage.streams.wire_log import WireLog

log = logging.getLogger(__name__)
# Redis answers in milliseconds; a process that waits longer than this for it tries again.
PATIENCE_SECONDS: Final = 2.0
# Of each generation: so many connections are being opened at the same time, so that hundreds do not starve the loop.
CONNECTING_AT_ONCE: Final = 20
# Links given back at one look when another process has less than its part: a handover is a reconnection each.
GIVEN_BACK_AT_ONCE: Final = 20
# How long a link that is given up may finish what it was asked.
FINISH_SECONDS: Final = 5.0

Connect = Callable[[Credentials, Admission, Hook], Awaitable[DerivClient]]


@dataclass(slots=True, eq=False)
class Held:
    """One link with its lease, what it was opened with, and the tasks that run it and give it up."""

    link: Link
    lease: Lease
    credentials: Credentials
    running: asyncio.Task[None]
    leaving: asyncio.Task[None] | None = None


class Holding:
    """Every link this process holds. All methods belong to one event loop."""

    def __init__(self, redis: Redis, owner: str, connect: Connect, report: Report, gate: GateWatch) -> None:
        self._redis, self._owner = redis, owner
        self.wire_log = WireLog(redis)
        self._connect, self._report, self._gate = connect, report, gate
        self._doors = {generation: asyncio.Semaphore(CONNECTING_AT_ONCE) for generation in GENERATIONS}
        self._wanted: Mapping[str, Credentials] = {}
        self._is_stopping = False
        self.held: dict[str, Held] = {}
        # The links whose questions are being waited for right now.
        self.listening: frozenset[str] = frozenset()
        # What to add to this process's steady clock for Redis's own.
        self.clock_offset = 0.0

    def want(self, wanted: Mapping[str, Credentials]) -> None:
        """What all processes together are to hold. What changed is given up, and connected anew by whoever takes it."""
        self._wanted = wanted
        for name, held in self.held.items():
            now = wanted.get(name)
            if now is None or not now.opens_the_same(held.credentials):
                self._give_up(name)
            else:
                held.credentials = now  # a new token of v4 opens the next connection

    def open_to_questions(self) -> list[str]:
        """The links that can be asked."""
        return [name for name, held in self.held.items() if held.link.is_up and held.leaving is None]

    async def look(self) -> None:
        """Renew what is held, take what is free up to this process's part, give back what is above it.

        :raises RedisError: if Redis cannot be asked; what it may no longer act on is being closed then.
        :raises TimeoutError: the same, if it does not answer in time.
        """
        try:
            # Shielded: the Redis client takes a cancellation for itself at times.
            await asyncio.wait_for(asyncio.shield(self._share()), PATIENCE_SECONDS)
        finally:
            for name, held in self.held.items():
                if not held.lease.is_held or held.running.done():
                    self._give_up(name)

    async def _share(self) -> None:
        before = time.monotonic()
        lost = await renew_all(self._redis, [held.lease for held in self.held.values()])
        if lost:
            log.warning("leases lost", extra={"leases": [lease.name for lease in lost]})
        if self._is_stopping:
            return
        before = time.monotonic()
        alive, clock = await sharing.announce(self._redis, self._owner)
        self.clock_offset = clock - (before + time.monotonic()) / 2
        part = sharing.part(len(self._wanted), alive)
        await self._take([name for name in self._wanted if name not in self.held], part - len(self.held))
        staying = [name for name, held in self.held.items() if held.leaving is None]
        self._give_back(staying, len(staying) - part)

    async def _take(self, names: Iterable[str], room: int) -> None:
        wanted = self._wanted
        leases = {name: Lease(self._redis, name, self._owner) for name in names}
        taken = await take_all(self._redis, list(leases.values()), room=room)
        for name, lease in leases.items():
            if lease in taken:
                self._begin(name, lease, wanted[name])

    def _begin(self, name: str, lease: Lease, credentials: Credentials) -> None:
        admission = AccountBudget(self._redis, name, credentials.generation)
        hook = timed(credentials.generation, self.wire_log.hook(name))

        async def connect() -> DerivClient:
            async with self._doors[credentials.generation]:
                if not lease.is_held:
                    raise NotSent("LEASE_LOST", "Another process holds this account.")
                return await self._connect(self._wanted.get(name, credentials), admission, hook)

        link = Link(
            name,
            is_private=credentials.is_private,
            lease=lease,
            connect=connect,
            report=self._report,
            gate=self._gate,
        )
        running = asyncio.create_task(link.run(), name=f"link {name}")
        self.held[name] = Held(link, lease, credentials, running)

    def _give_back(self, names: list[str], excess: int) -> None:
        """Only what has nothing in flight: no question, no contract that runs."""
        idle = [name for name in names if self.held[name].link.is_idle]
        for name in idle[: max(min(excess, GIVEN_BACK_AT_ONCE), 0)]:
            self._give_up(name)

    def _give_up(self, name: str) -> None:
        held = self.held[name]
        if held.leaving is None:
            held.leaving = asyncio.create_task(self._leave(name, held), name=f"leaving {name}")

    async def _leave(self, name: str, held: Held) -> None:
        try:
            await self._finish(name, held)
            await held.link.end(held.running)
            await asyncio.shield(held.lease.release())
        except RedisError:
            log.info("lease not given back; it ends by itself", extra={"link": name})
        except Exception:
            log.exception("a link could not be given up in order", extra={"link": name})
        finally:
            del self.held[name]

    async def _finish(self, name: str, held: Held) -> None:
        """Let a question that is being fetched or answered get its answer, while the account is still ours."""
        end = time.monotonic() + FINISH_SECONDS
        while held.lease.is_held and time.monotonic() < end:
            if name not in self.listening and not held.link.in_flight:
                return
            await asyncio.sleep(0.05)

    async def stop_sharing(self) -> None:
        """Take nothing more: the others take this process's part as it is given back. Leases go on being renewed."""
        self._is_stopping = True
        await asyncio.shield(sharing.leave(self._redis, self._owner))

    async def give_up_all(self) -> None:
        """Close every connection, all at the same time, and give every lease back."""
        self._is_stopping = True
        for name in self.held:
            self._give_up(name)
        leaving = [held.leaving for held in self.held.values() if held.leaving is not None]
        if leaving:
            await asyncio.wait(leaving)
