"""How long a log-in to the console lasts: until it is idle too long, reaches its longest time, or somebody ends it."""

import uuid
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from backoffice import events
from backoffice.errors import NotFound
from backoffice.models import Session, User
from backoffice.who import By

# A page is written down at most this often: a reader who clicks fast costs no more writes than one who does not.
TOUCH: Final = timedelta(minutes=1)
# What was opened by proving oneself again closes when nobody has asked for a page for this long.
ELEVATION_IDLE: Final = timedelta(minutes=5)
STAFF: Final = (Session.Kind.CONSOLE, Session.Kind.VIEW)
CONSOLE: Final = By.system("console")


def start(
    user: User, *, second_factor: bool, at: datetime, agent: str = "", address: str | None = None
) -> Session:
    """A session of the console for somebody who has proven who they are."""
    with transaction.atomic():
        session = Session.objects.create(
            user=user, kind=Session.Kind.CONSOLE, started_at=at, refreshed_at=at, agent=agent[:200],
            address=address or None, second_factor=second_factor,
        )  # fmt: skip
        _record("staff.logged_in", session, By.user(user), at, second_factor=second_factor)
    return session


def resume(public_id: uuid.UUID, user_pk: int, *, at: datetime) -> Session | Session.End:
    """The open session (with its person) a page is asked under, or how it ended. One question in most cases.

    What makes it end is looked at here, by the person's row as it is now: deactivation counts from the next page on.
    """
    rows = Session.objects.select_related("user").filter(uuid=public_id, user_id=user_pk)
    session = rows.filter(kind=Session.Kind.CONSOLE).first()
    if session is None:
        return Session.End.CLOSED
    if session.ended_at is not None:
        return Session.End(session.end)
    if (due := _due(session, at)) is not None:
        finish(session, due, by=CONSOLE, at=at)
        return due
    if session.elevated_until is not None and at - session.refreshed_at >= ELEVATION_IDLE:
        _close_elevation(session, at)
    if at - session.refreshed_at >= TOUCH:
        Session.objects.filter(pk=session.pk, ended_at__isnull=True).update(refreshed_at=at)
    return session


def finish(session: Session, end: Session.End, *, by: By, at: datetime) -> None:
    """End one session of staff. Twice is once. Locks its row."""
    with transaction.atomic():
        row = (
            Session.objects.select_for_update(of=("self",), no_key=True)
            .select_related("user")
            .get(pk=session.pk)
        )
        if row.ended_at is None:
            _end(row, end, by, at)


def end_own(user: User, public_id: str, *, at: datetime) -> None:
    """End one of one's own sessions, of whatever kind. Twice is once.

    :raises NotFound: if it is none of theirs.
    """
    try:
        session = Session.objects.filter(user=user, uuid=uuid.UUID(public_id)).first()
    except ValueError:
        session = None
    if session is None:
        raise NotFound("There is no such session of yours.")
    finish(session, Session.End.LOGGED_OUT, by=By.user(user), at=at)


def end_all(
    user: User,
    end: Session.End,
    *,
    by: By,
    at: datetime,
    but: Session | None = None,
    kinds: tuple[str, ...] = STAFF,
) -> int:
    """End every open session of a person, all but one if that is wanted; says how many. Locks their rows by primary key."""
    with transaction.atomic():
        rows = Session.objects.select_for_update(of=("self",), no_key=True).select_related("user")
        rows = rows.filter(user=user, ended_at__isnull=True, kind__in=kinds).order_by("pk")
        found = list(rows.exclude(pk=but.pk) if but else rows)
        for session in found:
            _end(session, end, by, at)
    return len(found)


def overdue(at: datetime) -> QuerySet[Session]:
    """Open sessions of staff that nobody will come back to, the longest unseen first."""
    config = settings.CONFIG
    return Session.objects.filter(
        Q(kind=Session.Kind.CONSOLE, refreshed_at__lte=at - timedelta(minutes=config.staff_idle_minutes))
        | Q(kind=Session.Kind.CONSOLE, started_at__lte=at - timedelta(hours=config.staff_session_hours))
        | Q(kind=Session.Kind.VIEW, started_at__lte=at - timedelta(minutes=config.view_as_minutes)),
        ended_at__isnull=True,
    ).order_by("refreshed_at")


def end_overdue(*, at: datetime, at_most: int = 200) -> int:
    """End what `overdue` names, so that lists tell the truth also of those who never came back; says how many."""
    found = list(overdue(at).select_related("user")[:at_most])
    for session in found:
        finish(session, _due(session, at) or Session.End.EXPIRED, by=CONSOLE, at=at)
    return len(found)


def _due(session: Session, at: datetime) -> Session.End | None:
    config = settings.CONFIG
    if not session.user.is_active or not session.user.is_staff:
        return Session.End.DEACTIVATED
    if session.kind == Session.Kind.VIEW:
        over = at - session.started_at >= timedelta(minutes=config.view_as_minutes)
        return Session.End.EXPIRED if over else None
    if at - session.started_at >= timedelta(hours=config.staff_session_hours):
        return Session.End.EXPIRED
    if at - session.refreshed_at >= timedelta(minutes=config.staff_idle_minutes):
        return Session.End.IDLE
    if config.staff_second_factor and not session.second_factor:
        return Session.End.CREDENTIALS  # it began where no second factor was asked for
    return None


def _end(session: Session, end: Session.End, by: By, at: datetime) -> None:
    session.ended_at, session.end, session.elevated_until = at, end, None
    session.save(update_fields=["ended_at", "end", "elevated_until"])
    name = "staff.logged_out" if end == Session.End.LOGGED_OUT else "staff.session_ended"
    _record(name, session, by, at, end=str(end))


def _close_elevation(session: Session, at: datetime) -> None:
    with transaction.atomic():
        if Session.objects.filter(pk=session.pk, elevated_until__gt=at).update(elevated_until=None):
            _record("staff.elevation_ended", session, CONSOLE, at, end="idle")
    session.elevated_until = None


def _record(name: str, session: Session, by: By, at: datetime, **payload: str | bool) -> None:
    events.record(
        name, subject_type="user", subject_id=session.user.uuid, client_id=session.viewed_client_id, by=by, at=at,
        payload={"session": session.uuid, "kind": session.kind, **payload},
    )  # fmt: skip
