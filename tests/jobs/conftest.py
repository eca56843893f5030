"""A real worker, in threads of this process, on this worker's own Redis database."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dramatiq
import pytest
from redis import Redis

from jobs.broker import BellBroker
from jobs.declare import actor


@dataclass
class Working:
    """Actors declared for one test, and the worker that runs them."""

    broker: BellBroker
    queue: str
    worker: dramatiq.Worker | None = None
    ran: list[Any] = field(default_factory=list)

    def declare(self, verb: str, function: Callable[..., None], **options: Any) -> str:
        """Declare an actor under a name of this test's own queue; returns the name."""
        name = f"{self.queue}.{verb}"
        actor(name, **options)(function)
        return name

    def start(self) -> None:
        self.worker = dramatiq.Worker(self.broker, queues={self.queue}, worker_threads=2, worker_timeout=200)
        self.worker.start()

    def waiting(self) -> int:
        """Messages on the queue that nobody has taken."""
        return int(self.broker.client.llen(f"dramatiq:{self.queue}"))


@pytest.fixture(scope="session")
def booted() -> BellBroker:
    """The broker as in a worker process: its watch over time limits runs."""
    broker = dramatiq.get_broker()
    assert isinstance(broker, BellBroker)
    broker.emit_after("process_boot")
    return broker


@pytest.fixture
def working(redis: Redis, booted: BellBroker) -> Iterator[Working]:
    broker = booted
    queue = f"test_{uuid.uuid4().hex[:8]}"
    found = Working(broker, queue)
    around = list(broker.middleware)
    yield found
    if found.worker is not None:
        found.worker.stop(timeout=5000)
    for name in [name for name in broker.actors if name.startswith(queue)]:
        del broker.actors[name]
    broker.middleware[:] = around  # each worker adds one of its own
    broker.queues.discard(queue)
    broker.delay_queues.discard(f"{queue}.DQ")
