"""What subscriptions are made of: one Redis subscription a process, bounded queues a socket, few database threads.

A message on Redis says only *look*; what is sent is read from the database, by version or position, so a message
that is lost delays and never skips.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from django.db import close_old_connections
from redis.exceptions import RedisError

from backoffice.cache import async_redis

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

# Sockets share these threads, so a process holds this many database connections however many sockets it has.
_threads: Final = ThreadPoolExecutor(max_workers=4, thread_name_prefix="live")
# Look anyway after this long without a nudge: one may have been lost. All look as soon as a lost Redis is back.
LOOK_SECONDS: Final = 10.0
LOOK_EVERY: Final = 0.5
CHANNELS: Final = ("live:trades", "live:events")


async def read(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a database read in one of the few threads, on that thread's own connection."""

    def work() -> R:
        close_old_connections()
        return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work))


class Topics:
    """What one socket waits for. Several that wait for the same, and ask the same of it, share each reading.

    A socket that reads slowly costs one flag, not a queue of messages.
    """

    def __init__(self, hub: "Hub", names: frozenset[str]) -> None:
        self._hub, self.names = hub, names
        self.is_nudged = False

    async def read(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`read`, in one of the few threads, shared with whoever asked the same since the last nudge.

        What is asked must not depend on anything but its arguments, which are compared.
        """
        self.is_nudged = False
        found: R = await self._hub.read_once(self.names, (function, args, tuple(kwargs.items())))
        return found

    async def next(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same, as soon as something happens on a topic, or after a while anyway: a nudge may have been lost."""
        if self.is_nudged:  # something happened since the last reading began
            return await self.read(function, *args, **kwargs)
        found: R = await self._hub.read_next(self, (function, args, tuple(kwargs.items())))
        return found


_Asked = tuple[Callable[..., Any], tuple[Any, ...], tuple[tuple[str, Any], ...]]
_Askers = list[tuple[Topics, asyncio.Future[Any]]]


class Hub:
    """Hands the messages of Redis to whoever in this process waits for them."""

    def __init__(self) -> None:
        self._waiting: dict[frozenset[str], set[Topics]] = defaultdict(set)
        self._with: dict[str, set[frozenset[str]]] = defaultdict(set)  # the sets that a topic is in
        self._nudged: dict[frozenset[str], float] = {}  # by the loop's clock
        self._known: dict[frozenset[str], dict[_Asked, asyncio.Future[Any]]] = {}  # read since the last nudge
        self._asked: dict[frozenset[str], dict[_Asked, _Askers]] = {}  # to be read after the next
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def listening(self, topics: Iterable[str]) -> Iterator[Topics]:
        """Wait for these topics, for as long as the block lasts."""
        self._run()
        names = frozenset(topics)
        mine = Topics(self, names)
        self._waiting[names].add(mine)
        self._nudged.setdefault(names, asyncio.get_running_loop().time())
        for name in names:
            self._with[name].add(names)
        try:
            yield mine
        finally:
            self._waiting[names].discard(mine)
            if not self._waiting[names]:
                del self._waiting[names]
                self._known.pop(names, None)
                self._asked.pop(names, None)
                self._nudged.pop(names, None)
                for name in names:
                    self._with[name].discard(names)
                    if not self._with[name]:
                        del self._with[name]

    async def read_once(self, names: frozenset[str], asked: _Asked) -> Any:
        known = self._known.setdefault(names, {})
        if asked not in known:
            known[asked] = asyncio.ensure_future(_answer(asked))
        # Shielded: one socket that goes away must not take the answer from the others.
        return await asyncio.shield(known[asked])

    async def read_next(self, asker: Topics, asked: _Asked) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(asker.names, {}).setdefault(asked, []).append((asker, answer))
        return await answer

    def _nudge(self, names: frozenset[str]) -> None:
        """Something happened: whoever waits gets one fresh reading for all who ask the same."""
        self._known.pop(names, None)
        self._nudged[names] = asyncio.get_running_loop().time()
        for topics in self._waiting.get(names, ()):
            topics.is_nudged = True
        for question, askers in self._asked.pop(names, {}).items():
            for asker, _ in askers:
                asker.is_nudged = False  # the reading begins now
            self._start(self._tell(names, question, askers))

    async def _tell(self, names: frozenset[str], asked: _Asked, askers: _Askers) -> None:
        try:
            found = await self.read_once(names, asked)
        except Exception as error:  # noqa: BLE001  (it is theirs who asked)
            for _, answer in askers:
                if not answer.done():
                    answer.set_exception(error)
            return
        for _, answer in askers:
            if not answer.done():
                answer.set_result(found)

    def _run(self) -> None:
        if not any(task.get_name().startswith("live hub") for task in self._tasks):
            self._start(self._listen(), "live hub")
            self._start(self._look_anyway(), "live hub, anyway")

    def _start(self, work: Coroutine[Any, Any, None], name: str = "live reading") -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self) -> None:
        while True:
            try:
                async with async_redis() as redis, redis.pubsub(ignore_subscribe_messages=True) as nudges:
                    await nudges.subscribe(*CHANNELS)
                    for names in list(self._waiting):
                        self._nudge(names)
                    async for message in nudges.listen():
                        self._hear(message["channel"], json.loads(message["data"]))
            except RedisError as found:
                log.warning("live hub lost redis", extra={"reason": type(found).__name__})
                await asyncio.sleep(0.5)

    async def _look_anyway(self) -> None:
        """Those that have waited long, each at its own time: all at once would keep the few threads from everything else."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            before = asyncio.get_running_loop().time() - LOOK_SECONDS
            for names in [names for names, nudged in self._nudged.items() if nudged < before]:
                self._nudge(names)

    def _hear(self, channel: str, message: dict[str, Any]) -> None:
        if channel == "live:events":
            heard = [f"client:{client}" for client in message["clients"]]
        else:
            heard = [f"trade:{message['trade']}"]
        for names in {names for name in heard for names in self._with.get(name, ())}:
            self._nudge(names)


async def _answer(asked: _Asked) -> Any:
    function, args, kwargs = asked
    return await read(function, *args, **dict(kwargs))


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs.clear()
        _hubs[loop] = Hub()
    return _hubs[loop]
