"""A client's trade: the request, and its life on our side and at the venue."""

from datetime import datetime, timedelta
from typing import Final

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Case, F, Q, When

from backoffice.database import AmountField, PriceField, PublicIdModel, RateField
from backoffice.models import User
from backoffice.patience import Patience, late
from brokerage.models.accounts import TradingAccount
from brokerage.models.instruments import Instrument
from compliance.models import Client, acted_for, desks_of
from ledger.models import Hold

# What one unit of a duration is in seconds; ticks have a length of their own on each instrument.
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class TradeQuerySet(models.QuerySet["Trade"]):
    """Reads of trades."""

    def of_user(self, user: User) -> "TradeQuerySet":
        return self.filter(acted_for(user, "client__"))

    def visible_to(self, staff: User) -> "TradeQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def queued(self) -> "TradeQuerySet":
        return self.filter(state=Trade.State.QUEUED).order_by("id")

    def like(self, trade: "Trade") -> "TradeQuerySet":
        """On the same account and instrument, same side and stake: whatever may be identical to it, durations aside."""
        return self.filter(
            account=trade.account_id, instrument=trade.instrument_id, side=trade.side, stake=trade.stake
        )

    def overdue_submissions(self, at: datetime) -> "TradeQuerySet":
        """Sent to the venue, and no answer by the deadline: nobody may still be waiting for one."""
        return self.filter(state=Trade.State.SUBMITTING, deadline_at__lt=at - Trade.GRACE).order_by("id")

    def uncertain(self) -> "TradeQuerySet":
        return self.filter(state=Trade.State.UNCERTAIN).order_by("id")

    def due(self, at: datetime) -> "TradeQuerySet":
        """Open, and the contract should have been settled by now."""
        return self.filter(state=Trade.State.OPEN, expires_at__lt=at - Trade.GRACE).order_by("expires_at")

    def unsold(self, at: datetime) -> "TradeQuerySet":
        """Open, asked to be sold, and longer without an answer than anybody waits for one: it was not sent."""
        return self.filter(state=Trade.State.OPEN, sale_requested_at__lt=at - Trade.SALE_PATIENCE).order_by(
            "id"
        )

    def final(self) -> "TradeQuerySet":
        return self.filter(state__in=Trade.FINAL)

    def in_flight(self) -> "TradeQuerySet":
        """A purchase may be on its way or already done, and we do not know."""
        return self.filter(state__in=[Trade.State.SUBMITTING, Trade.State.UNCERTAIN])

    def stuck(self, at: datetime) -> "TradeQuerySet":
        """Not final and past the age its state allows (see `Trade.PATIENCE`)."""
        return self.filter(late(Trade, at))


