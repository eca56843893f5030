"""Transfers: what money is worth in another currency, what we promised a client for it, and what went where."""

from datetime import timedelta
from typing import Final

from django.db import models
from django.db.models import F, Q

from backoffice.database import AmountField, PublicIdModel, RateField
from backoffice.models import Currency, HistoricalModel, User
from backoffice.patience import Patience
from compliance.models import Approval, Client, Decision, acted_for, desks_of
from ledger.models.books import Account, Entry, Hold


class ExchangeRate(PublicIdModel):
    """What one unit of `base` is worth in `quote`, in the middle between buying and selling. Never changed: a newer one counts."""

    base = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    quote = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    mid = RateField("mid rate", help_text="How much of the second currency one unit of the first is worth.")
    taken_at = models.DateTimeField(help_text="When the market stood there.")
    source = models.CharField(max_length=64, help_text="Who entered it, or the feed it came from.")
    entered_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        permissions = [("enter_exchangerate", "Can enter exchange rates")]
        constraints = [
            models.UniqueConstraint(
                fields=["base", "quote", "taken_at", "source"], name="exchange_rate_once"
            ),
            models.CheckConstraint(condition=Q(mid__gt=0), name="exchange_rate_above_zero"),
            models.CheckConstraint(condition=~Q(base=F("quote")), name="exchange_rate_of_two"),
        ]
        indexes = [models.Index(fields=["base", "quote", "-taken_at"], name="exchange_rate_newest")]

    def __str__(self) -> str:
        return f"{self.base_id}/{self.quote_id} {self.taken_at:%Y-%m-%d %H:%M}"


class Spread(PublicIdModel, HistoricalModel):
    """What we keep of an exchange. The row of the two currencies applies, else the one for any; without one none is offered."""

    given = models.ForeignKey(
        Currency, null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name="from",
        help_text="Empty, with the other: any.",
    )  # fmt: skip
    got = models.ForeignKey(
        Currency, null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name="to"
    )
    spread_bps = models.PositiveIntegerField(
        "basis points", help_text="Of what it is worth at the mid rate; 50 is 0.5 %."
    )
    least = AmountField(
        "at least", default=0, help_text="In the currency that is got; only where both are named."
    )
    is_active = models.BooleanField("in use", default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["given", "got"],
                condition=Q(is_active=True),
                nulls_distinct=False,
                name="spread_once",
            ),
            models.CheckConstraint(
                condition=Q(given__isnull=True, got__isnull=True, least=0)
                | Q(given__isnull=False, got__isnull=False) & ~Q(given=F("got")),
                name="spread_of_two_or_any",
            ),
            models.CheckConstraint(condition=Q(spread_bps__lt=10000, least__gte=0), name="spread_bounds"),
        ]

    def __str__(self) -> str:
        return f"{self.given_id} to {self.got_id}" if self.given_id else "Any currencies"


class QuoteQuerySet(models.QuerySet["Quote"]):
    """Reads of quotes."""

    def of_user(self, user: User) -> "QuoteQuerySet":
        return self.filter(acted_for(user, "client__"))


class Quote(PublicIdModel):
    """What a client was promised for their money in another currency, until it runs out. Used once, by a transfer."""

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="quotes")
    exchange_rate = models.ForeignKey(ExchangeRate, on_delete=models.PROTECT, related_name="+")
    given_currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    got_currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    given = AmountField()
    got = AmountField()
    spread = AmountField(help_text="What we keep, in the currency that is got.")
    mid = RateField("mid rate")
    rate = RateField(help_text="What one unit given brings, the spread taken off.")
    quoted_at = models.DateTimeField()
    valid_until = models.DateTimeField()

    objects = QuoteQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(given__gt=0, got__gt=0, spread__gte=0), name="quote_amounts_above_zero"
            ),
            models.CheckConstraint(condition=Q(valid_until__gt=F("quoted_at")), name="quote_runs_out_later"),
        ]
        indexes = [models.Index(fields=["client", "-id"], name="quote_by_client")]

    def __str__(self) -> str:
        return f"Quote {self.given_currency_id} to {self.got_currency_id}"


class TransferCode(models.Model):
    """What a client is called by those who send them money: says nothing of who they are."""

    client = models.OneToOneField(Client, on_delete=models.PROTECT, related_name="transfer_code")
    code = models.CharField(max_length=16, unique=True)
    made_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.code


