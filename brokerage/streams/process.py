"""The `streams` process: leases accounts, keeps their links, and carries questions and answers over Redis."""

import asyncio
import json
import logging
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from django.db import DatabaseError, close_old_connections
from redis.asyncio import Redis
from redis.exceptions import RedisError

from backoffice.cache import async_redis
from backoffice.heartbeat import beat, own_name
from backoffice.logs import correlation
from backoffice.wake import wake
from brokerage import accounts, connections, gate
from brokerage.deriv.client import DerivClient
from brokerage.deriv.errors import MalformedAnswer, NotSent, VenueError
from brokerage.deriv.opening import Credentials
from brokerage.gate import Closed
from brokerage.streams.gate_watch import GateWatch
from brokerage.streams.leases import Lease
from brokerage.streams.link import Link
from brokerage.venue import PUBLIC, list_name, reply_name

log = logging.getLogger(__name__)
LOOK_SECONDS: Final = 1.0
REPLY_KEPT_SECONDS: Final = 60
GRACE_SECONDS: Final = 5.0


class Streams:
    """Every link this process holds, and the loops that keep them."""

    def __init__(
        self, connect: Callable[[Credentials], Awaitable[DerivClient]], *, public: Credentials
    ) -> None:
        """`connect` opens a connection with an account's credentials; `public` are those of the prices' link."""
        self.owner = uuid.uuid4().hex
        self._connect, self._public = connect, public
        self._redis: Redis = async_redis()
        self._questions: Redis = async_redis()  # blocks; so it has a connection of its own
        self._links: dict[str, Link] = {}
        self._leases: dict[str, Lease] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._handling: set[asyncio.Task[None]] = set()
        self._wanted = {PUBLIC: public}
        self._opened_with: dict[str, Credentials] = {}
        self._gate = GateWatch(_closed)
        self._clock_offset = 0.0
        self._downs: dict[str, str] = {}
        self._site = ""

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT: then take no more questions, answer those under way, give the leases back."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loops = [
            asyncio.create_task(self._forever(work))
            for work in (self._keep_leases, self._take_question, self._gate.watch)
        ]
        await stop.wait()
        left = set(loops)
        while left:  # once is not always enough: see `Link.end`
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=1.0)
        if self._handling:
            await asyncio.wait(self._handling, timeout=GRACE_SECONDS)
        for name in list(self._links):
            await self._drop(name)
        await self._redis.aclose()
        await self._questions.aclose()

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Redis or the database may go away and come back; this process stays and tries again."""
        while True:
            try:
                await work()
            except asyncio.CancelledError:
                raise
            except RedisError as found:
                log.warning("redis is away", extra={"reason": type(found).__name__})
                await asyncio.sleep(0.5)
            except Exception:
                log.exception("a loop of streams failed and goes on")
                await asyncio.sleep(1.0)

    # ── leases ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_leases(self) -> None:
        try:
            self._wanted = {PUBLIC: self._public, **await asyncio.to_thread(_accounts)}
        except DatabaseError as found:
            # What is held stays held: a database that is away is no reason to drop connections to the venue.
            log.warning("database is away", extra={"reason": type(found).__name__})
        wanted = self._wanted
        # An account that speaks another generation now is connected anew. A new token opens its next connection; where
        # the token is the connection's own (v3), that is now.
        for name in list(self._links):
            if name not in wanted or not wanted[name].opens_the_same(self._opened_with[name]):
                await self._drop(name)
            else:
                self._opened_with[name] = wanted[name]
        before = time.monotonic()
        seconds, micros = await self._redis.time()
        self._clock_offset = float(seconds) + float(micros) / 1e6 - (before + time.monotonic()) / 2
        for name, credentials in wanted.items():
            if name in self._links:
                if not await self._leases[name].renew():
                    log.warning("lease lost", extra={"link": name})
                    await self._drop(name)
                elif self._tasks[name].done():
                    await self._drop(name)
            else:
                await self._pick_up(name, credentials)
        await asyncio.to_thread(beat, own_name("streams"))
        await self._tell_connections()
        await asyncio.sleep(LOOK_SECONDS)

    async def _tell_connections(self) -> None:
        up = {name for name, link in self._links.items() if link.is_up}
        self._downs = {name: self._downs.get(name, "CONNECTING") for name in self._links if name not in up}
        told = connections.told(up=len(up), down=self._downs, site=self._site)
        await self._redis.set(f"{connections.PREFIX}{self.owner}", told, ex=connections.KEPT_SECONDS)

    async def _pick_up(self, name: str, credentials: Credentials) -> None:
        lease = Lease(self._redis, name, self.owner)
        if await lease.take():
            link = Link(
                name,
                is_private=credentials.is_private,
                lease=lease,
                connect=lambda: self._connect(self._opened_with.get(name, credentials)),
                report=self._report,
                gate=self._gate,
            )
            self._opened_with[name] = credentials
            self._links[name], self._leases[name] = link, lease
            self._tasks[name] = asyncio.create_task(link.run(), name=f"link {name}")

    async def _drop(self, name: str) -> None:
        link = self._links.pop(name, None)
        self._opened_with.pop(name, None)
        task, lease = self._tasks.pop(name, None), self._leases.pop(name, None)
        if task is not None and link is not None:
            await link.end(task)
        if lease is not None:
            try:
                await lease.release()
            except RedisError:
                log.info("lease not given back; it ends by itself", extra={"link": name})

    # ── questions ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _take_question(self) -> None:
        names = [list_name(name) for name, link in self._links.items() if link.is_up]
        if not names:
            await asyncio.sleep(0.05)
            return
        found: Any = await self._questions.blpop(names, timeout=0.5)
        if found is not None:
            name = found[0].removeprefix(list_name(""))
            task = asyncio.create_task(self._handle(name, found[1]))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)

    async def _handle(self, name: str, text: str) -> None:
        question: dict[str, Any] = json.loads(text)
        correlation.set(question["correlation"])
        link = self._links.get(name)
        answer: dict[str, Any]
        try:
            if link is None:
                raise NotSent("NO_CONNECTION", "This process no longer holds the account.")
            answer = {
                "result": await link.answer(
                    question["call"],
                    question["arguments"],
                    still_wanted=lambda: time.monotonic() + self._clock_offset < question["deadline"],
                )
            }
            log.info("venue answered", extra={"link": name, "call": question["call"]})
        except VenueError as found:
            log.info("venue refused", extra={"link": name, "call": question["call"], "code": found.code})
            answer = {"error": _error(found)}
        except Exception as found:
            # A defect of ours: the purchase may have been sent, so the asker must treat it as unknown.
            log.exception("a question failed", extra={"link": name, "call": question["call"]})
            answer = {"error": _error(MalformedAnswer("STREAMS_FAILED", type(found).__name__))}
        reply = reply_name(question["id"])
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.rpush(reply, json.dumps(answer))
            pipe.expire(reply, REPLY_KEPT_SECONDS)
            await pipe.execute()

    # ── what links report ───────────────────────────────────────────────────────────────────────────────────────

    async def _report(self, what: str, name: str, *facts: Any) -> None:
        if what == "down":
            self._downs[name] = facts[0]
        elif what == "site":
            self._site = facts[0]
        elif what == "quote":
            # Shielded: a cancellation in the middle of it would be lost.
            await asyncio.shield(
                self._redis.publish("live:quotes", json.dumps({"link": name, "contract": facts[0]}))
            )
        elif name == PUBLIC:
            if what == "up":
                await asyncio.to_thread(wake, "trading.sync_instruments")
        elif what == "line":
            await asyncio.to_thread(wake, "trading.take_in_line", int(name), json.dumps(facts[0]))
        elif what == "ended":
            await asyncio.to_thread(wake, "trading.observe", int(name), json.dumps(facts[0]))
        elif what == "up":
            await asyncio.to_thread(wake, "trading.after_connect", int(name))
        elif what == "unauthorized":
            await asyncio.to_thread(wake, "trading.unauthorized", int(name), facts[0])


def _accounts() -> dict[str, Credentials]:
    """The accounts to keep connected, with their credentials, by link name."""
    close_old_connections()
    try:
        return {str(pk): credentials for pk, credentials in accounts.credentials().items()}
    finally:
        close_old_connections()


def _closed() -> list[Closed]:
    """The order gate, in a thread with a connection that may have gone stale."""
    close_old_connections()
    return gate.closed()


def _error(found: VenueError) -> dict[str, Any]:
    return {"class": type(found).__name__, "code": found.code, "message": found.message, "field": found.field}