class Trade(PublicIdModel):
    """A rise/fall trade on one instrument. The intent is stored before anything is sent to the venue."""

    class Side(models.TextChoices):
        CALL = "CALL", "Rise"
        PUT = "PUT", "Fall"

    class Unit(models.TextChoices):
        TICKS = "t", "Ticks"
        SECONDS = "s", "Seconds"
        MINUTES = "m", "Minutes"
        HOURS = "h", "Hours"
        DAYS = "d", "Days"

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SUBMITTING = "submitting", "Submitting"
        UNCERTAIN = "uncertain", "Uncertain"
        OPEN = "open", "Open"
        WON = "won", "Won"
        LOST = "lost", "Lost"
        SOLD = "sold", "Sold"
        REFUNDED = "refunded", "Refunded"
        DENIED = "denied", "Denied"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"
        NEVER_PLACED = "never_placed", "Never placed"

    class Source(models.TextChoices):
        CLIENT = "client", "Client"
        DEMO = "demo", "Demo trader"

    SETTLED: Final = frozenset({State.WON, State.LOST, State.SOLD, State.REFUNDED})
    FINAL: Final = SETTLED | {State.DENIED, State.REJECTED, State.WITHDRAWN, State.NEVER_PLACED}
    MOVES: Final = {
        State.QUEUED: {State.SUBMITTING, State.WITHDRAWN, State.DENIED, State.REJECTED},
        State.SUBMITTING: {State.OPEN, State.QUEUED, State.REJECTED, State.DENIED, State.UNCERTAIN},
        State.UNCERTAIN: {State.OPEN, State.NEVER_PLACED},
        State.OPEN: set(SETTLED),
        **{state: set() for state in FINAL},
    }
    # How long after its deadline a state is somebody's problem: the sweeps act from here on.
    GRACE: Final = timedelta(seconds=2)
    # How long a sale may be on its way: longer than an actor waits for the venue's answer.
    SALE_PATIENCE: Final = timedelta(seconds=20)
    PATIENCE: Final = {
        State.QUEUED: Patience(timedelta(seconds=60), "changed_at", "A worker"),
        State.SUBMITTING: Patience(timedelta(seconds=60), "changed_at", "A worker"),
        State.UNCERTAIN: Patience(timedelta(minutes=2), "changed_at", "The reconciler"),
        State.OPEN: Patience(timedelta(minutes=1), ("expires_at", "changed_at"), "The contract's stream"),
    }

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="trades")
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="trades")
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="+")
    side = models.CharField(max_length=4, choices=Side)
    stake = AmountField()
    currency = models.CharField(max_length=12)
    duration = models.PositiveIntegerField()
    duration_unit = models.CharField(max_length=1, choices=Unit)
    source = models.CharField(max_length=8, choices=Source, default=Source.CLIENT)
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    version = models.PositiveIntegerField(default=1)
    key = models.CharField(max_length=100)
    content_hash = models.CharField(max_length=64)
    correlation_id = models.CharField(max_length=64, blank=True)
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, related_name="+", null=True)

    contract_id = models.BigIntegerField("contract", null=True, blank=True)
    proposal_id = models.CharField(max_length=64, blank=True)
    purchase_transaction_id = models.BigIntegerField(null=True, blank=True)
    sale_transaction_id = models.BigIntegerField(null=True, blank=True)
    buy_price = AmountField(null=True, blank=True)
    payout = AmountField(
        null=True, blank=True, help_text="What the contract pays if it wins, stake included."
    )
    offered_payout = AmountField(
        null=True, blank=True, help_text="The payout of the offer that was sent to be bought."
    )
    proceeds = AmountField(null=True, blank=True, help_text="What the venue paid at the end; 0 when lost.")
    profit = AmountField(null=True, blank=True)
    commission = AmountField("venue commission", null=True, blank=True)
    markup_rate = RateField(
        "markup", null=True, blank=True, help_text="In place of the one registered for our application."
    )
    generation = models.CharField(
        "protocol generation", max_length=4, blank=True, help_text="By which it was bought."
    )
    markup = AmountField("markup amount", null=True, blank=True)
    entry_spot = PriceField(null=True, blank=True)
    entry_spot_at = models.DateTimeField(null=True, blank=True)
    exit_spot = PriceField(null=True, blank=True)
    exit_spot_at = models.DateTimeField(null=True, blank=True)
    problem_code = models.CharField(max_length=64, blank=True)
    problem = models.CharField(max_length=300, blank=True)

    placed_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(
        null=True, blank=True, help_text="After this nothing may be sent or awaited."
    )
    purchased_at = models.DateTimeField(null=True, blank=True, help_text="By the venue's clock.")
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="By the venue's clock; an estimate for ticks."
    )
    sale_requested_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True, help_text="By the venue's clock.")
    confirmed_at = models.DateTimeField(
        null=True, blank=True, help_text="When the venue's statement had said the same, by our clock."
    )

    objects = TradeQuerySet.as_manager()

    class Meta:
        permissions = [
            ("sell_trade_early", "Can sell a client's open trade early"),
            ("reconcile_trade", "Can have an uncertain trade reconciled"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="trade_key_once"),
            models.UniqueConstraint(
                fields=["contract_id"],
                condition=Q(contract_id__isnull=False),
                name="trade_contract_claimed_once",
            ),
            models.CheckConstraint(condition=Q(stake__gt=0), name="trade_stake_positive"),
            models.CheckConstraint(
                condition=~Q(state__in=["open", "won", "lost", "sold", "refunded"])
                | Q(contract_id__isnull=False, buy_price__isnull=False, payout__isnull=False),
                name="trade_open_has_contract",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["won", "lost", "sold", "refunded"])
                | Q(proceeds__isnull=False, profit__isnull=False, settled_at__isnull=False),
                name="trade_settled_has_outcome",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["denied", "rejected", "withdrawn", "never_placed"])
                | Q(contract_id__isnull=True),
                name="trade_unbought_has_no_contract",
            ),
            # One purchase in flight per account and identical terms: a contract found at the venue after a lost
            # answer must not fit two of our trades. A minute is sixty seconds to the venue; ticks stand apart.
            models.UniqueConstraint(
                "account",
                "instrument",
                "side",
                "stake",
                Case(
                    When(duration_unit="t", then=-F("duration")),
                    *(
                        When(duration_unit=unit, then=F("duration") * length)
                        for unit, length in SECONDS.items()
                    ),
                ),
                condition=Q(state__in=["submitting", "uncertain"]),
                name="trade_one_identical_in_flight",
            ),
        ]
        indexes = [
            models.Index(fields=["client", "-uuid"], name="trade_by_client"),
            models.Index(fields=["account", "-id"], name="trade_by_account"),
            models.Index(fields=["state", "-id"], name="trade_by_state"),
            BrinIndex(fields=["placed_at"], name="trade_by_placed", autosummarize=True),
            models.Index(
                fields=["state", "expires_at"],
                condition=Q(state__in=["queued", "submitting", "uncertain", "open"]),
                name="trade_unfinished",
            ),
            models.Index(
                fields=["account", "id"],
                condition=Q(contract_id__isnull=False, confirmed_at__isnull=True),
                name="trade_unconfirmed",
            ),
        ]

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.QUEUED:
                return (
                    self.problem
                    or "Waiting for a worker to send it to the venue; nothing has been bought yet."
                )
            case self.State.SUBMITTING:
                return "Sent to the venue; its answer opens the trade, and without one it is reconciled."
            case self.State.UNCERTAIN if self.problem_code == "TWO_CANDIDATES":
                return self.problem
            case self.State.UNCERTAIN:
                return "The venue's answer was lost; the reconciler looks the purchase up there and never buys again."
            case self.State.OPEN if self.sale_requested_at:
                return "A sale was asked for; the venue's answer or the expiry settles it."
            case self.State.OPEN:
                return "The contract is running; the venue settles it at expiry."
            case self.State.WON:
                return "The exit spot was on the client's side; the payout was credited."
            case self.State.LOST:
                return "The exit spot was not on the client's side; the stake is gone."
            case self.State.SOLD:
                return "Sold back to the venue before expiry; the proceeds were credited."
            case self.State.REFUNDED:
                return "The venue cancelled the contract and returned the stake."
            case self.State.WITHDRAWN:
                return "Withdrawn before anything was sent; the stake is free again."
            case self.State.NEVER_PLACED:
                return "The venue has no such purchase; the stake is free again."
            case _:
                return self.problem or "Refused; the stake is free again."

    def __str__(self) -> str:
        stake = f"{self.stake.normalize():f}" if self.stake % 1 else f"{self.stake:.0f}"
        whole, _, cents = stake.partition(".")
        return f"{self.get_side_display()} {self.instrument.symbol} · {whole}.{cents:0<2} {self.currency}"
