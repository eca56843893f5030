"""All sockets, of both generations: it takes them in, and passes on to them what happens at the venue."""

import asyncio
import contextlib
import itertools
import logging

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from brokerage.deriv.simulator.conditions import Conditions
from brokerage.deriv.simulator.events import Event
from brokerage.deriv.simulator.faults import Faults
from brokerage.deriv.simulator.generation import Generation
from brokerage.deriv.simulator.moves import Moves
from brokerage.deriv.simulator.prices import Quote
from brokerage.deriv.simulator.pulse import Pulse
from brokerage.deriv.simulator.v3.limits import Limits
from brokerage.deriv.simulator.v3.session import Session

logger = logging.getLogger(__name__)


class Hub:
    def __init__(
        self,
        pulse: Pulse,
        faults: Faults,
        limits: Limits,
        conditions: Conditions,
        moves: Moves,
        idle_seconds: float = 120.0,
    ) -> None:
        """A connection on which nothing was asked for ``idle_seconds`` is closed."""
        self._pulse = pulse
        self._faults = faults
        self._limits = limits
        self._conditions, self._moves = conditions, moves
        conditions.close_all, conditions.tell_status = self._close_all, self._tell_status
        conditions.close_moved = self.close_moved
        self._idle_seconds = idle_seconds
        self._sessions: set[Session] = set()
        self._numbers = itertools.count(1)

    def watched(self) -> set[str]:
        return {
            code
            for session in self._sessions
            for stream in session.streams.values()
            for code in stream.symbols()
        }

    def close_moved(self) -> None:
        """End the sockets of accounts that go by another login now: their owner was moved to v4."""
        for session in self._sessions:
            if session.login_id is not None and not session.engine.knows(session.login_id):
                session.drop()

    def _close_all(self) -> None:
        for session in self._sessions:
            session.drop()

    def close_of(self, login_ids: set[str]) -> None:
        """End the v4 sockets of these accounts: their user has taken the permission away."""
        for session in self._sessions:
            if session.generation.name == "v4" and session.login_id in login_ids:
                session.drop()

    def _tell_status(self) -> None:
        for session in self._sessions:
            session.status_changed()

    def happened(self, events: list[Event], at: float) -> None:
        if self._conditions.holds("frozen_feed"):
            return
        for event in events:
            for session in self._sessions:
                session.happened(event, at)

    def ticked(self, quotes: list[Quote], at: float) -> None:
        if self._conditions.holds("frozen_feed"):
            return
        for session in self._sessions:
            session.ticked(quotes, at)

    async def serve(
        self, socket: WebSocket, generation: Generation, app_id: int, login_id: str | None = None
    ) -> None:
        """One connection, until either side ends it; none is let in while the venue is away."""
        if self._conditions.holds("restart"):
            await socket.send_denial_response(PlainTextResponse("The venue is away.", 503))
            return
        await socket.accept()
        session = Session(
            f"{generation.name}-{next(self._numbers)}",
            generation,
            app_id,
            self._pulse,
            self._faults,
            self._limits,
            self._conditions,
            self._moves,
            login_id,
        )
        self._sessions.add(session)
        writer = asyncio.create_task(self._write(socket, session))
        try:
            await self._read(socket, session)
        finally:
            self._sessions.discard(session)
            session.end()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def _read(self, socket: WebSocket, session: Session) -> None:
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    message = await socket.receive()
            except TimeoutError:
                logger.info("connection %s was idle and is closed", session.name)
                await _close(socket, 1000)
                return
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            session.receive(message.get("bytes", b"") if text is None else text)

    async def _write(self, socket: WebSocket, session: Session) -> None:
        while True:
            text = await session.outgoing.get()
            try:
                if text is None:
                    await _close(socket, 1001)
                    return
                await socket.send_text(text)
            except (WebSocketDisconnect, RuntimeError, OSError):
                logger.debug("connection %s is gone; the rest is not sent", session.name)
                return


async def _close(socket: WebSocket, code: int) -> None:
    if socket.application_state is WebSocketState.CONNECTED:
        await socket.close(code)
