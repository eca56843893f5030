"""How much a client may still move: their limits, what is used of each and what is left."""

import strawberry
from django.utils import timezone
from strawberry.types import Info

from compliance import limits
from compliance.models import Movement, Window
from graphql_api.clients import client_of
from graphql_api.types import Money
from graphql_api.viewer import problem_as_error, user_of

strawberry.enum(Movement, name="Movement", description="What is done with money, as limits count it.")
strawberry.enum(
    Window,
    name="LimitWindow",
    description="Over which time a limit counts, back from now; ONE: each by itself.",
)


@strawberry.type(description="One limit of a client's. Where there is none, nothing is limited.")
class Limit:
    kind: Movement
    window: Window
    allowed: Money
    used: Money
    left: Money


@strawberry.type
class Query:
    @strawberry.field(
        description="What a client may move by what we know of them, by kind, currency and window, the shortest window first."
    )
    @problem_as_error
    def limits(self, info: Info, client: strawberry.ID | None = None) -> list[Limit]:
        owner = client_of(user_of(info), client)
        return [
            Limit(
                kind=Movement(kind), window=room.window, allowed=Money.of(room.allowed, room.currency),
                used=Money.of(room.used, room.currency), left=Money.of(room.left, room.currency),
            )
            for kind, room in limits.every(owner, at=timezone.now())
        ]  # fmt: skip
