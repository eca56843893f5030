"""GraphQL over WebSocket, protocol `graphql-transport-ws` alone: who asks is proven in `connection_init`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.utils import timezone
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from backoffice import sessions
from backoffice.errors import DomainError
from graphql_api import live
from graphql_api.schema import schema
from graphql_api.viewer import bearer


class Sockets(GraphQL[dict[str, Any], None]):
    """The API's sockets. A bad token refuses the connection with its code; no token lets subscriptions say so."""

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> dict[str, Any]:
        return {"request": request, "token": "", "expires_at": None}

    async def on_ws_connect(self, context: dict[str, Any]) -> Any:
        given = context.get("connection_params") or {}
        header = (
            str(given.get("authorization") or given.get("Authorization") or "")
            if isinstance(given, Mapping)
            else ""
        )
        token = bearer(header)
        if token:
            try:
                await live.read(sessions.authenticate, token, at=timezone.now())
            except DomainError as refusal:
                raise ConnectionRejectionError({"code": refusal.code}) from None
            claims = jwt.decode(token, options={"verify_signature": False})
            context["token"], context["expires_at"] = token, datetime.fromtimestamp(claims["exp"], tz=UTC)
        return {}


application = Sockets(
    schema,
    graphql_ide=None,
    allow_queries_via_get=False,
    subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
    connection_init_wait_timeout=timedelta(seconds=10),
    max_subscriptions_per_connection=50,
    allowed_origins=[settings.CONFIG.public_url, *settings.CONFIG.origins],
)
