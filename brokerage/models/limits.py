"""Trade limits: how much and how fast a client may trade, as staff set it."""

from decimal import Decimal

from django.db import models
from django.db.models import Q

from backoffice.database import AmountField, PublicIdModel
from backoffice.models import Currency, HistoricalModel, User
from brokerage.models.accounts import TradingAccount
from brokerage.models.instruments import Instrument
from compliance.models import Client, desks_of


class TradeLimitQuerySet(models.QuerySet["TradeLimit"]):
    """Reads of trade limits."""

    def visible_to(self, staff: User) -> "TradeLimitQuerySet":
        """What this member of staff may see: everyone's limits, and those of the clients they may see."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(Q(client=None) | Q(client__desk__in=desks))

    def applying(self, account: TradingAccount, instrument: Instrument) -> list["TradeLimit"]:
        """What limits a trade of this instrument on this account, in one small question.

        A client's own limit takes the place of everyone's on the same instruments; a limit on the instrument and one
        on all instruments both apply. One that was lifted limits nobody, and takes nobody's place.
        """
        rows = self.filter(
            Q(client=None) | Q(client=account.client_id),
            Q(instrument=None) | Q(instrument=instrument),
            currency=account.currency_id,
        ).exclude(max_stake=None, max_open_stake=None, max_per_minute=None)
        # Everyone's first, so that the client's own takes its place.
        by_instruments = {row.instrument_id: row for row in sorted(rows, key=lambda row: row.client_id or 0)}
        return list(by_instruments.values())


class TradeLimit(PublicIdModel, HistoricalModel):
    """Limits for one client or each client alike, on one instrument or over all, for trades in one currency.

    Counted for each client, demo and real money apart. An empty maximum limits nothing.
    """

    client = models.ForeignKey(
        Client, null=True, blank=True, on_delete=models.PROTECT, related_name="trade_limits"
    )
    instrument = models.ForeignKey(
        Instrument, null=True, blank=True, on_delete=models.PROTECT, related_name="trade_limits"
    )
    currency = models.ForeignKey(Currency, on_delete=models.PROTECT, related_name="+")
    max_stake = AmountField("most for one trade", null=True, blank=True)
    max_open_stake = AmountField("most at stake at once", null=True, blank=True)
    max_per_minute = models.PositiveIntegerField("most trades a minute", null=True, blank=True)
    reason = models.CharField(max_length=200)
    changed_by = models.CharField(max_length=64)
    changed_at = models.DateTimeField()

    objects = TradeLimitQuerySet.as_manager()

    class Meta:
        verbose_name = "trade limit"
        permissions = [("set_tradelimit", "Can set and lift trade limits")]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "instrument", "currency"], nulls_distinct=False, name="trade_limit_once"
            ),
            models.CheckConstraint(
                condition=(Q(max_stake__isnull=True) | Q(max_stake__gt=0))
                & (Q(max_open_stake__isnull=True) | Q(max_open_stake__gt=0))
                & (Q(max_per_minute__isnull=True) | Q(max_per_minute__gt=0)),
                name="trade_limit_positive",
            ),
        ]

    @property
    def maxima(self) -> tuple[Decimal | None, Decimal | None, int | None]:
        """Most for one trade, most at stake at once, most trades a minute."""
        return self.max_stake, self.max_open_stake, self.max_per_minute

    @property
    def is_lifted(self) -> bool:
        return self.maxima == (None, None, None)

    def __str__(self) -> str:
        whose = self.client or "Every client"
        return f"{whose} · {self.instrument or 'all instruments'} · {self.currency_id}"
