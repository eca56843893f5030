"""What the ledger adds to the sidebar and the client's page."""

from typing import Any

from django.http import HttpRequest

from backoffice.admin import ports, show
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Panel
from ledger.admin import shown
from ledger.admin.accounts import amount
from ledger.models import Account


def _accounts(request: HttpRequest, client: Any) -> Any:
    rows = list(Account.objects.of_client(client.uuid).select_related("currency").order_by("id")[:30])
    named = shown.owners(rows)
    return show.table(
        ["Account", "Book", "Posted", "Held", "Available"],
        [[shown.account_link(row, named), row.get_book_display(), amount(row, row.posted), amount(row, row.held),
          amount(row, row.available)] for row in rows],
        right=(2, 3, 4),
        empty="No ledger account yet. Accounts are opened with the client's first trading account.",
    )  # fmt: skip


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
        "trial_balance": SidebarEntry(
            "Books", "Trial balance", "admin:ledger_trial_balance", "balance", "ledger.view_account"
        ),
    }.items()
):
    ports.sidebar.register(_name, _entry, order=10 * _number)
ports.client_panels.register("ledger", Panel("Ledger accounts", "ledger.view_account", _accounts), order=30)
