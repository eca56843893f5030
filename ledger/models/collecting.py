"""What collectors say of deposits, money that is taken back, and what clients owe us where it was gone."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import models
from django.db.models import F, Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, User
from backoffice.patience import Patience
from compliance.models import Client, acted_for, desks_of
from ledger.models.books import Account, Entry, Hold
from ledger.models.deposits import Deposit


class CollectorEventQuerySet(models.QuerySet["CollectorEvent"]):
    """Reads of what collectors told."""

    def visible_to(self, staff: User) -> "CollectorEventQuerySet":
        """What is about nobody we know, and about the clients this member of staff may see."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(Q(deposit=None) | Q(deposit__client__desk__in=desks))

    def to_apply(self, at: datetime) -> "CollectorEventQuerySet":
        """What a lost nudge or a dead worker left behind, or what waits for something it depends on."""
        late = at - CollectorEvent.GRACE
        return self.filter(state=CollectorEvent.State.RECEIVED, tried_at__lt=late).order_by("tried_at", "id")


class CollectorEvent(PublicIdModel):
    """One thing that a collector told us, signed by it, kept once under its own id and reduced to what we need."""

    class Kind(models.TextChoices):
        APPROVED = "approved", "Approved by the client"
        SUCCEEDED = "succeeded", "Money came"
        FAILED = "failed", "Nothing comes"
        REFUNDED = "refunded", "Refunded"
        DISPUTE_OPENED = "dispute_opened", "Dispute opened"
        DISPUTE_WON = "dispute_won", "Dispute won"
        DISPUTE_LOST = "dispute_lost", "Dispute lost"

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        APPLIED = "applied", "Applied"
        IGNORED = "ignored", "Ignored"
        FAILED = "failed", "Could not be applied"

    MOVES: Final = {
        State.RECEIVED: {State.APPLIED, State.IGNORED, State.FAILED},
        State.APPLIED: set(),
        State.IGNORED: set(),
        State.FAILED: {State.RECEIVED, State.IGNORED},
    }
    FINAL: Final = frozenset({State.APPLIED, State.IGNORED})
    PATIENCE: Final = {
        State.RECEIVED: Patience(timedelta(hours=1), "received_at", "A worker"),
        State.FAILED: Patience(timedelta(hours=4), "changed_at", "Payments desk"),
    }
    GRACE: Final = timedelta(seconds=30)

    collector = models.CharField(max_length=32)
    event_id = models.CharField(max_length=128, help_text="The collector's own number of it.")
    kind = models.CharField(max_length=14, choices=Kind)
    deposit = models.ForeignKey(
        Deposit, null=True, blank=True, on_delete=models.PROTECT, related_name="collector_events"
    )
    reference = models.CharField(
        max_length=16, blank=True, help_text="Of the deposit, as the collector has it."
    )
    payment_id = models.CharField(
        max_length=128, blank=True, help_text="What the collector calls the client's payment."
    )
    object_id = models.CharField(max_length=128, blank=True, help_text="The dispute it is about.")
    amount = AmountField(null=True, blank=True)
    fee = AmountField(default=Decimal(0), help_text="What the collector charges us for it.")
    currency_code = models.CharField("currency", max_length=12, blank=True)
    told = models.CharField("in its words", max_length=300, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.RECEIVED)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was not applied.")
    occurred_at = models.DateTimeField(help_text="By the collector's clock.")
    received_at = models.DateTimeField()
    tried_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = CollectorEventQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [("resolve_collectorevent", "Can apply a collector's event again, or set it aside")]
        constraints = [
            models.UniqueConstraint(fields=["collector", "event_id"], name="collector_event_once"),
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__gt=0), name="collector_event_amount"
            ),
            models.CheckConstraint(condition=Q(fee__gte=0), name="collector_event_fee"),
        ]
        indexes = [
            models.Index(fields=["tried_at"], condition=Q(state="received"), name="collector_event_to_apply"),
            models.Index(fields=["deposit", "id"], name="collector_event_by_deposit"),
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.RECEIVED:
                return f"{self.reason or 'Stored as it was told'}; a worker applies it."
            case self.State.APPLIED:
                return "Done: what it says is in the books."
            case self.State.IGNORED:
                return f"Set aside: {self.reason or 'it changes nothing here'}."
            case _:
                return f"Could not be applied: {self.reason}. Somebody mends what is in the way, or sets it aside."

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.event_id}"


