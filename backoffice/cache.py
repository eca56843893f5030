"""The one way to Redis: a pool for threads, a client for asyncio."""

from functools import lru_cache

import redis
import redis.asyncio
from django.conf import settings


@lru_cache(maxsize=1)
def _pool() -> redis.ConnectionPool:
    return redis.ConnectionPool.from_url(
        settings.REDIS_URL, socket_timeout=5, socket_connect_timeout=2, decode_responses=True
    )


def redis_client() -> redis.Redis:
    """A client on this process's pool: cheap, for any thread, answers as text. Waits 5 s at most for an answer.

    :raises redis.ConnectionError: at the first command, if the server cannot be reached.
    """
    return redis.Redis(connection_pool=_pool())


def async_redis() -> redis.asyncio.Redis:
    """A new client with its own connections, for the event loop that calls it; its owner closes it (`aclose`).

    Without a timeout on answers, so that it can wait on a subscription or a blocking read.
    """
    return redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, decode_responses=True)
