"""Actors of funding: money between wallets and accounts at the venue."""

from django.utils import timezone

from backoffice.errors import DomainError
from brokerage import funding
from brokerage.models import Funding
from jobs.declare import actor

now = timezone.now
REFUSALS = (DomainError, Funding.DoesNotExist)


@actor("funding.send", time_limit_seconds=60, max_retries=0, throws=REFUSALS)
def send(funding_id: int) -> None:
    """Do what comes next with a funding: send it, ask about it, or give it up."""
    funding.push(Funding.objects.get(pk=funding_id), now=now)


@actor("funding.sweep", time_limit_seconds=30, every=5, max_retries=0)
def sweep() -> None:
    """Pick up whatever a lost nudge or a dead worker left behind."""
    funding.sweep(now=now)
