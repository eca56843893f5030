"""Actors of compliance: what nobody decided in time ends, and what was agreed to is done."""

from django.utils import timezone

from compliance import approvals
from jobs.declare import actor


@actor("approvals.expire", time_limit_seconds=60, every=60, max_retries=0)
def expire() -> None:
    """End approvals that nobody decided in time."""
    approvals.expire_due(at=timezone.now())


@actor("approvals.apply_due", time_limit_seconds=60, every=15, max_retries=0)
def apply_due() -> None:
    """Do what was agreed to while the database was in trouble."""
    approvals.apply_due(at=timezone.now())
