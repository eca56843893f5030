"""What is read of the books, for `books.py`: pages and reports of the console, transaction histories, closes, invariants."""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any

from benchmarks import Figure, measuring

PAGE_MS, CHECK_MS, WITHIN = 200, 1000, 12

POSTINGS_OF = """SELECT p.*, e.* FROM ledger_posting p JOIN ledger_entry e ON e.id = p.entry_id
    WHERE p.account_id BETWEEN %s AND %s ORDER BY p.account_id DESC, p.id DESC LIMIT 30"""
ENTRIES = "SELECT * FROM ledger_entry ORDER BY id DESC LIMIT 26"
HISTORY_OF = """SELECT p.*, e.* FROM ledger_posting p JOIN ledger_entry e ON e.id = p.entry_id
    WHERE p.account_id = %s AND e.uuid < %s ORDER BY e.uuid DESC LIMIT 51"""
BALANCES = """SELECT currency_id, kind, purpose, owner_type, count(*), sum(posted) FROM ledger_account WHERE book = %s
    GROUP BY 1, 2, 3, 4"""
ALL_POSTINGS = """SELECT a.currency_id, a.kind, a.purpose, a.owner_type, sum(CASE p.side WHEN 'debit' THEN p.amount ELSE -p.amount END)
    FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id JOIN ledger_account a ON a.id = p.account_id
    WHERE e.book = %s AND e.business_date <= %s GROUP BY 1, 2, 3, 4"""
OWED = """SELECT c.id, c.title, c.amount, w.reference FROM compliance_approval c LEFT JOIN ledger_withdrawal w ON w.uuid = c.subject_id
    WHERE c.state = 'open' ORDER BY c.requested_at LIMIT 26"""
FIELDS = (
    "id type status words amount { amount currency } balance { amount } reference note createdAt completedAt"
)
HISTORY = (
    f"query($after: String) {{ transactions(first: 50, after: $after) {{ edges {{ node {{ {FIELDS} }} }} "
    "pageInfo { endCursor } } }"
)
# The last id there can be: a page that begins with the newest.
LAST = "ffffffff-ffff-7fff-bfff-ffffffffffff"


def closed() -> Iterator[Figure]:
    """Closes every day of both books but the last two, one after the other."""
    from django.utils import timezone

    from backoffice.database import uuid7
    from backoffice.who import By
    from ledger.control import closing

    by, now, took, many = By.system("benchmark"), timezone.now(), [], 0
    for book in ("demo_mirror", "real"):
        while (day := closing.next_open(book)) is not None and day < now.date() - timedelta(days=1):
            key = f"close-{uuid7()}"
            took.append(measuring.once(partial(closing.close, book, day, by=by, at=now, key=key)))
            many = max(many, closing.last_closed(book).entries)  # type: ignore[union-attr]  # it was closed just now
    if took:
        yield Figure(
            "closing a day, the slowest", max(took), "ms", note=f"{len(took)} days, up to {many:,} entries"
        )


def pages(rounds: int) -> Iterator[Figure]:
    """Each page of the console, with how many questions it asks and what one bare statement takes for its rows."""
    from tests.edges import staff

    browser = staff.browser(staff.superuser())

    def visit(url: str) -> None:
        answer = browser.get(url)
        assert answer.status_code == 200, (url, answer.status_code)

    for name, url, query, given in _asked():
        took = measuring.median(partial(visit, url), rounds)
        yield Figure(
            name, took, "ms", "bare SQL", measuring.median(measuring.asking(query, given), rounds), limit=PAGE_MS,
            note=f"{measuring.questions(partial(visit, url))} questions",
        )  # fmt: skip


