"""What control of the books keeps: closed days, asserted balances, and checks of what must hold."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import User
from backoffice.patience import Patience
from compliance.models import Client, desks_of
from ledger.models.books import Account, Book


class ClosingQuerySet(models.QuerySet["Closing"]):
    """Reads of closed days."""

    def standing(self, book: str) -> "ClosingQuerySet":
        """The closes of a book that were not taken back."""
        return self.filter(book=book, reopened_at=None)


class Closing(PublicIdModel):
    """A book's business date that is closed: nothing more is booked on it, or on any day before it.

    `totals` are what stood there at its end, by currency, kind, purpose and kind of owner, debits above zero, as text.
    `hash` condenses them together with the hash of the book's close before, whether that stands or was taken back.
    """

    book = models.CharField(max_length=12, choices=Book)
    business_date = models.DateField()
    totals = models.JSONField()
    entries = models.PositiveBigIntegerField(help_text="How many were booked on the day.")
    previous = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="next", verbose_name="the close before"
    )
    hash = models.CharField(max_length=64)
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=64)
    closed_by_user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    reopened_at = models.DateTimeField(null=True, blank=True)
    reopened_by = models.CharField(max_length=64, blank=True)

    objects = ClosingQuerySet.as_manager()

    class Meta:
        verbose_name = "closed day"
        default_permissions = ("view",)
        permissions = [
            ("close_day", "Can close a day of a book"),
            ("reopen_day", "Can reopen the last closed day of a book"),
            ("export_books", "Can download the books and their reports"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["book", "business_date"], condition=Q(reopened_at=None), name="closing_once"
            ),
            models.UniqueConstraint(fields=["book"], condition=Q(previous=None), name="closing_begins_once"),
        ]

    @property
    def stands(self) -> bool:
        return self.reopened_at is None

    def __str__(self) -> str:
        return f"{self.get_book_display()} {self.business_date:%Y-%m-%d}"


class BalanceAssertionQuerySet(models.QuerySet["BalanceAssertion"]):
    """Reads of asserted balances."""

    def visible_to(self, staff: User) -> "BalanceAssertionQuerySet":
        """The house's, and those of the clients this member of staff may see."""
        if desks_of(staff) is None:
            return self
        seen = Client.objects.visible_to(staff).values("uuid")
        return self.filter(Q(account__client_id=None) | Q(account__client_id__in=seen))

    def failing(self, book: str) -> "BalanceAssertionQuerySet":
        return self.filter(account__book=book, state=BalanceAssertion.State.FAILS)


class BalanceAssertion(PublicIdModel):
    """What somebody says an account stands at, at the end of a business date; from a bank's statement, say.

    `amount` and `found` are on the account's normal side, in its currency.
    """

    class State(models.TextChoices):
        HOLDS = "holds", "Holds"
        FAILS = "fails", "Fails"
        RESOLVED = "resolved", "Resolved"

    MOVES: Final = {
        State.HOLDS: {State.FAILS},
        State.FAILS: {State.HOLDS, State.RESOLVED},
        State.RESOLVED: set(),
    }
    FINAL: Final = frozenset({State.RESOLVED})
    RESTING: Final = frozenset({State.HOLDS})
    PATIENCE: Final = {State.FAILS: Patience(timedelta(days=1), "changed_at", "Whoever keeps the books")}

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="assertions")
    business_date = models.DateField("at the end of")
    amount = AmountField("stands at")
    found = AmountField("the books say")
    source = models.CharField(max_length=120, blank=True, help_text="Where the figure is from.")
    state = models.CharField(max_length=8, choices=State, default=State.HOLDS)
    entered_at = models.DateTimeField()
    entered_by = models.CharField(max_length=64)
    checked_at = models.DateTimeField()
    changed_at = models.DateTimeField(help_text="Since when it holds, fails or is resolved.")

    objects = BalanceAssertionQuerySet.as_manager()

    class Meta:
        verbose_name = "asserted balance"
        default_permissions = ("view",)
        permissions = [
            ("enter_assertion", "Can say what an account stands at"),
            ("resolve_assertion", "Can resolve a balance that is not as asserted"),
        ]
        indexes = [
            models.Index(fields=["state", "business_date"], name="assertion_by_state"),
        ]

    @property
    def difference(self) -> Decimal:
        """What is missing in the books: asserted less found."""
        missing: Decimal = self.amount - self.found
        return missing

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        if self.state == self.State.HOLDS:
            return "The books agree; it is checked every night while the day is open."
        if self.state == self.State.FAILS:
            return "The books say something else: book what is missing, or resolve it with the reason. The day cannot be closed meanwhile."
        return "Somebody said why the books are right, or why it does not matter."

    def __str__(self) -> str:
        return f"{self.account} at the end of {self.business_date:%Y-%m-%d}"


class InvariantRun(PublicIdModel):
    """One check of one invariant: what it found, and how long it took."""

    invariant = models.CharField(max_length=48)
    at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    found = models.PositiveIntegerField(help_text="How many break it.")
    by = models.CharField(max_length=64)

    class Meta:
        verbose_name = "invariant"
        default_permissions = ("view",)
        permissions = [("run_invariants", "Can have the invariants checked now")]
        indexes = [models.Index(fields=["invariant", "-id"], name="invariant_run_latest")]

    def __str__(self) -> str:
        return self.invariant.replace("_", " ").capitalize()


class InvariantOffender(models.Model):
    """Something that breaks an invariant, from when it was first seen until it was gone."""

    id = models.BigAutoField(primary_key=True)
    invariant = models.CharField(max_length=48)
    # The kind of record, as the app and model are called, and its key; empty where it is no record.
    subject = models.CharField(max_length=64, blank=True)
    subject_pk = models.CharField(max_length=64, blank=True)
    says = models.CharField(max_length=300)
    since = models.DateTimeField(help_text="Since when it is so, as far as is known.")
    seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["invariant", "subject", "subject_pk"],
                condition=Q(gone_at=None),
                name="invariant_offender_once",
            )
        ]

    def __str__(self) -> str:
        return self.says