class ClawBackQuerySet(models.QuerySet["ClawBack"]):
    """Reads of claw-backs."""

    def of_user(self, user: User) -> "ClawBackQuerySet":
        return self.filter(acted_for(user, "deposit__client__"))

    def visible_to(self, staff: User) -> "ClawBackQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(deposit__client__desk__in=desks)

    def standing(self) -> "ClawBackQuerySet":
        """Money that was taken back, or may still be: all but what failed or came back."""
        return self.exclude(state__in=[ClawBack.State.FAILED, ClawBack.State.WON])

    def to_push(self, at: datetime) -> "ClawBackQuerySet":
        """Refunds a lost nudge or a dead worker left behind: to be sent, or asked about."""
        waits = [ClawBack.State.ASKED, ClawBack.State.SENDING, ClawBack.State.UNKNOWN]
        return self.filter(state__in=waits, asked_at__lt=at - ClawBack.GRACE).order_by("id")


class ClawBack(PublicIdModel):
    """Money of a completed deposit that goes back to whoever paid it: a refund, or a chargeback their bank forced.

    A refund we ask for is held in the wallet until the collector has done it. What a collector takes by itself is taken
    from what is available in the wallet; what is not there the client owes us (`Debt`).
    """

    class Kind(models.TextChoices):
        REFUND = "refund", "Refund"
        CHARGEBACK = "chargeback", "Chargeback"

    class State(models.TextChoices):
        ASKED = "asked", "Asked for"
        SENDING = "sending", "On the wire"
        UNKNOWN = "unknown", "Answer lost"
        DONE = "done", "Refunded"
        OPEN = "open", "Disputed"
        WON = "won", "Won"
        LOST = "lost", "Lost"
        FAILED = "failed", "Not refunded"

    MOVES: Final = {
        State.ASKED: {State.SENDING, State.FAILED},
        State.SENDING: {State.ASKED, State.UNKNOWN, State.DONE, State.FAILED},
        State.UNKNOWN: {State.DONE, State.FAILED},
        State.DONE: {State.FAILED},
        State.OPEN: {State.WON, State.LOST},
        State.WON: set(),
        State.LOST: set(),
        State.FAILED: set(),
    }
    BORN: Final = (State.ASKED, State.DONE, State.OPEN)
    FINAL: Final = frozenset({State.WON, State.LOST, State.FAILED})
    # A refund may come back long after it was done: the card is closed.
    RESTING: Final = frozenset({State.DONE})
    HOLDING: Final = (State.ASKED, State.SENDING, State.UNKNOWN)
    PATIENCE: Final = {
        State.ASKED: Patience(timedelta(minutes=10), "changed_at", "A worker"),
        State.SENDING: Patience(timedelta(minutes=10), "changed_at", "A worker"),
        State.UNKNOWN: Patience(timedelta(minutes=30), "changed_at", "Payments desk"),
        State.OPEN: Patience(timedelta(days=90), "requested_at", "The collector"),
    }
    GRACE: Final = timedelta(seconds=10)
    SENDING_FOR: Final = timedelta(seconds=60)

    deposit = models.ForeignKey(Deposit, on_delete=models.PROTECT, related_name="claw_backs")
    kind = models.CharField(max_length=10, choices=Kind)
    collector = models.CharField(max_length=32)
    external_id = models.CharField(max_length=128, blank=True, help_text="What the collector calls it.")
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    amount = AmountField()
    fee = AmountField(default=Decimal(0), help_text="What the collector charges us for it.")
    state = models.CharField(max_length=7, choices=State)
    hold = models.OneToOneField(Hold, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    entry = models.OneToOneField(
        Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="claw_back"
    )
    return_entry = models.OneToOneField(
        Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="returned_claw_back"
    )
    problem_code = models.CharField(max_length=64, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    key = models.CharField(max_length=200)
    content_hash = models.CharField(max_length=64)
    requested_at = models.DateTimeField()
    asked_at = models.DateTimeField(help_text="When the collector was last asked.")
    sending_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then one worker is at it, and the others leave it alone."
    )
    changed_at = models.DateTimeField()

    objects = ClawBackQuerySet.as_manager()

    class Meta:
        verbose_name = "claw-back"
        default_permissions = ("view",)
        permissions = [("refund_deposit", "Can give a client's deposit back")]
        constraints = [
            models.UniqueConstraint(fields=["deposit", "key"], name="claw_back_key_once"),
            models.UniqueConstraint(
                fields=["collector", "external_id"],
                condition=~Q(external_id=""),
                name="claw_back_external_id_once",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0, fee__gte=0), name="claw_back_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(state__in=["asked", "sending", "unknown"], entry__isnull=True, hold__isnull=False)
                | Q(state__in=["done", "open", "won", "lost"], entry__isnull=False)
                | Q(state="failed"),
                name="claw_back_taken_by_entry",
            ),
        ]
        indexes = [
            models.Index(
                fields=["asked_at"],
                condition=Q(state__in=["asked", "sending", "unknown"]),
                name="claw_back_to_push",
            ),
            models.Index(fields=["requested_at"], condition=Q(state="open"), name="claw_back_open"),
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        State = self.State
        match self.state:
            case State.ASKED:
                return (
                    self.problem or "The money is held in the wallet; the collector is asked within seconds."
                )
            case State.SENDING:
                return "The collector is being asked; its answer, or its absence, says what next."
            case State.UNKNOWN:
                return "The collector's answer was lost. It is never refunded again: the collector's list of refunds says."
            case State.DONE:
                return "The collector has given the money back; it has left the wallet."
            case State.OPEN:
                return "The client's bank has taken the money back while it looks into it; the collector tells of its end."
            case State.WON:
                return "Decided for us: the money is in the wallet again."
            case State.LOST:
                return "Decided against us: the money stays with whoever paid it."
            case _:
                return f"Not refunded: {self.problem or self.problem_code or 'the collector says no'}. The money is the client's again."

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.deposit.reference}"


