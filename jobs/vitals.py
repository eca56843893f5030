"""The vital signs of the jobs: how long they wait, whether the schedule is kept, and what failed for good."""

import json
import time
from typing import Any, Final

from django.db.models import Min
from django.utils import timezone

from backoffice.cache import redis_client
from backoffice.metrics import Labelled, gauge
from backoffice.vitals import Vital
from jobs.models import FailedJob, Schedule


def queue_depths() -> list[tuple[str, int, int, int]]:
    """Each queue's name with how many jobs wait, wait for later, and are dead. Asked of Redis in one go.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    names = _queues()
    with redis_client().pipeline(transaction=False) as pipe:
        for name in names:
            pipe.llen(f"dramatiq:{name}")
            pipe.llen(f"dramatiq:{name}.DQ")
            pipe.zcard(f"dramatiq:{name}.XQ")
        found = pipe.execute()
    return [(name, *found[3 * number : 3 * number + 3]) for number, name in enumerate(names)]


def _queues() -> list[str]:
    import dramatiq

    from jobs.declare import load_actors

    load_actors()
    return sorted(dramatiq.get_broker().get_declared_queues())


def _oldest() -> Labelled:
    """How long the job that is next in each queue has waited, by this machine's clock and that of whoever sent it."""
    names, client = _queues(), redis_client()
    found = []
    for name in names:
        # Jobs are taken from the head of the list; what is to run later waits in a list of its own.
        next_id: Any = client.lindex(f"dramatiq:{name}", 0)
        text: Any = client.hget(f"dramatiq:{name}.msgs", next_id) if next_id else None
        sent = json.loads(text)["message_timestamp"] / 1000 if text else None
        found.append(({"queue": name}, max(time.time() - sent, 0.0) if sent else 0.0))
    return found


def _depths() -> Labelled:
    return [({"queue": name}, float(waiting)) for name, waiting, _, _ in queue_depths()]


def _overdue() -> Labelled:
    due = Schedule.objects.filter(enabled=True).aggregate(due=Min("next_run_at"))["due"]
    return [({}, max((timezone.now() - due).total_seconds(), 0.0) if due else 0.0)]


def _dead() -> Labelled:
    return [({}, float(FailedJob.objects.filter(state=FailedJob.State.OPEN)[:1000].count()))]


gauge("queue_jobs", "Jobs that wait, by queue", _depths)
QUEUE_OLDEST: Final = Vital(
    name="queue_oldest_seconds",
    help="How long the next job of each queue has waited",
    read=_oldest,
    most=60,
    wrong="The queue {queue} is not worked off: its next job has waited for {value} s.",
    runbook="A queue ages.",
    is_ready=True,
)
SCHEDULE_OVERDUE: Final = Vital(
    name="schedule_overdue_seconds",
    help="How late the scheduled job is that is most overdue",
    read=_overdue,
    most=90,
    wrong="The schedule is not kept: a job is {value} s late.",
    runbook="The schedule is late.",
)
DEAD_LETTERS: Final = Vital(
    name="dead_letters_open",
    help="Jobs that failed for good and nobody has decided about",
    read=_dead,
    most=0,
    wrong="{value} jobs failed for good and wait for a decision.",
    runbook="A job failed for good.",
)
