"""GraphQL over WebSocket, protocol `graphql-transport-ws` alone, for subscriptions alone.

The token comes with `connection_init`. Each subscription proves it for itself, so that a bad one is answered with
its code like any other refusal, and looks again as long as it runs.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from backoffice.addresses import caller
from graphql_api import persisted, sharing
from graphql_api.schema import schema
from graphql_api.sockets import TOO_MANY, Handler, Seat, token_in


class Sockets(GraphQL[dict[str, Any], None]):
    """The API's sockets, each on a seat that is given back when it ends, however it ends."""

    graphql_transport_ws_handler_class = Handler

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        forwarded = [
            value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"
        ]
        peer = (scope.get("client") or ("",))[0]
        seat = Seat(caller(peer, ",".join(forwarded)))
        try:
            if seat.is_taken:
                await super().__call__({**scope, "seat": seat}, receive, send)
            else:
                await receive()
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.close", "code": TOO_MANY, "reason": "Too many sockets."})
        finally:
            seat.leave()

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> dict[str, Any]:
        return {"request": request, "token": "", "seat": request.scope["seat"]}

    async def on_ws_connect(self, context: dict[str, Any]) -> Any:
        context["token"] = token_in(context.get("connection_params"))
        return {}

    def encode_json(self, data: object) -> str:
        return sharing.encode(data)

    def decode_json(self, data: str | bytes) -> object:
        return persisted.decoded(data)


application = Sockets(
    schema,
    graphql_ide=None,
    allow_queries_via_get=False,
    subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
    connection_init_wait_timeout=timedelta(seconds=10),
    max_subscriptions_per_connection=None,  # counted by the handler,
    allowed_origins=[settings.CONFIG.public_url, *settings.CONFIG.origins],
)
