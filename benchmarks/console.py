"""The console with very many trades: list, search and record page, at 1,000,000 trades and at 5,000,000 (times the scale).

What a page takes in the web process, from the request to the last byte, median of twenty: middleware, permissions,
every query and the template, through Django's test client as a superuser. The trades are of 500 clients and filled
in by `filling.py`; the entries and events of the last 50,000 of each filling are there too, and the record pages are
theirs. Beside the pages with five times as many rows stand the same pages with a fifth of them: the further rows are
a longer past, not more trades a day.

Home counts the trades of today and of the last 24 hours one by one, 43,200 of them here, so it grows with what happens in a
day, not with what ever happened. Next would be: those counts kept for some seconds for everybody who sees the same clients.

Not said: the network, the browser, and other people working at the same time.
"""

import statistics
import time
from collections.abc import Iterator

from benchmarks import Figure
from benchmarks.ground import Ground

ROUNDS = 20
FEW, MANY, TOLD = 1_000_000, 5_000_000, 50_000


def run(ground: Ground) -> list[Figure]:
    from benchmarks.filling import fill

    few, many = int(FEW * ground.scale), int(MANY * ground.scale)
    begun = fill(few, told=min(few, TOLD), room=many - few)
    at_few = dict(pages(few))
    fill(many - few, told=min(few, TOLD), clients=5, until=begun)
    at_many = dict(pages(many))
    figures = [Figure(f"{name}, {few:,} trades", took, "ms", goal=150) for name, took in at_few.items()]
    figures += [Figure(f"{name}, {many:,} trades", took, "ms", f"with {few:,}", at_few[name], 1.2)
                for name, took in at_many.items()]  # fmt: skip
    return figures


def pages(many: int) -> Iterator[tuple[str, float]]:
    """Each page with what it took, in milliseconds."""
    from django.urls import reverse

    from brokerage.models import Trade
    from tests.edges import staff

    browser = staff.browser(staff.superuser())
    trades = reverse("admin:brokerage_trade_changelist")
    told = Trade.objects.filter(hold__isnull=False).order_by("-id").first()
    assert told is not None
    asked = {
        "Trades, newest first": trades,
        "Trades, the 40th page": f"{trades}?p=40",
        "Trades that are unfinished": f"{trades}?queue=unfinished",
        "Trades lost in the last 7 days": f"{trades}?by_state=lost&placed_at_in=week",
        "Search by a client's name": f"{trades}?q={told.client.last_name}",
        "Search by a name that 50 clients have": f"{trades}?q=Amina",
        "Search by contract": f"{trades}?q={told.contract_id}",
        "A trade's record": reverse("admin:brokerage_trade_change", args=[told.pk]),
        "A client's page": reverse("admin:compliance_client_change", args=[told.client_id]),
        "A cash account's page": reverse("admin:ledger_account_change", args=[told.account.cash_id]),
        "The event log": reverse("admin:backoffice_event_changelist"),
        "Home": reverse("admin:index"),
    }  # fmt: skip
    for name, url in asked.items():
        yield name, _median(browser, url)


def _median(browser: "object", url: str) -> float:
    took = []
    for number in range(ROUNDS + 2):
        begun = time.perf_counter()
        answer = browser.get(url)  # type: ignore[attr-defined]
        took.append((time.perf_counter() - begun) * 1000)
        assert answer.status_code == 200, (url, answer.status_code)
        if number == 1:
            took.clear()  # the first two fill caches
    return statistics.median(took)