class TransferQuerySet(models.QuerySet["Transfer"]):
    """Reads of transfers."""

    def of_user(self, user: User) -> "TransferQuerySet":
        """What this person's clients sent or exchanged; what they were sent stands in their history."""
        return self.filter(acted_for(user, "client__"))

    def visible_to(self, staff: User) -> "TransferQuerySet":
        """What this member of staff may see: all, or what their desks' clients sent or were sent."""
        desks = desks_of(staff)
        return (
            self if desks is None else self.filter(Q(client__desk__in=desks) | Q(to_client__desk__in=desks))
        )


class Transfer(PublicIdModel):
    """Money from a client's wallet to another client's, or to their own in another currency at the rate of a quote."""

    class State(models.TextChoices):
        BLOCKED = "blocked", "Blocked"
        WAITING = "waiting", "Waits for approval"
        DONE = "done", "Done"
        REJECTED = "rejected", "Rejected"
        CANCELLED = "cancelled", "Cancelled"

    MOVES: Final = {
        State.WAITING: {State.DONE, State.REJECTED, State.CANCELLED},
        State.BLOCKED: set(),
        State.DONE: set(),
        State.REJECTED: set(),
        State.CANCELLED: set(),
    }
    # Where one begins, as compliance decides.
    BORN: Final = (State.DONE, State.WAITING, State.BLOCKED)
    FINAL: Final = frozenset({State.BLOCKED, State.DONE, State.REJECTED, State.CANCELLED})
    PATIENCE: Final = {State.WAITING: Patience(timedelta(hours=4), "changed_at", "Whoever may approve it")}

    client = models.ForeignKey(
        Client, on_delete=models.PROTECT, related_name="transfers", verbose_name="from"
    )
    to_client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="+", verbose_name="to")
    from_wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    to_wallet = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    given_currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    got_currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    given = AmountField()
    got = AmountField()
    quote = models.OneToOneField(
        Quote, null=True, blank=True, on_delete=models.PROTECT, related_name="transfer"
    )
    reference = models.CharField(max_length=16, unique=True)
    state = models.CharField(max_length=9, choices=State)
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="+")
    hold = models.OneToOneField(Hold, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    approval = models.ForeignKey(Approval, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    entry = models.OneToOneField(Entry, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    told = models.CharField("what the client is told", max_length=300, blank=True)
    problem = models.CharField(max_length=300, blank=True)
    key = models.CharField(max_length=100)
    content_hash = models.CharField(max_length=64)
    requested_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    objects = TransferQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        permissions = [
            ("approve_transfer", "Can approve and reject transfers"),
            ("cancel_transfer", "Can call off a client's transfer"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["client", "key"], name="transfer_key_once"),
            models.CheckConstraint(condition=Q(given__gt=0, got__gt=0), name="transfer_amounts_above_zero"),
            models.CheckConstraint(
                condition=Q(quote__isnull=True, given_currency=F("got_currency"), given=F("got"))
                & ~Q(client=F("to_client"))
                | Q(quote__isnull=False, client=F("to_client")) & ~Q(given_currency=F("got_currency")),
                name="transfer_sends_or_exchanges",
            ),
            models.CheckConstraint(
                condition=Q(state="done", entry__isnull=False) | ~Q(state="done") & Q(entry__isnull=True),
                name="transfer_done_has_entry",
            ),
            models.CheckConstraint(
                condition=~Q(state="waiting") | Q(hold__isnull=False), name="transfer_waiting_is_held"
            ),
        ]
        indexes = [
            models.Index(fields=["changed_at"], condition=Q(state="waiting"), name="transfer_unfinished"),
            models.Index(fields=["client", "-id"], name="transfer_by_client"),
            models.Index(fields=["to_client", "-id"], name="transfer_to_client"),
        ]

    @property
    def is_exchange(self) -> bool:
        return self.quote_id is not None

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.BLOCKED:
                return f"Stopped by compliance: {self.problem or 'see its decision.'} Nothing moved; the client may ask again."
            case self.State.WAITING:
                return "The money is held; it moves when whoever must agree has agreed."
            case self.State.DONE:
                return "The money is in the other wallet."
            case self.State.REJECTED:
                return f"Rejected: {self.problem} The money is free again."
            case _:
                return "Called off; the money is free again."

    def __str__(self) -> str:
        return f"{'Exchange' if self.is_exchange else 'Transfer'} {self.reference}"
