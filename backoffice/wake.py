"""Nudges sent after commit: a job for a worker, a message for live listeners.

Both are best effort, for speed only. What must happen stands in the database, where a sweep or a resumed
subscription finds it; a rolled-back transaction sends nothing.
"""

import json
import logging
from collections.abc import Callable
from typing import Any, Final

import dramatiq
import redis
from django.db import connection, transaction
from dramatiq.errors import BrokerError

from backoffice.cache import redis_client
from backoffice.logs import correlation

_log = logging.getLogger(__name__)

# The option of a message that names its mark, and how long a mark stands whose message was lost.
WAITS: Final = "waits"
MARK_SECONDS: Final = 20


def wake(work: str, *args: str | int) -> None:
    """After the current transaction commits, enqueue the actor `work`; at once outside of a transaction.

    The queue is the part of the name before the first dot. Each call sends one message, with the caller's
    correlation id. With Redis gone it logs a warning and returns: a sweep finds the work.
    """
    _wake(work, args, {})


def wake_swept(work: str, *args: str | int) -> None:
    """`wake`, for what a sweep has found, unless the job it was last woken for still waits in its queue.

    While a queue is behind, sweeps find the same again and again: more messages would only make it longer. The mark
    is taken away when the job begins, and ends by itself for a message that was lost.
    """
    mark = f"waits:{work}:{':'.join(map(str, args))}"
    _wake(work, args, {WAITS: mark})


def _wake(work: str, args: tuple[str | int, ...], options: dict[str, Any]) -> None:
    queue = work.partition(".")[0]
    if correlation.get():
        options["correlation_id"] = correlation.get()
    message: dramatiq.Message[Any] = dramatiq.Message(queue, work, args, {}, options)

    def send() -> None:
        try:
            if WAITS in options and not redis_client().set(options[WAITS], 1, nx=True, ex=MARK_SECONDS):
                return
            dramatiq.get_broker().enqueue(message)
        except (redis.RedisError, BrokerError) as error:
            _log.warning("%s was not woken, a sweep will find its work: %s", work, error)

    _after_commit(send)


def notify(channel: str, message: dict[str, Any]) -> None:
    """After the current transaction commits, publish a message on a Redis channel as JSON; at once outside of one.

    Whoever does not listen at that moment never gets it. With Redis gone it logs a warning and returns.

    :raises TypeError: at once, if the message is not JSON.
    """
    text = json.dumps(message)

    def publish() -> None:
        try:
            redis_client().publish(channel, text)
        except redis.RedisError as error:
            _log.warning("nobody was notified on %s: %s", channel, error)

    _after_commit(publish)


def _after_commit(call: Callable[[], None]) -> None:
    """`on_commit` would open a database connection even where no transaction is open, in event-loop threads too."""
    if connection.in_atomic_block:
        transaction.on_commit(call, robust=True)
    else:
        call()
