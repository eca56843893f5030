"""How much money a client may move, by what we know of them; and who was allowed otherwise, until when and why."""

from datetime import datetime
from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, HistoricalModel, User
from compliance.models.clients import Client, desks_of


class Window(models.IntegerChoices):
    """The hours over which a limit counts, back from the moment of the request."""

    ONE = 0, "At once"
    DAY = 24, "In 24 hours"
    WEEK = 168, "In 7 days"
    MONTH = 720, "In 30 days"


class Movement(models.TextChoices):
    """What a client does with money, as limits and rules count it."""

    DEPOSIT = "deposit", "Deposit"
    WITHDRAWAL = "withdrawal", "Withdrawal"
    TRANSFER = "transfer", "Transfer"


# Levels of KYC there are.
LEVELS: Final = (0, 1, 2, 3)


class Limit(HistoricalModel):
    """The most a client of a KYC level may move in a currency, at once or within a rolling window. No row limits nothing."""

    kind = models.CharField(max_length=16, choices=Movement)
    kyc_level = models.PositiveSmallIntegerField("KYC level")
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    window = models.PositiveSmallIntegerField(choices=Window)
    amount = AmountField("at most")
    is_active = models.BooleanField("in force", default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "kyc_level", "currency", "window"], name="limit_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="limit_amount"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, level {self.kyc_level}, {self.currency_id}, {self.get_window_display().lower()}"


class LimitOverrideQuerySet(models.QuerySet["LimitOverride"]):
    """Reads of what single clients are allowed."""

    def visible_to(self, staff: User) -> "LimitOverrideQuerySet":
        """What this member of staff may see: of the clients they may see."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def in_force(self, at: datetime) -> "LimitOverrideQuerySet":
        return self.filter(set_at__lte=at, expires_at__gt=at)


class LimitOverride(PublicIdModel, HistoricalModel):
    """What one client may move instead of what their level may, until it expires. The latest set counts."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="limit_overrides")
    kind = models.CharField(max_length=16, choices=Movement)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    window = models.PositiveSmallIntegerField(choices=Window)
    amount = AmountField("at most")
    expires_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    set_by = models.CharField(max_length=64)
    set_at = models.DateTimeField()

    objects = LimitOverrideQuerySet.as_manager()

    class Meta:
        verbose_name = "client limit"
        default_permissions = ("view",)
        permissions = [("set_limitoverride", "Can set and end a client's own limits")]
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="limit_override_amount"),
            models.CheckConstraint(
                condition=Q(expires_at__gte=models.F("set_at")), name="limit_override_expires"
            ),
        ]
        indexes = [
            models.Index(fields=["client", "kind", "currency", "expires_at"], name="limit_override_in_force")
        ]

    def __str__(self) -> str:
        return f"{self.client}: {self.get_kind_display().lower()}, {self.currency_id}, {self.get_window_display().lower()}"
