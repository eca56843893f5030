"""Actors of the ledger: holds that expire, and control of the books."""

from datetime import time

from django.utils import timezone

from backoffice.who import By
from jobs.declare import actor
from ledger import deposits, holds
from ledger.control import assertions, invariants, reconciliation

BY = By.system("scheduler")


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


@actor("ledger.check_invariants", time_limit_seconds=300, every=900, max_retries=0)
def check_invariants() -> None:
    """Check every invariant of the books that is quick to check."""
    invariants.run_all(nightly=False, by=BY, at=timezone.now())


@actor("ledger.verify_invariants", time_limit_seconds=3600, every=86_400, at_time=time(1, 30), max_retries=0)
def verify_invariants() -> None:
    """Check every invariant of the books, those too that read everything."""
    invariants.run_all(nightly=True, by=BY, at=timezone.now())


@actor("ledger.check_assertions", time_limit_seconds=600, every=86_400, at_time=time(1, 0), max_retries=0)
def check_assertions() -> None:
    """Hold every asserted balance of an open day, and those that fail, against the books."""
    assertions.check_all(by=BY, at=timezone.now())


@actor("ledger.reconcile", time_limit_seconds=600, every=86_400, at_time=time(2, 0), max_retries=0)
def reconcile() -> None:
    """Lay our list beside that of each bank and provider."""
    reconciliation.run_all(by=BY, at=timezone.now())
