"""Bank lines: money in suspense with who it may be for, money that left unexplained, and every line there was."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.exporting import Exported
from backoffice.admin.filters import choice_filter, queue_filter, rows_filter
from backoffice.admin.ports import Card, Unfinished, Waiting
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.record import Record, Tab
from backoffice.admin.taking import in_hand
from backoffice.admin.unfinished import tally
from backoffice.patience import is_late, late
from ledger.admin.line_actions import (
    assign_to_client,
    assign_to_deposit,
    book_bank_fee,
    claim_line,
    from_a_collector,
    keep_line,
    line_was_sent_back,
    send_line_back,
    taking,
)
from ledger.admin.shown import entries_text
from ledger.bank.numbers import masked
from ledger.bank.suspense import candidates_of
from ledger.models import BankAccount, BankLine, Deposit, Entry, Fee

LINE = BankLine._meta.label_lower
LIST = "admin:ledger_bankline_changelist"
State = BankLine.State
TONES = {
    State.MATCHED: show.DONE, State.SUSPENSE: show.MINE, State.ASSIGNED: show.DONE, State.TO_RETURN: show.MINE,
    State.RETURNED: show.WAITING, State.UNMATCHED_OUT: show.MINE, State.PAID: show.DONE, State.BANK_FEE: show.DONE,
}  # fmt: skip


def _suspense(rows: Any, at: datetime) -> QuerySet[BankLine]:
    return rows.in_suspense()  # type: ignore[no-any-return]


def _to_return(rows: Any, at: datetime) -> QuerySet[BankLine]:
    return rows.filter(state=State.TO_RETURN)  # type: ignore[no-any-return]


def _out(rows: Any, at: datetime) -> QuerySet[BankLine]:
    return rows.filter(state=State.UNMATCHED_OUT)  # type: ignore[no-any-return]


def _overdue(rows: Any, at: datetime) -> QuerySet[BankLine]:
    return rows.filter(late(BankLine, at))  # type: ignore[no-any-return]


def queues(request: HttpRequest) -> Any:
    """Mine: what I have in hand; the others by what is to be decided."""

    def mine(rows: Any, at: datetime) -> QuerySet[BankLine]:
        return rows.waiting().taken_by(request.user, at)  # type: ignore[no-any-return]

    return {"mine": mine, **QUEUES}


QUEUES = {"suspense": _suspense, "to_return": _to_return, "out": _out, "overdue": _overdue}
TITLES = {
    "mine": "Mine", "suspense": "In suspense", "to_return": "To be sent back", "out": "Money out, not explained", "overdue": "Overdue", "": "All",
}  # fmt: skip


@admin.register(BankLine)
class BankLineAdmin(Exported, ReadOnlyAdmin):
    list_display = ("age", "who", "text_shown", "value", "account", "state_shown", "why_shown")
    list_display_links = ("text_shown",)
    list_select_related = ("bank_account__currency", "taken_by")
    record_related = ("bank_account__currency", "deposit__client", "entry", "settled_by", "taken_by")
    ordering = ("-id",)
    search_fields = ("end_to_end_id",)
    search_help_text = "End-to-end id or the bank's id, to the letter"
    list_filter = (
        queue_filter(queues),
        choice_filter("state", "state", State.choices),
        rows_filter("bank_account", "bank account", lambda request: BankAccount.objects.order_by("name")),
        choice_filter("direction", "direction", Fee.Direction.choices),
    )
    exported = (
        ("Booked on", "booked_on"), ("Bank account", "bank_account__name"), ("Direction", "direction"), ("Amount", "amount"), ("Currency", "bank_account__currency_id"), ("From or to", "counterparty"), ("Text", "text"), ("End-to-end id", "end_to_end_id"), ("Bank's id", "bank_id"), ("State", "state"), ("Why", "reason"), ("Deposit", "deposit__reference"), ("Imported", "imported_at"),
    )  # fmt: skip
    exported_clients = ("deposit__client__uuid",)
    subject_type = "bank_line"
    actions_detail = (
        "assign_to_deposit",
        "assign_to_client",
        "claim_line",
        "send_line_back",
        "keep_line",
        "line_was_sent_back",
        "book_bank_fee",
        "from_a_collector",
        "take_line",
        "let_line_go",
    )
    actions_list = ("take_next_line",)
    take_line, let_line_go, take_next_line = taking.take, taking.let_go, taking.take_next
    assign_to_deposit, assign_to_client = assign_to_deposit, assign_to_client
    claim_line, book_bank_fee = claim_line, book_bank_fee
    send_line_back, keep_line, line_was_sent_back = send_line_back, keep_line, line_was_sent_back
    from_a_collector = from_a_collector
    list_intro = (
        "Money that came and matched no deposit waits here for somebody to assign it or have it sent back; so does money that left "
        "unexplained."
    )
    empty_text = "Nothing here. Lines appear when a bank statement is imported."

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(LIST)
        held: Any = ports.visible(request.user, BankLine.objects.waiting())
        counts = {
            "mine": held.taken_by(request.user, timezone.now()).count(), "suspense": tally(request, LINE, State.SUSPENSE).many, "to_return": tally(request, LINE, State.TO_RETURN).many,
            "out": tally(request, LINE, State.UNMATCHED_OUT).many, "overdue": tally(request, LINE).late,
        }  # fmt: skip
        return [
            {"title": title, "link": f"{url}?queue={name}" if name else url, "active": chosen == name, "count": counts.get(name, 0)}
            for name, title in TITLES.items()
        ]  # fmt: skip

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Where all are in one state, as their tab says, its column gives its room to the others."""
        is_one = request.GET.get("queue") in ("suspense", "to_return", "out")
        return tuple(name for name in self.list_display if not (is_one and name == "state_shown"))

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("id",) if request.GET.get("queue") else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[BankLine], search_term: str
    ) -> tuple[QuerySet[BankLine], bool]:
        from django.db.models import Q

        term = search_term.strip()
        return (queryset.filter(Q(end_to_end_id=term) | Q(bank_id=term)) if term else queryset), False

    @admin.display(description="Age")
    def age(self, row: BankLine) -> SafeString:
        return show.when(row.imported_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="From or to")
    def who(self, row: BankLine) -> str:
        return row.counterparty or "–"

    @admin.display(description="Text")
    def text_shown(self, row: BankLine) -> SafeString:
        return show.cut(row.text or "No text")

    @admin.display(description="Amount")
    def value(self, row: BankLine) -> SafeString:
        return money(row)

    @admin.display(description="Bank account")
    def account(self, row: BankLine) -> str:
        return str(row.bank_account)

    @admin.display(description="State")
    def state_shown(self, row: BankLine) -> SafeString:
        return badge(row)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: BankLine) -> SafeString:
        """In suspense why it matched nothing: what comes next is the same for all of them, and stands above the list."""
        short = row.reason if row.state == State.SUSPENSE else ""
        hand = in_hand(row)
        return show.cut(f"{hand} {short or row.why}".strip(), f"{hand} {row.why}".strip())

    def record(self, request: HttpRequest, row: BankLine) -> Record:
        """What the bank says of it, who it may be for, and what became of it."""
        return Record(
            title=f"{'From' if row.direction == Fee.Direction.IN else 'To'} {row.counterparty or 'somebody unnamed'}",
            badge=badge(row),
            amount=money(row),
            why=f"{in_hand(row)} {row.why}".strip(),
            facts=[
                ("What does the bank say?", [
                    ("Text", row.text), ("From or to", row.counterparty), ("Account there", masked(row.counterparty_iban or "")),
                    ("End-to-end id", row.end_to_end_id), ("Bank's id", row.bank_id),
                    ("Takes back an earlier line", "Yes" if row.is_reversal else ""),
                ]),
                ("Where does it stand?", [
                    ("Bank account", record_link(row.bank_account)), ("Statement", show.link("The statement", reverse(
                        "admin:ledger_bankstatement_change", args=[row.statement_id]))),
                    ("Row", str(row.place)), ("Booked on", f"{row.booked_on:%Y-%m-%d}"),
                    ("Value on", f"{row.value_on:%Y-%m-%d}" if row.value_on else ""), ("Imported", show.at(row.imported_at)),
                ]),
                ("Whose is it?", [
                    ("Deposit", record_link(row.deposit) if row.deposit_id else ""),
                    ("Client", record_link(row.deposit.client) if row.deposit is not None else ""),
                ]),
            ],
            above=_candidates(request, row) if row.state == State.SUSPENSE and request.user.has_perm("ledger.view_deposit") else "",
            timeline=timeline.of("bank_line", row.uuid),
            tabs=[Tab("Journal entries", lambda: entries_text(_entries(row)))] if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


def lines_table(rows: Any) -> SafeString:
    """Lines as a table, for the page of their statement."""
    return show.table(
        ["Row", "Booked on", "Amount", "From or to", "Text", "State", "Why"],
        [[row.place, f"{row.booked_on:%Y-%m-%d}", money(row), record_link(row, row.counterparty or "Unnamed"),
          show.cut(row.text), badge(row), row.reason]
         for row in rows.select_related("bank_account__currency")],
        right=(2,),
        empty="Every line of it was booked before, by another statement.",
    )  # fmt: skip


def money(row: BankLine) -> SafeString:
    """What it does to the bank account: with a minus where money left."""
    signed = row.amount if row.direction == Fee.Direction.IN else -row.amount
    return show.money(signed, row.bank_account.currency_id, row.bank_account.currency.exponent)


def badge(row: BankLine) -> SafeString:
    return show.badge(row.get_state_display(), TONES[State(row.state)])


def _entries(row: BankLine) -> list[Entry]:
    return [entry for entry in (row.entry, row.settled_by) if entry is not None]


def _candidates(request: HttpRequest, row: BankLine) -> SafeString:
    rows = [
        [record_link(deposit, deposit.reference), record_link(deposit.client),
         show.money(deposit.amount, deposit.currency_id, deposit.currency.exponent), deposit.get_state_display(), one.words]
        for one, deposit in candidates_of(row, among=ports.visible(request.user, Deposit.objects.all()))
    ]  # fmt: skip
    table = show.table(
        ["Deposit", "Client", "Asked for", "State", "What speaks for it"], rows, right=(2,),
        empty="No deposit is like it. Assign it to a client you know it is from, or have it sent back.",
    )  # fmt: skip
    return format_html('<section class="c-card"><h3>Who may it be from?</h3>{}</section>', table)


def _waiting(request: HttpRequest) -> int:
    return tally(request, LINE).many


def _card(request: HttpRequest) -> Any:
    found = tally(request, LINE, State.SUSPENSE)
    yield Waiting(
        "Money in suspense",
        f"{reverse(LIST)}?queue=suspense",
        found.many,
        found.since,
        found.is_late,
        "Came, and nobody knows whose it is",
    )


ports.sidebar.register(
    "suspense",
    SidebarEntry(
        "Payments", "Suspense", LIST, "help_center", "ledger.view_bankline", _waiting, queue="suspense"
    ),
    order=20,
)
ports.unfinished.register(
    LINE, Unfinished(BankLine, "Bank lines", "ledger.view_bankline", ("bank_account",)), order=51
)
ports.waiting.register("suspense", Card("ledger.resolve_bankline", _card), order=20)
ports.subjects.register(
    "bank_line",
    lambda ids: {row.uuid: (str(row), url_of(row)) for row in BankLine.objects.filter(uuid__in=ids)},
)
ports.clients_of.register(LINE, lambda row: [row.deposit.client.uuid] if row.deposit is not None else [])
for _name, _words in {
    "bank_line.assigned": "Assigned and credited",
    "bank_line.taken": "Taken in hand",
    "bank_line.let_go": "Let go",
    "bank_line.sent_back": "Sent back",
    "bank_line.to_return": "Marked to be sent back",
    "bank_line.kept": "Not sent back after all",
    "bank_line.paid": "Explained by a payment of ours",
    "bank_line.fee_booked": "Booked as the bank's fee",
}.items():
    ports.words.register(_name, _words)
