"""Looking at the client app as a client sees it: staff, for minutes, read only, with a reason that is kept."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from backoffice import events
from backoffice.errors import DomainError, NotAllowed, NotFound
from backoffice.models import Session, User
from backoffice.sessions import InvalidToken
from backoffice.who import By
from compliance.models import Client, Membership

PERMISSION = "compliance.see_as_client"


class NobodyToSeeAs(DomainError):
    """Nobody owns this client's log-in, so there is nothing to see as they see it."""

    code = "NOBODY_TO_SEE_AS"


class ReadOnly(DomainError):
    """Staff who look as a client change nothing."""

    code = "READ_ONLY"


def begin(client: Client, staff: User, *, at: datetime, reason: str) -> Session:
    """Begin to look as the client's first owner, at this client alone. A look at it that is open already is ended.

    :raises NotAllowed: if the person has not the permission.
    :raises NotFound: if they may not see the client.
    :raises NobodyToSeeAs: if nobody owns it.
    """
    if not staff.has_perm(PERMISSION):
        raise NotAllowed("Your roles do not let you look as a client.")
    if not Client.objects.visible_to(staff).filter(pk=client.pk).exists():
        raise NotFound("There is no such client.")
    owners = Membership.objects.filter(client=client, role=Membership.Role.OWNER)
    owner = owners.select_related("user").order_by("pk").first()
    if owner is None:
        raise NobodyToSeeAs("Nobody owns this client's log-in.")
    with transaction.atomic():
        for before in _open(client, staff).select_for_update(no_key=True).order_by("pk"):
            _finish(before, Session.End.CLOSED, at)
        session = Session.objects.create(
            user=staff, kind=Session.Kind.VIEW, viewed=owner.user, viewed_client_id=client.uuid,
            started_at=at, refreshed_at=at,
        )  # fmt: skip
        events.record(
            "client.viewed_as", subject_type="client", subject_id=client.uuid, client_id=client.uuid,
            by=By.user(staff), at=at, payload={"session": session.uuid, "until": until(session)}, reason=reason,
        )  # fmt: skip
    return session


def until(session: Session) -> datetime:
    """When a look ends by itself."""
    return session.started_at + timedelta(minutes=settings.CONFIG.view_as_minutes)


def open_of(client: Client, staff: User, *, at: datetime) -> Session | None:
    """The person's open look at this client, if it has not lapsed."""
    found = _open(client, staff).order_by("-pk").first()
    return found if found is not None and until(found) > at else None


def end(session: Session, *, at: datetime) -> None:
    """Look no more. Twice is once. Locks the session's row."""
    with transaction.atomic():
        row = (
            Session.objects.select_for_update(of=("self",), no_key=True)
            .select_related("user")
            .get(pk=session.pk)
        )
        if row.ended_at is None:
            _finish(row, Session.End.LOGGED_OUT, at)


def as_whom(session: Session, *, at: datetime) -> User:
    """Whom a look shows the world as, limited to the one client. Asked anew for each query, so that a permission,
    a desk or a person taken away counts at once.

    :raises InvalidToken: if it has lapsed, or the person may not look as this client any more.
    """
    staff, client_id = session.user, session.viewed_client_id
    if (
        session.viewed is None
        or client_id is None
        or until(session) <= at
        or not staff.is_staff
        or not staff.has_perm(PERMISSION)
        or not Client.objects.visible_to(staff).filter(uuid=client_id).exists()
    ):
        raise InvalidToken("This look has ended.")
    session.viewed.viewed_client_id = client_id
    return session.viewed


def _open(client: Client, staff: User) -> QuerySet[Session]:
    return Session.objects.filter(
        user=staff, kind=Session.Kind.VIEW, viewed_client_id=client.uuid, ended_at__isnull=True
    )


def _finish(session: Session, end: Session.End, at: datetime) -> None:
    session.ended_at, session.end = at, end
    session.save(update_fields=["ended_at", "end"])
    events.record(
        "client.viewing_ended", subject_type="client", subject_id=session.viewed_client_id,  # type: ignore[arg-type]
        client_id=session.viewed_client_id, by=By.user(session.user), at=at, payload={"session": session.uuid},
    )  # fmt: skip
