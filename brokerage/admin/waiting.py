"""What waits for staff besides trades: counted in one question per request, for the sidebar and Home alike."""

from datetime import datetime
from typing import NamedTuple

from django.db.models import CharField, Count, F, Min, QuerySet, Value
from django.http import HttpRequest

from backoffice.admin import ports
from brokerage.models import Difference, TradingAccount


class Tally(NamedTuple):
    """How many wait, and since when the oldest."""

    many: int = 0
    since: datetime | None = None


def _counted(name: str, rows: QuerySet, since: str) -> QuerySet:  # type: ignore[type-arg]
    named = rows.order_by().annotate(name=Value(name, CharField())).values("name")
    return named.annotate(count=Count("pk"), since=Min(F(since))).values_list("name", "count", "since")  # type: ignore[no-any-return]


def counts(request: HttpRequest) -> dict[str, Tally]:
    """Open differences and accounts whose token the venue refuses, as far as this reader may see them."""
    kept: dict[str, dict[str, Tally]] = request.__dict__
    if "_brokerage_waiting" not in kept:
        unreachable = TradingAccount.objects.filter(state=TradingAccount.State.UNREACHABLE)
        differences = Difference.objects.filter(state=Difference.State.OPEN)
        both = _counted("unreachable", ports.visible(request.user, unreachable), "venue_balance_at").union(
            _counted("differences", ports.visible(request.user, differences), "found_at"), all=True
        )
        found = {name: Tally(many, since) for name, many, since in both}
        kept["_brokerage_waiting"] = {"unreachable": Tally(), "differences": Tally(), **found}
    return kept["_brokerage_waiting"]
