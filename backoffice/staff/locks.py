"""Who failed to log in to the console too often in a row is locked out for a while, in the database: Redis may be away."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from backoffice import events
from backoffice.errors import DomainError
from backoffice.models import LogInLock, User
from backoffice.who import By


class NotLocked(DomainError):
    """The person is not locked out."""

    code = "NOT_LOCKED"


def locked_until(user: User, *, at: datetime) -> datetime | None:
    """Until when somebody is locked out; None if they are not."""
    found = LogInLock.objects.filter(user=user, locked_until__gt=at).first()
    return found.locked_until if found else None


def failed(user: User, *, by: By, at: datetime) -> bool:
    """Count one more failure in a row; says whether it locked the person out. Locks their row, so none is lost.

    A lock that lapsed begins the count anew.
    """
    with transaction.atomic():
        LogInLock.objects.get_or_create(user=user)
        row = LogInLock.objects.select_for_update(of=("self",), no_key=True).get(user=user)
        if row.locked_until is not None:
            if row.locked_until > at:
                return True
            row.failures, row.locked_until = 0, None
        row.failures, row.failed_at = row.failures + 1, at
        if row.failures >= settings.CONFIG.staff_lock_failures:
            row.locked_until = at + timedelta(minutes=settings.CONFIG.staff_lock_minutes)
            events.record(
                "staff.locked_out", subject_type="user", subject_id=user.uuid, by=by, at=at,
                payload={"failures": row.failures, "until": row.locked_until},
            )  # fmt: skip
        row.save(update_fields=["failures", "failed_at", "locked_until"])
        return row.locked_until is not None


def forget(user: User) -> None:
    """Begin the count anew: the person has shown who they are."""
    LogInLock.objects.filter(user=user, locked_until__isnull=True, failures__gt=0).update(failures=0)


def check_may_lift(user: User, *, at: datetime) -> None:
    """:raises NotLocked: if the person is not locked out."""
    if locked_until(user, at=at) is None:
        raise NotLocked("Nobody locked them out, or the lock has lapsed.")


def lift(user: User, *, by: By, at: datetime, reason: str) -> None:
    """Let somebody who was locked out try again at once.

    :raises NotLocked: if they are not locked out (any more).
    """
    with transaction.atomic():
        row = LogInLock.objects.select_for_update(of=("self",), no_key=True).filter(user=user).first()
        if row is None or row.locked_until is None or row.locked_until <= at:
            raise NotLocked("Nobody locked them out, or the lock has lapsed.")
        row.failures, row.locked_until = 0, None
        row.save(update_fields=["failures", "locked_until"])
        events.record(
            "staff.lock_lifted", subject_type="user", subject_id=user.uuid, by=by, at=at, reason=reason
        )
