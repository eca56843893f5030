"""What waits for a second pair of eyes: who must agree to what, what they were shown, and how each of them voted."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.in_hand import InHand, InHandQuerySet
from backoffice.models import Currency, HistoricalModel, User
from backoffice.patience import Patience, late
from compliance.models.clients import Client, desks_of


class ApprovalPolicyQuerySet(models.QuerySet["ApprovalPolicy"]):
    """Reads of approval policies."""

    def applying(self, kind: str, amount: Decimal | None, currency_id: str | None) -> "ApprovalPolicy | None":
        """The policy for a thing of this kind and amount: the highest that the amount reaches, of the currency's own;
        where none of those is reached, of those for any currency. None: nobody has made one that applies.

        What has no amount is looked at as zero.
        """
        reached = self.filter(kind=kind, is_active=True, from_amount__lte=amount or 0)
        of_currency = reached.filter(Q(currency=None) | Q(currency=currency_id))
        return of_currency.order_by(F("currency").asc(nulls_last=True), "-from_amount").first()


class ApprovalPolicy(HistoricalModel):
    """How many must agree to a kind of thing from an amount on, of which role, and within which time."""

    kind = models.CharField(max_length=40)
    currency = models.ForeignKey(
        Currency, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: any."
    )
    from_amount = AmountField("from", default=0, help_text="Applies from this amount on.")
    approvers = models.PositiveSmallIntegerField(
        default=1, help_text="How many must agree, each another person than who asks. 0: done at once."
    )
    role = models.ForeignKey(
        Group, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="Empty: everybody who may decide this kind.",
    )  # fmt: skip
    hours = models.PositiveIntegerField("good for (hours)", default=72)
    is_active = models.BooleanField("in force", default=True)

    objects = ApprovalPolicyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "approval policies"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "currency", "from_amount"], nulls_distinct=False, name="approval_policy_once"
            ),
            models.CheckConstraint(condition=Q(approvers__lte=5), name="approval_policy_0_to_5"),
            models.CheckConstraint(condition=Q(from_amount__gte=0), name="approval_policy_from"),
            models.CheckConstraint(condition=Q(hours__gte=1, hours__lte=8760), name="approval_policy_hours"),
        ]

    def __str__(self) -> str:
        amount = f"{self.from_amount:f}"
        amount = amount.rstrip("0").rstrip(".") if "." in amount else amount
        many = {0: "nobody", 1: "1 person"}.get(self.approvers, f"{self.approvers} people")
        return f"{self.kind} from {amount} {self.currency_id or 'of any currency'}: {many}"


class ApprovalQuerySet(InHandQuerySet["Approval"]):
    """Reads of approvals."""

    def visible_to(self, staff: User) -> "ApprovalQuerySet":
        """What this member of staff may see: what is of no client, and of the clients they may see."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(Q(client=None) | Q(client__desk__in=desks))

    def of_user(self, user: User) -> "ApprovalQuerySet":
        """None: what staff decide is not the client's to see. They see the thing itself."""
        return self.none()

    def open(self) -> "ApprovalQuerySet":
        """Waiting for somebody's vote, oldest first."""
        return self.filter(state=Approval.State.OPEN).order_by("id")

    def of_subject(self, kind: str, subject_id: UUID) -> "ApprovalQuerySet":
        """Everything that was asked about one thing, oldest first."""
        return self.filter(kind=kind, subject_id=subject_id).order_by("id")

    def failed(self) -> "ApprovalQuerySet":
        """Agreed to, and refused when it was to be done."""
        return self.filter(state=Approval.State.FAILED)

    def due(self, at: datetime) -> "ApprovalQuerySet":
        """What ran out of its time, what could not be done among it."""
        return self.filter(state__in=Approval.WAITING, expires_at__lte=at).order_by("expires_at", "id")

    def stuck(self, at: datetime) -> "ApprovalQuerySet":
        return self.filter(late(Approval, at))


