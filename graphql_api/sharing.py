"""What many sockets are told at once is worked out once a process, and put into words once.

A subscription's message that came from a shared reading (`live.Topics`) is the same object for all who share it. For
each document and its variables the first socket executes and encodes it, through GraphQL's whole machinery; the
others send the same text under their own id (`Teller`).
"""

import dataclasses
import json
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final

import strawberry
from starlette.websockets import WebSocketDisconnect
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.types import Info

from backoffice import metrics

# The operation that the task at hand runs: it knows its socket, and its id there.
_running: Final[ContextVar[Operation[Any, Any]]] = ContextVar("running")


@strawberry.type
class Shared:
    """A message that several sockets may be told. Its fields say the same whoever asks: no resolver looks at the asker."""

    # By document and variables: the operation, kept so that no other takes its place in memory, and what it answers.
    told: strawberry.Private[dict[Any, tuple[Any, "SharedData"]]] = dataclasses.field(
        default_factory=dict, kw_only=True
    )


class SharedData(dict[str, Any]):
    """The data of such a message, and its text once somebody needed it."""

    _text: str = ""

    @property
    def text(self) -> str:
        self._text = self._text or _json(self)
        return self._text


def asked_of(operation: Any, variables: dict[str, Any]) -> tuple[int, str]:
    """What is asked of a message: documents are parsed once (`ParserCache`), so the same text is the same object."""
    return id(operation), repr(variables)


SOCKETS: Final = metrics.Counter("sockets_total", "Sockets of the API that opened and closed", ("what",))
TOLD: Final = metrics.Counter("socket_messages_total", "Messages of subscriptions sent to sockets")


class Handler(BaseGraphQLTransportWSHandler[Any, Any]):
    """A socket's conversation; each operation knows itself while it runs."""

    async def handle(self) -> None:
        SOCKETS.add(what="opened")
        try:
            await super().handle()
        finally:
            SOCKETS.add(what="closed")

    async def run_operation(self, operation: Operation[Any, Any]) -> None:
        _running.set(operation)  # each runs in a task of its own
        await super().run_operation(operation)


class Teller:
    """One subscription of one socket."""

    def __init__(self, info: Info) -> None:
        self._asked = asked_of(info.operation, info.variable_values)
        self._operation = _running.get(None)

    async def told(self, message: Shared) -> bool:
        """Send a message that somebody else has executed already; if nobody has, the caller yields it."""
        known = message.told.get(self._asked)
        if known is None or self._operation is None:
            return False
        wire: Any = self._operation.handler.websocket
        with suppress(
            WebSocketDisconnect
        ):  # whoever left is noticed where the socket is read, which ends this
            await wire.ws.send_text(_next(self._operation.id, known[1]))
        return True


def encode(message: Any) -> str:
    """A message as JSON; the shared part of it is encoded once."""
    if isinstance(message, dict) and message.get("type") == "next":
        data = message["payload"].get("data")
        if isinstance(data, SharedData) and len(message["payload"]) == 1:
            return _next(message["id"], data)
    return _json(message)


def _next(operation: str, data: SharedData) -> str:
    TOLD.add()
    return f'{{"id":{_json(operation)},"type":"next","payload":{{"data":{data.text}}}}}'


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
