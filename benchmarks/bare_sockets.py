"""An ASGI application that does nothing but send one text to every socket when Redis tells it to."""

import asyncio
import os
from typing import Any

from redis.asyncio import Redis

TEXT = '{"id":"1","type":"next","payload":{"data":{"tradeStatus":"' + "x" * 400 + '"}}}'
_sockets: set[Any] = set()
_tasks: list[asyncio.Task[None]] = []
_listens = asyncio.Event()


async def _listen() -> None:
    redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    async with redis.pubsub(ignore_subscribe_messages=True) as told:
        await told.subscribe(os.environ["CHANNEL"])
        _listens.set()
        async for _ in told.listen():
            for send in list(_sockets):
                await send({"type": "websocket.send", "text": TEXT})


async def application(scope: Any, receive: Any, send: Any) -> None:
    if not _tasks:
        _tasks.append(asyncio.create_task(_listen()))
    await receive()
    await _listens.wait()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "ready"})
    _sockets.add(send)
    while (await receive())["type"] != "websocket.disconnect":
        pass
    _sockets.discard(send)
