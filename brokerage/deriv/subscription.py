"""Our end of a stream: a bounded queue between the socket's reader and whoever follows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, Protocol, TypeVar

from brokerage.deriv.errors import FellBehind, VenueError, from_answer

T = TypeVar("T")
Frame = dict[str, Any]


class Owner(Protocol):
    """The connection, as a subscription sees it."""

    def release(self, number: int, ids: set[str]) -> None: ...


class Subscription(Generic[T]):
    """An async iterator over what the venue sends. It ends with an exception, or quietly after ``close()``."""

    def __init__(
        self, call: str, parse: Callable[[Frame], T | None], size: int, *, survives_errors: bool = False
    ) -> None:
        """``parse`` makes a value of a frame, ``None`` if it carries nothing, and raises ``ValueError`` for nonsense.

        ``survives_errors``: an error frame concerns one of many things followed, and does not end the stream.
        """
        self.call = call
        self.ids: set[str] = set()
        self.errors = 0
        self._parse = parse
        self._survives_errors = survives_errors
        self._size = size
        self._queue: asyncio.Queue[T | None] = asyncio.Queue()
        self._end: VenueError | None = None
        self._is_over = False
        self._number = 0
        self._owner: Owner | None = None

    def attach(self, number: int, owner: Owner) -> None:
        """The request that began it."""
        self._number, self._owner = number, owner

    def feed(self, frame: Frame) -> bool:
        """Take a frame of the stream; false if it makes no sense."""
        if self._is_over:
            return True
        head = frame.get("subscription")
        if isinstance(head, dict) and isinstance(head.get("id"), str) and len(self.ids) < 10_000:
            self.ids.add(head["id"])
        if "error" in frame:
            self.errors += 1
            if not self._survives_errors:
                self._stop(from_answer(frame["error"], self.call))
            return True
        try:
            value = self._parse(frame)
        except ValueError:
            return False
        if value is None:
            return True
        if self._queue.qsize() >= self._size:
            self._stop(FellBehind("FellBehind", f"the stream {self.call} is read too slowly"))
            return True
        self._queue.put_nowait(value)
        return True

    def end(self, reason: VenueError | None) -> None:
        """No more frames; what is queued can still be read, then ``reason`` is raised."""
        if not self._is_over:
            self._is_over, self._end = True, reason
            self._queue.put_nowait(None)

    def _stop(self, reason: VenueError | None) -> None:
        self.end(reason)
        if self._owner is not None:
            self._owner.release(self._number, self.ids)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        value = await self._queue.get()
        if value is not None:
            return value
        self._queue.put_nowait(None)  # whoever asks again gets the same end
        if self._end is not None:
            raise self._end
        raise StopAsyncIteration

    async def close(self) -> None:
        """Tell the venue to stop, if it can still be told. What is queued can still be read. Never raises."""
        if not self._is_over:
            self._stop(None)
