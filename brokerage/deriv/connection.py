"""One multiplexed socket: answers are matched by request id, streams by request and subscription id.

The venue is not trusted: whatever it sends, the reading task goes on. A frame that answers a call wrongly fails
that call; a frame nobody asked for is counted and dropped. A connection that no longer answers pings within the
time allowed is dead, also if TCP does not say so.

Where an ``Admission`` is given, every request asks it first. Between its yes and the wire stands the last look alone.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from brokerage.deriv.budgets import Admission, admitted
from brokerage.deriv.errors import (
    AnswerTimeout,
    ConnectionLost,
    MalformedAnswer,
    NotSent,
    from_answer,
)
from brokerage.deriv.settings import Counters, Direction, Frame, Hook, Settings
from brokerage.deriv.subscription import Subscription
from brokerage.deriv.wire import NotJson, decode, encode, redact

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pending:
    call: str
    msg_types: frozenset[str]
    future: asyncio.Future[Frame]
    subscription: Subscription[Any] | None = None
    first: list[Frame] = field(default_factory=list)


class Connection:
    """One open socket: calls with their answers, streams, and the heartbeat that notices its end."""

    def __init__(
        self,
        socket: ClientConnection,
        settings: Settings,
        on_message: Hook | None = None,
        admission: Admission | None = None,
    ) -> None:
        """Takes over an open socket. Use ``dialing.open_connection``."""
        self.settings = settings
        self.counters = Counters()
        self._socket = socket
        self._on_message, self._admission = on_message, admission
        self.heard_at = time.time()
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._streams: dict[int, Subscription[Any]] = {}
        self._lost: ConnectionLost | None = None
        self._gone = asyncio.Event()
        self._forgetting: dict[str, asyncio.Task[None]] = {}
        self._reader = asyncio.create_task(self._read(), name="deriv reader")
        self._heart = asyncio.create_task(self._beat(), name="deriv heartbeat")

    @property
    def is_up(self) -> bool:
        return self._lost is None and self._socket.state is State.OPEN

    async def wait_lost(self) -> None:
        await self._gone.wait()

    async def call(
        self,
        request: Frame,
        *msg_types: str,
        timeout: float | None = None,
        last_look: Callable[[], None] | None = None,
    ) -> Frame:
        """Send a request, named by its first key, and wait for its answer: a frame of one of ``msg_types``.

        ``last_look`` is called when nothing else stands between the request and the wire; what it raises keeps
        the request from being sent.

        Raises ``RetryLater`` (``BUDGET``) if there was no room for it in time, ``NotSent`` if nothing was sent,
        ``ConnectionLost``, ``AnswerTimeout`` or ``MalformedAnswer`` if the
        outcome is unknown, and the exception of ``errors.from_answer`` if the venue says no.
        """
        return await self._exchange(request, msg_types, None, timeout, last_look)

    async def subscribe(self, request: Frame, subscription: Subscription[Any], *msg_types: str) -> None:
        """Send a request that begins a stream; its frames, the first one included, go to ``subscription``."""
        try:
            await self._exchange({**request, "subscribe": 1}, msg_types, subscription, None)
        except BaseException:
            subscription.abandon()  # the answer may have come and nobody will read on
            raise

    async def _exchange(
        self,
        request: Frame,
        msg_types: tuple[str, ...],
        subscription: Subscription[Any] | None,
        timeout: float | None,
        last_look: Callable[[], None] | None = None,
    ) -> Frame:
        call = next(iter(request))
        seconds = self.settings.call_timeout if timeout is None else timeout
        self._check_up(call)
        async with admitted(self._admission, call, seconds, urgent=subscription is not None):
            self._check_up(call)
            return await self._send(request, msg_types, subscription, seconds, last_look)

    def _check_up(self, call: str) -> None:
        if not self.is_up:
            raise NotSent("NotConnected", f"there is no connection for {call}")

    async def _send(
        self,
        request: Frame,
        msg_types: tuple[str, ...],
        subscription: Subscription[Any] | None,
        seconds: float,
        last_look: Callable[[], None] | None,
    ) -> Frame:
        call, number = next(iter(request)), next(self._numbers)
        frame = {**request, "req_id": number}
        text = encode(frame)
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._pending[number] = _Pending(call, frozenset(msg_types or (call,)), future, subscription)
        self._tell("out", frame)
        try:
            async with asyncio.timeout(seconds):
                if last_look is not None:
                    last_look()
                await self._socket.send(text)
                return await future
        except TimeoutError:
            raise AnswerTimeout("Timeout", f"no answer to {call} within {seconds} s") from None
        except ConnectionClosed as error:
            # The socket was open a moment ago: part of the request may have left.
            raise ConnectionLost("ConnectionLost", f"the connection broke while {call} was sent") from error
        finally:
            self._pending.pop(number, None)
            if future.done() and not future.cancelled():
                future.exception()  # seen, in case the sending failed first

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        reason = "the connection was closed"
        try:
            async for message in self._socket:
                self._take(message)
        except ConnectionClosed as error:
            reason = f"the connection broke: {error}"
        except Exception:
            logger.exception("reading from the venue failed")
            reason = "reading failed"
        finally:
            self._fail(reason)

    def _take(self, message: str | bytes) -> None:
        try:
            frame = decode(message)
        except NotJson:
            frame = None
        if not isinstance(frame, dict):
            self.counters.unreadable += 1
            logger.warning("a frame from the venue is unreadable and dropped (%d bytes)", len(message))
            return
        self.heard_at = time.time()
        self._tell("in", frame)
        number = frame.get("req_id")
        pending = self._pending.pop(number, None) if type(number) is int else None
        try:
            self._dispatch(number, pending, frame)
        except Exception:
            # Our own mistake, met on a frame nobody foresaw: it costs that frame, not the connection.
            self.counters.malformed += 1
            logger.exception("a frame from the venue could not be handled")
            if pending is not None and not pending.future.done():
                problem = f"the answer to {pending.call} could not be read"
                pending.future.set_exception(MalformedAnswer("MalformedAnswer", problem))

    def _dispatch(self, number: Any, pending: _Pending | None, frame: Frame) -> None:
        if pending is not None:
            self._answer(number, pending, frame)
        elif type(number) is int and number in self._streams:
            self._streamed(self._streams[number], frame)
        else:
            self._unexpected(frame)

    def _answer(self, number: int, pending: _Pending, frame: Frame) -> None:
        if pending.future.done():
            self._unexpected(frame)
        elif "error" in frame:
            pending.future.set_exception(from_answer(frame["error"], pending.call))
        elif not isinstance(frame.get("msg_type"), str) or frame["msg_type"] not in pending.msg_types:
            self.counters.malformed += 1
            problem = f"the answer to {pending.call} is of another kind"
            pending.future.set_exception(MalformedAnswer("MalformedAnswer", problem))
        elif pending.subscription is not None and not self._begin(number, pending.subscription, frame):
            self.counters.malformed += 1
            problem = f"the first frame of {pending.call} makes no sense"
            pending.future.set_exception(MalformedAnswer("MalformedAnswer", problem))
        else:
            pending.future.set_result(frame)

    def _begin(self, number: int, subscription: Subscription[Any], frame: Frame) -> bool:
        subscription.attach(number, self)
        if not subscription.feed(frame):
            return False
        self._streams[number] = subscription
        return True

    def _streamed(self, subscription: Subscription[Any], frame: Frame) -> None:
        if not subscription.feed(frame):
            self.counters.malformed += 1
            logger.warning("a frame of the stream %s makes no sense and is dropped", subscription.call)

    def _unexpected(self, frame: Frame) -> None:
        """Nobody waits for it: a late answer, or a stream that was given up. The venue is told to stop that one."""
        self.counters.unexpected += 1
        logger.info("dropped a frame nobody waits for: %s", str(frame.get("msg_type"))[:40])
        head = frame.get("subscription")
        if isinstance(head, dict) and isinstance(head.get("id"), str):
            self.forget_soon(head["id"])

    def _tell(self, direction: Direction, frame: Frame) -> None:
        if self._on_message is None:
            return
        try:
            self._on_message(direction, redact(frame))
        except Exception:
            self.counters.hook_failures += 1
            logger.exception("the message hook failed")

    # ── ending ───────────────────────────────────────────────────────────────────────────────────────

    def release(self, number: int, ids: set[str]) -> list[asyncio.Task[None]]:
        """A subscription ends on our side; the tasks tell the venue."""
        self._streams.pop(number, None)
        return [task for stream_id in ids if (task := self.forget_soon(stream_id))]

    def forget_soon(self, stream_id: str) -> asyncio.Task[None] | None:
        """Ask the venue to end a stream. Asked again if frames keep coming, but once at a time."""
        if not self.is_up or stream_id in self._forgetting or len(self._forgetting) >= 1000:
            return None
        task = asyncio.create_task(self._forget(stream_id))
        self._forgetting[stream_id] = task
        task.add_done_callback(lambda _: self._forgetting.pop(stream_id, None))
        return task

    async def _forget(self, stream_id: str) -> None:
        try:
            await self.call({"forget": stream_id})
        except Exception as error:  # noqa: BLE001
            logger.info("a stream could not be forgotten: %s", error)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.settings.ping_every)
            try:
                await self.call({"ping": 1}, timeout=self.settings.pong_within)
            except (AnswerTimeout, MalformedAnswer):
                logger.warning("the venue does not answer pings; the connection is given up")
                self._fail("the venue no longer answers")
                self._socket.transport.abort()
                return
            except (NotSent, ConnectionLost):
                return
            except Exception as error:  # noqa: BLE001  (an error is a sign of life)
                logger.info("a ping was refused: %s", error)

    def _fail(self, reason: str) -> None:
        """The connection is over: everyone who waits learns it now."""
        if self._lost is not None:
            return
        self._lost = ConnectionLost("ConnectionLost", reason)
        for pending in list(self._pending.values()):
            if not pending.future.done():
                problem = f"no answer to {pending.call}: {reason}"
                pending.future.set_exception(ConnectionLost("ConnectionLost", problem))
        for subscription in list(self._streams.values()):
            subscription.end(ConnectionLost("ConnectionLost", reason))
        self._streams.clear()
        self._gone.set()
        if asyncio.current_task() is not self._heart:
            self._heart.cancel()

    async def close(self) -> None:
        """Close the socket and wait until its tasks are done. Never raises for the state of the network."""
        self._fail("closed by us")
        self._heart.cancel()
        forgetting = list(self._forgetting.values())
        for task in forgetting:
            task.cancel()
        try:
            async with asyncio.timeout(2):
                await self._socket.close()
        except (TimeoutError, OSError, ConnectionClosed) as error:
            logger.info("the socket did not close in order: %r", error)
            self._socket.transport.abort()
        await asyncio.gather(self._reader, self._heart, *forgetting, return_exceptions=True)
