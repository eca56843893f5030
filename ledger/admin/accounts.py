"""Ledger accounts: what stands on them, what is held, and what moved."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.filters import choice_filter, rows_filter
from backoffice.admin.record import Record, Tab
from backoffice.models import Currency
from ledger.admin import client_statements, explaining, reports, shown
from ledger.admin.adjustments import adjust_wallet
from ledger.admin.assertions import assert_balance
from ledger.models import Account, Book, Entry, Hold
from ledger.reports import latest_postings


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ("name", "book_shown", "kind", "posted_shown", "held_shown", "available_shown")
    list_display_links = ("name",)
    list_select_related = ("currency",)
    ordering = ("-id",)
    search_fields = ("purpose",)
    search_help_text = "What it is for, or the id of its owner or client"
    list_filter = (
        choice_filter("book", "book", Book.choices),
        rows_filter(
            "currency", "currency", lambda request: Currency.objects.filter(is_active=True).order_by("code")
        ),
        choice_filter("kind", "kind", Account.Kind.choices),
    )
    actions_detail = ("assert_balance", "adjust_wallet")
    assert_balance, adjust_wallet = assert_balance, adjust_wallet
    empty_text = "No account here. Accounts are opened as clients and the house first need them."

    def get_urls(self) -> list[URLPattern]:
        return [*reports.urls(), *explaining.urls(), *client_statements.urls(), *super().get_urls()]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        import uuid

        from django.db.models import Q

        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            owner = uuid.UUID(term)
        except ValueError:
            return queryset.filter(purpose=term.lower().replace(" ", "_")), False
        return queryset.filter(Q(owner_id=owner) | Q(client_id=owner) | Q(uuid=owner)), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        answer = super().changelist_view(request, extra_context)
        listing = getattr(answer, "context_data", {}).get("cl")
        if listing is not None:
            listing.result_list = rows = list(listing.result_list)
            named = shown.owners(rows)
            for account in rows:
                account.shown_name = shown.account_name(account, named)
        return answer

    @admin.display(description="Account")
    def name(self, account: Account) -> str:
        return getattr(account, "shown_name", str(account))

    @admin.display(description="Book")
    def book_shown(self, account: Account) -> str:
        return str(account.get_book_display())

    @admin.display(description="Posted")
    def posted_shown(self, account: Account) -> SafeString:
        return amount(account, account.posted)

    @admin.display(description="Held")
    def held_shown(self, account: Account) -> SafeString:
        return amount(account, account.held)

    @admin.display(description="Available")
    def available_shown(self, account: Account) -> SafeString:
        return amount(account, account.available)

    def record(self, request: HttpRequest, row: Account) -> Record:
        named = ports.names([(row.owner_type, row.owner_id), ("client", row.client_id)])
        owner, client = named.get(row.owner_id), named.get(row.client_id)  # type: ignore[arg-type]
        return Record(
            title=shown.account_name(row, named),
            badge=show.badge("Closed") if row.is_closed else show.badge(row.get_kind_display(), show.MOVING),
            amount=figure(request, row, row.posted),
            why="Closed for good; its postings stay." if row.is_closed
            else f"{row.get_book_display()} book. It grows on the {row.normal_side} side.",
            facts=[
                ("How much?", [
                    ("Posted", figure(request, row, row.posted)), ("Held", amount(row, row.held)),
                    ("Available", figure(request, row, row.available)),
                ]),
                ("Whose is it?", [
                    ("Owner", show.link(*owner) if owner else "The house" if row.is_house else ""),
                    ("Client", show.link(*client) if client else ""),
                ]),
                ("What is it?", [
                    ("Purpose", row.purpose.replace("_", " ").capitalize()), ("Book", row.get_book_display()),
                    ("Kind", row.get_kind_display()), ("Currency", row.currency_id),
                    ("Guard", "Never below zero nor below its holds" if row.guarded else "None: it may go below zero"),
                    ("Opened", show.at(row.opened_at)),
                ]),
            ],
            tabs=[
                *([Tab("Postings", lambda: _postings(request, row))] if request.user.has_perm("ledger.view_entry") else []),
                *([Tab("Open holds", lambda: _holds(row))] if request.user.has_perm("ledger.view_hold") else []),
            ],
        )  # fmt: skip


def figure(request: HttpRequest, account: Account, value: Decimal) -> SafeString:
    """An amount that leads to what explains it, for whoever may read the journal."""
    shown_amount = amount(account, value)
    return (
        shown.explained(account, shown_amount) if request.user.has_perm("ledger.view_entry") else shown_amount
    )


def amount(account: Account, value: Decimal) -> SafeString:
    return show.money(value, account.currency_id, account.currency.exponent)


def _postings(request: HttpRequest, account: Account) -> SafeString:
    # A house account takes postings of every client: the reader sees those of the clients they may see.
    seen = ports.visible(request.user, Entry.objects.all())
    rows = list(latest_postings(account.pk).filter(entry__in=seen).select_related("entry")[:30])
    return show.table(
        ["When", "Entry", "Narration", "Debit", "Credit", "Balance after"],
        [
            [show.at(row.entry.effective_at), record_link(row.entry, shown.kind_name(row.entry.kind)), row.entry.narration,
             amount(account, row.amount) if row.side == "debit" else "",
             amount(account, row.amount) if row.side == "credit" else "", amount(account, row.balance_after)]
            for row in rows
        ],
        right=(3, 4, 5),
        empty="Nothing is posted here yet. Postings appear with the first entry on this account.",
    )  # fmt: skip


def _holds(account: Account) -> SafeString:
    rows = list(Hold.objects.open().filter(account=account).order_by("-id")[:30])
    return show.table(
        ["Placed", "Purpose", "Amount", "Expires"],
        [[show.at(row.placed_at), record_link(row, row.purpose.capitalize()), amount(account, row.amount),
          show.when(row.expires_at)] for row in rows],
        right=(2,),
        empty="Nothing is held on this account now.",
    )  # fmt: skip
