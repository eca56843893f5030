"""Payments: money that leaves through a provider, singly or in batch files, and what is known of each."""

from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, User
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField
from compliance.models import desks_of
from ledger.models.payments_setup import BankAccount
from ledger.models.withdrawals import Withdrawal


class PaymentBatch(PublicIdModel):
    """A file of payments for one account of ours and one day. Closed to further payments when it is sealed.

    The file has account numbers of clients and is kept encrypted; its SHA-256 stands beside it.
    """

    class State(models.TextChoices):
        OPEN = "open", "Takes payments"
        SEALING = "sealing", "Being sealed"
        SEALED = "sealed", "Ready to be sent"
        SENT = "sent", "Sent to the bank"
        CLOSED = "closed", "Closed"

    MOVES: Final = {
        State.OPEN: {State.SEALING},
        State.SEALING: {State.SEALED, State.CLOSED},
        State.SEALED: {State.SENT},
        State.SENT: {State.CLOSED},
        State.CLOSED: set(),
    }
    PATIENCE: Final = {
        State.OPEN: Patience(timedelta(days=1), "opened_at", "Payments desk"),
        State.SEALING: Patience(timedelta(minutes=10), "sealing_at", "A worker"),
        State.SEALED: Patience(timedelta(hours=4), "sealed_at", "Payments desk"),
        State.SENT: Patience(timedelta(days=3), "sent_at", "The bank"),
    }

    bank_account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, related_name="batches")
    business_date = models.DateField()
    number = models.PositiveSmallIntegerField(
        help_text="Of the day: the next one takes what comes after sealing."
    )
    message_id = models.CharField(max_length=35, unique=True, help_text="What the bank knows the file by.")
    version = models.CharField(max_length=8, help_text="Of pain.001: 001.03 or 001.09.")
    state = models.CharField(max_length=7, choices=State, default=State.OPEN)
    count = models.PositiveIntegerField(default=0)
    control_sum = AmountField(default=0)
    file = EncryptedField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    opened_at = models.DateTimeField()
    sealing_at = models.DateTimeField(null=True, blank=True)
    sealed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "payment batches"
        default_permissions = ("view",)
        permissions = [("send_batch", "Can seal, download and send files of payments")]
        constraints = [
            models.UniqueConstraint(
                fields=["bank_account", "business_date", "number"], name="payment_batch_number_once"
            ),
            models.UniqueConstraint(
                fields=["bank_account"], condition=Q(state="open"), name="payment_batch_open_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "sealing"], sealed_at__isnull=True, sha256="")
                | Q(state__in=["sealed", "sent"], sealed_at__isnull=False) & ~Q(sha256="")
                | Q(state="closed", sealed_at__isnull=False),
                name="payment_batch_sealed",
            ),
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.OPEN:
                return "Approved withdrawals join it; when it is sealed, their money leaves the wallets and the file is made."
            case self.State.SEALING:
                return "Its payments leave the wallets one by one; then the file is written, within moments."
            case self.State.SEALED:
                return "The file is ready to be taken to the bank; say so when it was."
            case self.State.SENT:
                return "With the bank; its status report or statement says of each payment what became of it."
            case _:
                return "The bank has told of every payment in it."

    def __str__(self) -> str:
        return self.message_id


class PaymentQuerySet(models.QuerySet["Payment"]):
    """Reads of payments."""

    def visible_to(self, staff: User) -> "PaymentQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(withdrawal__client__desk__in=desks)

    def unfinished(self) -> "PaymentQuerySet":
        return self.exclude(state__in=Payment.FINAL)

    def with_batch(self) -> "PaymentQuerySet":
        """With the batch each is in, but not its file, which would be decrypted for every payment in it."""
        return self.select_related("batch__bank_account").defer("batch__file")

    def to_push(self, at: datetime) -> "PaymentQuerySet":
        """What a lost nudge or a dead worker left behind: to be sent, or asked about. Payments in files are not."""
        waits = [Payment.State.QUEUED, Payment.State.SENDING, Payment.State.UNKNOWN, Payment.State.SENT]
        return self.filter(state__in=waits, batch=None, asked_at__lt=at - Payment.GRACE).order_by("id")


class Payment(PublicIdModel):
    """One payment to a beneficiary. It leaves once: under its own number, and never again while its fate is not known."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "On the wire"
        UNKNOWN = "unknown", "Answer lost"
        SENT = "sent", "With the provider"
        CONFIRMED = "confirmed", "Confirmed"
        FAILED = "failed", "Failed"
        RETURNED = "returned", "Returned"
        CANCELLED = "cancelled", "Cancelled"

    MOVES: Final = {
        State.QUEUED: {State.SENDING, State.FAILED, State.CANCELLED},
        State.SENDING: {State.SENT, State.CONFIRMED, State.UNKNOWN, State.FAILED},
        State.UNKNOWN: {State.SENT, State.CONFIRMED, State.FAILED},
        State.SENT: {State.CONFIRMED, State.FAILED},
        State.CONFIRMED: {State.RETURNED},
        State.FAILED: set(),
        State.RETURNED: set(),
        State.CANCELLED: set(),
    }
    FINAL: Final = frozenset({State.FAILED, State.RETURNED, State.CANCELLED})
    RESTING: Final = frozenset({State.CONFIRMED})
    PATIENCE: Final = {
        State.QUEUED: Patience(timedelta(days=1), "queued_at", "Payments desk"),
        State.SENDING: Patience(timedelta(minutes=10), "changed_at", "A worker"),
        State.UNKNOWN: Patience(timedelta(minutes=30), "changed_at", "Payments desk"),
        State.SENT: Patience(timedelta(days=3), "changed_at", "The provider"),
    }
    # After so long the sweep looks again; a worker that has not come back by then died on its way.
    GRACE: Final = timedelta(seconds=10)
    SENDING_FOR: Final = timedelta(seconds=40)

    withdrawal = models.ForeignKey(Withdrawal, on_delete=models.PROTECT, related_name="payments")
    provider = models.CharField(max_length=32)
    amount = AmountField(help_text="What the beneficiary gets.")
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    end_to_end_id = models.CharField(
        max_length=35, unique=True, help_text="What every bank on the way knows it by."
    )
    batch = models.ForeignKey(
        PaymentBatch, null=True, blank=True, on_delete=models.PROTECT, related_name="payments"
    )
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    provider_ref = models.CharField(max_length=128, blank=True, help_text="What the provider calls it.")
    evidence = models.CharField(
        max_length=300, blank=True, help_text="What says how it ended: a bank line, a message."
    )
    problem_code = models.CharField(max_length=64, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    queued_at = models.DateTimeField()
    asked_at = models.DateTimeField(help_text="When it was last sent or asked about.")
    sending_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then one worker is at it, and the others leave it alone."
    )
    sent_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was first handed to the provider."
    )
    unsent_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Since when it is certain that nothing left, so that it may be handed over again.",
    )
    changed_at = models.DateTimeField()

    objects = PaymentQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [("settle_payment", "Can say by evidence what became of a payment")]
        constraints = [
            models.UniqueConstraint(
                fields=["withdrawal"], condition=~Q(state__in=["failed", "returned", "cancelled"]),
                name="payment_one_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["provider", "provider_ref"], condition=~Q(provider_ref=""), name="payment_provider_ref_once"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "cancelled"]) | Q(sent_at__isnull=False) | Q(state="failed"),
                name="payment_sent_at",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(
                fields=["asked_at"], condition=Q(state__in=["queued", "sending", "unknown", "sent"]),
                name="payment_unfinished",
            ),
            models.Index(fields=["batch", "id"], name="payment_by_batch"),
        ]  # fmt: skip

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        State = self.State
        match self.state:
            case State.QUEUED if self.batch_id:
                return "In a file that is not sealed yet; nothing has left."
            case State.QUEUED:
                return (
                    self.problem
                    or "On its way to the provider, usually within seconds; by hand, when somebody takes it on."
                )
            case State.SENDING if self.batch_id:
                return "In a sealed file that waits to be taken to the bank."
            case State.SENDING:
                return "Being handed to the provider; its answer, or its absence, says what next."
            case State.UNKNOWN:
                return (
                    "The provider's answer was lost. It is never paid again: the provider is asked under its number, and "
                    "a statement or a person may settle it."
                )
            case State.SENT:
                return "The provider, or whoever pays by hand, has it and says when it was paid."
            case State.CONFIRMED:
                return f"Paid. {self.evidence}".strip()
            case State.FAILED:
                return f"Not paid: {self.problem or self.problem_code}. The money is in the wallet again."
            case State.RETURNED:
                return f"Came back: {self.problem or self.problem_code}. The money is in the wallet again."
            case _:
                return "Taken back before anything left."

    def __str__(self) -> str:
        return self.end_to_end_id