class Approval(PublicIdModel, InHand):
    """One thing somebody asked for that others must agree to: what it was when they asked, and how it ended.

    What is agreed to is the content whose hash stands here; what the thing is called and holds never changes.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        APPROVED = "approved", "Approved"
        APPLIED = "applied", "Done"
        REJECTED = "rejected", "Rejected"
        VOIDED = "voided", "Voided"
        EXPIRED = "expired", "Expired"
        FAILED = "failed", "Approved, then refused"

    MOVES: Final = {
        State.OPEN: {State.APPROVED, State.REJECTED, State.VOIDED, State.EXPIRED},
        State.APPROVED: {State.APPLIED, State.FAILED, State.VOIDED, State.EXPIRED},
        State.APPLIED: set(),
        State.REJECTED: set(),
        State.VOIDED: set(),
        State.EXPIRED: set(),
        # What could not be done waits for somebody to try again, to call it off, or for its time to end.
        State.FAILED: {State.APPROVED, State.VOIDED, State.EXPIRED},
    }
    WAITING: Final = (State.OPEN, State.APPROVED, State.FAILED)
    PATIENCE: Final = {
        State.OPEN: Patience(timedelta(hours=4), "requested_at", "Whoever may approve it"),
        State.APPROVED: Patience(timedelta(minutes=2), ("decided_at", "requested_at"), "A worker"),
        State.FAILED: Patience(timedelta(hours=4), ("decided_at", "requested_at"), "Whoever may approve it"),
    }

    kind = models.CharField(max_length=40)
    subject_type = models.CharField("about", max_length=32)
    subject_id = models.UUIDField()
    client = models.ForeignKey(Client, null=True, on_delete=models.PROTECT, related_name="approvals")
    amount = AmountField(null=True)
    currency = models.ForeignKey(Currency, null=True, on_delete=models.PROTECT, related_name="+")
    title = models.CharField(max_length=200)
    # Ids, amounts and states: what its approvers agree to, as it was when it was asked for.
    content = models.JSONField()
    content_hash = models.CharField(max_length=64)
    policy = models.ForeignKey(ApprovalPolicy, null=True, on_delete=models.PROTECT, related_name="+")
    needed = models.PositiveSmallIntegerField("approvals needed")
    role = models.ForeignKey(Group, null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    requested_by = models.CharField(max_length=64)
    requested_by_user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    # Why it ended as it did, where it was not simply done: a refusal's code and message, or somebody's reason.
    code = models.CharField(max_length=64, blank=True)
    message = models.CharField(max_length=500, blank=True)
    objects = ApprovalQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [("decide_approval", "Can approve and reject what others ask for")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject_id"], condition=Q(state__in=["open", "approved"]),
                name="approval_open_once",
            ),
            models.CheckConstraint(
                condition=Q(amount__isnull=True, currency__isnull=True)
                | Q(amount__isnull=False, currency__isnull=False),
                name="approval_amount_with_currency",
            ),
            models.CheckConstraint(
                condition=Q(needed__gte=1, needed__lte=5) | Q(needed=0, policy__isnull=False),
                name="approval_by_nobody_by_policy",
            ),
            models.CheckConstraint(
                condition=Q(state="open") ^ Q(decided_at__isnull=False), name="approval_decided_at"
            ),
            models.CheckConstraint(
                condition=Q(taken_by__isnull=True, taken_until__isnull=True)
                | Q(taken_by__isnull=False, taken_until__isnull=False),
                name="approval_taken_until",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["id"], condition=Q(state="open"), name="approval_open"),
            models.Index(
                fields=["expires_at"], condition=Q(state__in=["open", "approved", "failed"]), name="approval_due"
            ),
            models.Index(fields=["subject_id"], name="approval_by_subject"),
            models.Index(fields=["client", "-id"], name="approval_by_client"),
        ]  # fmt: skip

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        State = self.State
        match self.state:
            case State.OPEN:
                who = f" of the role {self.role}" if self.role_id else ""
                many = "one person" if self.needed == 1 else f"{self.needed} people"
                return f"It is done when {many}{who} other than who asked agree; nobody's vote ends it on its own but a no."
            case State.APPROVED:
                return "Agreed to; a worker does it within moments."
            case State.APPLIED if not self.needed:
                return "Done at once: its policy asks nobody."
            case State.APPLIED:
                return "Agreed to, and done."
            case State.REJECTED:
                return "Somebody said no."
            case State.VOIDED:
                return f"It ended before it was decided. {self.message}".strip()
            case State.EXPIRED if self.message:
                return f"It was not done in time: {self.message.rstrip('.')}."
            case State.EXPIRED:
                return "Nobody decided in time."
            case _:
                said = (self.message or self.code).rstrip(".")
                return f"It was agreed to, and could not be done: {said}. Try again when that is mended, or call it off; else it ends by itself."

    def __str__(self) -> str:
        return self.title


class Vote(models.Model):
    """What one person said to an approval, about the content they were shown. Never changed, never taken back."""

    class Verdict(models.TextChoices):
        APPROVE = "approve", "Approved"
        REJECT = "reject", "Rejected"

    id = models.BigAutoField(primary_key=True)
    approval = models.ForeignKey(Approval, on_delete=models.PROTECT, related_name="votes")
    by_user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=8, choices=Verdict)
    reason = models.CharField(max_length=500, blank=True)
    content_hash = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["approval", "by_user"], name="vote_once")]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()} by {self.by_user}"
