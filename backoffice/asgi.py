"""One origin: HTTP runs Django in threads (about three times what its ASGI side manages), sockets stay on the loop.

Both can also be served apart: this application behind `/graphql/` upgrades, `backoffice.wsgi` behind the rest.

A thread is for work, not for waiting: a request's body is read here, whole and in time, before one is given to it,
and what it answers waits here for whoever reads slowly.
"""

import asyncio
import importlib
import logging
from typing import Any, Final, cast

from a2wsgi import WSGIMiddleware

from backoffice.wsgi import application as wsgi

SOCKETS: Final = {"/graphql/": "graphql_api.websocket"}
# Each thread keeps a database connection; the sum over all processes stays below PostgreSQL's max_connections.
THREADS: Final = 12
# The largest body of any request, and how long it may take to arrive. Pages have smaller limits of their own.
LARGEST_BODY: Final = 4 * 1024 * 1024
BODY_SECONDS: Final = 30.0
# Parts of answers that wait for their readers, of up to 64 KiB each; beyond that the thread waits too.
PARTS_WAITING: Final = 1000

_http: Any = WSGIMiddleware(cast(Any, wsgi), workers=THREADS, send_queue_size=PARTS_WAITING)
_log = logging.getLogger(__name__)


class _TooLarge(Exception):
    """The body is longer than any request's may be."""


class _Gone(Exception):
    """The caller left before its body was complete."""


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """HTTP to Django in threads, each socket to the module that serves its path."""
    if scope["type"] == "http":
        await _serve(scope, receive, send)
        return
    if scope["type"] != "websocket":
        await _http(scope, receive, send)
        return
    module = SOCKETS.get(scope["path"])
    if module is None:
        await _refuse(receive, send, 4404, "no such socket")
        return
    try:
        socket = importlib.import_module(module).application
    except ImportError:
        _log.exception("%s cannot be served", module)
        await _refuse(receive, send, 1013, "try again later")
        return
    await socket(scope, receive, send)


async def _serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
    try:
        body = await asyncio.wait_for(_whole(receive), BODY_SECONDS)
    except _TooLarge:
        await _answer(send, 413, b"The request is too large.")
        return
    except TimeoutError:
        await _answer(send, 408, b"The request took too long to arrive.")
        return
    except _Gone:
        return
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    # Django knows a body by its length alone; one that came in chunks has none yet.
    kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    told = [*kept, (b"content-length", str(len(body)).encode())] if body else kept

    async def given() -> Any:
        return parts.pop() if parts else await receive()

    await _http({**scope, "headers": told}, given, send)


async def _whole(receive: Any) -> bytes:
    """:raises _TooLarge: beyond the limit. :raises _Gone: if the caller left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            raise _TooLarge
        if not message.get("more_body", False):
            return bytes(body)


async def _answer(send: Any, status: int, text: bytes) -> None:
    """An answer to what is not read to its end, after which the connection is closed."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode()), (b"connection", b"close")]  # fmt: skip
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def _refuse(receive: Any, send: Any, code: int, reason: str) -> None:
    """Accept, then close: a close before the accept would reach the client as a bare HTTP 403."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": code, "reason": reason})
