"""Configuration that every app stands on: records with history, and currencies."""

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords


class HistoricalModel(models.Model):
    """A configuration or case-like record: every version is kept, with who changed it, when and why."""

    history = HistoricalRecords(inherit=True)

    class Meta:
        abstract = True


class Currency(HistoricalModel):
    """A unit of money and how finely it may be booked."""

    class Kind(models.TextChoices):
        FIAT = "fiat", "Fiat"
        CRYPTO = "crypto", "Crypto"

    code = models.CharField(primary_key=True, max_length=12)
    name = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.FIAT)
    exponent = models.PositiveSmallIntegerField(
        "decimals", default=2, help_text="How many decimals an amount may have."
    )
    is_active = models.BooleanField("in use", default=True)

    class Meta:
        verbose_name_plural = "currencies"
        constraints = [
            models.CheckConstraint(condition=Q(exponent__lte=18), name="currency_exponent_at_most_18"),
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Z0-9]{2,12}$"), name="currency_code_upper_case"
            ),
        ]

    def __str__(self) -> str:
        return self.code
