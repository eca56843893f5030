"""Actors of payments out: one step of one payment or file each, and the sweep behind them."""

from django.utils import timezone

from backoffice.errors import DomainError
from jobs.declare import actor
from ledger import batches, payments
from ledger.bank import claims
from ledger.models import Payment, PaymentBatch

now = timezone.now
REFUSALS = (DomainError, Payment.DoesNotExist, PaymentBatch.DoesNotExist)


@actor("payouts.push", time_limit_seconds=60, max_retries=0, throws=REFUSALS)
def push(payment_id: int) -> None:
    """Do what comes next with a payment: hand it over, or ask what became of it."""
    payments.push(Payment.objects.get(pk=payment_id), now=now)


@actor("payouts.seal", time_limit_seconds=300, max_retries=0, throws=REFUSALS)
def seal(batch_id: int) -> None:
    """Book a batch's payments out of the wallets, and write its file."""
    batches.write(PaymentBatch.objects.get(pk=batch_id), now=now)


@actor("payouts.claim_lines", time_limit_seconds=120, every=60, max_retries=0)
def claim_lines() -> None:
    """Let the payments that bank lines name claim them: right after an import, and whatever was left."""
    claims.sweep(at=now())
    batches.close_done(at=now())


@actor("payouts.sweep", time_limit_seconds=30, every=5, max_retries=0)
def sweep() -> None:
    """Pick up whatever a lost nudge or a dead worker left behind."""
    payments.sweep(now=now)
    batches.sweep(at=now())
