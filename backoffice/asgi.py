"""One origin: HTTP runs Django in threads (about three times what its ASGI side manages), sockets stay on the loop.

Both can also be served apart: this application behind `/graphql/` upgrades, `backoffice.wsgi` behind the rest.
"""

import importlib
import logging
from typing import Any, Final, cast

from a2wsgi import WSGIMiddleware

from backoffice.wsgi import application as wsgi

SOCKETS: Final = {"/graphql/": "graphql_api.websocket"}
# Each thread keeps a database connection; the sum over all processes stays below PostgreSQL's max_connections.
THREADS: Final = 12

_http: Any = WSGIMiddleware(cast(Any, wsgi), workers=THREADS)
_log = logging.getLogger(__name__)


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """HTTP to Django in threads, each socket to the module that serves its path."""
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


async def _refuse(receive: Any, send: Any, code: int, reason: str) -> None:
    """Accept, then close: a close before the accept would reach the client as a bare HTTP 403."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": code, "reason": reason})
