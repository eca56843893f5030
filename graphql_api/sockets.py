"""What a socket may do: how many somebody holds at once, how often they subscribe, and what a message looks like.

Places are counted in this process alone: a process that ends takes its sockets along, so no count is left behind.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from graphql import GraphQLError
from strawberry.http.exceptions import WebSocketDisconnected

from backoffice import sessions
from backoffice.errors import DomainError
from graphql_api import limits, live, persisted, preparation, sharing
from graphql_api.viewer import as_error, bearer

TOO_MANY: Final = 1013  # the close code: try again later
LONGEST_ID: Final = 100
MOST_SUBSCRIPTIONS: Final = 50


class TooManySubscriptions(DomainError):
    """The connection holds as many subscriptions as one may."""

    code = "TOO_MANY_SUBSCRIPTIONS"


class Places:
    """How many sockets each address, or each user, holds in this process."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, who: str, most: int) -> bool:
        """Whether there was a place; one that was taken is to be given back."""
        if self._taken[who] >= most:
            return False
        self._taken[who] += 1
        return True

    def give_back(self, who: str) -> None:
        self._taken[who] -= 1
        if self._taken[who] <= 0:
            del self._taken[who]

    def __len__(self) -> int:
        return len(self._taken)


addresses, users = Places(), Places()


class Seat:
    """One socket's places: by its address from its beginning, by its user once it said who that is."""

    def __init__(self, address: str) -> None:
        self.address, self.user = address, ""
        self.is_taken = addresses.take(address, settings.CONFIG.sockets_per_address)

    @property
    def who(self) -> str:
        """By whom its subscriptions are counted."""
        return self.user or self.address

    def is_user_welcome(self, user: str) -> bool:
        """Take the user's place too. The first who was named stays the socket's user."""
        if self.user or not user:
            return True
        if not users.take(user, settings.CONFIG.sockets_per_user):
            return False
        self.user = user
        return True

    def leave(self) -> None:
        """Give back what was taken; once, when the socket has ended."""
        if self.is_taken:
            addresses.give_back(self.address)
        if self.user:
            users.give_back(self.user)


class Handler(sharing.Handler):
    """The protocol, with limits, and with an answer for whatever is sent."""

    async def handle_task_exception(self, error: Exception) -> None:
        if not isinstance(
            error, WebSocketDisconnected
        ):  # whoever leaves in the middle of a message is no defect
            await super().handle_task_exception(error)

    async def handle_message(self, message: Any) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            await self.handle_invalid_message("A message is an object with a type.")
            return
        await super().handle_message(message)  # type: ignore[arg-type]

    async def handle_connection_init(self, message: Any) -> None:
        given = message.get("payload")
        if given is None:
            message = {**message, "payload": {}}
        user = sessions.subject(token_in(given)) if isinstance(given, Mapping) else ""
        if not self.context["seat"].is_user_welcome(user):
            await self.websocket.close(code=TOO_MANY, reason="You hold too many sockets.")
            return
        await super().handle_connection_init(message)

    async def handle_subscribe(self, message: Any) -> None:
        name, payload = message.get("id"), message.get("payload")
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID or not isinstance(payload, dict):
            await self.handle_invalid_message("A subscription has an id and a payload.")
            return
        if self.connection_acknowledged and name not in self.operations:
            try:
                if len(self.operations) >= MOST_SUBSCRIPTIONS:
                    raise TooManySubscriptions(
                        f"A connection holds {MOST_SUBSCRIPTIONS} subscriptions at most."
                    )
                await live.read(limits.take, "subscribe", self.context["seat"].who)
                payload = persisted.asked(payload)
                preparation.check_subscription(payload, self.schema)  # type: ignore[arg-type]
            except (DomainError, GraphQLError) as refusal:
                error = as_error(refusal) if isinstance(refusal, DomainError) else refusal
                await self.send_message({"id": name, "type": "error", "payload": [error.formatted]})
                return
        subscribe: Any = {**message, "payload": payload}
        await super().handle_subscribe(subscribe)

    async def handle_complete(self, message: Any) -> None:
        if not isinstance(message.get("id"), str):
            await self.handle_invalid_message("What is complete has an id.")
            return
        await super().handle_complete(message)


def token_in(given: Any) -> str:
    """The access token in what came with `connection_init`, or nothing."""
    if not isinstance(given, Mapping):
        return ""
    return bearer(str(given.get("authorization") or given.get("Authorization") or ""))
