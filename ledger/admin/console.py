"""What the ledger adds to the sidebar and the client's page."""

import uuid
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join

from backoffice.admin import ports, show
from backoffice.admin.base import url_of
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Panel, Unfinished
from backoffice.registry import Port
from ledger.admin import shown
from ledger.admin.accounts import amount, figure
from ledger.collecting.port import collectors
from ledger.models import Account, Book, Entry, Hold, Method
from ledger.providers import providers


def _accounts(request: HttpRequest, client: Any) -> Any:
    rows = list(Account.objects.of_client(client.uuid).select_related("currency").order_by("id")[:30])
    named = shown.owners(rows)
    return show.table(
        ["Account", "Book", "Posted", "Held", "Available", ""],
        [[shown.account_link(row, named), row.get_book_display(), figure(request, row, row.posted), amount(row, row.held),
          figure(request, row, row.available), _ways(request, row)] for row in rows],
        right=(2, 3, 4),
        empty="No ledger account yet. Accounts are opened with the client's first trading account.",
    )  # fmt: skip


def _ways(request: HttpRequest, row: Account) -> Any:
    """The ways to a wallet's statement and its adjustment."""
    if row.purpose != "wallet" or row.book != Book.REAL:
        return ""
    found = []
    if request.user.has_perm("ledger.view_entry"):
        url = f"{reverse('admin:ledger_client_statement')}?client={row.client_id}&currency={row.currency_id}"
        found.append(show.link("Statement", url))
    if request.user.has_perm("ledger.make_adjustment"):
        found.append(show.link("Adjust", reverse("admin:ledger_account_adjust_wallet", args=[row.pk])))
    return format_html_join(" · ", "{}", ((each,) for each in found))


for _number, (_name, _entry) in enumerate(
    {
        "ledger_accounts": SidebarEntry(
            "Books", "Accounts", "admin:ledger_account_changelist", "account_tree", "ledger.view_account"
        ),
        "journal": SidebarEntry(
            "Books", "Journal", "admin:ledger_entry_changelist", "menu_book", "ledger.view_entry"
        ),
        "holds": SidebarEntry(
            "Books", "Holds", "admin:ledger_hold_changelist", "lock_clock", "ledger.view_hold"
        ),
    }.items()
):
    ports.sidebar.register(_name, _entry, order=10 * _number)
ports.unfinished.register(
    "ledger.hold", Unfinished(Hold, "Holds", "ledger.view_hold", ("account__currency",)), order=60
)
ports.client_panels.register("ledger", Panel("Ledger accounts", "ledger.view_account", _accounts), order=30)


def _entries(ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    rows = Entry.objects.filter(uuid__in=ids)
    return {row.uuid: (row.narration or shown.kind_name(row.kind), url_of(row)) for row in rows}


def _holds(ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    rows = Hold.objects.filter(uuid__in=ids).select_related("account__currency")
    return {
        row.uuid: (
            f"{row.purpose.replace('_', ' ').capitalize()} · "
            f"{show.tidy(row.amount, row.account.currency.exponent)} {row.account.currency_id}",
            url_of(row),
        )
        for row in rows
    }


def _named_accounts(ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    return {row.uuid: (str(row), url_of(row)) for row in Account.objects.filter(uuid__in=ids)}


ports.subjects.register("account", _named_accounts)
ports.subjects.register("entry", _entries)
ports.subjects.register("hold", _holds)
for _event, _words in {
    "entry.posted": "Posted",
    "entry.reversed": "Reversed",
    "hold.placed": "Held",
    "hold.captured": "Hold captured",
    "hold.released": "Hold released",
    "hold.expired": "Hold expired",
    "hold.transferred": "Hold moved on",
}.items():
    ports.words.register(_event, _words)


def _named_by(port: Port[Any]) -> Callable[[Any], str]:
    """What a registered part of ours is called; its own name where it is registered no more."""
    return lambda name: f"by {port.get(name).label}" if name in port.names() else f"by {name}"


_WAYS: Final[dict[str, str]] = {
    Method.BANK: "by bank transfer", Method.CARD: "by card", Method.CRYPTO: "in coins", Method.PAYPAL: "by PayPal",
    "credit": "to the client", "debit": "from the client", "in": "money in", "out": "money out",
}  # fmt: skip
ports.phrases.register("provider", _named_by(providers))
ports.phrases.register("collector", _named_by(collectors))
ports.phrases.register("height", lambda value: f"in block {value:,}")
ports.phrases.register("network", lambda value: f"over {str(value).capitalize()}")
for _part in ("method", "direction"):
    ports.phrases.register(_part, lambda value: _WAYS.get(value, str(value)))
