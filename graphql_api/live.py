"""What subscriptions are made of: one Redis subscription a process, bounded queues a socket, few database threads.

A message on Redis says only *look*; what is sent is read from the database, by version or position, so a message
that is lost delays and never skips.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
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
# Look anyway after this long: a nudge may have been lost.
LOOK_SECONDS: Final = 5.0
CHANNELS: Final = ("live:trades", "live:events")


async def read(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a database read in one of the few threads, on that thread's own connection."""

    def work() -> R:
        close_old_connections()
        return function(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work))


class Hub:
    """Hands the messages of Redis to whoever in this process waits for them."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listening(self, topics: list[str]) -> AsyncIterator[Callable[[], Any]]:
        """Yields `look()`: returns when something happened on a topic, or after a while anyway.

        A socket that reads slowly costs one flag, not a queue of messages.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), name="live hub")
        flag = asyncio.Event()
        for topic in topics:
            self._waiting[topic].add(flag)

        async def look() -> None:
            try:
                await asyncio.wait_for(flag.wait(), LOOK_SECONDS)
            except TimeoutError:
                return
            finally:
                flag.clear()

        try:
            yield look
        finally:
            for topic in topics:
                self._waiting[topic].discard(flag)
                if not self._waiting[topic]:
                    del self._waiting[topic]

    async def _listen(self) -> None:
        while True:
            try:
                async with async_redis() as redis, redis.pubsub(ignore_subscribe_messages=True) as nudges:
                    await nudges.subscribe(*CHANNELS)
                    async for message in nudges.listen():
                        self._nudge(message["channel"], json.loads(message["data"]))
            except RedisError as found:
                log.warning("live hub lost redis", extra={"reason": type(found).__name__})
                await asyncio.sleep(0.5)

    def _nudge(self, channel: str, message: dict[str, Any]) -> None:
        if channel == "live:events":
            topics = [f"client:{client}" for client in message["clients"]]
        else:
            topics = [f"trade:{message['trade']}"]
        for topic in topics:
            for flag in self._waiting.get(topic, ()):
                flag.set()


_hubs: dict[asyncio.AbstractEventLoop, Hub] = {}


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs.clear()
        _hubs[loop] = Hub()
    return _hubs[loop]