def _asked() -> list[tuple[str, str, str, list[Any]]]:
    """Name and address of each page, and the statement beside it."""
    from django.urls import reverse
    from django.utils import timezone

    from compliance.models import Client
    from ledger.models import Account, Entry

    def busiest(book: str, purpose: str) -> Account:
        row = Account.objects.filter(book=book, purpose=purpose).order_by("-version").first()
        assert row is not None
        return row

    bank, result = busiest("real", "bank"), busiest("demo_mirror", "venue_result")
    cash, wallet = busiest("demo_mirror", "trading_cash"), busiest("real", "wallet")
    client = Client.objects.get(uuid=str(wallet.client_id))
    then: date = timezone.now().date() - timedelta(days=2)
    before, deep = then - timedelta(days=1), min(40, Entry.objects.count() // 25)
    listed = "admin:ledger_{}_changelist"

    def page(name: str, *keys: int, **given: object) -> str:
        asked = "&".join(f"{key}={value}" for key, value in given.items())
        return f"{reverse(f'admin:{name}', args=keys)}?{asked}"

    def of(row: Account) -> list[int]:
        return [row.pk, row.pk]

    return [
        ("account page, the bank's", page("ledger_account_change", bank.pk), POSTINGS_OF, of(bank)),
        ("account page, a busy house account", page("ledger_account_change", result.pk), POSTINGS_OF, of(result)),
        ("account page, a wallet", page("ledger_account_change", wallet.pk), POSTINGS_OF, of(wallet)),
        ("transaction list, newest first", reverse(listed.format("entry")), ENTRIES, []),
        (f"transaction list, page {deep}", f"{reverse(listed.format('entry'))}?p={deep}", f"{ENTRIES} OFFSET {25 * (deep - 1)}", []),
        ("trial balance now", page("ledger_trial_balance", book="demo_mirror"), BALANCES, ["demo_mirror"]),
        ("trial balance of a closed day", page("ledger_trial_balance", book="demo_mirror", last=then), ALL_POSTINGS, ["demo_mirror", then]),
        ("explain, the bank's balance", page("ledger_explain", account=bank.pk), POSTINGS_OF, of(bank)),
        ("explain, a trading account's", page("ledger_explain", account=cash.pk), POSTINGS_OF, of(cash)),
        ("explain, a wallet's", page("ledger_explain", account=wallet.pk), POSTINGS_OF, of(wallet)),
        ("balance sheet of a closed day", page("ledger_balance_sheet", book="real", last=then), ALL_POSTINGS, ["real", then]),
        ("income of a day", page("ledger_income", book="demo_mirror", first=then, last=then), ALL_POSTINGS, ["demo_mirror", before]),
        ("client money now", page("ledger_client_money"), BALANCES, ["real"]),
        ("client page", page("compliance_client_change", client.pk), "SELECT * FROM compliance_client WHERE id = %s", [client.pk]),
        ("withdrawals list", reverse(listed.format("withdrawal")), "SELECT * FROM ledger_withdrawal ORDER BY id DESC LIMIT 26", []),
        ("approvals inbox", reverse("admin:compliance_approval_changelist"), OWED, []),
    ]  # fmt: skip


def history(clients: int) -> Iterator[Figure]:
    """Two pages of the transactions of so many clients over the API, the newest fifty and the next, beside the keyset query."""
    from django.utils import timezone

    from backoffice import sessions
    from compliance.models import Membership
    from ledger.models import Account
    from tests.edges.api import App

    wallets = list(Account.objects.filter(book="real", purpose="wallet").order_by("-version")[:clients])
    rows = Membership.objects.filter(client__uuid__in=[wallet.client_id for wallet in wallets])
    users = {row.client.uuid: row.user for row in rows.select_related("client", "user")}
    app, took, bare, asked = App(), [], [], 0
    for wallet in wallets:
        app.access = sessions.start(users[wallet.client_id], at=timezone.now()).access  # type: ignore[index]
        app.data("{ me { id } }")  # what is kept of a session is kept from here on
        after = app.data(HISTORY)["pageInfo"]["endCursor"]
        asked = asked or measuring.questions(partial(app.data, HISTORY, after=after))
        took += measuring.each([partial(app.data, HISTORY), partial(app.data, HISTORY, after=after)])
        bare += measuring.each([measuring.asking(HISTORY_OF, [wallet.pk, LAST])] * 2)
    yield Figure(
        "transaction history over the API, 50 lines, p95", measuring.p95(took), "ms", "bare SQL, p95", measuring.p95(bare),
        limit=PAGE_MS, note=f"{len(took)} pages of {len(wallets)} clients; {asked} questions",
    )  # fmt: skip


def invariants() -> Iterator[Figure]:
    from django.utils import timezone

    from backoffice.who import By
    from ledger.control.invariants import invariants, run

    for name in invariants.names():
        row = run(name, by=By.system("benchmark"), at=timezone.now())
        yield Figure(
            f"invariant: {name.replace('_', ' ')}", row.took_ms, "ms", goal=None if invariants.get(name).is_nightly else CHECK_MS,
            note=f"broken by {row.found:,}" if row.found else "holds",
        )  # fmt: skip
