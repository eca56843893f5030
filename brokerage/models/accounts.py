"""A client's account at a venue."""

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from backoffice.database import AmountField, PublicIdModel, RateField
from backoffice.models import Currency, User
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField
from compliance.models import Client, desks_of
from ledger.models import Account


class TradingAccountQuerySet(models.QuerySet["TradingAccount"]):
    """Reads of trading accounts."""

    def of_user(self, user: User) -> "TradingAccountQuerySet":
        return self.filter(client__membership__user=user)

    def visible_to(self, staff: User) -> "TradingAccountQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def opening(self) -> "TradingAccountQuerySet":
        """Waiting for the venue to open them."""
        return self.filter(state=TradingAccount.State.OPENING).order_by("id")

    def to_stream(self) -> "TradingAccountQuerySet":
        """Accounts `streams` keeps a connection for."""
        return self.filter(state=TradingAccount.State.ACTIVE).order_by("id")


class TradingAccount(PublicIdModel):
    """A client's account at a venue. It owns ledger accounts in a mirror book; it never is one."""

    class Kind(models.TextChoices):
        DEMO = "demo", "Demo"
        REAL = "real", "Real"

    class Generation(models.TextChoices):
        V3 = "v3", "v3"
        V4 = "v4", "v4"

    class State(models.TextChoices):
        OPENING = "opening", "Opening"
        ACTIVE = "active", "Active"
        UNREACHABLE = "unreachable", "Needs a new token"
        CLOSED = "closed", "Closed"

    MOVES: Final = {
        State.OPENING: {State.ACTIVE, State.CLOSED},
        State.ACTIVE: {State.UNREACHABLE, State.CLOSED},
        State.UNREACHABLE: {State.ACTIVE, State.CLOSED},
        State.CLOSED: set(),
    }
    RESTING: Final = frozenset({State.ACTIVE})
    PATIENCE: Final = {
        State.OPENING: Patience(timedelta(minutes=2), "requested_at", "A worker"),
        State.UNREACHABLE: Patience(timedelta(days=7), ("venue_balance_at", "requested_at"), "The client"),
    }

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="trading_accounts")
    kind = models.CharField(max_length=8, choices=Kind)
    venue = models.CharField(max_length=16, default="deriv")
    generation = models.CharField("protocol generation", max_length=4, choices=Generation, default="v3")
    login_id = models.CharField("login id", max_length=32, blank=True)
    old_login_id = models.CharField(
        "login id on v3",
        max_length=32,
        blank=True,
        help_text="What it was called before the venue moved it to v4.",
    )
    migrated_at = models.DateTimeField(null=True, blank=True, help_text="When we followed its move to v4.")
    token = EncryptedField(blank=True)
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, choices=State, default=State.OPENING)
    is_default = models.BooleanField("default account", default=False)
    markup_rate = RateField("markup", null=True, blank=True, help_text="0.02 is 2 %. Empty: the client's.")
    opening_balance = AmountField(help_text="What the venue credits when the account is opened.")
    venue_balance = AmountField("balance at the venue", null=True, blank=True)
    venue_balance_at = models.DateTimeField(null=True, blank=True)
    cash = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="+", help_text="Mirror of the venue's balance."
    )
    stakes = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="+", help_text="Stakes in open contracts."
    )
    requested_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)
    reconciled_at = models.DateTimeField(
        null=True, blank=True, help_text="When the venue's statement was last read."
    )
    statement_through = models.BigIntegerField(
        null=True, blank=True, help_text="Up to this transaction we have every line of the venue's statement."
    )
    history = HistoricalRecords(
        excluded_fields=["token", "venue_balance", "venue_balance_at", "reconciled_at", "statement_through"]
    )

    objects = TradingAccountQuerySet.as_manager()

    class Meta:
        permissions = [("view_wire", "Can see the messages exchanged with the venue")]
        constraints = [
            models.UniqueConstraint(
                fields=["venue", "login_id"], condition=~Q(login_id=""), name="trading_account_login_once"
            ),
            models.UniqueConstraint(
                fields=["client"], condition=Q(is_default=True), name="trading_account_one_default"
            ),
            models.CheckConstraint(
                condition=Q(markup_rate__isnull=True) | Q(markup_rate__gte=0, markup_rate__lte="0.03"),
                name="trading_account_markup_0_to_3_percent",
            ),
            models.CheckConstraint(
                condition=~Q(state="active") | ~Q(login_id=""), name="trading_account_active_has_login"
            ),
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.OPENING:
                return "The venue is opening it; it can trade as soon as the venue answers, usually within seconds."
            case self.State.ACTIVE:
                return "Connected by streams; it can trade."
            case self.State.UNREACHABLE:
                return "The venue refuses its token; the client must link it again before it can trade."
            case _:
                return "Closed; its records stay."

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.login_id or 'being opened'}"
