"""Who listens on this process's sockets: each session is proven when it begins, and one question asks for all of them again.

A session that ends, or whose user may not log in any more, is not told anything from a few seconds later on, however
many sockets there are; the time of its access token is looked at each time.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import DatabaseError
from django.utils import timezone
from strawberry.types import Info

from backoffice import sessions
from backoffice.models import Session, User
from graphql_api import live, view_only
from graphql_api.viewer import NotAuthenticated, person

log = logging.getLogger(__name__)
# How long a session that has ended may still be told something.
ASK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose eyes something is read with: a person's own, or those of staff who look as them at one client."""

    user: User
    viewed: UUID | None


class Listener:
    """Somebody who listens, for as long as their session and their access token are good."""

    def __init__(self, proof: sessions.Proof, user: User, known: "_Known") -> None:
        self._proof, self._known = proof, known
        self.reader = Reader(user, user.viewed_client_id)

    async def check(self) -> None:
        """:raises TokenExpired, InvalidToken: if nothing more may be told."""
        self._proof.check_time(at=timezone.now())
        if self._proof.session.pk in self._known.ended:
            raise sessions.InvalidToken("This session has ended. Log in again.")
        if self._proof.session.kind == Session.Kind.VIEW:  # a permission taken away ends a look at once
            await live.read(_person, self._proof.session.pk)


def _person(session: int) -> User:
    return person(Session.objects.select_related("user", "viewed").get(pk=session))


def _begin(token: str, field: str) -> tuple[sessions.Proof, User]:
    proof = sessions.prove(token, at=timezone.now())
    if proof.session.kind == Session.Kind.VIEW:
        view_only.note(proof.session, field)
    return proof, person(proof.session)


class _Known:
    """The sessions of one event loop's sockets, and which of them have ended."""

    def __init__(self) -> None:
        self.listening: Counter[int] = Counter()
        self.ended: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def begin(self, session: int) -> None:
        self.listening[session] += 1
        self.ended.discard(session)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ask(), name="sessions of sockets")

    def end(self, session: int) -> None:
        self.listening[session] -= 1
        if not self.listening[session]:
            del self.listening[session]
            self.ended.discard(session)

    async def _ask(self) -> None:
        while self.listening:
            await asyncio.sleep(ASK_SECONDS)
            asked = set(self.listening)
            try:
                good = await live.read(sessions.good_of, asked)
            except DatabaseError as found:  # asked again; without a database nobody is told anything either
                log.warning("sessions of sockets cannot be asked for", extra={"reason": type(found).__name__})
                continue
            self.ended |= (asked - good) & set(self.listening)


_of_loop: dict[asyncio.AbstractEventLoop, _Known] = {}


def _known() -> _Known:
    loop = asyncio.get_running_loop()
    if loop not in _of_loop:
        _of_loop.clear()
        _of_loop[loop] = _Known()
    return _of_loop[loop]


@asynccontextmanager
async def listening(info: Info) -> AsyncIterator[Listener]:
    """Whoever's token came with `connection_init`.

    :raises NotAuthenticated, TokenExpired, InvalidToken: if nobody's, not good any more, or not ours.
    """
    if not info.context["token"]:
        raise NotAuthenticated("Log in first: send `authorization` with connection_init.")
    proof, user = await live.read(_begin, info.context["token"], info.field_name)
    known = _known()
    known.begin(proof.session.pk)
    try:
        yield Listener(proof, user, known)
    finally:
        known.end(proof.session.pk)
