"""The `streams` process: keeps the links it holds, and carries questions and answers over Redis."""

import asyncio
import json
import logging
import signal
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from django.db import DatabaseError, close_old_connections
from redis.asyncio import Redis
from redis.exceptions import RedisError

from backoffice.cache import async_redis
from backoffice.heartbeat import beat, own_name
from backoffice.logs import correlation
from backoffice.wake import wake
from brokerage import accounts, connections, gate
from brokerage.deriv import v3
from brokerage.deriv.errors import MalformedAnswer, NotSent, VenueError
from brokerage.deriv.opening import Credentials
from brokerage.deriv.types import CallLimits
from brokerage.gate import Closed
from brokerage.streams import budget
from brokerage.streams.gate_watch import GateWatch
from brokerage.streams.holding import Connect, Holding
from brokerage.streams.link import Link
from brokerage.venue import PUBLIC, list_name, reply_name

log = logging.getLogger(__name__)
LOOK_SECONDS: Final = 1.0
REPLY_KEPT_SECONDS: Final = 60
GRACE_SECONDS: Final = 5.0


class Streams:
    """Every link this process holds, and the loops that keep them."""

    def __init__(self, connect: Connect, *, public: Credentials) -> None:
        """`connect` opens a connection with an account's credentials; `public` are those of the prices' link."""
        self.owner = uuid.uuid4().hex
        self._public = public
        self._redis: Redis = async_redis()
        self._questions: Redis = async_redis()  # blocks; so it has a connection of its own
        self._handling: set[asyncio.Task[None]] = set()
        self._gate = GateWatch(_closed)
        self._holding = Holding(self._redis, self.owner, connect, self._report, self._gate)
        self._downs: dict[str, str] = {}
        self._learned: dict[str, CallLimits] = {}
        self._site = ""

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT: then take no more questions, answer those under way, give the leases back."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        asking = [self._forever(work) for work in (self._find_accounts, self._take_question, self._tell)]
        # These go on to the end: leases last until connections are closed, and answers under way need the gate.
        keeping = [
            self._forever(work)
            for work in (self._keep_leases, self._gate.watch, self._holding.wire_log.flush)
        ]
        await stop.wait()
        await _cancel(asking)
        try:
            await self._holding.stop_sharing()
        except RedisError:
            log.info("redis is away; the others find out by themselves that this process ends")
        if self._handling:
            await asyncio.wait(self._handling, timeout=GRACE_SECONDS)
        await self._holding.give_up_all()
        await _cancel(keeping)
        try:
            await self._redis.delete(f"{connections.PREFIX}{self.owner}")
        except RedisError:
            log.info("redis is away; what this process told of its links ends by itself")
        await self._redis.aclose()
        await self._questions.aclose()

    def _forever(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Redis or the database may go away and come back; this process stays and tries again."""

        async def again() -> None:
            while True:
                try:
                    await work()
                except asyncio.CancelledError:
                    raise
                except (RedisError, TimeoutError) as found:
                    log.warning("redis is away", extra={"reason": type(found).__name__})
                    await asyncio.sleep(0.5)
                except Exception:
                    log.exception("a loop of streams failed and goes on")
                    await asyncio.sleep(1.0)

        return asyncio.create_task(again())

    # ── links ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_leases(self) -> None:
        await self._holding.look()
        await asyncio.sleep(LOOK_SECONDS)

    async def _find_accounts(self) -> None:
        try:
            # An account that speaks another generation now, or has a new token, is connected anew.
            self._holding.want({PUBLIC: self._public, **await asyncio.to_thread(_accounts)})
        except DatabaseError as found:
            # What is held stays held: a database that is away is no reason to drop connections to the venue.
            log.warning("database is away", extra={"reason": type(found).__name__})
        await asyncio.sleep(LOOK_SECONDS)

    async def _tell(self) -> None:
        """Say that this process is alive, and how its connections are."""
        await asyncio.to_thread(beat, own_name("streams"))
        held = self._holding.held
        self._downs = {
            name: self._downs.get(name, "CONNECTING") for name, each in held.items() if not each.link.is_up
        }
        links = {
            name: replace(
                each.link.facts, generation=each.credentials.generation, reason=self._downs.get(name, "")
            )
            for name, each in held.items()
        }
        told = connections.told(links, site=self._site)
        await self._redis.set(f"{connections.PREFIX}{self.owner}", told, ex=connections.KEPT_SECONDS)
        await asyncio.sleep(LOOK_SECONDS)

    # ── questions ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _take_question(self) -> None:
        names = self._holding.open_to_questions()
        if not names:
            await asyncio.sleep(0.05)
            return
        self._holding.listening = frozenset(names)
        try:
            found: Any = await self._questions.blpop([list_name(name) for name in names], timeout=0.5)
            if found is not None:
                self._begin_answer(found[0].removeprefix(list_name("")), found[1])
        finally:
            self._holding.listening = frozenset()

    def _begin_answer(self, name: str, text: str) -> None:
        held = self._holding.held.get(name)
        link = None if held is None else held.link
        if link is not None:
            link.in_flight += 1
        task = asyncio.create_task(self._handle(name, link, text))
        self._handling.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._handling.discard(task)
            if link is not None:
                link.in_flight -= 1

        task.add_done_callback(done)

    async def _handle(self, name: str, link: Link | None, text: str) -> None:
        question: dict[str, Any] = json.loads(text)
        correlation.set(question["correlation"])
        offset = self._holding.clock_offset
        answer: dict[str, Any]
        try:
            if link is None:
                raise NotSent("NO_CONNECTION", "This process no longer holds the account.")
            answer = {
                "result": await link.answer(
                    question["call"],
                    question["arguments"],
                    still_wanted=lambda: time.monotonic() + offset < question["deadline"],
                    until=asyncio.get_running_loop().time()
                    + question["deadline"]
                    - offset
                    - time.monotonic(),
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
        elif what == "limits":
            await self._learn(name, facts[0])
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
            held = self._holding.held.get(name)
            if held is not None:  # else whoever connects it next will hear the same, if it is still so
                generation = held.credentials.generation
                await asyncio.to_thread(wake, "trading.unauthorized", int(name), facts[0], generation)

    async def _learn(self, name: str, limits: CallLimits | None) -> None:
        """What the venue says it takes, for all processes; said by every connection, so it is kept only if it is new."""
        held = self._holding.held.get(name)
        if held is None or limits is None or self._learned.get(held.credentials.generation) == limits:
            return
        generation = held.credentials.generation
        try:
            await asyncio.shield(budget.learn(self._redis, generation, v3.told(limits)))
        except RedisError:
            log.warning("limits are not kept; the next connection is told them again", extra={"link": name})
        else:
            self._learned[generation] = limits


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    left = set(tasks)
    while left:  # once is not always enough: see `Link.end`
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1.0)


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
