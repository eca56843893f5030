"""What a member of staff may do: by their roles, and whether they may log in at all."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import Group
from django.db import transaction

from backoffice import events
from backoffice.models import Session, User
from backoffice.staff import console_sessions
from backoffice.who import By

# Roles are Django's groups and have no public id; each gets one from its number, always the same.
_ROLES = uuid.UUID("6f6e9c0e-5f0b-4f0c-9b59-0d4f3f6a3c11")


@dataclass(frozen=True, slots=True)
class Rights:
    """What changes of what somebody may do: roles by name."""

    given: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    may_log_in: bool = True


def added(user: User, *, by: By, at: datetime) -> None:
    """A member of staff was added, without any role."""
    events.record("staff.added", subject_type="user", subject_id=user.uuid, by=by, at=at)


def changed(user: User, rights: Rights, *, by: By, at: datetime, reason: str) -> None:
    """Record what changed, in the transaction that changed it. Who may not log in any more is logged out at once, everywhere."""
    with transaction.atomic():
        events.record(
            "staff.rights_changed", subject_type="user", subject_id=user.uuid, by=by, at=at,
            payload={"given": rights.given, "taken": rights.taken, "may_log_in": rights.may_log_in}, reason=reason,
        )  # fmt: skip
        if not rights.may_log_in:
            every = tuple(Session.Kind.values)
            console_sessions.end_all(user, Session.End.DEACTIVATED, by=by, at=at, kinds=every)


def role_id(role: Group) -> uuid.UUID:
    """The public id under which the event log knows a role."""
    return uuid.uuid5(_ROLES, str(role.pk))


def role_changed(
    role: Group, *, given: list[str], taken: list[str], by: By, at: datetime, reason: str
) -> None:
    """Record which permissions a role gained and lost, in the transaction that changed it; they count from the next page on."""
    events.record(
        "role.changed", subject_type="role", subject_id=role_id(role), by=by, at=at,
        payload={"role": role.name, "given": given, "taken": taken}, reason=reason,
    )  # fmt: skip
