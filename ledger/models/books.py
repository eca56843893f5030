"""The books: accounts, journal entries, postings and holds. What must never be false here is refused by the database: see `ledger/sql/`."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from backoffice.database import AmountField, PublicIdModel
from backoffice.patience import Patience


class Book(models.TextChoices):
    """Whose money it is. No entry touches two books; a mirror copies what clients hold at a venue."""

    REAL = "real", "Real"
    DEMO = "demo", "Demo"
    REAL_MIRROR = "real_mirror", "Real, held at a venue"
    DEMO_MIRROR = "demo_mirror", "Demo, held at a venue"


class Side(models.TextChoices):
    """The side of a posting; amounts are positive and the side carries the meaning."""

    DEBIT = "debit", "Debit"
    CREDIT = "credit", "Credit"

    @property
    def opposite(self) -> "Side":
        return Side.CREDIT if self is Side.DEBIT else Side.DEBIT


class AccountQuerySet(models.QuerySet["Account"]):
    """Reads of accounts."""

    def with_available(self) -> "AccountQuerySet":
        """Annotates `available`: posted less held, in the account's currency, on its normal side."""
        return self.annotate(available_amount=F("posted") - F("held"))

    def of_client(self, client_id: uuid.UUID) -> "AccountQuerySet":
        return self.filter(client_id=client_id)

    def owned_by(self, owner_type: str, owner_id: uuid.UUID) -> "AccountQuerySet":
        return self.filter(owner_type=owner_type, owner_id=owner_id)

    def of_house(self) -> "AccountQuerySet":
        return self.filter(owner_type="")


class Account(PublicIdModel):
    """A place where money of one currency stands, in one book.

    `posted` is the sum of its postings and `held` the sum of its open holds, both on the account's normal side;
    the database moves them when a posting or hold is written and refuses every other change.
    A guarded account is never below zero nor below its holds.
    """

    class Kind(models.TextChoices):
        ASSET = "asset", "Asset"
        LIABILITY = "liability", "Liability"
        INCOME = "income", "Income"
        EXPENSE = "expense", "Expense"
        EQUITY = "equity", "Equity"

    book = models.CharField(max_length=12, choices=Book)
    currency = models.ForeignKey(
        "backoffice.Currency", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    kind = models.CharField(max_length=9, choices=Kind)
    purpose = models.CharField(max_length=40, help_text="What the money is there for: wallet, open_stakes …")
    owner_type = models.CharField(
        max_length=32, blank=True, default="", help_text="What kind of thing owns it; empty for the house."
    )
    owner_id = models.UUIDField("owner", null=True)
    client_id = models.UUIDField("client", null=True)
    shard = models.PositiveSmallIntegerField(
        default=0, help_text="Busy house accounts are split so that writers do not queue."
    )
    guarded = models.BooleanField(default=True, help_text="Never below zero nor below its holds.")
    posted = AmountField(default=0, editable=False)
    held = AmountField(default=0, editable=False)
    is_closed = models.BooleanField("closed", default=False)
    version = models.PositiveBigIntegerField(default=0, editable=False)
    opened_at = models.DateTimeField()

    objects = AccountQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["client_id", "id"], name="account_by_client"),
            models.Index(fields=["owner_type", "owner_id"], name="account_by_owner"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["book", "currency", "purpose", "owner_type", "owner_id", "shard"],
                nulls_distinct=False,
                name="account_once",
            ),
            models.CheckConstraint(condition=Q(held__gte=0), name="account_held_not_negative"),
            models.CheckConstraint(
                condition=Q(guarded=False) | Q(posted__gte=F("held")), name="account_covers_holds"
            ),
            models.CheckConstraint(
                condition=Q(is_closed=False) | Q(posted=0, held=0), name="account_closed_is_empty"
            ),
        ]

    @property
    def normal_side(self) -> Side:
        """The side that increases it: debit for assets and expenses, credit for the rest."""
        return Side.DEBIT if self.kind in (self.Kind.ASSET, self.Kind.EXPENSE) else Side.CREDIT

    @property
    def available(self) -> Decimal:
        """Posted less held: what can be moved or held now, in the account's currency."""
        left: Decimal = self.posted - self.held
        return left

    @property
    def is_house(self) -> bool:
        return not self.owner_type

    def __str__(self) -> str:
        shard = f" #{self.shard}" if self.shard else ""
        what = f"{self.purpose.replace('_', ' ')}{shard}"
        return f"{self.currency_id} {what}" if self.owner_type else f"house {what} {self.currency_id}"


