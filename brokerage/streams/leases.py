"""Leases: one `streams` process at a time holds an account, and knows how long it may still act on it."""

import time
from typing import Final

from redis.asyncio import Redis

LEASE_SECONDS: Final = 10.0
# The holder stops acting this long before its lease can pass to another: clocks and the wire need a moment.
SAFETY_SECONDS: Final = 2.0

_RENEW = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end
"""
_RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end
"""


class Lease:
    """The right to hold one account's connection, until it ends by itself unless renewed in time."""

    def __init__(self, redis: Redis, link: str, owner: str) -> None:
        self._redis, self._name, self._owner = redis, f"venue:lease:{link}", owner
        self._until = 0.0

    async def take(self) -> bool:
        """Take it if nobody holds it. True if it is ours now."""
        asked = time.monotonic()
        if await self._redis.set(self._name, self._owner, nx=True, px=int(LEASE_SECONDS * 1000)):
            self._until = asked + LEASE_SECONDS
            return True
        return False

    async def renew(self) -> bool:
        """Make it last again from now. False if it passed to somebody else: stop acting at once."""
        asked = time.monotonic()
        renew = self._redis.register_script(_RENEW)
        if await renew(keys=[self._name], args=[self._owner, int(LEASE_SECONDS * 1000)]):
            self._until = asked + LEASE_SECONDS
            return True
        self._until = 0.0
        return False

    async def release(self) -> None:
        """Give it back, if it is still ours."""
        self._until = 0.0
        await self._redis.register_script(_RELEASE)(keys=[self._name], args=[self._owner])

    @property
    def is_held(self) -> bool:
        """Whether this process may act for the account now, by its own steady clock."""
        return time.monotonic() < self._until - SAFETY_SECONDS
