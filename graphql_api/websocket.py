"""GraphQL over WebSocket, protocol `graphql-transport-ws` alone.

The token comes with `connection_init`. Each subscription proves it for itself, so that a bad one is answered with
its code like any other refusal, and looks again as long as it runs.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from graphql_api import sharing
from graphql_api.schema import schema
from graphql_api.viewer import bearer


class Sockets(GraphQL[dict[str, Any], None]):
    """The API's sockets."""

    graphql_transport_ws_handler_class = sharing.Handler

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> dict[str, Any]:
        return {"request": request, "token": ""}

    async def on_ws_connect(self, context: dict[str, Any]) -> Any:
        given = context.get("connection_params") or {}
        if isinstance(given, Mapping):
            context["token"] = bearer(str(given.get("authorization") or given.get("Authorization") or ""))
        return {}

    def encode_json(self, data: object) -> str:
        return sharing.encode(data)


application = Sockets(
    schema,
    graphql_ide=None,
    allow_queries_via_get=False,
    subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
    connection_init_wait_timeout=timedelta(seconds=10),
    max_subscriptions_per_connection=50,
    allowed_origins=[settings.CONFIG.public_url, *settings.CONFIG.origins],
)
