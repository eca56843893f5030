"""Home, composed for one reader: what waits for them, what moves, and what is wrong."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest

import fixtures
from backoffice.admin import ports
from backoffice.admin.ports import Card, Chart
from backoffice.registry import Port


def composed(request: HttpRequest) -> dict[str, Any]:
    """The rows of Home this reader may see; what nobody registered or nobody may see is left out."""
    troubles = list(_read(request, ports.troubles))
    return {
        "waiting": sorted(_read(request, ports.waiting), key=lambda row: row.count == 0),
        "figures": list(_read(request, ports.figures)),
        "charts": [_drawn(chart) for chart in _read(request, ports.charts)],
        "troubles": sorted(troubles, key=lambda row: not row.is_wrong),
        "all_well": not any(row.is_wrong for row in troubles),
    }


def _read(request: HttpRequest, port: Port[Card]) -> Iterator[Any]:
    for card in port:
        if not card.permission or request.user.has_perm(card.permission):
            yield from card.read(request)


def _drawn(chart: Chart) -> dict[str, Any]:
    """Bars with their heights in percent of the highest."""
    highest = max(chart.values, default=0) or 1
    bars = [
        {"label": label, "value": value, "url": url, "height": round(100 * value / highest)}
        for label, value, url in zip(chart.labels, chart.values, chart.urls, strict=True)
    ]
    return {"chart": chart, "bars": bars, "highest": max(chart.values, default=0), "total": sum(chart.values)}


def demo_logins() -> list[dict[str, str]]:
    """The demo staff, for the log-in page of a demo."""
    return [row for row in fixtures.read("demo")["logins"] if "roles" in row]
