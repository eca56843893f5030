"""Actors of the kernel: staff's sessions and the log of who looked at what."""

from django.utils import timezone

from backoffice import access
from backoffice.staff import console_sessions
from jobs.declare import actor


@actor("maintenance.end_staff_sessions", time_limit_seconds=60, every=60, max_retries=0)
def end_staff_sessions() -> None:
    """End sessions of the console that were left idle, or open for too long."""
    while console_sessions.end_overdue(at=timezone.now()):
        pass


@actor("maintenance.access_log", time_limit_seconds=60, every=86_400)
def access_log() -> None:
    """Make the months of the access log that come, and drop those that are kept no longer."""
    now = timezone.now()
    access.make_months(now)
    access.drop_old(now)
