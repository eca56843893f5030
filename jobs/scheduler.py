"""Sends each actor that is due by the clock, once per slot however many schedulers run.

A row is locked while its message goes out and its next slot is written, in one transaction; another scheduler
skips locked rows and afterwards sees the new slot. If Redis is gone nothing is written and the slot stays due. A
crash between the two may send a slot twice, never not at all; actors are idempotent.
"""

import datetime
import logging
from collections.abc import Callable
from typing import Any

import dramatiq
from django.db import transaction

from backoffice import events, keys
from backoffice.errors import DomainError
from backoffice.who import By
from jobs.declare import DEFAULTS, is_declared, load_actors
from jobs.models import Schedule

_log = logging.getLogger(__name__)


class NoSuchJob(DomainError):
    """The job that a schedule names is no longer declared."""

    code = "NO_SUCH_JOB"


def following(schedule: Schedule, at: datetime.datetime) -> datetime.datetime:
    """The slot after the one that is due, given the time it is now.

    Slots lie `every` seconds apart. Without `catch_up` it is the first one in the future, so that missed runs
    collapse to one; with it, simply the next one, which may be due as well.
    """
    step = datetime.timedelta(seconds=schedule.every)
    if schedule.catch_up:
        return schedule.next_run_at + step
    missed = max(0, (at - schedule.next_run_at) // step)
    return schedule.next_run_at + step * (missed + 1)


def first_slot(every: int, at_time: datetime.time | None, at: datetime.datetime) -> datetime.datetime:
    """When something new first runs: its time of day from now on, or one interval from now."""
    if at_time is None:
        return at + datetime.timedelta(seconds=min(every, 60))
    today = datetime.datetime.combine(at.date(), at_time, tzinfo=datetime.UTC)
    return today if today > at else today + datetime.timedelta(days=1)


def send(schedule: Schedule) -> None:
    """Enqueue the actor of a schedule, without arguments.

    :raises redis.RedisError: if Redis is gone.
    """
    queue = schedule.actor.partition(".")[0]
    message: dramatiq.Message[Any] = dramatiq.Message(
        queue, schedule.actor, (), {}, {"schedule": schedule.name}
    )
    dramatiq.get_broker().enqueue(message)


def run_now(schedule: Schedule, *, by: By, at: datetime.datetime, key: str, reason: str) -> None:
    """Send a scheduled job once, now; its next slot stays what it is. The same key again sends nothing.

    Goes out after the commit. If Redis is gone it is not sent, and its slot comes as planned.

    :raises NoSuchJob: if its actor is gone.
    :raises KeyReused: if the key was used to run another one.
    """
    if not is_declared(schedule.actor):
        raise NoSuchJob(f"There is no job named {schedule.actor} any more.")
    with transaction.atomic():
        Schedule.objects.select_for_update(no_key=True).get(pk=schedule.pk)
        is_known = keys.is_claimed(by=by, verb="schedule.run_now", key=key)
        keys.claim(by=by, verb="schedule.run_now", key=key, content=schedule.name, at=at)
        if is_known:
            return
        events.record(
            "schedule.run_now",
            subject_type="schedule",
            subject_id=schedule.uuid,
            by=by,
            at=at,
            key=key,
            payload={"actor": schedule.actor},
            reason=reason,
        )
        transaction.on_commit(lambda: send(schedule))


def run_due(at: datetime.datetime, *, send: Callable[[Schedule], None] = send) -> int:
    """Send everything due at `at` and move each on to its next slot; returns how many were sent.

    :raises redis.RedisError: if Redis is gone; what it could not take stays due.
    """
    sent = 0
    while True:
        with transaction.atomic():  # one row each, so that a Redis that goes away unsends at most one
            schedule = Schedule.objects.due(at).locked().first()
            if schedule is None:
                return sent
            send(schedule)
            schedule.next_run_at = following(schedule, at)
            schedule.last_run_at = at
            schedule.last_result = "sent"
            Schedule.objects.filter(pk=schedule.pk).update(  # the clock's marks stay out of the history
                next_run_at=schedule.next_run_at,
                last_run_at=schedule.last_run_at,
                last_result=schedule.last_result,
            )
        sent += 1


def sync_schedule(at: datetime.datetime) -> int:
    """Add what actors ask for and the table lacks; rows that exist are never changed. Returns how many were added.

    Rows whose actor is gone are switched off, with the reason, so that they fill no queue nobody reads.
    """
    load_actors()
    known = set(Schedule.objects.values_list("name", flat=True))
    missing = [
        Schedule(
            name=default.name,
            actor=default.name,
            every=default.every,
            at_time=default.at_time,
            catch_up=default.catch_up,
            next_run_at=first_slot(default.every, default.at_time, at),
        )
        for default in DEFAULTS.values()
        if default.name not in known
    ]
    Schedule.objects.bulk_create(missing, ignore_conflicts=True)
    actors = dramatiq.get_broker().get_declared_actors()
    for lost in Schedule.objects.filter(enabled=True).exclude(actor__in=actors):
        Schedule.objects.filter(pk=lost.pk).update(enabled=False, last_result="switched off: no such actor")
        _log.warning("schedule %s is switched off: there is no actor %s", lost.name, lost.actor)
    return len(missing)
