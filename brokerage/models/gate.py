"""The order gate: whether purchases and early sales may leave, for everything, a symbol, a client or an account."""

from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import PublicIdModel
from backoffice.models import HistoricalModel
from brokerage.models.accounts import TradingAccount
from brokerage.models.instruments import Instrument
from compliance.models import Client


class OrderGateQuerySet(models.QuerySet["OrderGate"]):
    """Reads of the order gate."""

    def closed(self) -> "OrderGateQuerySet":
        """What is not active: the only rows that decide anything."""
        return self.exclude(state=OrderGate.State.ACTIVE)


class OrderGate(PublicIdModel, HistoricalModel):
    """One switch of the order gate. Without a row a scope is active; the strictest of all that apply decides."""

    class Scope(models.TextChoices):
        EVERYTHING = "everything", "Everything"
        SYMBOL = "symbol", "Instrument"
        CLIENT = "client", "Client"
        ACCOUNT = "account", "Trading account"

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        REDUCING = "reducing", "Reducing"
        HALTED = "halted", "Halted"

    # From the laxest to the strictest; staff may set any of them at any time.
    STRICTNESS: Final = (State.ACTIVE, State.REDUCING, State.HALTED)

    scope = models.CharField(max_length=10, choices=Scope)
    instrument = models.OneToOneField(
        Instrument, null=True, blank=True, on_delete=models.PROTECT, related_name="gate"
    )
    client = models.OneToOneField(
        Client, null=True, blank=True, on_delete=models.PROTECT, related_name="gate"
    )
    account = models.OneToOneField(
        TradingAccount, null=True, blank=True, on_delete=models.PROTECT, related_name="gate"
    )
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    reason = models.CharField(max_length=200, blank=True)
    changed_by = models.CharField(max_length=64)
    changed_at = models.DateTimeField()

    objects = OrderGateQuerySet.as_manager()

    class Meta:
        verbose_name = "order gate"
        permissions = [("change_gate", "Can halt and resume trading")]
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    scope="everything", instrument__isnull=True, client__isnull=True, account__isnull=True
                )
                | Q(scope="symbol", instrument__isnull=False, client__isnull=True, account__isnull=True)
                | Q(scope="client", instrument__isnull=True, client__isnull=False, account__isnull=True)
                | Q(scope="account", instrument__isnull=True, client__isnull=True, account__isnull=False),
                name="order_gate_names_its_target",
            ),
            models.UniqueConstraint(
                fields=["scope"], condition=Q(scope="everything"), name="order_gate_everything_once"
            ),
        ]

    @property
    def target(self) -> Instrument | Client | TradingAccount | None:
        """What it is about; None for everything."""
        return self.instrument or self.client or self.account

    @property
    def why(self) -> str:
        """One sentence: what may and may not leave here."""
        match self.state:
            case self.State.HALTED:
                return "Nothing is bought or sold early; contracts already bought go on and settle."
            case self.State.REDUCING:
                return "Nothing is bought; open contracts may be sold early, and the others go on and settle."
            case _:
                return "Trading goes on."

    def __str__(self) -> str:
        return str(self.target or "Everything")
