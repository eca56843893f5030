"""What a new password of a member of staff brings along."""

from datetime import datetime

from django.db import transaction

from backoffice import events
from backoffice.models import Session, User
from backoffice.staff import console_sessions
from backoffice.who import By


def changed(user: User, *, by: By, at: datetime, but: Session | None = None) -> None:
    """Their sessions end, all but the one in which they changed it themself; the change is recorded."""
    with transaction.atomic():
        events.record("staff.password_changed", subject_type="user", subject_id=user.uuid, by=by, at=at)
        console_sessions.end_all(user, Session.End.CREDENTIALS, by=by, at=at, but=but)
