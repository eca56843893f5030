"""The last messages of each account with the venue, for people who look into what happened; never for a decision.

They stand in Redis, secrets masked, for a day, the last few hundred of each account: what must be kept for good are the
events. Prices that come by themselves are left out: they say nothing that the contract's end does not.
"""

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from backoffice.cache import redis_client
from brokerage.deriv.settings import Hook
from brokerage.deriv.wire import encode

KEPT: Final = 300
KEPT_SECONDS: Final = 86_400
LONGEST: Final = 2_000
# A process that cannot reach Redis keeps this many of them, then forgets the oldest.
WAITING: Final = 5_000
FLUSH_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message: `direction` is `in` (from the venue) or `out`; `at` in Unix seconds by the clock of `streams`."""

    at: float
    direction: str
    call: str
    text: str
    is_error: bool


class WireLog:
    """What this process hears and says, on its way to Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: deque[tuple[str, str]] = deque(maxlen=WAITING)

    def hook(self, link: str) -> Hook:
        """For a connection's ``on_message``: it sees messages with their secrets removed."""

        def keep(direction: str, frame: dict[str, Any]) -> None:
            if _is_worth_keeping(direction, frame):
                is_error = "error" in frame or int(frame.get("status", 0)) >= 400
                text = json.dumps([time.time(), direction, _call(frame), encode(frame)[:LONGEST], is_error])
                self._waiting.append((link, text))

        return keep

    async def flush(self) -> None:
        """Write down what has come since the last time, in one round trip."""
        if self._waiting:
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            # Shielded: the Redis client takes a cancellation for itself at times.
            await asyncio.shield(self._write(batch))
        await asyncio.sleep(FLUSH_SECONDS)

    async def _write(self, batch: list[tuple[str, str]]) -> None:
        async with self._redis.pipeline(transaction=False) as pipe:
            for link, text in batch:
                pipe.lpush(_name(link), text)
            for link in {link for link, _ in batch}:
                pipe.ltrim(_name(link), 0, KEPT - 1)
                pipe.expire(_name(link), KEPT_SECONDS)
            await pipe.execute()


def latest(link: str, many: int = 100) -> list[WireMessage]:
    """The last messages of a link (an account's primary key, or `public`), newest first.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    client: Any = redis_client()
    return [WireMessage(*json.loads(text)) for text in client.lrange(_name(link), 0, many - 1)]


def _name(link: str) -> str:
    return f"venue:wire:{link}"


def _call(frame: dict[str, Any]) -> str:
    """A call's name, or of a request over HTTP its method and the end of its path."""
    name = str(frame.get("msg_type") or next(iter(frame)))
    method, is_over_http, path = name.partition(" ")
    return f"{method} …{path[path.rfind('/') :]}" if is_over_http else name[:60]


def _is_worth_keeping(direction: str, frame: dict[str, Any]) -> bool:
    if "error" in frame or frame.get("msg_type") in ("tick", "ohlc", "ping") or "ping" in frame:
        return "error" in frame
    state = frame.get("proposal_open_contract")
    is_price = direction == "in" and isinstance(state, dict) and not state.get("is_sold") and bool(state)
    return not (is_price and "subscription" in frame)
