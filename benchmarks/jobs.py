"""Jobs: how soon an idle queue is answered, and no-op jobs a second with all that surrounds a job, beside bare Dramatiq.

Idle: one worker process with eight threads waits; a job is put on its queue after a pause of 50 to 400 ms, and says when
it began. Throughput: so many no-op jobs lie on the queue, a worker process is started, and what counts is from its
first job to its last. Enqueueing: the same jobs on their way in, by one thread. All that surrounds a job is on:
correlation, metrics, log lines (written, to nowhere), dead letters, the results of the schedule, the heartbeat. Bare
Dramatiq is its own Redis broker with its own middleware on the same Redis. The two take turns.

Where the time of a no-op job goes, by processor time in November 2026: 0.49 ms in bare Dramatiq, 0.71 in ours. Of the
difference the log line is 0.07 ms, figures and the care for database connections 0.02; the rest is not taken apart yet.
Next would be: a quicker formatter for log lines, and fewer middleware calls that find nothing to do.

Not said: what a worker with several processes does beyond the processors of this machine.
"""

import itertools
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any, Final

from benchmarks import Figure
from benchmarks.ground import Ground, say

THREADS: Final = 8
ROUNDS: Final = 5
SEEN: Final = "bench:seen"
QUEUE: Final = "bench"


def run(ground: Ground) -> list[Figure]:
    asked, jobs, turns = ground.count(100), ground.count(4000, 20), ground.count(ROUNDS, 1)
    waits: dict[str, list[float]] = {}
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    put: dict[str, list[float]] = {"ours": [], "bare": []}
    for _, kind in itertools.product(range(turns), rates):
        put[kind].append(enqueue(kind, jobs))
        with _Worker(kind, jobs) as worker:
            rates[kind].append(worker.rate())
            if kind not in waits:
                waits[kind] = pick_up(kind, asked)
        say(f"  {kind}: {put[kind][-1]:.0f} put, {rates[kind][-1]:.0f} done a second")
    ours, bare = waits["ours"], waits["bare"]
    bare_note = f"bare Dramatiq {statistics.median(bare):.0f} / {max(bare):.0f} ms"
    note = f"{asked} samples; {bare_note}"
    return [
        Figure("idle queue until a job begins, median", statistics.median(ours), "ms", goal=10, note=note),
        Figure("the same, longest", max(ours), "ms", goal=50, note=note),
        _beside("no-op jobs", rates, goal=0.9),
        _beside("jobs put on a queue by one thread", put, goal=None),
    ]


def _beside(name: str, rates: dict[str, list[float]], goal: float | None) -> Figure:
    ours, bare = statistics.median(rates["ours"]), statistics.median(rates["bare"])
    return Figure(name, ours, "jobs/s", "bare Dramatiq", bare, goal, f"medians of {len(rates['ours'])} turns")


def pick_up(kind: str, count: int) -> list[float]:
    """Milliseconds from the call that enqueues to the first line of the job, each on a queue that was idle."""
    client, draw = _redis(), random.Random(1)
    send = _sender(kind)
    client.delete(SEEN)
    found: list[float] = []
    for number in range(count + 3):
        time.sleep(draw.uniform(0.05, 0.4))
        send("bench.say", time.monotonic_ns())
        answer: Any = client.blpop([SEEN], timeout=10)
        if number >= 3:  # the first ones open connections
            found.append(int(answer[1]) / 1e6)
    return found


def enqueue(kind: str, count: int) -> float:
    """Jobs a second on their way onto the queue."""
    send = _sender(kind)
    begun = time.perf_counter()
    for number in range(count):
        send("bench.nothing", number)
    return count / (time.perf_counter() - begun)


def _redis() -> Any:
    from backoffice.cache import redis_client

    return redis_client()


def _bare() -> Any:
    """Dramatiq as it comes."""
    from django.conf import settings
    from dramatiq.brokers.redis import RedisBroker

    return RedisBroker(url=settings.REDIS_URL, namespace="bare")  # type: ignore[no-untyped-call]


def _sender(kind: str) -> Callable[[str, int], None]:
    import dramatiq

    from backoffice.wake import wake

    if kind == "ours":
        return wake
    broker = _bare()

    def send(name: str, argument: int) -> None:
        broker.enqueue(dramatiq.Message(QUEUE, name, (argument,), {}, {}))

    return send


class _Worker:
    """A worker process; begun it waits for jobs, left it is gone."""

    def __init__(self, kind: str, count: int) -> None:
        context = get_context("spawn")
        self._answers = context.Queue()
        self._stop = context.Event()
        self._process = context.Process(target=_serve, args=(kind, count, self._answers, self._stop))

    def __enter__(self) -> "_Worker":
        self._process.start()
        assert self._answers.get(timeout=60) == "ready"
        return self

    def rate(self) -> float:
        return float(self._answers.get(timeout=600))

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        self._process.join(60)


def _serve(kind: str, count: int, answers: Any, stop: Any) -> None:
    import django

    os.environ["LOG_LEVEL"] = "INFO"
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    django.setup()
    import dramatiq

    broker = dramatiq.get_broker() if kind == "ours" else _bare()
    client, numbers, over = _redis(), itertools.count(1), threading.Event()
    times: list[float] = [0.0, 0.0]

    def tell(sent: int) -> None:
        waited = time.monotonic_ns() - sent
        client.rpush(SEEN, waited)

    def nothing(_: int) -> None:
        number = next(numbers)
        if number == 1:
            times[0] = time.perf_counter()
        elif number == count:
            times[1] = time.perf_counter()
            over.set()

    if kind == "ours":
        from jobs.declare import actor

        actor("bench.say")(tell)
        actor("bench.nothing")(nothing)
    else:
        dramatiq.actor(actor_name="bench.say", queue_name=QUEUE, broker=broker)(tell)
        dramatiq.actor(actor_name="bench.nothing", queue_name=QUEUE, broker=broker)(nothing)
    broker.emit_after("process_boot")
    worker = dramatiq.Worker(broker, queues={QUEUE}, worker_threads=THREADS)
    answers.put("ready")
    worker.start()
    if count:
        over.wait(600)
        answers.put((count - 1) / (times[1] - times[0]))
    stop.wait()
    worker.stop(timeout=5000)
    os._exit(0)
