"""What the venue itself wrote down about an account, line by line, and the proof that our mirror says the same."""

from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet

from backoffice.database import AmountField
from backoffice.models import User
from backoffice.patience import Patience
from brokerage.models.accounts import TradingAccount
from brokerage.models.trades import Trade
from compliance.models import desks_of


class VenueLineQuerySet(models.QuerySet["VenueLine"]):
    """Reads of the venue's lines."""

    def visible_to(self, staff: User) -> "VenueLineQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(account__client__desk__in=desks)

    def waiting(self) -> "VenueLineQuerySet":
        """Not laid to any trade yet, oldest first."""
        return self.filter(state=VenueLine.State.WAITING).order_by("transaction_id")

    def overdue(self, at: datetime) -> "VenueLineQuerySet":
        return self.waiting().filter(heard_at__lt=at - VenueLine.GRACE)


class VenueLine(models.Model):
    """One movement of an account's balance, as the venue's transaction stream or statement tells it.

    The second source of every purchase and every settlement: the contract's own stream is the first. A line is
    taken in once, whoever tells it and however often.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        MATCHED = "matched", "Matched"
        OUTSIDE = "outside", "Outside activity"
        DIFFERS = "differs", "Differs"
        OPENING = "opening", "In the opening balance"

    MOVES: Final = {
        State.WAITING: {State.MATCHED, State.OUTSIDE, State.DIFFERS, State.OPENING},
        State.DIFFERS: {State.MATCHED},
        State.MATCHED: set(),
        State.OUTSIDE: set(),
        State.OPENING: set(),
    }
    # How long a line may wait for the trade's own answer before the sweep looks at it again.
    GRACE: Final = timedelta(seconds=3)
    PATIENCE: Final = {
        State.WAITING: Patience(timedelta(minutes=2), "heard_at", "The reconciler"),
        State.DIFFERS: Patience(timedelta(hours=1), "heard_at", "Dealing desk"),
    }

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="venue_lines")
    transaction_id = models.BigIntegerField("transaction at the venue", unique=True)
    action = models.CharField(max_length=32)
    amount = AmountField(help_text="What it did to the balance; less than zero for a purchase.")
    balance_after = AmountField()
    happened_at = models.DateTimeField(help_text="By the venue's clock.")
    contract_id = models.BigIntegerField("contract", null=True, blank=True)
    shortcode = models.CharField(max_length=120, blank=True)
    heard_at = models.DateTimeField(help_text="When we first heard of it, by our clock.")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    trade = models.ForeignKey(
        Trade, null=True, blank=True, on_delete=models.PROTECT, related_name="venue_lines"
    )

    objects = VenueLineQuerySet.as_manager()

    class Meta:
        verbose_name = "statement line"
        constraints = [
            models.CheckConstraint(
                condition=~Q(state__in=["matched", "differs"]) | Q(trade__isnull=False),
                name="venue_line_matched_has_trade",
            ),
            # One purchase and one end for each of our trades, whatever the venue repeats.
            models.UniqueConstraint(
                fields=["trade"],
                condition=Q(action="buy", trade__isnull=False),
                name="venue_line_one_purchase",
            ),
            models.UniqueConstraint(
                fields=["trade"],
                condition=~Q(action="buy") & Q(trade__isnull=False),
                name="venue_line_one_end",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-transaction_id"], name="venue_line_by_account"),
            models.Index(fields=["contract_id"], name="venue_line_by_contract"),
            models.Index(
                fields=["state", "heard_at"],
                condition=Q(state__in=["waiting", "differs"]),
                name="venue_line_open",
            ),
        ]

    @property
    def is_purchase(self) -> bool:
        return self.action == "buy"

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.WAITING:
                return "Heard of before the trade it belongs to has its answer; it is laid to it as soon as that is known."
            case self.State.MATCHED:
                return "It says the same as our trade."
            case self.State.OUTSIDE:
                return "Not caused by us; booked in the mirror as the client's own doing at the venue."
            case self.State.OPENING:
                return "From before the account was linked; its opening balance holds it."
            case _:
                return "It says something else than our trade; a person decides."

    def __str__(self) -> str:
        return f"{self.action} {self.transaction_id}"


def unconfirmed(rows: QuerySet[Trade]) -> QuerySet[Trade]:
    """Of these trades, bought and told of by one source only: the statement lacks the purchase or the end."""
    lines = VenueLine.objects.filter(trade=OuterRef("pk"))
    bought = Exists(lines.filter(action="buy"))
    ended = Exists(lines.exclude(action="buy"))
    settled = Q(state__in=Trade.SETTLED)
    return rows.filter(contract_id__isnull=False, confirmed_at__isnull=True).filter(
        ~bought | (settled & ~ended)
    )


class StatementProof(models.Model):
    """One comparison of an account's mirror with the venue's statement, the difference explained to the line."""

    class Result(models.TextChoices):
        EQUAL = "equal", "Equal"
        EXPLAINED = "explained", "Explained"
        DIFFERS = "differs", "Differs"

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="proofs")
    at = models.DateTimeField()
    through = models.BigIntegerField("last transaction", null=True)
    lines = models.PositiveIntegerField("lines on the statement")
    venue_balance = AmountField("balance at the venue")
    mirror_balance = AmountField("balance in our mirror")
    explained = AmountField("explained")
    unexplained = AmountField("unexplained")
    result = models.CharField(max_length=9, choices=Result)
    # [{"what": sentence, "amount": text, "transaction": id or null, "trade": uuid or null}], oldest first.
    explanation = models.JSONField(default=list)

    class Meta:
        verbose_name = "statement proof"
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    venue_balance=models.F("mirror_balance") + models.F("explained") + models.F("unexplained")
                ),
                name="statement_proof_adds_up",
            ),
            models.CheckConstraint(
                condition=Q(result="differs") ^ Q(unexplained=0), name="statement_proof_result_fits"
            ),
        ]
        indexes = [models.Index(fields=["account", "-at"], name="statement_proof_by_account")]

    def __str__(self) -> str:
        return f"{self.account} {self.at:%Y-%m-%d %H:%M}"
