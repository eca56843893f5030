"""Adjustments: money that staff give a client or take from one, why, and what of it was taken back."""

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models import F, Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, HistoricalModel, User
from backoffice.patience import Patience
from compliance.models import Approval, Client, desks_of
from ledger.models.books import Account, Entry


class AdjustmentCategory(PublicIdModel, HistoricalModel):
    """What adjustments are made for, and against which account of ours they are booked."""

    class Direction(models.TextChoices):
        CREDIT = "credit", "To the client"
        DEBIT = "debit", "From the client"
        BOTH = "both", "Both ways"

    name = models.CharField(max_length=64, unique=True)
    direction = models.CharField(max_length=6, choices=Direction)
    account_kind = models.CharField(
        "booked as", max_length=9, choices=[("income", "Income"), ("expense", "Expense")], default="expense"
    )
    purpose = models.CharField(
        "account", max_length=40, help_text="What the account is for, in small letters: goodwill, trade_corrections."
    )  # fmt: skip
    most = AmountField(
        "at most", null=True, blank=True, help_text="Of one adjustment, in its currency. Empty: no bound."
    )
    is_active = models.BooleanField("in use", default=True)

    class Meta:
        verbose_name_plural = "adjustment categories"
        constraints = [
            models.CheckConstraint(
                condition=Q(purpose__regex=r"^[a-z][a-z_]{2,39}$"), name="adjustment_category_purpose"
            ),
            models.CheckConstraint(
                condition=Q(most__isnull=True) | Q(most__gt=0), name="adjustment_category_most"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AdjustmentQuerySet(models.QuerySet["Adjustment"]):
    """Reads of adjustments."""

    def visible_to(self, staff: User) -> "AdjustmentQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)


class Adjustment(PublicIdModel):
    """Money that one member of staff wants to give a client or take from one, and that another agrees to."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waits for approval"
        APPLIED = "applied", "Applied"
        REJECTED = "rejected", "Rejected"
        EXPIRED = "expired", "Expired"
        CANCELLED = "cancelled", "Cancelled"

    class Direction(models.TextChoices):
        CREDIT = "credit", "To the client"
        DEBIT = "debit", "From the client"

    MOVES: Final = {
        State.WAITING: {State.APPLIED, State.REJECTED, State.EXPIRED, State.CANCELLED},
        State.APPLIED: set(),
        State.REJECTED: set(),
        State.EXPIRED: set(),
        State.CANCELLED: set(),
    }
    FINAL: Final = frozenset({State.APPLIED, State.REJECTED, State.EXPIRED, State.CANCELLED})
    PATIENCE: Final = {State.WAITING: Patience(timedelta(hours=24), "made_at", "Whoever may approve it")}

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="adjustments")
    wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    direction = models.CharField(max_length=6, choices=Direction)
    amount = AmountField()
    category = models.ForeignKey(AdjustmentCategory, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=200)
    told = models.CharField("what the client reads", max_length=200, blank=True)
    reverses = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="reversals"
    )
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    problem = models.CharField(max_length=300, blank=True)
    approval = models.ForeignKey(Approval, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    entry = models.OneToOneField(Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    made_by = models.CharField(max_length=64)
    made_by_user = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=120)
    made_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = AdjustmentQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [
            ("make_adjustment", "Can ask for adjustments of clients' wallets, and call them off"),
            ("approve_adjustment", "Can approve and reject adjustments"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="adjustment_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(state="applied", entry__isnull=False, approval__isnull=False)
                | ~Q(state="applied") & Q(entry__isnull=True),
                name="adjustment_applied_has_entry",
            ),
            models.CheckConstraint(
                condition=Q(reverses__isnull=True) | ~Q(reverses=F("id")), name="adjustment_reverses_another"
            ),
            models.UniqueConstraint(fields=["made_by", "key"], name="adjustment_key_once"),
            models.UniqueConstraint(
                fields=["reverses"], condition=Q(state__in=["waiting", "applied"]), name="adjustment_reversed_once"
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["made_at"], condition=Q(state="waiting"), name="adjustment_unfinished"),
            models.Index(fields=["client", "-id"], name="adjustment_by_client"),
        ]

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.WAITING:
                return self.problem or "Nothing is posted until somebody other than its maker agrees."
            case self.State.APPLIED:
                return "Agreed to by another person, and booked."
            case self.State.REJECTED:
                return f"Rejected: {self.problem} Nothing was posted."
            case self.State.EXPIRED:
                return "Nobody decided in time; nothing was posted."
            case _:
                return "Called off before it was agreed to; nothing was posted."

    def __str__(self) -> str:
        what = "Reversal" if self.reverses_id else "Adjustment"
        return f"{what}: {self.category}"
