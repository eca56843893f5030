"""Closed days: what stood on a book at the end of each, who closed it, and the hash that chains them."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Card, Entry, Waiting
from backoffice.admin.record import Record, Tab
from backoffice.models import Currency
from backoffice.who import By, called
from ledger.control import closing, totals
from ledger.models import Book, Closing

LIST = "admin:ledger_closing_changelist"


class CloseForm(DialogForm):
    """Which day of which book."""

    book = forms.ChoiceField(choices=Book.choices, initial=Book.REAL, widget=UnfoldAdminRadioSelectWidget)
    business_date = forms.DateField(
        label="Day", input_formats=["%Y-%m-%d"], widget=UnfoldAdminTextInputWidget({"placeholder": "2026-11-24"}),
        help_text="As year-month-day. The first close of a book takes in everything before it.",
    )  # fmt: skip
    field_order = ("book", "business_date", "key")


def _to_close(row: Any) -> SafeString:
    """Which day each book is at, and whether its sides are equal."""
    today = timezone.now().date()
    rows: list[list[Any]] = []
    for book in Book:
        day = closing.next_open(book)
        if day is None:
            continue
        wrong = totals.unbalanced(totals.now(book))
        said = "Debits equal credits" if not wrong else f"Debits and credits differ in {', '.join(wrong)}"
        rows.append([book.label, f"{day}" if day < today else f"{day}, not over yet", said])
    return show.table(["Book", "Next to close", "Now"], rows, empty="Nothing was ever booked.")


@dialog_action(
    CloseForm,
    title="Close a day",
    button="Close the day",
    description="Nothing can be booked on it any more; what counts on it later is booked on the next open day. Only the last one can be reopened.",
    permission="ledger.close_day",
    effect=_to_close,
    icon="lock",
)
def close_a_day(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
    data, by = form.cleaned_data, By.user(request.user)  # type: ignore[arg-type]
    made = closing.close(data["book"], data["business_date"], by=by, at=timezone.now(), key=data["key"])
    return f"{made} is closed, with {made.entries:,} entries."


@dialog_action(
    title="Reopen the day",
    button="Reopen it",
    description="The day can be booked on again, until it is closed anew. The close stays on record.",
    permission="ledger.reopen_day",
    check=closing.check_may_reopen,
    applies=lambda row: row.stands,
    elevated=True,
    danger=True,
    icon="lock_open",
)
def reopen_day(admin: Any, request: HttpRequest, row: Closing, form: Any) -> str:
    data, by = form.cleaned_data, By.user(request.user)  # type: ignore[arg-type]
    closing.reopen(row, reason=data["reason"], by=by, at=timezone.now(), key=data["key"])
    return f"{row} is open again. Close it when what was missing is booked."


@admin.register(Closing)
class ClosingAdmin(ReadOnlyAdmin):
    list_display = ("day", "book_shown", "state_shown", "entries_shown", "closed", "who", "hash_shown")
    list_display_links = ("day",)
    list_select_related = ("closed_by_user",)
    record_related = ("closed_by_user", "previous")
    ordering = ("-business_date", "-id")
    list_filter = (choice_filter("book", "book", Book.choices),)
    actions_list = ("close_a_day",)
    actions_detail = ("reopen_day",)
    close_a_day, reopen_day = close_a_day, reopen_day
    subject_type = "closing"
    list_intro = (
        "Days on which nothing is booked any more. Each close keeps what stood on the book, and its hash takes in the "
        "close before, so that none can be changed unnoticed."
    )
    empty_text = "No day is closed yet. Close one, in order, when everything of it is booked."

    @admin.display(description="Day")
    def day(self, row: Closing) -> str:
        return f"{row.business_date:%Y-%m-%d}"

    @admin.display(description="Book")
    def book_shown(self, row: Closing) -> str:
        return str(row.get_book_display())

    @admin.display(description="State")
    def state_shown(self, row: Closing) -> SafeString:
        return show.badge("Closed", show.DONE) if row.stands else show.badge("Reopened")

    @admin.display(description="Entries")
    def entries_shown(self, row: Closing) -> SafeString:
        return show.number(row.entries)

    @admin.display(description="Closed")
    def closed(self, row: Closing) -> SafeString:
        return show.when(row.closed_at)

    @admin.display(description="By")
    def who(self, row: Closing) -> str:
        return str(row.closed_by_user) if row.closed_by_user else timeline.person(row.closed_by)

    @admin.display(description="Hash")
    def hash_shown(self, row: Closing) -> SafeString:
        return format_html('<code title="{}">{}</code>', row.hash, row.hash[:12])

    def record(self, request: HttpRequest, row: Closing) -> Record:
        return Record(
            title=f"{row.get_book_display()} book, {row.business_date:%Y-%m-%d}",
            badge=self.state_shown(row),
            why="Nothing is booked on this day any more." if row.stands
            else "This close was taken back; the day was open again from then on.",
            facts=[
                ("What was closed?", [("Entries of the day", self.entries_shown(row)), ("Book", row.get_book_display())]),
                ("By whom?", [
                    ("Closed by", self.who(row)), ("Closed", show.at(row.closed_at)),
                    ("Reopened by", called(row.reopened_by) if row.reopened_by else ""), ("Reopened", show.at(row.reopened_at)),
                ]),
                ("What proves it?", [
                    ("Hash", format_html("<code>{}</code>", row.hash)),
                    ("The close before", record_link(row.previous) if row.previous_id else ""),
                ]),
            ],
            timeline=timeline.of("closing", row.uuid),
            tabs=[Tab("What stood at its end", lambda: _totals(row))],
        )  # fmt: skip


def _totals(row: Closing) -> SafeString:
    digits = dict(Currency.objects.values_list("code", "exponent"))

    def side(group: totals.Group, net: Decimal) -> Any:
        return show.money(net, group.currency, digits[group.currency]) if net > 0 else ""

    return show.table(
        ["Kind", "Accounts for", "Debit", "Credit"],
        [
            [group.kind.capitalize(), f"{'Clients’ ' if group.owner_type else 'House · '}{group.purpose.replace('_', ' ')}",
             side(group, net), side(group, -net)]
            for group, net in totals.of_closing(row).items()
        ],
        right=(2, 3),
        empty="Nothing stood on the book.",
    )  # fmt: skip


def _waiting(request: HttpRequest) -> Any:
    """Days that are over and not closed, of books that are closed day by day."""
    now = timezone.now()
    for book in Book:
        last = closing.last_closed(book)
        days = (now.date() - last.business_date).days - 1 if last else 0
        if days > 0:
            yield Waiting(
                f"Days to close: {book.label.lower()} book", _list(), days, is_overdue=days > 3,
                note=f"The last closed day is {last.business_date}." if last else "",
            )  # fmt: skip


def _list() -> str:
    from django.urls import reverse

    return reverse(LIST)


ports.waiting.register("closings", Card("ledger.close_day", _waiting), order=80)
ports.sidebar.register(
    "closings", Entry("Books", "Closed days", LIST, "lock", "ledger.view_closing"), order=60
)
ports.subjects.register(
    "closing",
    lambda ids: {
        row.uuid: (f"Closed day: {row}", url_of(row)) for row in Closing.objects.filter(uuid__in=ids)
    },
)
ports.words.register("closing.closed", "Closed")
ports.words.register("closing.reopened", "Reopened")
