"""Deposits: money a client said would come, and what became of it."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, User
from backoffice.patience import Patience
from compliance.models import Client, acted_for, desks_of
from ledger.models.books import Account, Entry
from ledger.models.payments_setup import Method


class DepositQuerySet(models.QuerySet["Deposit"]):
    """Reads of deposits."""

    def of_user(self, user: User) -> "DepositQuerySet":
        return self.filter(acted_for(user, "client__"))

    def visible_to(self, staff: User) -> "DepositQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def open(self) -> "DepositQuerySet":
        """Money that may still be on its way."""
        return self.filter(state__in=Deposit.OPEN)

    def due_to_expire(self, at: datetime) -> "DepositQuerySet":
        return self.filter(state=Deposit.State.PENDING, expires_at__lte=at).order_by("expires_at", "id")


class Deposit(PublicIdModel):
    """Money a client puts into their wallet, from the moment they say so.

    `amount` is what was asked for, `received` what came; the wallet got `received` less `fee`, by `entry`.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Waits for the money"
        PROCESSING = "processing", "With the provider"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        EXPIRED = "expired", "Expired"

    # A bank transfer cannot be called back: what comes late is the client's all the same.
    MOVES: Final = {
        State.PENDING: {State.PROCESSING, State.COMPLETED, State.FAILED, State.CANCELLED, State.EXPIRED},
        State.PROCESSING: {State.COMPLETED, State.FAILED},
        State.COMPLETED: set(),
        State.FAILED: set(),
        State.CANCELLED: {State.COMPLETED},
        State.EXPIRED: {State.COMPLETED},
    }
    # Money may still be on its way.
    OPEN: Final = (State.PENDING, State.PROCESSING)
    FINAL: Final = frozenset({State.COMPLETED, State.FAILED})
    RESTING: Final = frozenset({State.CANCELLED, State.EXPIRED})
    PATIENCE: Final = {
        State.PENDING: Patience(timedelta(days=1), "expires_at", "The sweep of expired deposits"),
        State.PROCESSING: Patience(timedelta(hours=1), "changed_at", "The provider"),
    }

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="deposits")
    wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    method = models.CharField(max_length=8, choices=Method, default=Method.BANK)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    amount = AmountField("asked for")
    received = AmountField(null=True, blank=True)
    fee = AmountField(default=Decimal(0))
    reference = models.CharField(
        max_length=16,
        unique=True,
        help_text="What the client writes on the payment; speakable, with a check sign.",
    )
    external_id = models.CharField(
        max_length=128, blank=True, help_text="What the bank or the provider calls it."
    )
    collector = models.CharField(
        max_length=32, blank=True, help_text="Who takes the money for us, if not a bank."
    )
    asked_at = models.DateTimeField(
        null=True, blank=True, help_text="When the collector was last asked about it."
    )
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    entry = models.OneToOneField(
        Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="deposit"
    )
    note = models.CharField(max_length=300, blank=True)
    key = models.CharField(max_length=100)
    content_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)

    objects = DepositQuerySet.as_manager()

    class Meta:
        permissions = [("cancel_deposit", "Can cancel a client's deposit")]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="deposit_key_once"),
            models.UniqueConstraint(
                fields=["method", "external_id"],
                condition=~Q(external_id="") & ~Q(method="bank"),
                name="deposit_external_id_once",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="deposit_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(
                    state="completed",
                    received__gt=0,
                    fee__gte=0,
                    fee__lte=models.F("received"),
                    entry__isnull=False,
                    completed_at__isnull=False,
                )
                | (
                    ~Q(state="completed")
                    & Q(received__isnull=True, fee=0, entry__isnull=True, completed_at__isnull=True)
                ),
                name="deposit_completed_by_entry",
            ),
        ]
        indexes = [
            models.Index(
                fields=["currency", "amount"],
                condition=Q(state__in=["pending", "processing"]),
                name="deposit_open_by_amount",
            ),
            models.Index(fields=["expires_at"], condition=Q(state="pending"), name="deposit_due"),
            models.Index(fields=["client", "-id"], name="deposit_by_client"),
        ]

    @property
    def is_open(self) -> bool:
        """Whether the money may still be on its way."""
        return self.state in self.OPEN

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.PENDING if self.method == Method.CRYPTO:
                return (
                    "Waits for coins at the client's address; they are credited when enough blocks bury them."
                )
            case self.State.PENDING:
                return f"Waits for a payment under {self.reference}; it is credited when the money is seen to have come."
            case self.State.PROCESSING:
                return "The provider is working on it; it says what became of it."
            case self.State.COMPLETED:
                return self.note or "The money came and is in the wallet."
            case self.State.FAILED:
                return f"Nothing came: {self.note or 'the provider says no'}."
            case self.State.CANCELLED:
                return "Taken back before money came; what comes all the same is credited by its reference."
            case _:
                return "No money came in time; what comes all the same is credited by its reference."

    def __str__(self) -> str:
        return f"Deposit {self.reference}"