class EntryQuerySet(models.QuerySet["Entry"]):
    """Reads of journal entries."""

    def about(self, subject_type: str, subject_id: uuid.UUID) -> "EntryQuerySet":
        """The entries that belong to one business object, oldest first."""
        return self.filter(subject_type=subject_type, subject_id=subject_id).order_by("id")

    def of_client(self, client_id: uuid.UUID) -> "EntryQuerySet":
        return self.filter(client_id=client_id)


class Entry(PublicIdModel):
    """A journal entry: one business event as balanced postings in one book. Never changed, never deleted.

    It is written together with its postings in one statement or not at all.
    """

    book = models.CharField(max_length=12, choices=Book)
    kind = models.CharField(max_length=40)
    reference = models.CharField(max_length=120, blank=True)
    narration = models.CharField(max_length=400, blank=True)
    key = models.CharField(max_length=200)
    content_hash = models.CharField(max_length=64)
    by = models.CharField(max_length=64)
    by_user = models.ForeignKey(
        "backoffice.User", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    effective_at = models.DateTimeField(help_text="When it counts, by our clock.")
    recorded_at = models.DateTimeField(
        db_default=Now(), help_text="When it was written, by the database's clock."
    )
    business_date = models.DateField()
    reverses = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="reversed_by", verbose_name="reverses"
    )
    subject_type = models.CharField("about", max_length=32, blank=True)
    subject_id = models.UUIDField(null=True)
    client_id = models.UUIDField("client", null=True)

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name = "journal entry"
        verbose_name_plural = "journal entries"
        indexes = [
            models.Index(
                fields=["subject_type", "subject_id"],
                name="entry_by_subject",
                condition=Q(subject_id__isnull=False),
            ),
            models.Index(
                fields=["client_id", "id"], name="entry_by_client", condition=Q(client_id__isnull=False)
            ),
            BrinIndex(fields=["business_date"], name="entry_by_business_date", autosummarize=True),
        ]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="entry_key_once"),
            models.CheckConstraint(condition=~Q(key=""), name="entry_key_given"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.effective_at:%Y-%m-%d %H:%M:%S}"


