"""The schedule: each slot once, however many schedulers run."""

import contextlib
import datetime
import threading
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from django.db import IntegrityError, connection, transaction
from redis import ConnectionError as RedisGone

from jobs import scheduler
from jobs.declare import DEFAULTS, Default, load_actors
from jobs.models import Schedule, ScheduleQuerySet

AT = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)


def schedule(name: str = "ledger.expire_holds", *, due: datetime.datetime = AT, **given: Any) -> Schedule:
    return Schedule.objects.create(**{"name": name, "actor": name, "every": 60, "next_run_at": due} | given)


class Sent:
    """Where messages go in these tests: what the scheduler decides is under test, not Dramatiq."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, schedule: Schedule) -> None:
        self.names.append(schedule.name)


@pytest.mark.django_db
def test_what_is_due_is_sent_once_and_moves_to_its_next_slot() -> None:
    row, sent = schedule(), Sent()
    assert scheduler.run_due(AT, send=sent) == 1
    assert scheduler.run_due(AT, send=sent) == 0
    row.refresh_from_db()
    assert sent.names == ["ledger.expire_holds"]
    assert (row.next_run_at, row.last_run_at, row.last_result) == (AT + 60 * SECOND, AT, "sent")


@pytest.mark.django_db
def test_what_is_not_due_or_switched_off_is_not_sent() -> None:
    schedule("a.later", due=AT + SECOND)
    schedule("a.off", enabled=False)
    sent = Sent()
    assert scheduler.run_due(AT, send=sent) == 0
    assert sent.names == []


@pytest.mark.django_db
def test_missed_runs_collapse_to_one_and_keep_their_rhythm() -> None:
    row, sent = schedule(due=AT - 605 * SECOND), Sent()
    assert scheduler.run_due(AT, send=sent) == 1
    row.refresh_from_db()
    assert row.next_run_at == AT + 55 * SECOND  # slots stay at :55, as they always were


@pytest.mark.django_db
def test_with_catch_up_each_missed_run_is_made_up_for() -> None:
    row, sent = schedule(due=AT - 180 * SECOND, catch_up=True), Sent()
    assert scheduler.run_due(AT, send=sent) == 4  # 180, 120, 60 and 0 seconds ago
    row.refresh_from_db()
    assert row.next_run_at == AT + 60 * SECOND


@pytest.mark.django_db
def test_if_redis_is_gone_the_slot_stays_due() -> None:
    row = schedule()

    def gone(schedule: Schedule) -> None:
        raise RedisGone("no Redis")

    with pytest.raises(RedisGone):
        scheduler.run_due(AT, send=gone)
    row.refresh_from_db()
    assert (row.next_run_at, row.last_run_at) == (AT, None)


def test_a_daily_schedule_first_runs_at_its_time_of_day() -> None:
    six = datetime.time(6)
    assert scheduler.first_slot(86400, six, AT) == datetime.datetime(2026, 11, 22, 6, tzinfo=datetime.UTC)
    assert scheduler.first_slot(86400, six, AT.replace(hour=5)) == AT.replace(hour=6)


class Race:
    """Two schedulers at the same instant: both have looked for due rows before either goes on."""

    def __init__(self) -> None:
        self.meet = threading.Barrier(2, timeout=5)
        self.sent: list[str] = []

    def send(self, schedule: Schedule) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            self.meet.wait()  # holds the lock until the other one has looked, or gives up waiting for it
        self.sent.append(schedule.name)

    def run(self) -> None:
        threads = [threading.Thread(target=self._one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=20)
            assert not thread.is_alive()

    def _one(self) -> None:
        try:
            scheduler.run_due(AT, send=self.send)
        finally:
            self.meet.abort()  # nobody else is coming
            connection.close()


@pytest.mark.django_db(transaction=True)
def test_twin_without_the_lock_two_schedulers_send_the_same_slot_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schedule()
    monkeypatch.setattr(ScheduleQuerySet, "locked", lambda self: self)
    race = Race()
    race.run()
    assert race.sent == ["ledger.expire_holds"] * 2


@pytest.mark.django_db(transaction=True)
def test_two_schedulers_at_once_send_each_slot_exactly_once() -> None:
    schedule()
    race = Race()
    race.run()
    assert race.sent == ["ledger.expire_holds"]


@pytest.fixture
def defaults() -> Iterator[dict[str, Default]]:
    """Actors' own wishes, replaced for the test: loading them first, so that none is added meanwhile."""
    load_actors()
    kept = dict(DEFAULTS)
    DEFAULTS.clear()
    yield DEFAULTS
    DEFAULTS.clear()
    DEFAULTS.update(kept)


@pytest.mark.django_db
def test_sync_adds_what_actors_ask_for_and_never_overwrites_what_staff_edited(
    defaults: dict[str, Default],
) -> None:
    actor = next(iter(sorted(dramatiq.get_broker().get_declared_actors())))
    defaults[actor] = Default(actor, 300, None, catch_up=False)
    assert scheduler.sync_schedule(AT) == 1
    Schedule.objects.filter(name=actor).update(every=7, catch_up=True)
    assert scheduler.sync_schedule(AT) == 0
    row = Schedule.objects.get(name=actor)
    assert (row.every, row.catch_up, row.next_run_at) == (7, True, AT + 60 * SECOND)


@pytest.mark.django_db
def test_sync_switches_off_schedules_whose_actor_is_gone(defaults: dict[str, Default]) -> None:
    row = schedule("gone.away")
    scheduler.sync_schedule(AT)
    row.refresh_from_db()
    assert (row.enabled, row.last_result) == (False, "switched off: no such actor")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong",
    [{"every": 0}, {"every": 60, "at_time": datetime.time(6)}, {"actor": "no_queue"}],
    ids=["no interval", "time of day more often than daily", "actor without queue"],
)
def test_the_database_refuses_a_schedule_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        schedule(**wrong)
    assert not Schedule.objects.exists()
