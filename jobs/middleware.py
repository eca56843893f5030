"""What surrounds every job: its correlation id, its connections, its figures, and a record where it failed for good."""

import contextvars
import inspect
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import redis
from django import db
from django.utils import timezone
from dramatiq import Broker, Message, MessageProxy, Worker
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import Middleware

from backoffice import metrics
from backoffice.cache import redis_client
from backoffice.errors import DomainError
from backoffice.heartbeat import Beating, own_name
from backoffice.logs import correlation, new_correlation
from backoffice.masking import mask, mask_text
from backoffice.wake import WAITS

_log = logging.getLogger(__name__)

OPTION: Final = "correlation_id"
JOBS: Final = metrics.Counter("jobs_total", "Jobs run, by how they ended", ("actor", "outcome"))
SECONDS: Final = metrics.Histogram("job_seconds", "How long jobs took", ("actor",))
WAITED: Final = metrics.Histogram("job_wait_seconds", "How long jobs waited in their queue", ("queue",))


class Correlation(Middleware):
    """Carries the correlation id of whoever enqueues into the worker that runs the job."""

    def __init__(self) -> None:
        self._tokens = threading.local()

    def before_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        message.options.setdefault(OPTION, correlation.get() or new_correlation())

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        self._tokens.value = correlation.set(str(message.options.get(OPTION) or new_correlation()))
        _log.debug("job %s begins", message.actor_name)

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        token: contextvars.Token[str] | None = getattr(self._tokens, "value", None)
        if token is not None:
            correlation.reset(token)
            self._tokens.value = None

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)


class Waiting(Middleware):
    """Takes away the mark that says a swept job waits: what happens from here on, a sweep may wake anew."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        if mark := message.options.get(WAITS):
            try:
                redis_client().delete(mark)
            except redis.RedisError as error:
                _log.warning("a mark stays until it ends by itself: %s", error)


class DatabaseConnections(Middleware):
    """Closes connections that are broken or too old around each job, and all of them at the end of a thread."""

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        db.close_old_connections()

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        db.close_old_connections()

    def before_worker_thread_shutdown(self, broker: Broker, thread: Any) -> None:
        db.connections.close_all()

    def before_consumer_thread_shutdown(self, broker: Broker, thread: Any) -> None:
        db.connections.close_all()


class JobMetrics(Middleware):
    """Counts jobs by actor and outcome, measures how long they waited and took, and logs one line for each."""

    def __init__(self) -> None:
        self._started = threading.local()

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        self._started.at = time.perf_counter()
        if "eta" not in message.options and not message.options.get("retries"):
            WAITED.observe(max(0.0, time.time() - message.message_timestamp / 1000), queue=message.queue_name)

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        seconds = time.perf_counter() - self._started.at
        outcome = (
            "done" if exception is None else "refused" if isinstance(exception, DomainError) else "error"
        )
        JOBS.add(actor=message.actor_name, outcome=outcome)
        SECONDS.observe(seconds, actor=message.actor_name)
        _log.info(
            "job %s %s",
            message.actor_name,
            outcome,
            extra={"ms": round(seconds * 1000, 1), "message_id": message.message_id},
        )


class ScheduledResult(Middleware):
    """Writes how a scheduled job ended beside its schedule: what staff read as its last result."""

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        name = message.options.get("schedule")
        if not name:
            return
        from jobs.models import Schedule

        told = "done"
        if isinstance(exception, DomainError):
            told = f"refused: {exception.code}"
        elif exception is not None:
            told = f"failed: {type(exception).__name__}"
        try:
            Schedule.objects.filter(name=name).update(last_result=told)
        except db.Error:
            _log.exception("the result of scheduled job %s could not be written", name)


class Heartbeat(Middleware):
    """Lets the readiness check know that this worker process is alive; writes figures that would fall idle."""

    def __init__(self) -> None:
        self._beating: Beating | None = None

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self._beating = Beating(own_name("worker"), also=metrics.flush).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if self._beating is not None:
            self._beating.stop()
        metrics.flush()


class LongestStop(Middleware):
    """Ends a worker that was asked to stop and does not: with Redis gone, it would wait to tell it what it has done.

    What was under way goes back to its queue once the worker's heartbeat is missed, as after any death.
    """

    SECONDS: Final = 35.0  # past `--worker-shutdown-timeout`, within what the supervisor allows

    def __init__(self, seconds: float = SECONDS, end: Callable[[int], object] = os._exit) -> None:
        self._seconds, self._end = seconds, end
        self._timer: threading.Timer | None = None

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._timer = threading.Timer(self._seconds, self._end, (1,))
        self._timer.daemon = True
        self._timer.start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        if self._timer is not None:
            self._timer.cancel()


class DeadLetters(Middleware):
    """Records each message that failed for good, for staff to see. Its arguments are kept without secrets."""

    def after_nack(self, broker: Broker, message: MessageProxy) -> None:
        from jobs import dead_letters
        from jobs.models import FailedJob

        error, now = message._exception, timezone.now()
        # A refusal is an answer, and nobody need decide about it.
        is_answer = isinstance(error, DomainError)
        try:
            FailedJob.objects.create(
                queue=message.queue_name,
                actor=message.actor_name,
                message_id=message.message_id,
                arguments=mask(_named(broker, message)),
                message=dead_letters.kept(message),
                code=error.code if isinstance(error, DomainError) else "",
                error=mask_text(
                    f"{type(error).__name__}: {error}" if error is not None else "The message expired."
                )[:2000],
                traceback=mask_text(str(message.options.get("traceback") or ""))[:20000],
                retries=int(message.options.get("retries") or 0),
                correlation_id=str(message.options.get(OPTION) or ""),
                failed_at=now,
                state=FailedJob.State.DISCARDED if is_answer else FailedJob.State.OPEN,
                decided_at=now if is_answer else None,
                decided_by=dead_letters.A_REFUSAL if is_answer else "",
            )
        except db.Error:
            # The message itself stays in Redis's dead-letter set; the worker must not stumble over the record.
            _log.exception("failure of job %s could not be recorded", message.actor_name)


def _named(broker: Broker, message: MessageProxy) -> dict[str, Any]:
    """The arguments under the names the actor gives them, so that a secret is known by its name."""
    try:
        bound = inspect.signature(broker.get_actor(message.actor_name).fn).bind(
            *message.args, **message.kwargs
        )
    except (ActorNotFound, TypeError):  # no such actor, or arguments it does not take
        return {"args": list(message.args), "kwargs": message.kwargs}
    return dict(bound.arguments)
