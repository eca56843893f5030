"""The books with 1,000,000 postings (times the scale): pages, reports, closing a day, and each invariant, beside bare SQL.

A page is what it takes in the web process, from the request to the last byte, median of twenty, through Django's test
client; the transaction history is asked over GraphQL by a client. Each must stay within 200 ms. Beside each stands, in
the note, one SQL statement in the same process that reads the same rows. Four fifths of the postings are of demo trades,
one is of wallets in the real book; every day but the last two is closed, as a deployment would have it. Invariants are
each checked once; a quick one must stay within a second.

The filled events are not sequenced, so the invariant about that is broken here.

Not said: the network, the browser, other people at work, and wallets with more than some thousand lines.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

from benchmarks import Figure
from benchmarks.ground import Ground, say

ROUNDS = 20
POSTINGS = 1_000_000
PAGE_MS, CHECK_MS = 200, 1000

POSTINGS_OF = """SELECT p.*, e.* FROM ledger_posting p JOIN ledger_entry e ON e.id = p.entry_id
    WHERE p.account_id BETWEEN %s AND %s ORDER BY p.account_id DESC, p.id DESC LIMIT 30"""
HISTORY_OF = """SELECT p.*, e.* FROM ledger_posting p JOIN ledger_entry e ON e.id = p.entry_id
    WHERE p.account_id = %s ORDER BY e.uuid DESC LIMIT 51"""
BALANCES = """SELECT currency_id, kind, purpose, owner_type, sum(posted) FROM ledger_account WHERE book = %s GROUP BY 1, 2, 3, 4"""
ALL_POSTINGS = """SELECT a.currency_id, a.kind, a.purpose, a.owner_type, sum(CASE p.side WHEN 'debit' THEN p.amount ELSE -p.amount END)
    FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id JOIN ledger_account a ON a.id = p.account_id
    WHERE e.book = %s AND e.business_date <= %s GROUP BY 1, 2, 3, 4"""


def run(ground: Ground) -> list[Figure]:
    from benchmarks.postings import fill_postings

    fill_postings(ground.count(POSTINGS))
    return [*_closes(), *_pages(), *_history(), *_invariants()]


def _closes() -> Iterator[Figure]:
    """Closes every day of both books but the last two, one after the other."""
    from django.utils import timezone

    from backoffice.database import uuid7
    from backoffice.who import By
    from ledger.control import closing

    now, took, many = timezone.now(), [], 0
    for book in ("demo_mirror", "real"):
        while (day := closing.next_open(book)) is not None and day < now.date() - timedelta(days=1):
            begun = time.perf_counter()
            row = closing.close(book, day, by=By.system("benchmark"), at=now, key=f"close-{uuid7()}")
            took.append((time.perf_counter() - begun) * 1000)
            many = max(many, row.entries)
    if took:
        yield Figure(
            "closing a day, the slowest", max(took), "ms", note=f"{len(took)} days, up to {many:,} entries"
        )


def _pages() -> Iterator[Figure]:
    from django.urls import reverse
    from django.utils import timezone

    from ledger.models import Account, Closing
    from tests.edges import staff

    browser = staff.browser(staff.superuser())
    house = Account.objects.get(book="real", purpose="bank")
    busy = Account.objects.filter(book="demo_mirror", purpose="venue_result").order_by("-version").first()
    cash = Account.objects.filter(book="demo_mirror", purpose="trading_cash").order_by("-version").first()
    assert busy is not None and cash is not None
    today: date = timezone.now().date()
    then = today - timedelta(days=2)
    first = Closing.objects.filter(book="demo_mirror").order_by("business_date").first()
    before = first.business_date + timedelta(days=1) if first else then
    explain, record = reverse("admin:ledger_explain"), "admin:ledger_account_change"
    asked: list[tuple[str, str, str, list[Any]]] = [
        ("the bank's account", reverse(record, args=[house.pk]), POSTINGS_OF, [house.pk, house.pk]),
        ("a busy house account", reverse(record, args=[busy.pk]), POSTINGS_OF, [busy.pk, busy.pk]),
        ("explaining the bank's balance", f"{explain}?account={house.pk}", POSTINGS_OF, [house.pk, house.pk]),
        ("explaining a trading account's balance", f"{explain}?account={cash.pk}", POSTINGS_OF, [cash.pk, cash.pk]),
        ("trial balance now", f"{reverse('admin:ledger_trial_balance')}?book=demo_mirror", BALANCES, ["demo_mirror"]),
        ("trial balance of a closed day", f"{reverse('admin:ledger_trial_balance')}?book=demo_mirror&last={then}",
         ALL_POSTINGS, ["demo_mirror", then]),
        ("balance sheet of a closed day", f"{reverse('admin:ledger_balance_sheet')}?book=real&last={then}", ALL_POSTINGS, ["real", then]),
        ("income of days", f"{reverse('admin:ledger_income')}?book=demo_mirror&first={before}&last={then}", ALL_POSTINGS, ["demo_mirror", then]),
        ("client money now", reverse("admin:ledger_client_money"), BALANCES, ["real"]),
    ]  # fmt: skip

    def visit(url: str) -> None:
        answer = browser.get(url)
        assert answer.status_code == 200, (url, answer.status_code)

    for name, url, query, given in asked:
        took = _median(lambda url=url: visit(url))  # type: ignore[misc]
        yield Figure(name, took, "ms", goal=PAGE_MS, note=_beside(query, given))


def _history() -> Iterator[Figure]:
    from django.utils import timezone

    from backoffice import sessions
    from compliance.models import Membership
    from ledger.models import Account
    from tests.edges.api import App

    wallet = Account.objects.filter(book="real", purpose="wallet").order_by("-version").first()
    assert wallet is not None and wallet.client_id is not None
    user = Membership.objects.select_related("user").get(client__uuid=wallet.client_id).user
    app = App()
    app.access = sessions.start(user, at=timezone.now()).access
    fields = "id type status words amount { amount currency } balance { amount } reference note createdAt completedAt"
    query = f"query($after: String) {{ transactions(first: 50, after: $after) {{ edges {{ node {{ {fields} }} }} pageInfo {{ endCursor }} }} }}"
    after = app.data(query)["pageInfo"]["endCursor"]
    beside = _beside(HISTORY_OF, [wallet.pk])
    yield Figure(
        "transaction history, first 50 of a wallet",
        _median(lambda: app.data(query)),
        "ms",
        goal=PAGE_MS,
        note=beside,
    )
    yield Figure(
        "transaction history, the next 50",
        _median(lambda: app.data(query, after=after)),
        "ms",
        goal=PAGE_MS,
        note=beside,
    )


def _invariants() -> Iterator[Figure]:
    from django.utils import timezone

    from backoffice.who import By
    from ledger.control.invariants import invariants, run

    for name in invariants.names():
        row = run(name, by=By.system("benchmark"), at=timezone.now())
        said = f"invariant: {name.replace('_', ' ')}"
        goal = None if invariants.get(name).is_nightly else CHECK_MS
        yield Figure(
            said, row.took_ms, "ms", goal=goal, note=f"broken by {row.found:,}" if row.found else "holds"
        )


def _beside(query: str, given: list[Any]) -> str:
    """What the bare statement takes, in words."""
    from django.db import connection

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute(query, given)
            cursor.fetchall()

    return f"bare SQL: {_median(ask):,.1f} ms"


def _median(work: Callable[[], object]) -> float:
    took = []
    for number in range(ROUNDS + 2):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
        if number == 1:
            took.clear()  # the first two fill caches
    found = statistics.median(took)
    say(f"{found:,.1f} ms")
    return found
