"""Which of our processes are alive, by what each says of itself in Redis.

Ages are by Redis's own clock, so machines may disagree about the time.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Final

import redis

from backoffice.cache import redis_client

EVERY_SECONDS: Final = 3.0  # how often a process should beat
GONE_AFTER_SECONDS: Final = 15.0  # a process silent for longer is not alive
_NAMES: Final = "heartbeats"
_log = logging.getLogger(__name__)


def own_name(kind: str) -> str:
    """`kind:host:pid`, for processes of which several may run."""
    return f"{kind}:{socket.gethostname()}:{os.getpid()}"


def beat(name: str) -> None:
    """Say that `name` is alive now. Call every `EVERY_SECONDS`; a second call only renews.

    Never raises: with Redis gone it logs a warning, and the process counts as silent until Redis is back.
    """
    try:
        with redis_client().pipeline(transaction=False) as pipe:
            pipe.sadd(_NAMES, name)
            pipe.set(f"heartbeat:{name}", "1", px=int(GONE_AFTER_SECONDS * 1000))
            pipe.execute()
    except redis.RedisError as error:
        _log.warning("heartbeat of %s not written: %s", name, error)


def leave(name: str) -> None:
    """Say that `name` ends on purpose, so that nobody waits for its heartbeat to run out."""
    try:
        redis_client().delete(f"heartbeat:{name}")
    except redis.RedisError as error:
        _log.warning("heartbeat of %s not removed: %s", name, error)


def forget_all() -> None:
    """Take everybody off the list: for whoever is about to start all processes of this Redis anew.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    client = redis_client()
    names = ["heartbeat:" + str(name) for name in client.smembers(_NAMES)]
    client.delete(_NAMES, *names)


def alive() -> dict[str, float]:
    """Every process heard of within `GONE_AFTER_SECONDS`, with the seconds since its last beat.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    client = redis_client()
    names = sorted(str(name) for name in client.smembers(_NAMES))
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pttl(f"heartbeat:{name}")
        left = pipe.execute()
    ages = {name: GONE_AFTER_SECONDS - ms / 1000 for name, ms in zip(names, left, strict=True) if ms >= 0}
    silent = [name for name in names if name not in ages]
    if silent:
        client.srem(_NAMES, *silent)
    return ages


class Beating:
    """A thread that beats for this process until told to stop; for processes whose main loop may block."""

    def __init__(self, name: str, *, also: Callable[[], None] | None = None) -> None:
        self.name = name
        self._also = also
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat {name}", daemon=True)

    def start(self) -> "Beating":
        """Beat at once and from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop beating and take the name off the list."""
        self._stop.set()
        self._thread.join(timeout=5)
        leave(self.name)

    def _run(self) -> None:
        while True:
            beat(self.name)
            if self._also is not None:
                self._also()
            if self._stop.wait(EVERY_SECONDS):
                return
