"""What can be traded, as the venue offers it."""

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PriceField
from backoffice.models import HistoricalModel


class InstrumentQuerySet(models.QuerySet["Instrument"]):
    """Reads of instruments."""

    def offered(self) -> "InstrumentQuerySet":
        """What a client may trade now: switched on by us and not suspended by the venue."""
        return self.filter(is_offered=True, is_suspended=False)


class Instrument(HistoricalModel):
    """One thing that can be traded, with the limits of rise/fall contracts on it."""

    class Kind(models.TextChoices):
        SYNTHETIC = "synthetic", "Synthetic"
        FOREX = "forex", "Forex"
        CRYPTO = "crypto", "Crypto"
        STOCK = "stock", "Stock"

    symbol = models.CharField(max_length=30, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12, choices=Kind, default=Kind.SYNTHETIC)
    market = models.CharField(max_length=60, blank=True)
    pip = PriceField(help_text="The smallest change of the price.")
    tick_seconds = models.PositiveSmallIntegerField("seconds between ticks", default=2)
    is_offered = models.BooleanField("offered to clients", default=True)
    is_suspended = models.BooleanField("suspended by the venue", default=False)
    min_stake = AmountField(default="0.35")
    max_stake = AmountField(default="2000")
    min_ticks = models.PositiveIntegerField("shortest, in ticks", default=1)
    max_ticks = models.PositiveIntegerField("longest, in ticks", default=10)
    min_seconds = models.PositiveIntegerField("shortest, in seconds", default=15)
    max_seconds = models.PositiveIntegerField("longest, in seconds", default=31536000)
    synced_at = models.DateTimeField(null=True, blank=True)

    objects = InstrumentQuerySet.as_manager()

    class Meta:
        permissions = [("set_venue_faults", "Can make the simulated venue misbehave")]
        constraints = [
            models.CheckConstraint(condition=Q(pip__gt=0), name="instrument_pip_positive"),
            models.CheckConstraint(
                condition=Q(min_stake__gt=0, max_stake__gte=models.F("min_stake")),
                name="instrument_stakes_in_order",
            ),
        ]

    def __str__(self) -> str:
        return self.name
