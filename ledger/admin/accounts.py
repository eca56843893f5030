"""Ledger accounts: what stands on them, what is held, and what moved; and the trial balance of each book."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.filters import choice_filter, rows_filter
from backoffice.admin.record import Record, Tab
from backoffice.models import Currency
from ledger.admin import shown
from ledger.admin.assertions import assert_balance
from ledger.models import Account, Book, Entry, Hold, Posting
from ledger.reports import trial_balance


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
    actions_detail = ("assert_balance",)
    assert_balance = assert_balance
    empty_text = "No account here. Accounts are opened as clients and the house first need them."

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "trial-balance/", self.admin_site.admin_view(self.trial_balance), name="ledger_trial_balance"
        )
        return [page, *super().get_urls()]

    def trial_balance(self, request: HttpRequest) -> HttpResponse:
        """Debits and credits of a book, by what accounts are for; equal in each currency."""
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        book = request.GET.get("book", Book.DEMO_MIRROR)
        book = book if book in Book.values else Book.DEMO_MIRROR
        context = {
            **self.admin_site.each_context(request),
            "title": "Trial balance",
            "books": [(value, label, value == book) for value, label in Book.choices],
            "currencies": _balanced(book),
        }
        return TemplateResponse(request, "console/trial_balance.html", context)

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
            amount=amount(row, row.posted),
            why="Closed for good; its postings stay." if row.is_closed
            else f"{row.get_book_display()} book. It grows on the {row.normal_side} side.",
            facts=[
                ("How much?", [
                    ("Posted", amount(row, row.posted)), ("Held", amount(row, row.held)),
                    ("Available", amount(row, row.available)),
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


def amount(account: Account, value: Decimal) -> SafeString:
    return show.money(value, account.currency_id, account.currency.exponent)


def _postings(request: HttpRequest, account: Account) -> SafeString:
    # A house account takes postings of every client: the reader sees those of the clients they may see.
    seen = ports.visible(request.user, Entry.objects.all())
    rows = list(
        Posting.objects.filter(account=account, entry__in=seen).select_related("entry").order_by("-id")[:30]
    )
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


def _balanced(book: str) -> list[dict[str, Any]]:
    digits = dict(Currency.objects.values_list("code", "exponent"))
    currencies: dict[str, dict[str, Any]] = {}
    url = reverse("admin:ledger_account_changelist")
    for row in trial_balance(book):
        found = currencies.setdefault(
            row.currency, {"code": row.currency, "rows": [], "debit": Decimal(0), "credit": Decimal(0)}
        )
        found["debit"] += row.debit
        found["credit"] += row.credit
        found["rows"].append({
            "kind": row.kind.capitalize(),
            "purpose": ("Clients' " if row.owner_type else "House · ") + row.purpose.replace("_", " "),
            "url": f"{url}?q={row.purpose}&by_book={book}&by_currency={row.currency}",
            "accounts": row.accounts,
            "debit": show.money(row.debit, row.currency, digits[row.currency]) if row.debit else "",
            "credit": show.money(row.credit, row.currency, digits[row.currency]) if row.credit else "",
        })  # fmt: skip
    for code, found in currencies.items():
        found["is_even"] = found["debit"] == found["credit"]
        found["debit"], found["credit"] = (
            show.money(found["debit"], code, digits[code]), show.money(found["credit"], code, digits[code]),
        )  # fmt: skip
    return list(currencies.values())
