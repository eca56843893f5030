"""Jobs that failed for good: sent again or discarded once, by one person, and never lost in between."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
import redis as redis_package
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from backoffice.embedded.processes import wait_until
from backoffice.errors import DomainError, InvalidInput, KeyReused
from backoffice.logs import correlation
from backoffice.models import Event
from backoffice.wake import wake
from jobs import dead_letters, scheduler
from jobs.dead_letters import AlreadyDecided, NotReplayable
from jobs.models import FailedJob, Schedule
from tests import world
from tests.edges import staff
from tests.jobs.conftest import Working
from tests.world import TESTER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data")]
REASON = "The venue was down."


def soon(condition: Callable[[], Any]) -> None:
    assert wait_until(lambda: bool(condition()), seconds=20)


def decide(verb: Callable[..., FailedJob], job: FailedJob, **given: Any) -> FailedJob:
    return verb(job, **{"by": TESTER, "at": timezone.now(), "key": world.key(), "reason": REASON} | given)


class Fragile:
    """A job that fails until it is mended; what it was called with, under which correlation id."""

    def __init__(self, working: Working) -> None:
        self.works, self.ran = False, []
        self.name = working.declare("connect", self, max_retries=0)
        working.start()

    def __call__(self, account_id: int, token: str) -> None:
        if not self.works:
            raise ValueError("not yet")
        self.ran.append((account_id, token, correlation.get()))

    def fail(self) -> FailedJob:
        known = FailedJob.objects.count()
        token = correlation.set("order-0123456789")
        wake(self.name, 42, "very-secret-token")
        correlation.reset(token)
        soon(lambda: FailedJob.objects.count() == known + 1)
        return FailedJob.objects.latest("id")


@pytest.fixture
def fragile(working: Working) -> Fragile:
    return Fragile(working)


def test_a_job_sent_again_runs_with_all_it_was_given_under_its_correlation_id(fragile: Fragile) -> None:
    job = fragile.fail()
    with connection.cursor() as cursor:
        cursor.execute("SELECT message || arguments::text FROM jobs_failedjob")
        assert "very-secret-token" not in cursor.fetchone()[0]
    fragile.works = True
    decide(dead_letters.replay, job)
    soon(lambda: fragile.ran)
    job.refresh_from_db()
    assert fragile.ran == [(42, "very-secret-token", "order-0123456789")]
    assert (job.state, job.decided_by, job.sent_at is not None) == ("replayed", TESTER.name, True)
    event = Event.objects.get(name="failed_job.replayed")
    assert (event.subject_id, event.reason.text) == (job.uuid, REASON)
    assert event.payload == {"actor": fragile.name, "message_id": job.message_id}


def test_one_that_fails_once_more_is_a_failed_job_of_its_own(fragile: Fragile) -> None:
    first = fragile.fail()
    decide(dead_letters.replay, first)
    soon(lambda: FailedJob.objects.count() == 2)
    second = FailedJob.objects.latest("id")
    assert second.state == "open" and second.message_id != first.message_id
    assert second.correlation_id == first.correlation_id


def test_what_is_decided_is_decided(fragile: Fragile) -> None:
    job = fragile.fail()
    decide(dead_letters.discard, job, key="once")
    assert decide(dead_letters.discard, job, key="once").state == "discarded"
    for verb in (dead_letters.replay, dead_letters.discard):
        with pytest.raises(AlreadyDecided, match="Discarded by Tester on "):
            decide(verb, job)
    with pytest.raises(KeyReused):
        decide(dead_letters.discard, fragile.fail(), key="once")
    assert Event.objects.filter(name__startswith="failed_job.").count() == 1
    with pytest.raises(InvalidInput):
        decide(dead_letters.discard, FailedJob.objects.latest("id"), reason=" ")


def test_two_people_at_once_send_it_once(fragile: Fragile) -> None:
    job = fragile.fail()
    fragile.works = True
    start = threading.Barrier(4)

    def one(number: int) -> Any:
        try:
            start.wait(10)
            return decide(dead_letters.replay if number % 2 else dead_letters.discard, job)
        except DomainError as found:
            return found.code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, range(4)))
    assert results.count("ALREADY_DECIDED") == 3
    assert Event.objects.filter(name__startswith="failed_job.").count() == 1


def test_a_decision_that_redis_did_not_take_is_sent_by_the_sweep(
    fragile: Fragile, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = fragile.fail()
    fragile.works = True

    def gone(*given: Any, **more: Any) -> None:
        raise redis_package.ConnectionError("away")

    with monkeypatch.context() as away:
        away.setattr(type(dramatiq.get_broker()), "enqueue", gone)
        assert decide(dead_letters.replay, job).state == "replaying"
    job.refresh_from_db()
    assert (job.state, job.sent_at) == ("replaying", None) and "a sweep sends it" in job.why
    assert (dead_letters.sweep(), dead_letters.sweep()) == (1, 0)
    soon(lambda: len(fragile.ran) == 1)


def test_what_was_not_kept_or_has_no_actor_cannot_be_sent_again(fragile: Fragile) -> None:
    job = fragile.fail()
    FailedJob.objects.filter(pk=job.pk).update(message="")
    with pytest.raises(NotReplayable, match="was not kept"):
        decide(dead_letters.replay, job)
    other = FailedJob.objects.create(
        queue="a", actor="a.gone", message_id="m", message="{}", error="x", failed_at=timezone.now()
    )
    with pytest.raises(NotReplayable, match=r"no job named a\.gone"):
        decide(dead_letters.replay, other)
    assert decide(dead_letters.discard, other).state == "discarded"


def test_a_refusal_is_an_answer_and_waits_for_nobody(working: Working) -> None:
    class NotOpen(DomainError):
        code = "NOT_OPEN"

    def job(trade_id: int) -> None:
        raise NotOpen("The trade is not open.")

    name = working.declare("sell", job)
    working.start()
    wake(name, 7)
    soon(FailedJob.objects.exists)
    found = FailedJob.objects.get()
    assert (found.state, found.code, FailedJob.objects.open().count()) == ("discarded", "NOT_OPEN", 0)


# ── in the console ──────────────────────────────────────────────────────────────────────────────────────────────


def test_many_are_sent_again_in_one_dialog_and_each_says_how_it_went(fragile: Fragile) -> None:
    jobs = [fragile.fail() for _ in range(3)]
    fragile.works = True
    browser = staff.of_role("Dealing desk")
    page = reverse("admin:jobs_failedjob_replay_several")
    dialog = browser.get(page).content.decode()
    assert "3 open, the oldest first" in dialog and dialog.count('name="jobs"') == 3
    assert "very-secret-token" not in dialog
    decide(dead_letters.discard, jobs[0])  # somebody else, meanwhile
    data = {"jobs": [job.pk for job in jobs], "key": world.key(), "reason": REASON}
    answer = browser.post(page, data, follow=True).content.decode()
    assert (
        "2 sent again. 1 refused" in answer
        and "<code>ALREADY_DECIDED</code>" in answer
        and str(jobs[0]) in answer
    )
    soon(lambda: len(fragile.ran) == 2)
    browser.post(page, data)  # the same dialog twice
    assert Event.objects.filter(name="failed_job.replayed").count() == 2
    assert [job.state for job in FailedJob.objects.order_by("id")] == ["discarded", "replayed", "replayed"]


def test_open_ones_wait_on_home_and_in_their_queue_until_decided(fragile: Fragile) -> None:
    job = fragile.fail()
    browser = staff.of_role("Dealing desk")
    home = browser.get(reverse("admin:index")).content.decode()
    assert "1 job has failed for good" in home
    answer = browser.post(
        reverse("admin:jobs_failedjob_discard_job", args=[job.pk]), {"key": world.key(), "reason": REASON}, follow=True
    ).content.decode()  # fmt: skip
    assert "Discarded. It will not run again." in answer and f"“{REASON}”" in answer
    assert "No failed job waits for a decision." in browser.get(reverse("admin:index")).content.decode()
    assert staff.of_role("Support").get(reverse("admin:jobs_failedjob_changelist")).status_code == 403


# ── the schedule ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_scheduled_job_runs_now_once_and_its_result_is_told(working: Working) -> None:
    ran, fails = threading.Event(), threading.Event()

    def job() -> None:
        ran.set()
        if fails.is_set():
            raise ValueError("no")

    name = working.declare("tidy", job, max_retries=0)
    working.start()
    due = timezone.now() + timedelta(days=1)
    row = Schedule.objects.create(name=name, actor=name, every=86400, next_run_at=due)
    browser = staff.of_role("Dealing desk")
    data = {"key": world.key(), "reason": REASON}
    page = reverse("admin:jobs_schedule_run_now", args=[row.pk])
    assert "Sent. How it ended" in browser.post(page, data, follow=True).content.decode()
    assert ran.wait(10)
    soon(lambda: Schedule.objects.get().last_result == "done")
    browser.post(page, data)
    assert Event.objects.filter(name="schedule.run_now").count() == 1
    assert Schedule.objects.get().next_run_at == due
    fails.set()
    scheduler.send(row)
    soon(lambda: Schedule.objects.get().last_result == "failed: ValueError")
    row.actor = "gone.job"
    with pytest.raises(scheduler.NoSuchJob):
        scheduler.run_now(row, by=TESTER, at=timezone.now(), key=world.key(), reason=REASON)
