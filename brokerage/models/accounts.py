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
from brokerage.models.grants import Grant
from compliance.models import Client, acted_for, desks_of
from ledger.models import Account


class TradingAccountQuerySet(models.QuerySet["TradingAccount"]):
    """Reads of trading accounts."""

    def of_user(self, user: User) -> "TradingAccountQuerySet":
        return self.filter(acted_for(user, "client__"))

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

    def linked(self) -> "TradingAccountQuerySet":
        """Neither taken away by the client nor closed."""
        return self.exclude(state__in=(TradingAccount.State.UNLINKED, TradingAccount.State.CLOSED))

    def to_reset(self) -> "TradingAccountQuerySet":
        """Demo accounts whose balance the venue is to bring back to where it began."""
        return self.filter(reset_requested_at__isnull=False).order_by("id")


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
        UNREACHABLE = "unreachable", "Needs the client"
        UNLINKED = "unlinked", "Unlinked"
        CLOSED = "closed", "Closed"

    MOVES: Final = {
        State.OPENING: {State.ACTIVE, State.CLOSED},
        State.ACTIVE: {State.UNREACHABLE, State.UNLINKED, State.CLOSED},
        State.UNREACHABLE: {State.ACTIVE, State.UNLINKED, State.CLOSED},
        State.UNLINKED: {State.ACTIVE, State.CLOSED},
        State.CLOSED: set(),
    }
    RESTING: Final = frozenset({State.ACTIVE, State.UNLINKED})
    PATIENCE: Final = {
        State.OPENING: Patience(timedelta(minutes=2), "requested_at", "A worker"),
        State.UNREACHABLE: Patience(timedelta(days=7), ("venue_balance_at", "requested_at"), "The client"),
    }

    # The problem code of an account that the venue lists as inactive, or no longer lists.
    INACTIVE: Final = "INACTIVE_AT_VENUE"

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
    token = EncryptedField(blank=True, help_text="Its own. An account under a grant has none.")
    grant = models.ForeignKey(Grant, null=True, blank=True, on_delete=models.PROTECT, related_name="accounts")
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, choices=State, default=State.OPENING)
    problem_code = models.CharField(max_length=40, blank=True, help_text="Why it cannot be reached.")
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
    reset_requested_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when the venue is to be asked to reset the demo balance."
    )
    reconciled_at = models.DateTimeField(
        null=True, blank=True, help_text="When the venue's statement was last read."
    )
    statement_through = models.BigIntegerField(
        null=True, blank=True, help_text="Up to this transaction we have every line of the venue's statement."
    )
    history = HistoricalRecords(
        excluded_fields=[
            "token",
            "venue_balance",
            "venue_balance_at",
            "reset_requested_at",
            "reconciled_at",
            "statement_through",
        ]
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
            models.CheckConstraint(
                condition=Q(grant__isnull=True) | Q(generation="v4"), name="trading_account_grant_speaks_v4"
            ),
            models.CheckConstraint(
                # Whose permission was taken away is neither used by itself nor asked anything.
                condition=~Q(state="unlinked")
                | Q(is_default=False, grant__isnull=True, reset_requested_at__isnull=True),
                name="trading_account_unlinked_rests",
            ),
            models.CheckConstraint(
                condition=Q(kind="demo") | Q(reset_requested_at__isnull=True),
                name="trading_account_reset_is_demo",
            ),
        ]

    @property
    def secret(self) -> str:
        """The token that opens it at the venue: its grant's, or its own; empty if there is none."""
        return (self.grant.access_token or "") if self.grant is not None else (self.token or "")

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.OPENING:
                return "The venue is opening it; it can trade as soon as the venue answers, usually within seconds."
            case self.State.ACTIVE:
                return "Connected by streams; it can trade."
            case self.State.UNREACHABLE if self.problem_code == self.INACTIVE:
                return "The venue keeps it closed at the moment; it comes back by itself once the venue opens it again."
            case self.State.UNREACHABLE:
                return "The venue no longer lets us in; the client must link it again before it can trade."
            case self.State.UNLINKED:
                return "The client took it away; its records stay, and linking it again brings it back."
            case _:
                return "Closed; its records stay."

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.login_id or 'being opened'}"
