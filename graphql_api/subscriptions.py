"""Live trades: begin with the present state, then every change, and resume without a gap."""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Final
from uuid import UUID

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice.errors import DomainError, InvalidInput, NotFound
from backoffice.models import Event
from backoffice.secrets import UnreadableSecret, seal, unseal
from brokerage import models as db
from compliance.models import Client
from graphql_api import live
from graphql_api.brokerage import Trade, TradeState, id_of, trades_with_relations
from graphql_api.listeners import Reader, listening
from graphql_api.sharing import Shared, Teller
from graphql_api.viewer import as_error

PRESENT: Final = "present"
BATCH: Final = 200


@strawberry.type(description="One step in a trade's life.")
class TradeStatus(Shared):
    version: int = strawberry.field(description="Give the last one you saw as `afterVersion` to resume.")
    state: TradeState
    event: str = strawberry.field(description="What happened; `present` for the state at the beginning.")
    at: datetime
    trade: Trade = strawberry.field(description="The trade as it is now.")


@strawberry.type(description="Changes of any of your trades, in the order of the one event log.")
class TradeChange(Shared):
    cursor: str = strawberry.field(description="Give the last one you saw as `after` to resume.")
    event: str = strawberry.field(description="What happened; `present` for the first message.")
    at: datetime
    trades: list[Trade] = strawberry.field(
        description="The trade; in the first message all that are not final."
    )
    position: strawberry.Private[int] = 0


@strawberry.type
class Subscription:
    @strawberry.subscription(description="One trade, from its present state until it is final.")
    async def trade_status(
        self, info: Info, id: strawberry.ID, after_version: int | None = None
    ) -> AsyncGenerator[TradeStatus, None]:
        try:
            async with listening(info) as me:
                seen, teller = after_version, Teller(info)
                with live.hub().listening([f"trade:{id_of(id)}"]) as topics:
                    steps, trade = await topics.read(_steps, me.reader, id, seen)
                    while True:
                        for step in steps:
                            seen = step.version
                            if not await teller.told(step):
                                yield step
                        if trade.is_final and seen is not None and seen >= trade.version:
                            return
                        steps, trade = await topics.next(_steps, me.reader, id, seen)
                        await me.check()  # logged out or expired meanwhile: nothing more is told
        except DomainError as refusal:
            raise as_error(refusal) from None

    @strawberry.subscription(description="All your trades: what is unfinished first, then each change.")
    async def trade_changes(self, info: Info, after: str | None = None) -> AsyncGenerator[TradeChange, None]:
        try:
            async with listening(info) as me:
                clients, teller = await live.read(_clients, me.reader), Teller(info)
                with live.hub().listening(f"client:{client}" for client in clients) as topics:
                    if after is None:
                        position, present = await live.read(_present, me.reader)
                        yield TradeChange(
                            cursor=_cursor(position), event=PRESENT, at=timezone.now(), trades=present
                        )
                    else:
                        position = _position(after)
                    changes = await topics.read(_changes, me.reader, clients, position)
                    while True:
                        for change in changes:
                            position = change.position
                            if not await teller.told(change):
                                yield change
                        ask = topics.read if len(changes) == BATCH else topics.next
                        changes = await ask(_changes, me.reader, clients, position)
                        await me.check()
        except DomainError as refusal:
            raise as_error(refusal) from None


def _steps(reader: Reader, public_id: str, seen: int | None) -> tuple[list[TradeStatus], Trade]:
    """The steps after a version (the present state alone if nothing was seen), and the trade as it is now.

    :raises NotFound: if there is no such trade, or it is somebody else's.
    """
    row = trades_with_relations().of_user(reader.user).filter(uuid=id_of(public_id)).first()
    if row is None:
        raise NotFound("There is no such trade.", field="id")
    trade = Trade.of(row)
    if seen is None:
        return [_step(row.version, row.state, PRESENT, row.changed_at, trade)], trade
    events = Event.objects.about("trade", row.uuid).filter(
        subject_version__gt=seen, subject_version__lte=row.version
    )
    return [_step(e.subject_version or 0, e.payload["state"], e.name, e.at, trade) for e in events], trade


def _step(version: int, state: str, event: str, at: datetime, trade: Trade) -> TradeStatus:
    return TradeStatus(version=version, state=TradeState(state), event=event, at=at, trade=trade)


def _present(reader: Reader) -> tuple[int, list[Trade]]:
    """The log's head first, then what is unfinished: a change in between is told twice, never missed."""
    head = (
        Event.objects.filter(position__isnull=False).order_by("-position").values_list("position", flat=True)
    )
    position = head.first() or 0
    rows = (
        trades_with_relations()
        .of_user(reader.user)
        .exclude(state__in=db.Trade.FINAL)
        .order_by("-uuid")[:BATCH]
    )
    return position, [Trade.of(row) for row in rows]


def _clients(reader: Reader) -> tuple[UUID, ...]:
    return tuple(Client.objects.of_user(reader.user).values_list("uuid", flat=True))


def _changes(reader: Reader, clients: tuple[UUID, ...], position: int) -> list[TradeChange]:
    events = list(Event.objects.after(position).filter(client_id__in=clients, subject_type="trade")[:BATCH])
    rows = {
        row.uuid: Trade.of(row)
        for row in trades_with_relations()
        .of_user(reader.user)
        .filter(uuid__in={e.subject_id for e in events})
    }
    return [
        TradeChange(cursor=_cursor(e.position or 0), event=e.name, at=e.at, trades=[rows[e.subject_id]], position=e.position or 0)
        for e in events if e.subject_id in rows
    ]  # fmt: skip


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
