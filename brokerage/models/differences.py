"""What our books and the venue's say differently, for a person to decide."""

from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import PublicIdModel
from backoffice.models import User
from backoffice.patience import Patience, late
from brokerage.models.accounts import TradingAccount
from brokerage.models.statements import VenueLine
from brokerage.models.trades import Trade
from compliance.models import desks_of


class DifferenceQuerySet(models.QuerySet["Difference"]):
    """Reads of differences."""

    def visible_to(self, staff: User) -> "DifferenceQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(account__client__desk__in=desks)

    def open(self) -> "DifferenceQuerySet":
        """Waiting for somebody's decision, oldest first."""
        return self.filter(state=Difference.State.OPEN).order_by("id")

    def stuck(self, at: datetime) -> "DifferenceQuerySet":
        return self.filter(late(Difference, at))


class Difference(PublicIdModel):
    """One thing our books and the venue's say differently. Resolved once, by one person, with a reason."""

    class Kind(models.TextChoices):
        TWO_CANDIDATES = "two_candidates", "Several contracts fit"
        PURCHASE = "purchase", "Bought at another price"
        SETTLEMENT = "settlement", "Ended otherwise"
        LATE_PURCHASE = "late_purchase", "Bought after all"
        FOREIGN_LINE = "foreign_line", "Another account's line"
        CHANGED_LINE = "changed_line", "A line that changed"
        GAP = "gap", "A gap in the statement"
        BALANCE = "balance", "Balances differ"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        RESOLVED = "resolved", "Resolved"

    class Resolution(models.TextChoices):
        ADOPTED = "adopted", "Contract adopted"
        NEVER_PLACED = "never_placed", "Never placed"
        CORRECTED = "corrected", "Corrected to the statement"
        EXPLAINED = "explained", "Explained"
        WENT_AWAY = "went_away", "Went away"

    MOVES: Final = {State.OPEN: {State.RESOLVED}, State.RESOLVED: set()}
    PATIENCE: Final = {State.OPEN: Patience(timedelta(hours=1), "found_at", "Dealing desk")}
    # Which decisions a person has, by what differs.
    CHOICES: Final = {
        Kind.TWO_CANDIDATES: (Resolution.ADOPTED, Resolution.NEVER_PLACED),
        Kind.PURCHASE: (Resolution.CORRECTED,),
        Kind.SETTLEMENT: (Resolution.CORRECTED,),
        Kind.LATE_PURCHASE: (Resolution.EXPLAINED,),
        Kind.FOREIGN_LINE: (Resolution.EXPLAINED,),
        Kind.CHANGED_LINE: (Resolution.EXPLAINED,),
        Kind.GAP: (Resolution.EXPLAINED,),
        Kind.BALANCE: (Resolution.CORRECTED, Resolution.EXPLAINED),
    }

    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="differences")
    trade = models.ForeignKey(
        Trade, null=True, blank=True, on_delete=models.PROTECT, related_name="differences"
    )
    line = models.ForeignKey(
        VenueLine, null=True, blank=True, on_delete=models.PROTECT, related_name="differences"
    )
    kind = models.CharField(max_length=16, choices=Kind)
    about = models.CharField(max_length=64, help_text="What exactly differs, so that it is listed once.")
    sentence = models.CharField(max_length=300)
    # Ids, amounts and times only: {"candidates": [{…}]} or {"ours": "10.00", "venues": "9.00"}.
    facts = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    found_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=64, blank=True)
    resolution = models.CharField(max_length=12, choices=Resolution, blank=True)

    objects = DifferenceQuerySet.as_manager()

    class Meta:
        permissions = [("resolve_difference", "Can decide a difference between our books and the venue's")]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "about"], condition=Q(state="open"), name="difference_listed_once"
            ),
            models.CheckConstraint(
                condition=Q(state="open", resolved_at__isnull=True, resolution="")
                | (Q(state="resolved", resolved_at__isnull=False) & ~Q(resolution="") & ~Q(resolved_by="")),
                name="difference_resolved_by_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["found_at"], condition=Q(state="open"), name="difference_open"),
            models.Index(fields=["account", "-id"], name="difference_by_account"),
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        if self.state == self.State.RESOLVED:
            return f"{self.get_resolution_display()}. {self.sentence}"
        return f"{self.sentence} Nothing moves until somebody decides."

    def __str__(self) -> str:
        return self.get_kind_display()
