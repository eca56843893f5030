"""Leases: one `streams` process at a time holds an account, and knows how long it may still act on it."""

import time
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis

# Renewed every second. Shorter means that a killed process's accounts are taken over sooner, and that a process that
# stands still for a while loses its own: it may for five seconds.
LEASE_SECONDS: Final = 8.0
# The holder stops acting this long before its lease can pass to another: clocks and the wire need a moment.
SAFETY_SECONDS: Final = 2.0

_RENEW = """
local answer = {}
for place, name in ipairs(KEYS) do
  if redis.call('get', name) == ARGV[1] then answer[place] = redis.call('pexpire', name, ARGV[2])
  else answer[place] = 0 end
end
return answer
"""
_TAKE = """
local answer, room = {}, tonumber(ARGV[3])
for place, name in ipairs(KEYS) do
  if room > 0 and redis.call('set', name, ARGV[1], 'nx', 'px', ARGV[2]) then
    answer[place], room = 1, room - 1
  else answer[place] = 0 end
end
return answer
"""
_RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end
"""


class Lease:
    """The right to hold one account's connection, until it ends by itself unless renewed in time."""

    def __init__(self, redis: Redis, link: str, owner: str) -> None:
        self._redis, self.name, self.owner = redis, f"venue:lease:{link}", owner
        self._until = 0.0

    async def take(self) -> bool:
        """Take it if nobody holds it. True if it is ours now."""
        return bool(await take_all(self._redis, [self], room=1))

    async def renew(self) -> bool:
        """Make it last again from now. False if it passed to somebody else: stop acting at once."""
        return not await renew_all(self._redis, [self])

    async def release(self) -> None:
        """Give it back, if it is still ours."""
        self.lapse()
        await self._redis.register_script(_RELEASE)(keys=[self.name], args=[self.owner])

    def extend(self, asked: float) -> None:
        """It was renewed: what was asked for at this instant of our steady clock lasts from then."""
        self._until = asked + LEASE_SECONDS

    def lapse(self) -> None:
        """Stop acting on it."""
        self._until = 0.0

    @property
    def is_held(self) -> bool:
        """Whether this process may act for the account now, by its own steady clock."""
        return time.monotonic() < self._until - SAFETY_SECONDS


async def renew_all(redis: Redis, leases: Sequence[Lease]) -> list[Lease]:
    """Renew one owner's leases, in one round trip however many they are. Returns those that are no longer ours."""
    if not leases:
        return []
    asked = time.monotonic()
    answer = await redis.register_script(_RENEW)(
        keys=[lease.name for lease in leases], args=[leases[0].owner, int(LEASE_SECONDS * 1000)]
    )
    return _settle(leases, answer, asked)[1]


async def take_all(redis: Redis, leases: Sequence[Lease], *, room: int) -> list[Lease]:
    """Take those that nobody holds, `room` of them at most, in one round trip. Returns those that are ours now."""
    if not leases or room <= 0:
        return []
    asked = time.monotonic()
    answer = await redis.register_script(_TAKE)(
        keys=[lease.name for lease in leases], args=[leases[0].owner, int(LEASE_SECONDS * 1000), room]
    )
    return _settle(leases, answer, asked)[0]


def _settle(leases: Sequence[Lease], answer: Sequence[int], asked: float) -> tuple[list[Lease], list[Lease]]:
    ours, others = [], []
    for lease, is_ours in zip(leases, answer, strict=True):
        if is_ours:
            lease.extend(asked)
            ours.append(lease)
        else:
            lease.lapse()
            others.append(lease)
    return ours, others
