"""Differences between our books and the venue's: the queue, and both sides of each beside each other."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.filters import choice_filter, queue_filter
from backoffice.admin.ports import Card, Entry, Waiting
from backoffice.admin.record import Record
from backoffice.admin.unfinished import tally
from backoffice.patience import is_late
from backoffice.who import called
from brokerage.admin import shown
from brokerage.admin.difference_actions import (
    adopt_contract,
    correct_to_statement,
    explain,
    none_of_these,
)
from brokerage.models import Difference, StatementProof, TradingAccount
from brokerage.reconciliation import candidates_of
from brokerage.translation import instant

DIFFERENCE = Difference._meta.label_lower
LIST = "admin:brokerage_difference_changelist"


def _open(rows: Any, at: datetime) -> QuerySet[Difference]:
    return rows.open()  # type: ignore[no-any-return]


def _overdue(rows: Any, at: datetime) -> QuerySet[Difference]:
    return rows.stuck(at)  # type: ignore[no-any-return]


QUEUES = {"open": _open, "overdue": _overdue}
TITLES = {"": "All", "open": "Open", "overdue": "Overdue"}


@admin.register(Difference)
class DifferenceAdmin(ReadOnlyAdmin):
    list_display = ("found", "who", "kind_shown", "sentence", "state_shown", "decided")
    list_display_links = ("kind_shown",)
    list_select_related = ("account__client",)
    record_related = ("account__client", "account__currency", "account__cash", "trade__instrument", "line")
    ordering = ("-id",)
    list_filter = (
        queue_filter(QUEUES),
        choice_filter("kind", "kind", Difference.Kind.choices),
        choice_filter("state", "state", Difference.State.choices),
    )
    actions_detail = ("adopt_contract", "none_of_these", "correct_to_statement", "explain")
    subject_type = "difference"
    list_intro = "Where our books and the venue's statement do not say the same, and nobody guesses."
    empty_text = (
        "Nothing differs. What the venue says otherwise than we do appears here, for somebody to decide."
    )
    adopt_contract, none_of_these = adopt_contract, none_of_these
    correct_to_statement, explain = correct_to_statement, explain

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(LIST)
        counts = {"open": tally(request, DIFFERENCE).many}
        return [
            {"title": title, "link": f"{url}?queue={name}" if name else url, "active": chosen == name,
             "count": counts.get(name, 0)}
            for name, title in TITLES.items()
        ]  # fmt: skip

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("id",) if request.GET.get("queue") else ("-id",)

    @admin.display(description="Found")
    def found(self, row: Difference) -> SafeString:
        return show.when(row.found_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: Difference) -> SafeString:
        return record_link(row.account.client)  # type: ignore[no-any-return]

    @admin.display(description="What differs")
    def kind_shown(self, row: Difference) -> str:
        return row.get_kind_display()

    @admin.display(description="State")
    def state_shown(self, row: Difference) -> SafeString:
        if row.state == Difference.State.OPEN:
            return show.badge("Open", show.MINE)
        return show.badge(row.get_resolution_display(), show.DONE)

    @admin.display(description="Decided")
    def decided(self, row: Difference) -> SafeString:
        return show.when(row.resolved_at)

    def record(self, request: HttpRequest, row: Difference) -> Record:
        """What each side says, beside the other, and what was decided."""
        return Record(
            title=row.get_kind_display(),
            badge=self.state_shown(row),
            why=row.why,
            facts=[
                ("What does each side say?", _sides(row)),
                ("What is it about?", [
                    ("Client", record_link(row.account.client)),
                    ("Trading account", record_link(row.account)),
                    ("Trade", record_link(row.trade, shown.what(row.trade)) if row.trade is not None else ""),
                    ("Transaction at the venue", str(row.line.transaction_id) if row.line is not None else ""),
                    ("Contract", str(row.line.contract_id or "") if row.line is not None else ""),
                    ("Found", show.at(row.found_at)),
                ]),
                ("What was decided?", [
                    ("Decision", row.get_resolution_display() if row.resolution else "Nothing yet"),
                    ("By", called(row.resolved_by)), ("When", show.at(row.resolved_at)),
                ]),
            ],
            timeline=timeline.of("difference", row.uuid),
            above=_candidates(row),
        )  # fmt: skip


def _sides(row: Difference) -> list[tuple[str, Any]]:
    """Our word and the venue's."""
    code, digits = row.account.currency_id, row.account.currency.exponent
    words = {"ours": "We say", "venues": "The venue says", "unexplained": "Unexplained", "missing": "Missing",
             "before": "Before", "now": "Now"}  # fmt: skip
    shown_sides: list[tuple[str, Any]] = []
    for name, word in words.items():
        value = row.facts.get(name)
        if isinstance(value, str):
            shown_sides.append((word, show.money(Decimal(value), code, digits)))
    return shown_sides


