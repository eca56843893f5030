"""A tiny fake venue that answers whatever a test tells it to: the worst the real one could do."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from brokerage.deriv.settings import Settings
from brokerage.deriv.v3 import V3Client, connect

Reply = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]

QUICK = Settings(call_timeout=0.5, ping_every=60, max_frame=100_000, queue=50)


def answer(request: dict[str, Any], **body: Any) -> str:
    """A well-formed answer to a request."""
    name = next(iter(request))
    return json.dumps({"echo_req": request, "msg_type": name, "req_id": request["req_id"], **body})


@contextlib.asynccontextmanager
async def hostile_venue(reply: Reply, settings: Settings = QUICK) -> AsyncIterator[V3Client]:
    """A client connected to a venue that handles each request with ``reply``; pings are answered after all."""

    async def handle(socket: ServerConnection) -> None:
        async for text in socket:
            request = json.loads(text)
            if "ping" in request and settings is QUICK:
                await socket.send(answer(request, ping="pong"))
            else:
                await reply(socket, request)

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with await connect(f"ws://127.0.0.1:{port}/websockets/v3", 1, settings=settings) as client:
            yield client


async def soon(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; fails after five seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)
