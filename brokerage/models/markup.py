"""What the venue reports of our markup beside what we booked, month by month."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency
from backoffice.patience import Patience
from brokerage.models.accounts import TradingAccount


class MarkupReport(PublicIdModel):
    """One month's markup of one of our applications, in one currency: ours, the venue's, and what became of it."""

    class State(models.TextChoices):
        RUNNING = "running", "Month not over"
        EQUAL = "equal", "Equal"
        DIFFERENT = "different", "Different"
        ACCEPTED = "accepted", "Venue's figure accepted"
        PAID = "paid", "Paid"

    MOVES: Final = {
        State.RUNNING: {State.EQUAL, State.DIFFERENT},
        State.EQUAL: {State.DIFFERENT, State.PAID},
        State.DIFFERENT: {State.EQUAL, State.ACCEPTED},
        State.ACCEPTED: {State.PAID},
        State.PAID: set(),
    }
    RESTING: Final = frozenset({State.RUNNING})
    PATIENCE: Final = {
        State.EQUAL: Patience(timedelta(days=45), "compared_at", "Finance"),
        State.DIFFERENT: Patience(timedelta(days=3), "compared_at", "Finance"),
        State.ACCEPTED: Patience(timedelta(days=45), "decided_at", "Finance"),
    }

    month = models.DateField(help_text="Its first day; months are of UTC.")
    generation = models.CharField("protocol generation", max_length=4, choices=TradingAccount.Generation)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    ours = AmountField("booked by us")
    ours_count = models.PositiveIntegerField("trades of ours")
    venues = AmountField("reported by the venue")
    venues_count = models.PositiveIntegerField("contracts of the venue's")
    state = models.CharField(max_length=12, choices=State, default=State.RUNNING)
    compared_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=64, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    reference = models.CharField(max_length=64, blank=True, help_text="Of the payment, as the bank shows it.")

    class Meta:
        permissions = [("settle_markup", "Can accept the venue's markup and record its payment")]
        constraints = [
            models.UniqueConstraint(fields=["month", "generation", "currency"], name="markup_report_once"),
            models.CheckConstraint(condition=Q(month__day=1), name="markup_report_of_a_month"),
            models.CheckConstraint(
                condition=~Q(state="paid") | (Q(paid_at__isnull=False) & ~Q(reference="")),
                name="markup_report_paid_with_reference",
            ),
            models.CheckConstraint(
                condition=~Q(state="accepted") | (Q(decided_at__isnull=False) & ~Q(decided_by="")),
                name="markup_report_accepted_by_somebody",
            ),
        ]

    @property
    def gap(self) -> Decimal:
        """The venue's figure less ours, in the report's currency."""
        return Decimal(self.venues - self.ours)

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.RUNNING:
                return "The month is not over; it is compared every day."
            case self.State.EQUAL:
                return "The venue reports what we booked; its payment is recorded here when it arrives."
            case self.State.DIFFERENT:
                return "The venue reports another sum than we booked; finance asks the venue, or accepts its figure."
            case self.State.ACCEPTED:
                return "Our books follow the venue's figure; its payment is recorded here when it arrives."
            case _:
                return "The venue has paid."

    def __str__(self) -> str:
        return f"{self.month:%B %Y}, {self.generation}, {self.currency_id}"
