"""The event log: how fast events get their positions and hashes, how soon after their commit, and how fast it is verified.

So many journal entries are posted in batches, each with its event. One pass after the other gives them their
positions, as the sequencer process does; then the chain is verified as `verify_events` does. For the lag that process
runs, and single events are recorded after pauses of up to a quarter of a second; what counts is from the end of the
commit to the message that says the position is given. Then entries are posted without pause, one by one, and what
counts is the age of the oldest event without a position, looked at twenty times a second.

Not said: what a log of a hundred million events would change.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from benchmarks import Figure
from benchmarks.ground import ROOT, Ground
from benchmarks.ledger import post, post_many, prepare

EVENTS: Final = 20_000


def run(ground: Ground) -> list[Figure]:
    from backoffice import sequencer

    first, last, _ = prepare()
    ground.at_once(post_many, 1, first, last, 0, ground.seconds / 4)
    begun, given = time.perf_counter(), 0
    while done := sequencer.sequence(500).positions:
        given += len(done)
        if given >= EVENTS * ground.scale:
            break
    sequenced = given / (time.perf_counter() - begun)
    begun = time.perf_counter()
    verified = sequencer.verify()
    checked = verified.checked / (time.perf_counter() - begun)
    assert verified.first_break is None
    while sequencer.sequence(500).positions:
        pass
    with _sequencer():
        waits = _idle(ground.count(100))
        ages = _busy(ground, first, last)
    return [
        Figure("events given their position and hash", sequenced, "events/s", note=f"{given:,} events"),
        Figure("`verify_events`", checked, "events/s", note=f"{verified.checked:,} events"),
        Figure("a single event until its position is told, median", statistics.median(waits), "ms"),
        Figure("the same, longest", max(waits), "ms", note=f"{len(waits)} events"),
        Figure(
            "oldest event without a position while one process posts, median", statistics.median(ages), "ms"
        ),
        Figure("the same, longest", max(ages), "ms", note=f"{len(ages)} looks"),
    ]


@contextmanager
def _sequencer() -> Iterator[None]:
    from backoffice.cache import redis_client

    listening = redis_client().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    listening.subscribe("live:events")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "sequencer"], env=os.environ, stdout=subprocess.DEVNULL
    )
    try:
        _record()
        while listening.get_message(timeout=1.0) is None:
            assert process.poll() is None
        yield
    finally:
        listening.close()
        process.terminate()
        process.wait(30)


def _record() -> None:
    from django.db import transaction
    from django.utils import timezone

    from backoffice import events
    from backoffice.who import By

    with transaction.atomic():
        events.record("bench.happened", subject_type="bench", subject_id=uuid.uuid4(), by=By.system("bench"), at=timezone.now())  # fmt: skip


def _idle(count: int) -> list[float]:
    """Milliseconds from a commit to the message that tells of its position, nothing else going on."""
    from backoffice.cache import redis_client

    draw, found = random.Random(1), []
    with redis_client().pubsub(ignore_subscribe_messages=True) as listening:  # type: ignore[no-untyped-call]
        listening.subscribe("live:events")
        listening.get_message(timeout=0.1)
        for _ in range(count):
            time.sleep(draw.uniform(0.01, 0.25))
            while listening.get_message(timeout=0.0) is not None:
                pass
            _record()
            begun = time.perf_counter()
            while True:
                message: Any = listening.get_message(timeout=5.0)
                if message is not None:
                    assert json.loads(message["data"])["position"]
                    break
            found.append((time.perf_counter() - begun) * 1000)
    return found


def _busy(ground: Ground, first: int, last: int) -> list[float]:
    """Milliseconds that the oldest event without a position has waited, again and again while entries are posted."""
    from django.db import connection

    ages: list[float] = []
    posting = threading.Thread(target=ground.at_once, args=(post, 1, first, last, ground.seconds))
    posting.start()
    while posting.is_alive():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT extract(epoch FROM clock_timestamp() - recorded_at) * 1000 FROM backoffice_event "
                "WHERE position IS NULL ORDER BY id LIMIT 1"
            )
            row = cursor.fetchone()
        ages.append(float(row[0]) if row else 0.0)
        time.sleep(0.05)
    posting.join()
    return ages
