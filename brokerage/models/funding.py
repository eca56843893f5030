"""Money between a client's wallet with us and their account at the venue, moved by the venue's payment agents' desk."""

from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, User
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField
from brokerage.models.accounts import TradingAccount
from compliance.models import Client, acted_for, desks_of
from ledger.models import Account, Hold


class FundingQuerySet(models.QuerySet["Funding"]):
    """Reads of fundings."""

    def of_user(self, user: User) -> "FundingQuerySet":
        return self.filter(acted_for(user, "client__"))

    def visible_to(self, staff: User) -> "FundingQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def unfinished(self) -> "FundingQuerySet":
        return self.exclude(state__in=Funding.FINAL)

    def to_push(self, at: datetime) -> "FundingQuerySet":
        """What a lost nudge or a dead worker left behind: to be sent, asked about, or given up."""
        waits = [Funding.State.QUEUED, Funding.State.UNKNOWN, Funding.State.PENDING]
        lapsed = Q(state=Funding.State.CODE_WANTED, code_until__lte=at)
        return self.filter(Q(state__in=waits, changed_at__lt=at - Funding.GRACE) | lapsed).order_by("id")


class Funding(PublicIdModel):
    """One movement of money between a wallet and an account at the venue. The venue moves it once, whatever is lost."""

    class Direction(models.TextChoices):
        TO_VENUE = "to_venue", "To the venue"
        FROM_VENUE = "from_venue", "From the venue"

    class State(models.TextChoices):
        CODE_WANTED = "code_wanted", "Waits for the client's code"
        QUEUED = "queued", "Queued"
        UNKNOWN = "unknown", "Answer lost"
        PENDING = "pending", "With the venue"
        DONE = "done", "Done"
        REFUSED = "refused", "Refused by the venue"
        LAPSED = "lapsed", "Lapsed"

    MOVES: Final = {
        State.CODE_WANTED: {State.QUEUED, State.LAPSED},
        State.QUEUED: {State.CODE_WANTED, State.UNKNOWN, State.PENDING, State.DONE, State.REFUSED},
        State.UNKNOWN: {State.PENDING, State.DONE, State.REFUSED},
        State.PENDING: {State.DONE, State.REFUSED},
        State.DONE: set(),
        State.REFUSED: set(),
        State.LAPSED: set(),
    }
    FINAL: Final = frozenset({State.DONE, State.REFUSED, State.LAPSED})
    PATIENCE: Final = {
        State.CODE_WANTED: Patience(timedelta(hours=1), "requested_at", "The client"),
        State.QUEUED: Patience(timedelta(minutes=5), "changed_at", "A worker"),
        State.UNKNOWN: Patience(timedelta(minutes=5), "changed_at", "Payments desk"),
        State.PENDING: Patience(timedelta(hours=1), "changed_at", "The venue"),
    }
    # After so long a sweep asks again.
    GRACE: Final = timedelta(seconds=10)
    # A worker that has not come back by then died on its way.
    SENDING: Final = timedelta(seconds=40)

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="fundings")
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="fundings")
    wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    direction = models.CharField(max_length=12, choices=Direction)
    amount = AmountField()
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    hold = models.ForeignKey(Hold, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=100)
    content_hash = models.CharField(max_length=64)
    code = EncryptedField(null=True, blank=True)
    code_until = models.DateTimeField(null=True, blank=True, help_text="By the venue's clock.")
    venue_transaction_id = models.BigIntegerField(null=True, blank=True)
    problem_code = models.CharField(max_length=64, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    requested_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When it was first sent to the venue.")
    sending_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then one worker is at it, and the others leave it alone."
    )
    changed_at = models.DateTimeField()

    objects = FundingQuerySet.as_manager()

    class Meta:
        permissions = [("push_funding", "Can have the venue asked about a funding")]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="funding_key_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="funding_amount_above_zero"),
            models.CheckConstraint(
                condition=Q(direction="to_venue", hold__isnull=False)
                | Q(direction="from_venue", hold__isnull=True),
                name="funding_to_the_venue_is_held",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "unknown"]) | Q(code__isnull=True),
                name="funding_code_only_until_sent",
            ),
        ]
        indexes = [
            models.Index(
                fields=["changed_at"],
                condition=~Q(state__in=["done", "refused", "lapsed"]),
                name="funding_unfinished",
            ),
            models.Index(fields=["client", "-id"], name="funding_by_client"),
        ]

    @property
    def request_id(self) -> str:
        """What the venue knows it by: the same for every attempt, so that it moves the money once."""
        return self.uuid.hex

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.CODE_WANTED:
                return "The venue sent the client a code; with it the money is asked for. Without it nothing moves."
            case self.State.QUEUED:
                return "On its way to the venue, usually within seconds."
            case self.State.UNKNOWN:
                return "The venue's answer was lost; it is asked again under the same number, so nothing moves twice."
            case self.State.PENDING:
                return "The venue has taken it and is working on it; it is asked every few seconds."
            case self.State.DONE:
                return "The money has moved."
            case self.State.LAPSED:
                return "No code came in time; nothing moved."
            case _:
                return f"The venue refused: {self.problem or self.problem_code}. Nothing moved."

    def __str__(self) -> str:
        return f"{self.get_direction_display()}: {self.amount:,.2f} {self.currency_id}"
