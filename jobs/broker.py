"""The Dramatiq broker: Redis, with a bell instead of polling.

Dramatiq's own consumers poll each queue with growing pauses: an idle queue answers in 200 ms, and polling every
20 ms costs a core once there are a dozen queues. Here whoever enqueues also publishes the queue's name, and one
listener per worker process wakes the consumer of that queue at once; a slow poll remains for a lost bell.
"""

import logging
import threading
from typing import Any, Final

import redis
from dramatiq import Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.redis import _RedisConsumer as RedisConsumer
from dramatiq.errors import ConnectionClosed
from dramatiq.middleware import AgeLimit, Callbacks, Middleware, Retries, ShutdownNotifications, TimeLimit
from redis.commands.core import Script

from jobs.middleware import (
    Correlation,
    DatabaseConnections,
    DeadLetters,
    Heartbeat,
    JobMetrics,
    LongestStop,
    ScheduledResult,
    Waiting,
)

BELL: Final = "dramatiq:bell"
_log = logging.getLogger(__name__)


class Bells:
    """One subscription per process; rings the event of each queue that something was put on."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._events: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def of(self, queue_name: str) -> threading.Event:
        """The event of a queue. The first call starts to listen."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="bells", daemon=True)
                self._thread.start()
            return self._events.setdefault(queue_name, threading.Event())

    def close(self) -> None:
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as subscription:
                    subscription.subscribe(BELL)
                    self._ring_all()  # something may have come while nobody listened
                    while not self._closed.is_set():
                        message = subscription.get_message(timeout=0.5)
                        if message is not None:
                            self._ring(message["data"])
            except redis.RedisError as error:
                _log.warning("bell lost, polling until it is back: %s", error)
                self._closed.wait(1.0)

    def _ring(self, data: Any) -> None:
        name = data.decode() if isinstance(data, bytes) else str(data)
        with self._lock:
            event = self._events.get(name)
        if event is not None:
            event.set()

    def _ring_all(self) -> None:
        with self._lock:
            for event in self._events.values():
                event.set()


class BellConsumer(RedisConsumer):
    """Fetches when the bell rings, and otherwise once per timeout.

    Once it has as many messages as it may have it fetches again when half of them are done: the workers have something
    to do meanwhile, and one fetch brings many.
    """

    broker: "BellBroker"

    def __init__(self, broker: "BellBroker", queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._bell = broker.bells.of(queue_name)
        self._room = threading.Event()

    def __next__(self) -> MessageProxy | None:
        try:
            if not self.message_cache and self._has_room():
                self._bell.clear()  # before the fetch: what comes after it rings again
                self.message_cache = self.broker.do_fetch(
                    self.queue_name, self.prefetch - self.outstanding_message_count
                )
            if not self.message_cache:
                self._rest()
                return None
            message = Message.decode(self.message_cache.pop(0))
            self.queued_message_ids.add(message.message_id)
            return MessageProxy(message)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]

    def _has_room(self) -> bool:
        return bool(self.outstanding_message_count <= self.prefetch // 2)

    def _rest(self) -> None:
        """Until there is something to fetch or room for it. The bell may ring on and on while there is no room."""
        self._room.clear()
        (self._bell if self._has_room() else self._room).wait(self.timeout / 1000)

    def ack(self, message: MessageProxy) -> None:
        super().ack(message)  # type: ignore[no-untyped-call]
        self._say_if_room()

    def nack(self, message: MessageProxy) -> None:
        super().nack(message)  # type: ignore[no-untyped-call]
        self._say_if_room()

    def _say_if_room(self) -> None:
        if self._has_room():
            self._room.set()


class RingingScript(Script):
    """Dramatiq's own script, which rings the bell of the queue it puts something on, in the same round trip."""

    def __call__(self, keys: Any = None, args: Any = None, client: Any = None) -> Any:
        command, queue_name = args[0], args[2]
        if command != "enqueue":
            return super().__call__(keys=keys, args=args, client=client)
        pipe = self.registered_client.pipeline(transaction=False)
        pipe.evalsha(self.sha, len(keys), *keys, *args)
        pipe.publish(BELL, queue_name)
        try:
            return pipe.execute()[0]
        except redis.exceptions.NoScriptError:
            # A new Redis: it learns the script, and the bell, which rang for nothing, rings once more.
            sent = super().__call__(keys=keys, args=args)
            self.registered_client.publish(BELL, queue_name)
            return sent


class BellBroker(RedisBroker):
    """Dramatiq on Redis; enqueueing rings the bell of the queue."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.bells = Bells(self.client)
        self.scripts["dispatch"] = RingingScript(self.client, self.scripts["dispatch"].script)

    @property
    def consumer_class(self) -> type[BellConsumer]:
        return BellConsumer

    def close(self) -> None:
        self.bells.close()
        super().close()


def make_broker(url: str, middleware: list[Middleware]) -> BellBroker:
    """The broker every process uses. `middleware` comes on top of what is listed here.

    A killed worker's messages return to their queue after about 20 seconds. Redis is waited for 5 s at most.
    """
    return BellBroker(
        client=redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2),
        middleware=[
            AgeLimit(),
            ShutdownNotifications(),
            TimeLimit(interval=250),
            Callbacks(),
            Correlation(),
            DatabaseConnections(),
            Waiting(),
            JobMetrics(),
            ScheduledResult(),
            Retries(max_retries=5, min_backoff=1_000, max_backoff=300_000),
            DeadLetters(),
            Heartbeat(),
            LongestStop(),
            *middleware,
        ],
        heartbeat_timeout=15_000,
        maintenance_chance=100_000,
    )