def _candidates(row: Difference) -> SafeString | str:
    """The contracts that fit, each below the other under the trade they would be."""
    trade = row.trade
    if row.kind != Difference.Kind.TWO_CANDIDATES or trade is None or trade.submitted_at is None:
        return ""
    code, digits = row.account.currency_id, row.account.currency.exponent
    ours = ["Our trade", shown.what(trade), show.money(trade.stake, code, digits),
            show.money(trade.offered_payout, code, digits), show.at(trade.submitted_at)]  # fmt: skip
    theirs = [
        [f"Contract {each.contract_id}{', adopted' if each.contract_id == trade.contract_id else ''}", each.shortcode, show.money(each.buy_price, code, digits),
         show.money(each.payout, code, digits), show.at(instant(each.purchase_time))]
        for each in candidates_of(row)
    ]  # fmt: skip
    table = show.table(["Which", "Terms", "Price", "Payout", "Sent or bought"], [ours, *theirs], right=(2, 3))
    return format_html(
        '<section class="c-card"><h3>Our trade, and the contracts that fit</h3>{}</section>', table
    )


def statement_table(account: TradingAccount) -> SafeString:
    """The venue's latest lines, each with what we made of it."""
    code, digits = account.currency_id, account.currency.exponent
    tones = {"waiting": show.MOVING, "matched": show.DONE, "differs": show.MINE}
    lines = account.venue_lines.select_related("trade__instrument").order_by("-transaction_id")[:25]
    return show.table(
        ["When", "Transaction", "What", "Amount", "Balance after", "Ours", "State"],
        [
            [show.at(line.happened_at), str(line.transaction_id), line.action.replace("_", " ").capitalize(),
             show.gain(line.amount, code, digits), show.money(line.balance_after, code, digits),
             record_link(line.trade, shown.what(line.trade)) if line.trade is not None else show.NOTHING,
             format_html('<span title="{}">{}</span>', line.why,
                         show.badge(line.get_state_display(), tones.get(line.state, show.WAITING)))]
            for line in lines
        ],
        right=(3, 4),
        empty="No line yet. The venue's statement is read as soon as the account is connected.",
    )  # fmt: skip


def proofs_table(account: TradingAccount) -> SafeString:
    """The latest proofs that the mirror equals the statement."""
    code, digits = account.currency_id, account.currency.exponent
    tones = {"equal": show.DONE, "explained": show.MOVING, "differs": show.WRONG}
    return show.table(
        ["When", "Result", "At the venue", "Our mirror", "Explained", "Unexplained", "Line by line"],
        [
            [show.at(row.at), show.badge(row.get_result_display(), tones[row.result]),
             show.money(row.venue_balance, code, digits), show.money(row.mirror_balance, code, digits),
             show.money(row.explained, code, digits), show.money(row.unexplained, code, digits),
             show.lines([f"{each['what']} {show.tidy(Decimal(each['amount']), digits)}" for each in row.explanation[:10]])
             if row.explanation else show.NOTHING]
            for row in StatementProof.objects.filter(account=account).order_by("-at")[:15]
        ],
        right=(2, 3, 4, 5),
        empty="Not proved yet. Every account is proved once a day, and whenever somebody asks.",
    )  # fmt: skip


def _waiting(request: HttpRequest) -> Any:
    open_ = tally(request, DIFFERENCE)
    yield Waiting("Differences with the venue", f"{reverse(LIST)}?queue=open", open_.many, open_.since, open_.is_late,
                  "Somebody decides what is right")  # fmt: skip


def _differences(ids: Any) -> Any:
    rows = Difference.objects.filter(uuid__in=ids)
    return {row.uuid: (str(row), reverse("admin:brokerage_difference_change", args=[row.pk])) for row in rows}


ports.waiting.register("differences", Card("brokerage.view_difference", _waiting), order=15)
ports.subjects.register("difference", _differences)
ports.sidebar.register(
    "differences",
    Entry("Trading", "Differences", LIST, "compare_arrows", "brokerage.view_difference",
          lambda request: tally(request, DIFFERENCE).many),
    order=15,
)  # fmt: skip
