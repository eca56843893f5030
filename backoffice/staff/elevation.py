"""Proving oneself again, with a reason, before the most sensitive actions; what is open closes by itself in minutes."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.db import transaction

from backoffice import events, throttle
from backoffice.errors import DomainError
from backoffice.models import Session, User
from backoffice.staff import locks, second_factor
from backoffice.who import By

TRIES, SECONDS = 5, 300


class NotProven(DomainError):
    """Neither the person's password nor a good code of their second factor."""

    code = "NOT_PROVEN"
    field = "proof"


class NotElevated(DomainError):
    """The most sensitive actions are closed in this session."""

    code = "NOT_ELEVATED"


def is_open(session: Session | None, *, at: datetime) -> bool:
    """Whether the most sensitive actions are open in a session, as it was last read."""
    return session is not None and session.elevated_until is not None and session.elevated_until > at


def begin(session: Session, *, proof: str, reason: str, at: datetime) -> Session:
    """Open the most sensitive actions for some minutes. Whoever has a second factor shows a code, others their password.

    :raises TooManyRequests: if proofs are being guessed.
    :raises NotProven: if the proof is not good; it counts like a failed log-in.
    """
    user = session.user
    throttle.take("staff-elevation", str(user.uuid), limit=TRIES, seconds=SECONDS)
    if not _proven(user, proof, at):
        locks.failed(user, by=By.user(user), at=at)
        raise NotProven("That does not prove that it is you.")
    throttle.forget("staff-elevation", str(user.uuid))
    until = at + timedelta(minutes=settings.CONFIG.staff_elevation_minutes)
    with transaction.atomic():
        row = (
            Session.objects.select_for_update(of=("self",), no_key=True)
            .select_related("user")
            .get(pk=session.pk)
        )
        if row.ended_at is not None:
            raise NotProven("This session has ended.")
        row.elevated_until = until
        row.save(update_fields=["elevated_until"])
        events.record(
            "staff.elevated", subject_type="user", subject_id=user.uuid, by=By.user(user), at=at,
            payload={"session": row.uuid, "until": until}, reason=reason,
        )  # fmt: skip
    return row


def end(session: Session, *, at: datetime) -> None:
    """Close them before their time.

    :raises NotElevated: if they are closed already.
    """
    with transaction.atomic():
        row = (
            Session.objects.select_for_update(of=("self",), no_key=True)
            .select_related("user")
            .get(pk=session.pk)
        )
        if not is_open(row, at=at):
            raise NotElevated("The most sensitive actions are closed already.")
        row.elevated_until = None
        row.save(update_fields=["elevated_until"])
        events.record(
            "staff.elevation_ended", subject_type="user", subject_id=row.user.uuid, by=By.user(row.user), at=at,
            payload={"session": row.uuid},
        )  # fmt: skip


def _proven(user: User, proof: str, at: datetime) -> bool:
    if second_factor.of(user) is None:
        return check_password(proof, user.password)
    try:
        second_factor.show(user, proof, at=at)
    except second_factor.WrongCode:
        return False
    return True
