"""Coins that come in: what is taken, where each client sends it, what arrived, and how far the custodian was read."""

from datetime import timedelta
from typing import Any, Final

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, HistoricalModel, User
from backoffice.patience import Patience
from compliance.models import Client, acted_for, desks_of
from ledger.crypto_addresses import NETWORKS
from ledger.models.books import Entry
from ledger.models.deposits import Deposit

NETWORK_CHOICES = [
    (name, name.capitalize()) for name in sorted({one for found in NETWORKS.values() for one in found})
]


class CoinRoute(PublicIdModel, HistoricalModel):
    """What coins clients may pay in with, over which network, and after how many blocks they are theirs."""

    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    network = models.CharField(max_length=16, choices=NETWORK_CHOICES)
    confirmations = models.PositiveSmallIntegerField(
        help_text="Blocks that must bury coins, their own counted, before they are credited."
    )
    least = AmountField(
        "at least", default=0, help_text="Fewer coins than this are not credited by themselves."
    )
    is_active = models.BooleanField("offered", default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["currency", "network"], condition=Q(is_active=True), name="coin_route_once"
            ),
            models.CheckConstraint(condition=Q(confirmations__gte=1), name="coin_route_confirmations"),
            models.CheckConstraint(condition=Q(least__gte=0), name="coin_route_least"),
        ]

    def __str__(self) -> str:
        return f"{self.currency_id} over {self.get_network_display()}"


class DepositAddressQuerySet(models.QuerySet["DepositAddress"]):
    """Reads of addresses."""

    def of_user(self, user: User) -> "DepositAddressQuerySet":
        return self.filter(acted_for(user, "client__"))

    def visible_to(self, staff: User) -> "DepositAddressQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)


class DepositAddress(PublicIdModel):
    """Where a client sends coins of a currency over a network: given by the custodian once, and used ever after."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="deposit_addresses")
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    network = models.CharField(max_length=16, choices=NETWORK_CHOICES)
    address = models.CharField(max_length=100, unique=True)
    given_at = models.DateTimeField()

    objects = DepositAddressQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deposit addresses"
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["client", "currency", "network"], name="deposit_address_once")
        ]

    def __str__(self) -> str:
        return self.address


class CoinArrivalQuerySet(models.QuerySet["CoinArrival"]):
    """Reads of coins that arrived."""

    def visible_to(self, staff: User) -> "CoinArrivalQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(address__client__desk__in=desks)

    def unfinished(self) -> "CoinArrivalQuerySet":
        return self.filter(state__in=CoinArrival.PATIENCE)


class CoinArrival(PublicIdModel):
    """Coins that somebody sent to a client's address: one output of one transaction on a chain.

    `change` is the last of the custodian's changes that was applied; an older one told again changes nothing.
    """

    class State(models.TextChoices):
        SEEN = "seen", "Seen"
        CONFIRMING = "confirming", "In a block"
        CREDITED = "credited", "Credited"
        TOO_SMALL = "too_small", "Too few to credit"
        DROPPED = "dropped", "Dropped by the chain"
        LOST = "lost", "Lost after it was booked"
        CLOSED = "closed", "Made good"

    # Chains may forget a block and take the same transaction into another.
    MOVES: Final = {
        State.SEEN: {State.CONFIRMING, State.DROPPED},
        State.CONFIRMING: {State.SEEN, State.CREDITED, State.TOO_SMALL, State.DROPPED},
        State.CREDITED: {State.LOST},
        State.TOO_SMALL: {State.CREDITED, State.LOST},
        State.DROPPED: {State.SEEN, State.CONFIRMING},
        State.LOST: {State.CREDITED, State.TOO_SMALL, State.CLOSED},
        State.CLOSED: set(),
    }
    FINAL: Final = frozenset({State.CLOSED})
    RESTING: Final = frozenset({State.CREDITED, State.TOO_SMALL, State.DROPPED})
    PATIENCE: Final = {
        State.SEEN: Patience(timedelta(days=1), "changed_at", "The chain"),
        State.CONFIRMING: Patience(timedelta(hours=6), "changed_at", "The chain"),
        State.LOST: Patience(timedelta(hours=1), "changed_at", "Payments desk"),
    }

    address = models.ForeignKey(DepositAddress, on_delete=models.PROTECT, related_name="arrivals")
    txid = models.CharField("transaction", max_length=100)
    output = models.PositiveIntegerField()
    amount = AmountField()
    height = models.PositiveBigIntegerField("block", null=True, blank=True)
    needed = models.PositiveSmallIntegerField(
        "blocks needed", help_text="As the route said when the coins were seen."
    )
    state = models.CharField(max_length=10, choices=State, default=State.SEEN)
    deposit = models.OneToOneField(
        Deposit, null=True, blank=True, on_delete=models.PROTECT, related_name="arrival"
    )
    entry = models.OneToOneField(
        Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="By which too few coins were booked beside the wallets.",
    )  # fmt: skip
    problem = models.CharField(max_length=300, blank=True)
    change = models.PositiveBigIntegerField()
    seen_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = CoinArrivalQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [("decide_coinarrival", "Can credit too few coins, and close lost ones")]
        constraints = [
            models.UniqueConstraint(fields=["txid", "output"], name="coin_arrival_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="coin_arrival_above_zero"),
            models.CheckConstraint(
                condition=~Q(state="credited") | Q(deposit__isnull=False),
                name="coin_arrival_credited_by_deposit",
            ),
            models.CheckConstraint(
                condition=~Q(state="confirming") | Q(height__isnull=False), name="coin_arrival_in_a_block"
            ),
        ]
        indexes = [
            models.Index(fields=["height"], condition=Q(state="confirming"), name="coin_arrival_confirming"),
            models.Index(fields=["address", "-id"], name="coin_arrival_by_address"),
        ]

    def confirmations(self, height: int) -> int:
        """How many blocks bury it when the chain is so high, its own counted."""
        return 0 if self.height is None else max(0, height - self.height + 1)

    @property
    def external_id(self) -> str:
        return f"{self.txid}:{self.output}"

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        State = self.State
        match self.state:
            case State.SEEN:
                return "On the network, and in no block yet; nothing is credited before."
            case State.CONFIRMING:
                return (
                    self.problem
                    or f"In block {self.height}; credited when {self.needed} blocks bury it, its own counted."
                )
            case State.CREDITED:
                return "In the wallet."
            case State.TOO_SMALL:
                return f"{self.problem} The coins are booked beside the wallets until somebody decides."
            case State.DROPPED:
                return f"{self.problem} It is credited if a later block has it."
            case State.LOST:
                return f"{self.problem} We booked coins that are not there; somebody must make that good."
            case _:
                return f"Made good: {self.problem}"

    def __str__(self) -> str:
        return f"{self.txid[:10]}…:{self.output}"


def _nothing() -> dict[str, Any]:
    return {}


class CustodianCursor(models.Model):
    """How far the custodian's changes were read, and how high each chain was then. One row."""

    name = models.CharField(primary_key=True, max_length=16)
    change = models.PositiveBigIntegerField(default=0)
    heights = models.JSONField(default=_nothing)
    read_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} at {self.change}"