class DebtQuerySet(models.QuerySet["Debt"]):
    """Reads of debts."""

    def of_user(self, user: User) -> "DebtQuerySet":
        return self.filter(acted_for(user, "client__"))

    def visible_to(self, staff: User) -> "DebtQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def open(self) -> "DebtQuerySet":
        """What is still owed."""
        return self.filter(state__in=Debt.OWED)


class Debt(PublicIdModel):
    """What a client owes us: money was taken back that was not in the wallet any more. An asset of ours until it is settled."""

    class State(models.TextChoices):
        OPEN = "open", "Owed"
        ASKED = "asked", "Write-off asked for"
        RECOVERED = "recovered", "Recovered"
        WRITTEN_OFF = "written_off", "Written off"
        CANCELLED = "cancelled", "Owed no more"

    MOVES: Final = {
        State.OPEN: {State.ASKED, State.RECOVERED, State.CANCELLED},
        State.ASKED: {State.OPEN, State.RECOVERED, State.WRITTEN_OFF, State.CANCELLED},
        State.RECOVERED: set(),
        State.WRITTEN_OFF: set(),
        State.CANCELLED: set(),
    }
    OWED: Final = (State.OPEN, State.ASKED)
    FINAL: Final = frozenset({State.RECOVERED, State.WRITTEN_OFF, State.CANCELLED})
    PATIENCE: Final = {
        State.OPEN: Patience(timedelta(days=7), "opened_at", "Payments desk"),
        State.ASKED: Patience(timedelta(days=2), "changed_at", "Whoever may approve it"),
    }

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="debts")
    claw_back = models.OneToOneField(ClawBack, on_delete=models.PROTECT, related_name="debt")
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    amount = AmountField()
    recovered = AmountField(default=Decimal(0))
    written_off = AmountField(default=Decimal(0))
    cancelled = AmountField(default=Decimal(0))
    state = models.CharField(max_length=11, choices=State, default=State.OPEN)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it is to be written off.")
    opened_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = DebtQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [
            ("recover_debt", "Can recover a debt from the client's wallet, and ask for its write-off"),
            ("write_off_debt", "Can approve and reject the write-off of a debt"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__gt=0, recovered__gte=0, written_off__gte=0, cancelled__gte=0)
                & Q(amount__gte=F("recovered") + F("written_off") + F("cancelled")),
                name="debt_amounts",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["open", "asked"], amount__gt=F("recovered") + F("written_off") + F("cancelled")
                )
                | ~Q(state__in=["open", "asked"])
                & Q(amount=F("recovered") + F("written_off") + F("cancelled")),
                name="debt_open_while_owed",
            ),
        ]
        indexes = [
            models.Index(fields=["opened_at"], condition=Q(state__in=["open", "asked"]), name="debt_owed"),
            models.Index(fields=["client", "-id"], name="debt_by_client"),
        ]

    @property
    def left(self) -> Decimal:
        """What is still owed."""
        left: Decimal = self.amount - self.recovered - self.written_off - self.cancelled
        return left

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        State = self.State
        match self.state:
            case State.OPEN:
                return "Money was taken back that had left the wallet; it is recovered when money is there, or written off."
            case State.ASKED:
                return f"Somebody asked to write it off: {self.reason or 'without a reason'}. Others decide in the approvals inbox."
            case State.RECOVERED:
                return "Taken from the client's wallet; nothing is owed."
            case State.WRITTEN_OFF:
                return f"Written off as a loss of ours: {self.reason or 'agreed to'}."
            case _:
                return "The money came back from the collector; nothing is owed."

    def __str__(self) -> str:
        return f"Debt of {self.client}, {self.currency_id}"
