"""Actors of collectors: what they tell is applied, deposits are asked about, refunds are made and followed."""

from django.utils import timezone

from backoffice.errors import DomainError
from jobs.declare import actor
from ledger.collecting import refunding, taking, told
from ledger.collecting.port import ProviderError
from ledger.models import ClawBack, CollectorEvent, Deposit

now = timezone.now
REFUSALS = (DomainError, CollectorEvent.DoesNotExist, ClawBack.DoesNotExist, Deposit.DoesNotExist)


@actor("collectors.apply", time_limit_seconds=60, max_retries=0, throws=REFUSALS)
def apply(event_id: int) -> None:
    """Do what one event of a collector says; what cannot be done yet is tried again by the sweep."""
    told.apply(CollectorEvent.objects.get(pk=event_id), now=now)


@actor("collectors.ask", time_limit_seconds=60, max_retries=0, throws=(*REFUSALS, ProviderError))
def ask(deposit_id: int) -> None:
    """Ask a collector what became of a deposit that it told nothing of."""
    taking.ask(Deposit.objects.get(pk=deposit_id), now=now)


@actor("collectors.refund", time_limit_seconds=60, max_retries=0, throws=REFUSALS)
def refund(claw_back_id: int) -> None:
    """Do what comes next with a refund: have it made, or ask what became of it."""
    refunding.push(ClawBack.objects.get(pk=claw_back_id), now=now)


@actor("collectors.sweep", time_limit_seconds=30, every=10, max_retries=0)
def sweep() -> None:
    """Pick up whatever a lost nudge or a dead worker left behind."""
    told.sweep(now=now)
    refunding.sweep(now=now)
    taking.sweep(now=now)
