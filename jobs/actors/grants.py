"""Actors of the brokerage's grants: what clients allow us at the venue, renewed, compared and given back."""

import logging

from django.utils import timezone

from backoffice.errors import DomainError
from brokerage import demo_accounts, grant_requests, grants
from brokerage.models import Grant, TradingAccount
from jobs.declare import actor

now = timezone.now
log = logging.getLogger(__name__)
REFUSALS = (DomainError, Grant.DoesNotExist, TradingAccount.DoesNotExist)


@actor("grants.refresh", time_limit_seconds=30, every=30, max_retries=0)
def refresh() -> None:
    """Have every grant renewed whose token runs out soon."""
    grants.refresh_due(now=now)


@actor("grants.renew", time_limit_seconds=30, max_retries=0, throws=REFUSALS)
def renew(grant_id: int) -> None:
    """Renew one grant; what is not due, or is being renewed, stays as it is."""
    grants.refresh(Grant.objects.get(pk=grant_id), now=now)


@actor("grants.sync", time_limit_seconds=60, max_retries=0, throws=REFUSALS)
def sync(grant_id: int) -> None:
    """Compare one grant with the venue's list of its accounts."""
    grants.sync(Grant.objects.get(pk=grant_id), now=now)


@actor("grants.sync_all", time_limit_seconds=60, every=3600, max_retries=0)
def sync_all() -> None:
    """Have every active grant compared, spread over the queue."""
    grants.sync_all()


@actor("grants.revoke", time_limit_seconds=30, max_retries=8, first_retry_seconds=5)
def revoke(sealed: str) -> None:
    """End a token at the venue that nobody keeps here any more; tried again while the venue cannot be asked."""
    grants.revoke(sealed)
    log.info("a token was revoked at the venue")


@actor("grants.sweep_requests", time_limit_seconds=30, every=60, max_retries=0)
def sweep_requests() -> None:
    """Lapse the requests nobody came back for."""
    grant_requests.sweep(now=now)


@actor("trading.reset_demo", time_limit_seconds=60, max_retries=0, throws=REFUSALS)
def reset_demo(account_id: int) -> None:
    """Ask the venue for the reset of a demo balance that was requested."""
    demo_accounts.reset_at_venue(TradingAccount.objects.get(pk=account_id), now=now)


@actor("trading.sweep_resets", time_limit_seconds=30, every=10, max_retries=0)
def sweep_resets() -> None:
    """Have every reset asked for again that still waits."""
    demo_accounts.sweep_resets()
