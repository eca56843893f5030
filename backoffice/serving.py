"""How the web process treats connections that do not behave: each has so long to ask, to read, and to say goodbye.

The server's own protocols wait for ever in three places: for the first byte of a request, for a peer that does not
read, and, on closing, for that same peer to take what is still to be sent. Whoever wants to hold a connection, its
memory and its file for nothing needs no more than that. Here each of these waits ends.
"""

import asyncio
import resource
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# From the connection, or its last answer, to the end of the next request's headers.
HEADER_SECONDS: Final = 10.0
# How long a peer may leave unread what was sent to it: an answer that may be large, a socket's messages, which are
# small and can be had again from where they ended. A socket then has a moment to see why it is cut off.
STALL_SECONDS: Final = 20.0
STALLED_SOCKET_SECONDS: Final = 10.0
GOODBYE_SECONDS: Final = 2.0
TOO_SLOW: Final = 1008  # the close code of a socket that did not read


def allow_many_files() -> None:
    """Let this process have as many connections as the machine permits; by default it is a small part of that."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Http(HttpToolsProtocol):
    """HTTP: a request's headers arrive in time, and an answer is read in time, or the connection ends."""

    _asking: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _running: Any = None  # the request being answered

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._asking = self.loop.call_later(HEADER_SECONDS, transport.abort)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._asking is None:  # a further request on the same connection
            self._asking = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def on_headers_complete(self) -> None:
        _stop(self._asking)
        self._asking = None
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        async def careful(scope: Any, receive: Any, send: Any) -> None:
            async def send_while_open(message: Any) -> None:
                cycle.disconnected = cycle.disconnected or self.transport.is_closing()
                await send(message)

            await app(scope, receive, send_while_open)

        self._running = cycle
        super()._start_asgi_task(cycle, careful)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        _stop(self._stalled)
        self._stalled = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if (
            self._running is not None
        ):  # of several requests on a connection only the last would learn of its end
            self._running.disconnected = True
        _stop(self._asking, self._stalled)
        super().connection_lost(exc)


class WebSocket(WebSocketsSansIOProtocol):
    """WebSocket: a peer that does not read is not read either, and is cut off after a while; a close ends in time.

    The close frame (1008) is written behind what the peer left unread; who begins to read again in time learns why.
    """

    _stalled: asyncio.TimerHandle | None = None
    _leaving: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self.transport.pause_reading()  # else its pings would be answered into the same full buffer
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_SOCKET_SECONDS, self._cut_off)

    def resume_writing(self) -> None:
        _stop(self._stalled)
        self._stalled = None
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _cut_off(self) -> None:
        self._stalled = None
        if not self.close_sent and not self.transport.is_closing():
            self.conn.fail(TOO_SLOW, "what was sent is not read")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self._leave()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._leave()

    def shutdown(self) -> None:
        super().shutdown()
        self._leave()

    def handle_close(self, event: Any) -> None:
        super().handle_close(event)
        self._leave()

    async def receive(self) -> Any:
        message = await self.queue.get()
        # A connection that has ended is not read any further: the event loop takes that for a mistake of ours.
        if self.read_paused and self.queue.empty() and not self.transport.is_closing():
            self.read_paused = False
            self.transport.resume_reading()
        return message

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.close":
            self._leave(self.close_timeout)

    def _leave(self, seconds: float = GOODBYE_SECONDS) -> None:
        """Let the peer have what is written, for a moment: closing alone waits for as long as it does not read."""
        if self._leaving is None and not self.disconnected:
            if self.close_timer is None:  # else the peer's own goodbye is awaited
                self.transport.close()
            self._leaving = self.loop.call_later(seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._stalled, self._leaving)
        super().connection_lost(exc)


def _stop(*timers: asyncio.TimerHandle | None) -> None:
    for timer in timers:
        if timer is not None:
            timer.cancel()
