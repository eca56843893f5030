"""Reconciliation: our list beside that of whoever keeps or pays money for us, and what stands on one of them alone."""

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency


class Reconciliation(PublicIdModel):
    """One comparison with one counterpart: a bank account, a provider. Kept, so that it can be shown when it was last equal."""

    counterpart = models.CharField(max_length=64)
    label = models.CharField(max_length=100)
    at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    matched = models.PositiveIntegerField(help_text="How many stand on both lists, equal.")
    unmatched = models.PositiveIntegerField()
    problem = models.CharField(
        max_length=200,
        blank=True,
        help_text="Why it could not be compared; what was unmatched before stands.",
    )
    by = models.CharField(max_length=64)

    class Meta:
        default_permissions = ("view",)
        permissions = [("run_reconciliation", "Can have the lists of providers and banks compared now")]
        indexes = [models.Index(fields=["counterpart", "-id"], name="reconciliation_latest")]

    def __str__(self) -> str:
        return self.label


class Unmatched(models.Model):
    """Something on one list alone, from when it was first seen until it was gone."""

    class Side(models.TextChoices):
        OURS = "ours", "On our list alone"
        THEIRS = "theirs", "On theirs alone"
        UNEQUAL = "unequal", "On both, unequal"

    id = models.BigAutoField(primary_key=True)
    counterpart = models.CharField(max_length=64)
    side = models.CharField(max_length=7, choices=Side)
    # What it is called on the list it stands on.
    name = models.CharField(max_length=128)
    says = models.CharField(max_length=300)
    amount = AmountField(null=True, blank=True)
    currency = models.ForeignKey(Currency, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # The record of ours it is about, as the app and model are called, and its key; empty where there is none.
    subject = models.CharField(max_length=64, blank=True)
    subject_pk = models.CharField(max_length=64, blank=True)
    since = models.DateTimeField(help_text="Since when it waits, as far as is known.")
    seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "unmatched"
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["counterpart", "side", "name"], condition=Q(gone_at=None), name="unmatched_once"
            )
        ]

    def __str__(self) -> str:
        return self.says
