"""Bank statements as they were imported, and the lines on them."""

from datetime import timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.in_hand import InHand, InHandQuerySet
from backoffice.models import User
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField
from compliance.models import desks_of
from ledger.models.books import Entry
from ledger.models.deposits import Deposit
from ledger.models.payments_setup import BankAccount, Fee


class BankStatementQuerySet(models.QuerySet["BankStatement"]):
    """Reads of statements; the file itself is read only where it is parsed."""

    def without_file(self) -> "BankStatementQuerySet":
        return self.defer("content")


class BankStatement(PublicIdModel):
    """A file of a bank about one account of ours: uploaded, looked at, and imported or discarded. The file stays."""

    class State(models.TextChoices):
        UPLOADED = "uploaded", "Waits to be imported"
        IMPORTED = "imported", "Imported"
        DISCARDED = "discarded", "Discarded"

    class Format(models.TextChoices):
        CAMT053 = "camt.053", "camt.053"
        CSV = "csv", "CSV"

    MOVES: Final = {
        State.UPLOADED: {State.IMPORTED, State.DISCARDED},
        State.IMPORTED: set(),
        State.DISCARDED: {State.UPLOADED},
    }
    FINAL: Final = frozenset({State.IMPORTED})
    RESTING: Final = frozenset({State.DISCARDED})
    PATIENCE: Final = {
        State.UPLOADED: Patience(timedelta(hours=4), "uploaded_at", "Payments desk"),
    }

    bank_account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, related_name="statements")
    file_name = models.CharField(max_length=200)
    file_hash = models.CharField(max_length=64, help_text="SHA-256 of the file.")
    content = EncryptedField(help_text="The file as it was uploaded, compressed.")
    format = models.CharField(max_length=8, choices=Format)
    number = models.CharField(max_length=100, blank=True, help_text="The bank's number of it.")
    state = models.CharField(max_length=9, choices=State, default=State.UPLOADED)
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    opening = AmountField("opening balance", null=True, blank=True)
    closing = AmountField("closing balance", null=True, blank=True)
    lines_read = models.PositiveIntegerField("lines", default=0)
    lines_new = models.PositiveIntegerField("new lines", default=0, help_text="Without those known before.")
    money_in = AmountField(default=Decimal(0), help_text="Of the new lines.")
    money_out = AmountField(default=Decimal(0), help_text="Of the new lines.")
    uploaded_by = models.CharField(max_length=64)
    uploaded_at = models.DateTimeField()
    imported_by = models.CharField(max_length=64, blank=True)
    imported_at = models.DateTimeField(null=True, blank=True)

    objects = BankStatementQuerySet.as_manager()

    class Meta:
        permissions = [("import_bankstatement", "Can upload, import and discard bank statements")]
        constraints = [
            models.UniqueConstraint(fields=["bank_account", "file_hash"], name="bank_statement_file_once"),
            models.CheckConstraint(
                condition=Q(state="imported", imported_at__isnull=False)
                | (~Q(state="imported") & Q(imported_at__isnull=True)),
                name="bank_statement_imported_has_time",
            ),
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.UPLOADED:
                return "Nothing is booked yet. Look at what each line would do, then import or discard it."
            case self.State.IMPORTED:
                return "Its lines are booked. What matched no deposit waits in suspense."
            case _:
                return "Set aside by somebody; nothing of it was booked. Uploading the file again brings it back."

    def __str__(self) -> str:
        return f"{self.bank_account} · {self.number or self.file_name}"


class BankLineQuerySet(InHandQuerySet["BankLine"]):
    """Reads of bank lines."""

    def visible_to(self, staff: User) -> "BankLineQuerySet":
        """Lines that are nobody's yet, and those of the clients this member of staff may see."""
        desks = desks_of(staff)
        if desks is None:
            return self
        return self.filter(Q(deposit__isnull=True) | Q(deposit__client__desk__in=desks))

    def waiting(self) -> "BankLineQuerySet":
        """What somebody has to decide about."""
        return self.filter(state__in=BankLine.WAITING)

    def of_withdrawal(self, public_id: UUID) -> "BankLineQuerySet":
        """The lines that say a withdrawal was paid, or came back: those its own entries explain."""
        return self.filter(settled_by__subject_type="withdrawal", settled_by__subject_id=public_id).order_by(
            "id"
        )

    def in_suspense(self) -> "BankLineQuerySet":
        return self.filter(state=BankLine.State.SUSPENSE)

    def with_statement(self) -> "BankLineQuerySet":
        """With the statement each is on, but not its file: that is megabytes, and would be decrypted for every line."""
        return self.select_related("statement__bank_account").defer("statement__content")


class BankLine(PublicIdModel, InHand):
    """One movement on a bank account of ours, as the bank tells it. It is booked once, whatever files it is in."""

    class State(models.TextChoices):
        MATCHED = "matched", "Credited to a deposit"
        SUSPENSE = "suspense", "In suspense"
        ASSIGNED = "assigned", "Assigned to a client"
        TO_RETURN = "to_return", "To be sent back"
        RETURNED = "returned", "Sent back"
        UNMATCHED_OUT = "unmatched_out", "Unexplained"
        PAID = "paid", "A payment of ours"
        BANK_FEE = "bank_fee", "The bank's fee"

    MOVES: Final = {
        State.SUSPENSE: {State.ASSIGNED, State.TO_RETURN, State.PAID},
        State.ASSIGNED: set(),
        State.TO_RETURN: {State.SUSPENSE, State.RETURNED},
        State.RETURNED: set(),
        State.MATCHED: set(),
        State.UNMATCHED_OUT: {State.PAID, State.BANK_FEE},
        State.PAID: set(),
        State.BANK_FEE: set(),
    }
    # A line comes into the world in one of these.
    BORN: Final = (State.MATCHED, State.SUSPENSE, State.UNMATCHED_OUT)
    FINAL: Final = frozenset({State.ASSIGNED, State.RETURNED, State.MATCHED, State.PAID, State.BANK_FEE})
    WAITING: Final = (State.SUSPENSE, State.TO_RETURN, State.UNMATCHED_OUT)
    PATIENCE: Final = {
        State.SUSPENSE: Patience(timedelta(days=1), "imported_at", "Payments desk"),
        State.TO_RETURN: Patience(timedelta(days=2), "changed_at", "Payments desk"),
        State.UNMATCHED_OUT: Patience(timedelta(days=1), "imported_at", "Payments desk"),
    }

    statement = models.ForeignKey(BankStatement, on_delete=models.PROTECT, related_name="lines")
    bank_account = models.ForeignKey(BankAccount, on_delete=models.PROTECT, related_name="lines")
    place = models.PositiveIntegerField(help_text="Where it stands in the file, from 1.")
    fingerprint = models.CharField(max_length=64)
    direction = models.CharField(max_length=3, choices=Fee.Direction)
    amount = AmountField()
    booked_on = models.DateField()
    value_on = models.DateField(null=True, blank=True)
    is_reversal = models.BooleanField("takes back an earlier line", default=False)
    text = models.CharField("reference text", max_length=500, blank=True)
    counterparty = models.CharField(max_length=140, blank=True)
    counterparty_iban = EncryptedField(blank=True)
    end_to_end_id = models.CharField(max_length=35, blank=True)
    bank_id = models.CharField("bank's id", max_length=64, blank=True)
    state = models.CharField(max_length=13, choices=State, default=State.SUSPENSE)
    reason = models.CharField(max_length=200, blank=True, help_text="Why it was matched, or why not.")
    deposit = models.OneToOneField(
        Deposit, null=True, blank=True, on_delete=models.PROTECT, related_name="bank_line"
    )
    entry = models.OneToOneField(Entry, on_delete=models.PROTECT, related_name="bank_line")
    # Money that came and was sent back is settled, both lines, by one entry.
    settled_by = models.ForeignKey(
        Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="settled_bank_lines",
        help_text="The entry that moved it out of suspense, or explained it.",
    )  # fmt: skip
    imported_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = BankLineQuerySet.as_manager()

    class Meta:
        permissions = [
            ("resolve_bankline", "Can assign money in suspense, mark it to be sent back, and book bank fees")
        ]
        constraints = [
            models.UniqueConstraint(fields=["bank_account", "fingerprint"], name="bank_line_once"),
            models.CheckConstraint(
                condition=Q(taken_by__isnull=True, taken_until__isnull=True)
                | Q(taken_by__isnull=False, taken_until__isnull=False),
                name="bank_line_taken_until",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="bank_line_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(state__in=["matched", "assigned"], deposit__isnull=False)
                | (~Q(state__in=["matched", "assigned"]) & Q(deposit__isnull=True)),
                name="bank_line_credited_has_deposit",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["suspense", "to_return", "matched", "unmatched_out"], settled_by__isnull=True)
                | (~Q(state__in=["suspense", "to_return", "matched", "unmatched_out"]) & Q(settled_by__isnull=False)),
                name="bank_line_settled_by_entry",
            ),
            models.CheckConstraint(
                condition=Q(direction="in", state__in=["matched", "suspense", "assigned", "to_return", "returned", "paid"])
                | Q(direction="out", state__in=["unmatched_out", "paid", "bank_fee"]),
                name="bank_line_state_of_direction",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(
                fields=["imported_at"],
                condition=Q(state__in=["suspense", "to_return", "unmatched_out"]),
                name="bank_line_waiting",
            ),
            models.Index(
                fields=["end_to_end_id"], condition=~Q(end_to_end_id=""), name="bank_line_by_end_to_end"
            ),
            models.Index(fields=["statement", "place"], name="bank_line_by_statement"),
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.SUSPENSE:
                return f"{self.reason or 'No deposit matches'}; somebody assigns it, or has it sent back."
            case self.State.TO_RETURN:
                return "Belongs to nobody here; it is paid back to the account it came from."
            case self.State.UNMATCHED_OUT:
                return "Money left and no payment of ours explains it yet; a payment claims it, or it is the bank's fee."
            case self.State.MATCHED:
                return f"{self.reason or 'Credited'}."
            case self.State.ASSIGNED:
                return "Assigned by somebody and credited to the client."
            case self.State.RETURNED:
                return "Paid back to the account it came from."
            case self.State.PAID:
                return "Explained by a payment of ours."
            case _:
                return "Booked as a fee of the bank."

    def __str__(self) -> str:
        sign = "+" if self.direction == Fee.Direction.IN else "−"
        return f"{sign}{self.amount:,.2f} on {self.booked_on:%Y-%m-%d}"
