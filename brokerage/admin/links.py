"""How an account's connection to the venue is, and how much of its request budgets it has used, for its record page."""

from datetime import UTC, datetime
from typing import Any

import redis
from django.utils.html import format_html

from backoffice.admin import show
from brokerage import connections
from brokerage.models import TradingAccount
from brokerage.streams import budget
from brokerage.streams.budget import Standing

Facts = list[tuple[str, list[tuple[str, Any]]]]


def facts_of(account: TradingAccount) -> Facts:
    """Two headings with their rows; one that says so while Redis does not answer."""
    link = str(account.pk)
    try:
        known = connections.known().links.get(link)
        groups = budget.standing([link])[link]
    except redis.RedisError:
        return [("How is it connected?", [("Connection", "Unknown: Redis does not answer")])]
    requests = [(f"{name[:2]}, {name[3:]}", _used(each)) for name, each in sorted(groups.items())]
    return [
        ("How is it connected?", _connection(known)),
        ("Requests in the last minute", requests or [("To the venue", "None")]),
    ]


def _connection(link: connections.LinkFacts | None) -> list[tuple[str, Any]]:
    if link is None:
        return [
            ("Connection", show.badge("Not held", show.WAITING)),
            ("Why", "No streams process holds it now"),
        ]
    since = datetime.fromtimestamp(link.since, UTC)
    heard = None if link.heard_at is None else datetime.fromtimestamp(link.heard_at, UTC)
    reason = link.reason.lower().replace("_", " ")
    return [
        ("Connection", show.badge("Up", show.DONE) if link.is_up else show.badge("Down", show.WRONG)),
        ("Since", show.when(since)),
        *([] if link.is_up else [("Why", f"{reason or 'connecting'}; it is made anew")]),
        ("Protocol", link.generation),
        ("Last heard of the venue", show.when(heard)),
        ("Connections made by this process", f"{link.connections:,}"),
    ]


def _used(each: Standing) -> Any:
    span = "" if each.seconds == 60 else f" in {show.span(each.seconds)}"
    used = f"{each.used:,} of {each.limit:,}{span}"
    if not each.rests_for:
        return used
    rest = f"The venue refused more; nothing leaves for {show.span(each.rests_for)}"
    return format_html("{} {}", used, show.badge(rest, show.WRONG))
