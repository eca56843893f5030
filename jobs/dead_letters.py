"""Jobs that failed for good: kept with the whole message, sent again or discarded by a person, once.

Sending again is two steps, so that a crash between them loses nothing: the decision is committed, then the message
goes out and the job is marked as sent in one transaction. A crash between these two may send it twice, never not at
all; actors are idempotent.
"""

import logging
from datetime import datetime

import dramatiq
import redis
from django.db import transaction
from django.utils import timezone
from dramatiq import Message, MessageProxy
from dramatiq.errors import BrokerError

from backoffice import events, keys
from backoffice.errors import DomainError, InvalidInput
from backoffice.who import By, called
from jobs.declare import is_declared
from jobs.models import FailedJob

_log = logging.getLogger(__name__)
State = FailedJob.State
EVENTS = {State.REPLAYING: "failed_job.replayed", State.DISCARDED: "failed_job.discarded"}
CORRELATION = "correlation_id"
A_REFUSAL = "the refusal"  # who decided about a job that was refused


class AlreadyDecided(DomainError):
    """Somebody has sent this failed job again or discarded it; that stands."""

    code = "ALREADY_DECIDED"


class NotReplayable(DomainError):
    """The message was not kept, or its actor is gone: it cannot be sent again."""

    code = "NOT_REPLAYABLE"


def kept(message: MessageProxy) -> str:
    """A message as it is kept for sending again: what it asks for and its correlation id, not how it fared."""
    options = {CORRELATION: message.options[CORRELATION]} if message.options.get(CORRELATION) else {}
    again: Message[object] = Message(
        message.queue_name.removesuffix(".DQ"), message.actor_name, message.args, message.kwargs, options
    )
    return again.encode().decode()


def check_may_decide(job: FailedJob) -> None:
    """:raises AlreadyDecided: if it was sent again or discarded, by whom and when."""
    if job.state != State.OPEN:
        raise AlreadyDecided(
            f"{job.get_state_display()} by {called(job.decided_by)} on {job.decided_at:%Y-%m-%d at %H:%M:%S} UTC."
        )


def check_may_replay(job: FailedJob) -> None:
    """:raises AlreadyDecided: as above. :raises NotReplayable: if its message or its actor is not there."""
    check_may_decide(job)
    if not job.message:
        raise NotReplayable("Its message was not kept; it cannot be sent again.")
    if not is_declared(job.actor):
        raise NotReplayable(f"There is no job named {job.actor} any more; it cannot be sent again.")


def replay(job: FailedJob, *, by: By, at: datetime, key: str, reason: str) -> FailedJob:
    """Have the same message sent once more, under its correlation id. Locks the row.

    The same key again changes nothing. If it fails once more, that is a new failed job.

    :raises AlreadyDecided: if it was sent again or discarded, by somebody else or with another key.
    :raises NotReplayable: if its message was not kept or its actor is gone.
    :raises InvalidInput: if the reason is empty.
    """
    with transaction.atomic():
        row, is_new = _decide(job, "replay", State.REPLAYING, by=by, at=at, key=key, reason=reason)
        if is_new:
            transaction.on_commit(lambda: _send_if_possible(row.pk), robust=True)
    return row


def discard(job: FailedJob, *, by: By, at: datetime, key: str, reason: str) -> FailedJob:
    """Say that this failed job need not run again. Locks the row. The same key again changes nothing.

    :raises AlreadyDecided: if it was sent again or discarded, by somebody else or with another key.
    :raises InvalidInput: if the reason is empty.
    """
    with transaction.atomic():
        return _decide(job, "discard", State.DISCARDED, by=by, at=at, key=key, reason=reason)[0]


def _decide(
    job: FailedJob, verb: str, state: FailedJob.State, *, by: By, at: datetime, key: str, reason: str
) -> tuple[FailedJob, bool]:
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    row = FailedJob.objects.select_for_update(no_key=True).get(pk=job.pk)
    is_known = keys.is_claimed(by=by, verb=f"failed_job.{verb}", key=key)
    keys.claim(by=by, verb=f"failed_job.{verb}", key=key, content=str(row.uuid), at=at)
    if is_known:
        return row, False
    (check_may_replay if state == State.REPLAYING else check_may_decide)(row)
    row.state, row.decided_at, row.decided_by = state, at, by.name
    row.save(update_fields=["state", "decided_at", "decided_by"])
    events.record(
        EVENTS[state],
        subject_type="failed_job",
        subject_id=row.uuid,
        by=by,
        at=at,
        key=key,
        payload={"actor": row.actor, "message_id": row.message_id},
        reason=reason,
    )
    return row, True


def send(job_id: int) -> bool:
    """Send a job that is to be sent again, and mark it as sent. A second call sends nothing. Locks the row.

    :raises redis.RedisError: if Redis does not take it; the job goes on waiting.
    """
    with transaction.atomic():
        row = FailedJob.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=job_id).first()
        if row is None or row.state != State.REPLAYING:
            return False
        dramatiq.get_broker().enqueue(Message.decode(row.message.encode()))
        row.state, row.sent_at = State.REPLAYED, timezone.now()
        row.save(update_fields=["state", "sent_at"])
    return True


def sweep() -> int:
    """Send what was decided and not sent, because the process ended or Redis was away; returns how many."""
    return sum(send(pk) for pk in FailedJob.objects.replaying().values_list("pk", flat=True)[:500])


def _send_if_possible(job_id: int) -> None:
    try:
        send(job_id)
    except (redis.RedisError, BrokerError) as found:
        _log.warning("job %s is sent again by the sweep: %s", job_id, type(found).__name__)
