"""The Dramatiq broker (the run-time branch brings the whole of it)."""

from typing import Any

from dramatiq.brokers.redis import RedisBroker


def make_broker(url: str, middleware: list[Any]) -> RedisBroker:
    """Dramatiq on Redis."""
    return RedisBroker(url=url, heartbeat_timeout=15_000, maintenance_chance=100_000)
