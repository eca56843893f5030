"""Live trades: begin with the present state, then every change, and resume without a gap."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice import sessions
from backoffice.errors import DomainError, InvalidInput, NotFound
from backoffice.models import Event, Session, User
from backoffice.secrets import UnreadableSecret, seal, unseal
from brokerage import models as db
from compliance.models import Client
from graphql_api import live, view_only
from graphql_api.brokerage import Trade, TradeState, id_of, trades_with_relations
from graphql_api.viewer import NotAuthenticated, as_error, person

PRESENT: Final = "present"
BATCH: Final = 200


@strawberry.type(description="One step in a trade's life.")
class TradeStatus:
    version: int = strawberry.field(description="Give the last one you saw as `afterVersion` to resume.")
    state: TradeState
    event: str = strawberry.field(description="What happened; `present` for the state at the beginning.")
    at: datetime
    trade: Trade = strawberry.field(description="The trade as it is now.")


@strawberry.type(description="Changes of any of your trades, in the order of the one event log.")
class TradeChange:
    cursor: str = strawberry.field(description="Give the last one you saw as `after` to resume.")
    event: str = strawberry.field(description="What happened; `present` for the first message.")
    at: datetime
    trades: list[Trade] = strawberry.field(
        description="The trade; in the first message all that are not final."
    )


@dataclass(frozen=True, slots=True)
class _Step:
    version: int
    state: str
    event: str
    at: datetime


@strawberry.type
class Subscription:
    @strawberry.subscription(description="One trade, from its present state until it is final.")
    async def trade_status(
        self, info: Info, id: strawberry.ID, after_version: int | None = None
    ) -> AsyncGenerator[TradeStatus, None]:
        try:
            async with live.hub().listening([f"trade:{id_of(id)}"]) as look:
                seen = after_version
                while True:
                    user = await _user(info)  # logged out or expired meanwhile: nothing more is told
                    steps, row = await live.read(_steps, user, id, seen)
                    for step in steps:
                        seen = step.version
                        yield TradeStatus(
                            version=step.version,
                            state=TradeState(step.state),
                            event=step.event,
                            at=step.at,
                            trade=row,
                        )
                    if row.is_final and seen is not None and seen >= row.version:
                        return
                    await look()
        except DomainError as refusal:
            raise as_error(refusal) from None

    @strawberry.subscription(description="All your trades: what is unfinished first, then each change.")
    async def trade_changes(self, info: Info, after: str | None = None) -> AsyncGenerator[TradeChange, None]:
        try:
            user = await _user(info)
            clients = await live.read(_clients, user)
            async with live.hub().listening([f"client:{client}" for client in clients]) as look:
                if after is None:
                    position, present = await live.read(_present, user)
                    yield TradeChange(
                        cursor=_cursor(position), event=PRESENT, at=timezone.now(), trades=present
                    )
                else:
                    position = _position(after)
                while True:
                    user = await _user(info)
                    changes = await live.read(_changes, user, clients, position)
                    for position, event, at, trade in changes:
                        yield TradeChange(cursor=_cursor(position), event=event, at=at, trades=[trade])
                    if len(changes) < BATCH:
                        await look()
        except DomainError as refusal:
            raise as_error(refusal) from None


async def _user(info: Info) -> User:
    """Who listens. :raises NotAuthenticated, TokenExpired, InvalidToken: if nobody, not any more, or not ours."""
    if not info.context["token"]:
        raise NotAuthenticated("Log in first: send `authorization` with connection_init.")
    return await live.read(_person, info.context)


def _person(context: dict[str, Any]) -> User:
    session = sessions.authenticate(context["token"], at=timezone.now())
    if session.kind == Session.Kind.VIEW and not context.get("noted"):
        context["noted"] = True
        view_only.note(session, "tradeChanges")
    return person(session)


def _steps(user: User, public_id: str, seen: int | None) -> tuple[list[_Step], Any]:
    """The steps after a version (the present state alone if nothing was seen), and the trade as it is now.

    :raises NotFound: if there is no such trade, or it is somebody else's.
    """
    row = trades_with_relations().of_user(user).filter(uuid=id_of(public_id)).first()
    if row is None:
        raise NotFound("There is no such trade.", field="id")
    if seen is None:
        return [_Step(row.version, row.state, PRESENT, row.changed_at)], Trade.of(row)
    events = Event.objects.about("trade", row.uuid).filter(
        subject_version__gt=seen, subject_version__lte=row.version
    )
    return [_Step(e.subject_version or 0, e.payload["state"], e.name, e.at) for e in events], Trade.of(row)


def _present(user: User) -> tuple[int, list[Trade]]:
    """The log's head first, then what is unfinished: a change in between is told twice, never missed."""
    head = (
        Event.objects.filter(position__isnull=False).order_by("-position").values_list("position", flat=True)
    )
    position = head.first() or 0
    rows = trades_with_relations().of_user(user).exclude(state__in=db.Trade.FINAL).order_by("-uuid")[:BATCH]
    return position, [Trade.of(row) for row in rows]


def _clients(user: User) -> list[UUID]:
    return list(Client.objects.of_user(user).values_list("uuid", flat=True))


def _changes(user: User, clients: list[UUID], position: int) -> list[tuple[int, str, datetime, Trade]]:
    events = list(Event.objects.after(position).filter(client_id__in=clients, subject_type="trade")[:BATCH])
    rows = {
        row.uuid: Trade.of(row)
        for row in trades_with_relations().of_user(user).filter(uuid__in={e.subject_id for e in events})
    }
    return [(e.position or 0, e.name, e.at, rows[e.subject_id]) for e in events if e.subject_id in rows]


def _cursor(position: int) -> str:
    # Sealed: the position itself would tell how much happens here.
    return seal(f"trades:{position}")


def _position(cursor: str) -> int:
    try:
        kind, _, position = unseal(cursor).partition(":")
    except UnreadableSecret:
        kind, position = "", ""
    if kind != "trades" or not position.isdigit():
        raise InvalidInput("That is not a cursor of this subscription.", field="after")
    return int(position)
