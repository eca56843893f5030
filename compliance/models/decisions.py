"""What clients did or asked to do with money, and what was decided about each: by which rules, and why."""

from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, HistoricalModel, User
from compliance.models.clients import Client, acted_for, desks_of
from compliance.models.limits import Movement


class Outcome(models.TextChoices):
    """What is decided about an activity."""

    ALLOW = "allow", "Allowed"
    REVIEW = "review", "To be looked at"
    BLOCK = "block", "Blocked"


class MonitoringRule(HistoricalModel):
    """Something to watch for in what clients do with money, and what follows when it comes true."""

    class Condition(models.TextChoices):
        LEVEL_BELOW = "level_below", "The client's KYC level is below"
        LEVEL_AGE = "level_age", "The client's KYC level is younger than (hours)"
        ACCOUNT_AGE = "account_age", "We know the client for less than (hours)"
        BENEFICIARY_AGE = "beneficiary_age", "The beneficiary was added less than (hours) ago"
        AMOUNT = "amount", "The amount is at least"
        TURNOVER = "turnover", "In and out within 30 days, this included, is at least"
        OFTEN = "often", "Within 24 hours, this included, there are at least"
        CRYPTO = "crypto", "It is crypto, of at least"
        HIGH_RISK = "high_risk", "The client's risk is high, and the amount at least"
        DEBT = "debt", "The client owes us money, and the amount is at least"
        NOT_ACTIVE = "not_active", "The client is suspended or closed, and the amount at least"

    name = models.CharField(max_length=80, unique=True)
    code = models.CharField(max_length=32, unique=True, help_text="Permanent, in capitals: NEW_BENEFICIARY.")
    kind = models.CharField("watches", max_length=16, choices=Movement, blank=True, help_text="Empty: all.")
    condition = models.CharField(max_length=16, choices=Condition)
    threshold = AmountField(
        default=0, help_text="A level, hours, a number or an amount, as the condition says."
    )
    currency = models.ForeignKey(
        Currency, null=True, blank=True, on_delete=models.PROTECT, related_name="+", help_text="Empty: any."
    )
    outcome = models.CharField(
        max_length=8, choices=[(Outcome.REVIEW, "To be looked at"), (Outcome.BLOCK, "Blocked")],
        default=Outcome.REVIEW,
    )  # fmt: skip
    told = models.CharField(
        "what the client is told", max_length=200, blank=True,
        help_text="Never what was suspected. Empty: that we look at it.",
    )  # fmt: skip
    is_active = models.BooleanField("in force", default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(code__regex=r"^[A-Z][A-Z_]+$"), name="monitoring_rule_code"),
            models.CheckConstraint(condition=Q(outcome__in=["review", "block"]), name="monitoring_rule_outcome"),
            models.CheckConstraint(condition=Q(threshold__gte=0), name="monitoring_rule_threshold"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name


class ActivityQuerySet(models.QuerySet["Activity"]):
    """Reads of activities."""

    def visible_to(self, staff: User) -> "ActivityQuerySet":
        """What this member of staff may see: of the clients they may see."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def of_user(self, user: User) -> "ActivityQuerySet":
        return self.filter(acted_for(user, "client__"))


class Activity(PublicIdModel):
    """Something a client did or asked to do with money: what limits and rules count, until it comes to nothing."""

    kind = models.CharField(max_length=16, choices=Movement)
    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="activities")
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    amount = AmountField()
    subject_type = models.CharField("about", max_length=32)
    subject_id = models.UUIDField()
    at = models.DateTimeField()
    counts = models.BooleanField(help_text="Whether it takes room of its limits.")
    released_at = models.DateTimeField(null=True)

    objects = ActivityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "activities"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["subject_type", "subject_id"], name="activity_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="activity_amount"),
            models.CheckConstraint(
                condition=Q(released_at__isnull=True) | Q(counts=False), name="activity_released_never_counts"
            ),
        ]
        indexes = [
            models.Index(
                fields=["client", "currency", "at"], condition=Q(counts=True), name="activity_counting"
            ),
            models.Index(fields=["client", "-id"], name="activity_by_client"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.at:%Y-%m-%d %H:%M}"


class DecisionQuerySet(models.QuerySet["Decision"]):
    """Reads of decisions."""

    def visible_to(self, staff: User) -> "DecisionQuerySet":
        """What this member of staff may see: of the clients they may see."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(activity__client__desk__in=desks)


class Decision(PublicIdModel):
    """What was decided about an activity, and every reason for it. Never changed; a later look makes another."""

    SEVERITY: Final = (Outcome.ALLOW, Outcome.REVIEW, Outcome.BLOCK)

    activity = models.ForeignKey(Activity, on_delete=models.PROTECT, related_name="decisions")
    outcome = models.CharField(max_length=8, choices=Outcome)
    # [{"code", "outcome", "message": for staff, "told": for the client}]
    reasons = models.JSONField(default=list)
    at = models.DateTimeField()
    by = models.CharField(max_length=64)

    objects = DecisionQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["activity", "-id"], name="decision_by_activity")]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="allow", reasons=[]) | (~Q(outcome="allow") & ~Q(reasons=[])),
                name="decision_has_reasons",
            )
        ]

    @property
    def codes(self) -> list[str]:
        return [reason["code"] for reason in self.reasons]

    @property
    def told(self) -> str:
        """What the client may be told: nothing of what was suspected. Empty where it is allowed."""
        texts = dict.fromkeys(reason["told"] for reason in self.reasons if reason["outcome"] == self.outcome)
        return " ".join(texts)

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} {self.at:%Y-%m-%d %H:%M}"
