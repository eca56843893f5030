"""What surrounds a job, seen through a real worker on a real Redis."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from redis import Redis

from backoffice import heartbeat, metrics
from backoffice.embedded.processes import wait_until
from backoffice.errors import DomainError
from backoffice.logs import CorrelationMiddleware, correlation
from backoffice.wake import wake
from jobs.middleware import LongestStop
from jobs.models import FailedJob
from tests.jobs.conftest import Working


class NotOpen(DomainError):
    code = "NOT_OPEN"


def soon(condition: Callable[[], bool]) -> bool:
    return wait_until(condition, seconds=10)


@pytest.mark.django_db(transaction=True)
def test_one_correlation_id_goes_from_the_request_through_the_queue_into_the_workers_log(
    working: Working, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def job() -> None:
        logging.getLogger("venue").info("asked the venue", extra={"bound": correlation.get()})
        seen.append(correlation.get())

    name = working.declare("submit", job)
    working.start()

    def view(request: HttpRequest) -> HttpResponse:
        wake(name)
        return HttpResponse()

    with caplog.at_level(logging.INFO):
        request = RequestFactory().get("/graphql/", headers={"X-Request-ID": "order-0123456789"})
        response = CorrelationMiddleware(view)(request)
        assert soon(lambda: bool(seen))
    assert response["X-Request-ID"] == "order-0123456789"
    assert seen == ["order-0123456789"]
    assert [r.__dict__["bound"] for r in caplog.records if r.name == "venue"] == ["order-0123456789"]
    assert correlation.get() == ""


@pytest.mark.django_db(transaction=True)
def test_an_idle_queue_answers_as_soon_as_something_is_put_on_it(working: Working) -> None:
    ran = threading.Event()
    waits: list[float] = []
    began = 0.0

    def job() -> None:
        waits.append(time.perf_counter() - began)
        ran.set()

    name = working.declare("ping", job)
    working.start()
    for _ in range(10):
        ran.clear()
        began = time.perf_counter()
        wake(name)
        assert ran.wait(10)
    # Without the bell a consumer sleeps up to the worker's timeout, 200 ms here; half of it is far from both.
    assert sorted(waits)[len(waits) // 2] < 0.1


@pytest.mark.django_db(transaction=True)
def test_a_job_that_keeps_failing_is_recorded_as_dead_without_its_secrets(working: Working) -> None:
    def job(account_id: int, token: str, note: str) -> None:
        raise ValueError(f"venue said no to token={token}")

    name = working.declare(
        "connect", job, max_retries=1, first_retry_seconds=0.05, longest_retry_seconds=0.05
    )
    working.start()
    wake(name, 42, "very-secret-token", "password=hunter22")
    assert soon(lambda: FailedJob.objects.exists())
    dead = FailedJob.objects.get()
    assert (dead.queue, dead.actor, dead.code, dead.retries) == (working.queue, name, "", 2)
    assert dead.arguments == {"account_id": 42, "token": "***", "note": "password=***"}
    assert dead.error == "ValueError: venue said no to token=***"
    assert "Traceback" in dead.traceback
    assert "very-secret-token" not in dead.traceback
    assert dead.correlation_id


@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_not_tried_again_and_is_recorded_under_its_code(working: Working) -> None:
    tries: list[int] = []

    def job(trade_id: int) -> None:
        tries.append(trade_id)
        raise NotOpen("The trade is not open.")

    name = working.declare("sell", job)
    working.start()
    wake(name, 7)
    assert soon(lambda: FailedJob.objects.exists())
    dead = FailedJob.objects.get()
    assert (tries, dead.code, dead.retries) == ([7], "NOT_OPEN", 0)


@pytest.mark.django_db(transaction=True)
def test_a_message_for_an_actor_nobody_declared_is_recorded_and_the_worker_goes_on(working: Working) -> None:
    ran = threading.Event()
    name = working.declare("known", ran.set)
    working.start()
    wake(f"{working.queue}.unknown", 1)
    wake(name)
    assert ran.wait(10)
    assert soon(lambda: FailedJob.objects.filter(actor=f"{working.queue}.unknown").exists())


@pytest.mark.django_db(transaction=True)
def test_an_accident_is_tried_again_until_it_works(working: Working) -> None:
    tries: list[int] = []

    def job() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("not yet")

    name = working.declare("retry", job, first_retry_seconds=0.02, longest_retry_seconds=0.05)
    working.start()
    wake(name)
    assert soon(lambda: len(tries) == 3)
    assert not FailedJob.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_is_cut_at_its_time_limit(working: Working) -> None:
    cut = threading.Event()

    def job() -> None:
        try:
            while True:
                time.sleep(0.01)
        finally:
            cut.set()

    name = working.declare("endless", job, time_limit_seconds=0.3, max_retries=0)
    working.start()
    wake(name)
    assert cut.wait(10)
    assert soon(lambda: FailedJob.objects.exists())
    assert FailedJob.objects.get().error.startswith("TimeLimitExceeded")


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_alive_in_redis_while_it_runs_and_gone_when_it_stops(
    working: Working, redis: Redis
) -> None:
    working.declare("idle", lambda: None)
    working.start()
    name = heartbeat.own_name("worker")
    assert soon(lambda: name in heartbeat.alive())
    assert heartbeat.alive()[name] < heartbeat.GONE_AFTER_SECONDS
    assert working.worker is not None
    working.worker.stop(timeout=5000)
    assert name not in heartbeat.alive()


@pytest.mark.django_db(transaction=True)
def test_jobs_are_counted_by_actor_and_outcome(working: Working) -> None:
    name = working.declare("count", lambda: None)
    working.start()
    wake(name)
    line = f'jobs_total{{actor="{name}",outcome="done"}} 1.0'
    assert soon(lambda: line in metrics.render().decode())


def test_messages_are_logged_without_their_arguments() -> None:
    import dramatiq

    from backoffice.logs import ContextFilter

    message: Any = dramatiq.Message("q", "q.act", ("very-secret",), {}, {}, message_id="m-1")
    record = logging.LogRecord(
        "dramatiq", logging.ERROR, "", 0, "Failed to process message %s.", (message,), None
    )
    ContextFilter().filter(record)
    assert record.getMessage() == "Failed to process message q.act [m-1]."


def test_a_worker_that_does_not_stop_is_ended_and_one_that_does_is_not() -> None:
    ended: list[int] = []
    stuck, stopped = (LongestStop(0.05, ended.append) for _ in range(2))
    stuck.before_worker_shutdown(None, None)  # type: ignore[arg-type]
    assert soon(lambda: ended == [1])
    stopped.before_worker_shutdown(None, None)  # type: ignore[arg-type]
    stopped.after_worker_shutdown(None, None)  # type: ignore[arg-type]
    assert stopped._timer is not None
    stopped._timer.join(5)
    assert ended == [1]
