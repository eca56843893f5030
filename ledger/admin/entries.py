"""Journal entries: what was posted, when and why, with its lines as accounting text."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.filters import choice_filter, period_filter
from backoffice.admin.record import Record
from ledger.admin import shown
from ledger.models import Book, Entry, Posting


@admin.register(Entry)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("effective", "kind_shown", "about", "amount", "book_shown", "said")
    list_display_links = ("kind_shown",)
    list_select_related = ("by_user",)
    record_related = ("by_user", "reverses", "reversed_by")
    ordering = ("-id",)
    search_fields = ("reference",)
    search_help_text = "Reference, key, or id of what it is about"
    list_filter = (
        choice_filter("book", "book", Book.choices),
        period_filter("effective_at", "effective time"),
    )
    empty_text = "No entry here. Entries appear as money moves: opening balances, stakes, payouts, markup."

    def get_queryset(self, request: HttpRequest) -> Any:
        first = Posting.objects.filter(entry=OuterRef("pk"), line=1)
        return (
            super()
            .get_queryset(request)
            .annotate(
                first_amount=Subquery(first.values("amount")[:1]),
                first_currency=Subquery(first.values("currency_id")[:1]),
                first_digits=Subquery(first.values("currency__exponent")[:1]),
            )
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Entry], search_term: str
    ) -> tuple[QuerySet[Entry], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            subject = uuid.UUID(term)
        except ValueError:
            return queryset.filter(Q(key=term) | Q(reference=term)), False
        return queryset.filter(Q(subject_id=subject) | Q(client_id=subject) | Q(uuid=subject)), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        answer = super().changelist_view(request, extra_context)
        listing = getattr(answer, "context_data", {}).get("cl")
        if listing is not None:
            listing.result_list = rows = list(listing.result_list)
            named = ports.names((entry.subject_type, entry.subject_id) for entry in rows)
            for entry in rows:
                entry.subject_named = named.get(entry.subject_id)
        return answer

    @admin.display(description="Effective")
    def effective(self, entry: Entry) -> SafeString:
        return show.at(entry.effective_at)

    @admin.display(description="Entry")
    def kind_shown(self, entry: Entry) -> str:
        return shown.kind_name(entry.kind)

    @admin.display(description="Narration")
    def said(self, entry: Entry) -> SafeString:
        return show.cut(entry.narration)

    @admin.display(description="About")
    def about(self, entry: Entry) -> SafeString:
        named = getattr(entry, "subject_named", None)
        return show.link(*named) if named else show.NOTHING

    @admin.display(description="Amount")
    def amount(self, entry: Any) -> SafeString:
        return show.money(entry.first_amount, entry.first_currency or "", entry.first_digits or 0)

    @admin.display(description="Book")
    def book_shown(self, entry: Entry) -> str:
        return str(entry.get_book_display())

    def record(self, request: HttpRequest, row: Any) -> Record:
        named = ports.names([(row.subject_type, row.subject_id)])
        about, reversal = named.get(row.subject_id), getattr(row, "reversed_by", None)
        return Record(
            title=row.narration or shown.kind_name(row.kind),
            badge=show.badge("Reversed", show.MINE) if reversal else show.badge("Posted", show.DONE),
            amount=self.amount(row),
            why="It was reversed by the entry below; both stand." if reversal
            else "Posted for good; a mistake is mended by a reversal, never by a change.",
            facts=[
                ("What is it about?", [
                    ("About", show.link(*about) if about else ""),
                    ("Reference", row.reference), ("Book", row.get_book_display()),
                    ("Reverses", record_link(row.reverses) if row.reverses_id else ""),
                    ("Reversed by", record_link(reversal) if reversal else ""),
                ]),
                ("When does it count?", [
                    ("Effective", show.at(row.effective_at)), ("Recorded", show.at(row.recorded_at)),
                    ("Business date", f"{row.business_date:%Y-%m-%d}"),
                ]),
                ("Who posted it?", [
                    ("By", str(row.by_user) if row.by_user else timeline.person(row.by)), ("Key", row.key),
                ]),
            ],
            above=SafeString(f'<section class="c-card">{shown.entries_text([row], named)}</section>'),
        )  # fmt: skip