class Posting(models.Model):
    """One line of an entry: a positive amount on one side of one account.

    `balance_after` is the account's balance on its normal side right after this line, in the order of ids.
    """

    id = models.BigAutoField(primary_key=True)
    # Without constraints: the trigger that moves the balances refuses a posting whose entry or account is not there or
    # of another book or currency, and neither can be deleted.
    entry = models.ForeignKey(
        Entry, on_delete=models.PROTECT, related_name="postings", db_index=False, db_constraint=False
    )
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="postings", db_index=False, db_constraint=False
    )
    currency = models.ForeignKey(
        "backoffice.Currency", on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    line = models.PositiveSmallIntegerField()
    side = models.CharField(max_length=6, choices=Side)
    amount = AmountField()
    balance_after = AmountField()

    class Meta:
        indexes = [models.Index(fields=["account", "id"], name="posting_by_account")]
        constraints = [
            models.UniqueConstraint(fields=["entry", "line"], name="posting_line_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="posting_amount_positive"),
            models.CheckConstraint(condition=Q(side__in=Side.values), name="posting_side_known"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.amount:f} {self.currency_id}"


class HoldQuerySet(models.QuerySet["Hold"]):
    """Reads of holds."""

    def open(self) -> "HoldQuerySet":
        return self.filter(state=Hold.State.HELD)

    def due(self, at: datetime) -> "HoldQuerySet":
        """Open holds whose expiry has come."""
        return self.open().filter(expires_at__lte=at)

    def about(self, subject_type: str, subject_id: uuid.UUID) -> "HoldQuerySet":
        return self.filter(subject_type=subject_type, subject_id=subject_id).order_by("id")


class Hold(PublicIdModel):
    """Money set aside on an account for one purpose. Resolved once: captured, released, expired or transferred."""

    class State(models.TextChoices):
        HELD = "held", "Held"
        CAPTURED = "captured", "Captured"
        RELEASED = "released", "Released"
        EXPIRED = "expired", "Expired"
        TRANSFERRED = "transferred", "Transferred to another hold"

    MOVES: Final[dict[str, tuple[str, ...]]] = {
        "held": ("captured", "released", "expired", "transferred"),
        "captured": (),
        "released": (),
        "expired": (),
        "transferred": (),
    }
    # What expires does so by the sweep; what has no expiry ends with what it is held for.
    PATIENCE: Final = {
        "held": Patience(
            timedelta(hours=1), ("expires_at", "placed_at"), "Whoever moves what it is held for"
        ),
    }

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds", db_index=False)
    amount = AmountField()
    purpose = models.CharField(max_length=40)
    key = models.CharField(max_length=200)
    content_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=11, choices=State, default=State.HELD)
    captured_amount = AmountField(default=0)
    captured_by = models.ForeignKey(
        Entry,
        null=True,
        on_delete=models.PROTECT,
        related_name="captured_holds",
        verbose_name="captured by entry",
    )
    transferred_to = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="transferred_from"
    )
    placed_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    by = models.CharField(max_length=64)
    by_user = models.ForeignKey(
        "backoffice.User", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    resolved_by = models.CharField(max_length=64, blank=True)
    subject_type = models.CharField("about", max_length=32, blank=True)
    subject_id = models.UUIDField(null=True)
    client_id = models.UUIDField("client", null=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["account", "id"], name="hold_open_by_account", condition=Q(state="held")),
            models.Index(fields=["account", "-id"], name="hold_by_account"),
            models.Index(
                fields=["expires_at"], name="hold_due", condition=Q(state="held", expires_at__isnull=False)
            ),
            models.Index(
                fields=["subject_type", "subject_id"],
                name="hold_by_subject",
                condition=Q(subject_id__isnull=False),
            ),
            models.Index(
                fields=["client_id", "id"], name="hold_by_client", condition=Q(client_id__isnull=False)
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="hold_amount_positive"),
            models.UniqueConstraint(fields=["key"], name="hold_key_once"),
            models.CheckConstraint(condition=~Q(key=""), name="hold_key_given"),
            models.CheckConstraint(
                condition=(
                    Q(state="held", resolved_at__isnull=True)
                    | (~Q(state="held") & Q(resolved_at__isnull=False))
                ),
                name="hold_resolved_has_time",
            ),
            models.CheckConstraint(
                condition=(
                    Q(
                        state="captured",
                        captured_amount__gt=0,
                        captured_amount__lte=F("amount"),
                        captured_by__isnull=False,
                    )
                    | (~Q(state="captured") & Q(captured_amount=0, captured_by__isnull=True))
                ),
                name="hold_captured_by_entry",
            ),
            models.CheckConstraint(
                condition=(
                    Q(state="transferred", transferred_to__isnull=False)
                    | (~Q(state="transferred") & Q(transferred_to__isnull=True))
                ),
                name="hold_transferred_has_successor",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["held", "captured", "released", "expired", "transferred"]),
                name="hold_state_known",
            ),
        ]

    @property
    def is_open(self) -> bool:
        return self.state == self.State.HELD

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        if self.is_open:
            return "Set aside; it is captured, released, expires or moves to another hold, once."
        return "Resolved; nothing is set aside by it any more."

    def __str__(self) -> str:
        return f"{self.purpose} {self.amount.normalize():f} ({self.state})"


AccountRef = Account | int


def account_id(account: Any) -> int:
    """The primary key of an account given as row or key."""
    return account.pk if isinstance(account, Account) else int(account)
