"""What the kernel watches for Home: its processes, and the event log."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import redis
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from backoffice import health, heartbeat
from backoffice.admin import ports
from backoffice.admin.events import LAST
from backoffice.admin.ports import Card, Trouble
from backoffice.admin.show import ago, span
from backoffice.cache import redis_client
from backoffice.models import Event


def _processes(request: HttpRequest) -> Iterator[Trouble]:
    """Silent processes, by what each said of itself in Redis."""
    try:
        alive = heartbeat.alive()
    except redis.RedisError:
        yield Trouble(
            "Processes", "Redis does not answer, so nothing is known of workers and streams.", "", True
        )
        return
    kinds = {name.split(":")[0] for name in alive}
    silent = [kind for kind in health.PROCESSES if kind not in kinds]
    if silent:
        yield Trouble(
            "Processes",
            f"Nothing heard of {', '.join(silent)} for {span(heartbeat.GONE_AFTER_SECONDS)}.",
            "",
            True,
        )
    else:
        yield Trouble("Processes", f"{len(alive)} processes are alive.")


def _log(request: HttpRequest) -> Iterator[Trouble]:
    """Events that wait to be sealed for longer than the sequencer ever takes, and the last check of the chain."""
    url = reverse("admin:backoffice_event_changelist")
    waiting = Event.objects.unsequenced().values_list("recorded_at", flat=True)[:1000]
    rows = list(waiting)
    if rows and (age := (timezone.now() - rows[0]).total_seconds()) > 30:
        yield Trouble(
            "Event log",
            f"{len(rows):,} events wait to be sealed, the oldest for {span(age)}.",
            f"{url}?queue=unsealed",
            True,
        )
    else:
        yield Trouble("Event log", "Events are sealed as they come.", url)
    yield from _last_check(url)


def _last_check(url: str) -> Iterator[Trouble]:
    try:
        last: Any = redis_client().hgetall(LAST)
    except redis.RedisError:
        return
    if not last:
        yield Trouble(
            "Last check of the log", "Nobody has verified it here yet; the event log has the button.", url
        )
        return
    when = ago(datetime.fromisoformat(str(last["at"])))
    yield Trouble("Last check of the log", f"{last['said']!s} Checked {when}.", url, last["good"] == "0")


ports.troubles.register("processes", Card("jobs.view_schedule", _processes), order=20)
ports.troubles.register("log", Card("backoffice.view_event", _log), order=30)
