"""Actors of the ledger."""

from django.utils import timezone

from jobs.declare import actor
from ledger import deposits, holds


@actor("ledger.expire_holds", time_limit_seconds=60, every=30, max_retries=0)
def expire_holds() -> None:
    """Free what is held past its time."""
    while holds.expire_due(timezone.now()):
        pass


@actor("ledger.expire_deposits", time_limit_seconds=60, every=300, max_retries=0)
def expire_deposits() -> None:
    """End deposits nobody paid in time. Money that comes later is credited all the same."""
    while deposits.expire_due(timezone.now()):
        pass
