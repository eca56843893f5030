"""Several `streams` processes share the accounts: each says that it is there, and takes no more than its part."""

import math
from typing import Final

from redis.asyncio import Redis

PROCESSES: Final = "venue:streams"
# A process silent for longer is not counted. Shorter than a lease: when its leases end, the others know their part.
ALIVE_SECONDS: Final = 4.0

_ANNOUNCE = """
local time = redis.call('time')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('zremrangebyscore', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('zadd', KEYS[1], now, ARGV[1])
return {redis.call('zcard', KEYS[1]), time[1], time[2]}
"""


async def announce(redis: Redis, owner: str) -> tuple[int, float]:
    """Say that this process is there. Returns how many are, itself included, and what Redis's clock says."""
    answer = await redis.register_script(_ANNOUNCE)(keys=[PROCESSES], args=[owner, int(ALIVE_SECONDS * 1000)])
    alive, seconds, micros = (int(each) for each in answer)
    return alive, seconds + micros / 1e6


async def leave(redis: Redis, owner: str) -> None:
    """Say that this process ends: the others take its part at their next look. Twice is once."""
    await redis.zrem(PROCESSES, owner)


def part(wanted: int, alive: int) -> int:
    """How many of the wanted links one of so many processes holds at most."""
    return math.ceil(wanted / max(alive, 1))
