"""What the brokerage puts on Home: trades that wait, what moved today, and what is wrong with the offer."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

import redis
from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.ports import Card, Chart, Figure, Trouble, Waiting
from backoffice.admin.unfinished import tally
from brokerage import connections
from brokerage.admin.console import ACCOUNT
from brokerage.admin.trades import TRADE
from brokerage.models import Instrument, Trade, TradingAccount

TRADES = "admin:brokerage_trade_changelist"


def _waiting_trades(request: HttpRequest) -> Iterator[Waiting]:
    found = tally(request, TRADE, Trade.State.UNCERTAIN)
    url = f"{reverse(TRADES)}?queue=uncertain"
    yield Waiting("Uncertain trades", url, found.many, found.since, found.is_late,
                  "The venue's answer was lost")  # fmt: skip


def _waiting_accounts(request: HttpRequest) -> Iterator[Waiting]:
    found = tally(request, ACCOUNT, TradingAccount.State.UNREACHABLE)
    url = reverse("admin:brokerage_tradingaccount_changelist")
    yield Waiting("Accounts that need a token", f"{url}?by_state=unreachable", found.many, found.since, found.is_late,
                  "The client links them again")  # fmt: skip


def _figures(request: HttpRequest) -> Iterator[Figure]:
    """Today's trades and what is open, apart for demo and real money and for each currency."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    url, today = reverse(TRADES), Q(placed_at__gte=midnight)
    live = Q(state__in=["submitting", "uncertain", "open"])
    rows = (
        ports.visible(request.user, Trade.objects.filter(today | live))
        .values("account__kind", "currency", "account__currency__exponent")
        .annotate(
            placed=Count("pk", filter=today), open=Count("pk", filter=live), at_risk=Sum("stake", filter=live),
            won=Count("pk", filter=today & Q(state=Trade.State.WON)),
            lost=Count("pk", filter=today & Q(state=Trade.State.LOST)),
            profit=Sum("profit", filter=today),
        )
        .order_by("account__kind", "currency")
    )  # fmt: skip
    listed = list(rows)
    if not listed:
        yield Figure(
            "Trades today", "0", "They appear here as clients place them", f"{url}?placed_at_in=today"
        )
    for row in listed:
        kind = "" if row["account__kind"] == "real" else "demo "
        code, digits = row["currency"], row["account__currency__exponent"]
        own = f"by_account__kind={row['account__kind']}"
        yield Figure(f"Trades today, {kind}{code}", f"{row['placed']:,}", _split(row["won"], row["lost"]),
                     f"{url}?placed_at_in=today&{own}")  # fmt: skip
        yield Figure(f"Open, {kind}{code}", f"{row['open']:,}",
                     format_html("{} at risk", show.money(row["at_risk"] or Decimal(0), code, digits)),
                     f"{url}?queue=unfinished&{own}")  # fmt: skip
        yield Figure(f"Clients' result, {kind}{code}", show.gain(row["profit"] or Decimal(0), code, digits),
                     "Trades placed today that have ended", f"{url}?placed_at_in=today&{own}")  # fmt: skip


def _split(won: int, lost: int) -> SafeString:
    return format_html("{} won · {} lost", f"{won:,}", f"{lost:,}")


def _chart(request: HttpRequest) -> Iterator[Chart]:
    """Trades placed in each of the last 24 hours; a bar opens its trades."""
    now = timezone.localtime()
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    rows = ports.visible(request.user, Trade.objects.filter(placed_at__gte=first))
    counted = dict(
        rows.annotate(hour=TruncHour("placed_at"))
        .values("hour")
        .annotate(n=Count("pk"))
        .values_list("hour", "n")
    )
    hours = [first + timedelta(hours=number) for number in range(24)]
    yield Chart(
        "Trades placed per hour",
        labels=[f"{hour:%H:00}" for hour in hours],
        values=[counted.get(hour, 0) for hour in hours],
        urls=[
            f"{reverse(TRADES)}?"
            + urlencode(
                {"placed_at__gte": hour.isoformat(), "placed_at__lt": (hour + timedelta(hours=1)).isoformat()}
            )
            for hour in hours
        ],
        note=f"The last 24 hours, {now.tzname()}",
    )


def _troubles(request: HttpRequest) -> Iterator[Trouble]:
    rows = list(
        Instrument.objects.filter(is_offered=True, is_suspended=True)
        .order_by("name")
        .values_list("name", flat=True)[:20]
    )
    url = reverse("admin:brokerage_instrument_changelist")
    if rows:
        names = ", ".join(rows[:3]) + (f" and {len(rows) - 3} more" if len(rows) > 3 else "")
        yield Trouble("Instruments", f"Suspended by the venue: {names}.", f"{url}?by_is_suspended=True", True)
    else:
        yield Trouble("Instruments", "Everything we offer is open at the venue.", url)


def _connections(request: HttpRequest) -> Iterator[Trouble]:
    """How `streams` stands with the venue: links down and why, feeds that stood still, and what the venue says of itself."""
    try:
        found = connections.known()
    except redis.RedisError:
        yield Trouble("Venue", "Redis does not answer, so nothing is known of the connections.", "", True)
        return
    url = reverse("admin:brokerage_tradingaccount_changelist")
    if found.site and found.site != "up":
        yield Trouble(
            "Venue", "The venue is updating: purchases wait until it is done, contracts go on.", url, True
        )
    elif found.down:
        reasons = Counter(found.down.values())
        told = ", ".join(
            f"{count} {reason.lower().replace('_', ' ')}" for reason, count in reasons.most_common(3)
        )
        whole = found.up + len(found.down)
        yield Trouble(
            "Venue",
            f"{len(found.down)} of {whole} connections are down: {told}. They are made anew.",
            url,
            True,
        )
    else:
        told = f"All {found.up:,} connections are up." if found.up else "No connection is open."
        yield Trouble("Venue", told, url)


ports.waiting.register("trades", Card("brokerage.view_trade", _waiting_trades), order=10)
ports.waiting.register("accounts", Card("brokerage.view_tradingaccount", _waiting_accounts), order=20)
ports.figures.register("trades", Card("brokerage.view_trade", _figures), order=10)
ports.charts.register("trades", Card("brokerage.view_trade", _chart), order=10)
ports.troubles.register("venue", Card("brokerage.view_tradingaccount", _connections), order=15)
ports.troubles.register("instruments", Card("brokerage.view_instrument", _troubles), order=50)
