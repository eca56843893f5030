"""Reconciliation: our list beside each bank's and provider's, what matches, and what waits on one side, by age."""

from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record, Tab
from backoffice.wake import wake
from ledger.admin.shown import record_of
from ledger.control import reconciliation
from ledger.control.reconciliation import BUCKETS, Side
from ledger.models import Reconciliation, Unmatched

LIST = "admin:ledger_reconciliation_changelist"
AGES = [f"{begin}–{end} days" if end else f"over {begin} days" for begin, end in BUCKETS]


@dialog_action(
    DialogForm,
    title="Compare now",
    button="Compare the lists now",
    description="A worker asks every provider for its list and lays it beside ours. Nothing is posted by it.",
    permission="ledger.run_reconciliation",
    icon="play_arrow",
)
def compare_now(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
    wake("ledger.reconcile")
    return "A worker compares them. What it finds stands here in a moment."


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ("who", "state_shown", "matched_shown", "ours", "theirs", "unequal", "oldest", "last_run")
    list_display_links = ("who",)
    ordering = ("-unmatched", "label")
    actions_list = ("compare_now",)
    compare_now = compare_now
    subject_type = "reconciliation"
    list_intro = (
        "Our list beside that of each bank and provider. They are compared every night, and when you say so."
    )
    empty_text = "Nothing was compared yet. It is at night; or compare them now."

    def get_queryset(self, request: HttpRequest) -> Any:
        """The last comparison with each."""
        return super().get_queryset(request).filter(pk__in=reconciliation.latest().values("pk"))

    @admin.display(description="With whom")
    def who(self, row: Reconciliation) -> str:
        return row.label

    @admin.display(description="State")
    def state_shown(self, row: Reconciliation) -> SafeString:
        if row.problem:
            return show.badge("No answer", show.WRONG)
        return show.badge("Unequal", show.WRONG) if row.unmatched else show.badge("Equal", show.DONE)

    @admin.display(description="Matched")
    def matched_shown(self, row: Reconciliation) -> SafeString:
        return show.number(row.matched)

    @admin.display(description="On ours alone")
    def ours(self, row: Reconciliation) -> SafeString:
        return _many(row, Side.OURS)

    @admin.display(description="On theirs alone")
    def theirs(self, row: Reconciliation) -> SafeString:
        return _many(row, Side.THEIRS)

    @admin.display(description="Unequal")
    def unequal(self, row: Reconciliation) -> SafeString:
        return _many(row, Side.UNEQUAL)

    @admin.display(description="Oldest")
    def oldest(self, row: Reconciliation) -> SafeString:
        first = reconciliation.standing(row.counterpart).first()
        return show.when(first.since, tone=show.WRONG) if first else show.NOTHING

    @admin.display(description="Last compared")
    def last_run(self, row: Reconciliation) -> SafeString:
        return show.when(row.at)

    def record(self, request: HttpRequest, row: Reconciliation) -> Record:
        """How old what waits is, then each of it."""
        why = row.problem or (
            f"{row.unmatched:,} do not match; the oldest are listed first."
            if row.unmatched
            else "Everything matches."
        )
        return Record(
            title=row.label,
            badge=self.state_shown(row),
            why=why,
            facts=[("When were they compared?", [
                ("Last", show.at(row.at)), ("It took", f"{row.took_ms:,} ms"), ("By", timeline.person(row.by)),
                ("Matched", show.number(row.matched)),
            ])],
            above=SafeString(
                f'<section class="c-card">{_ages(row)}</section><section class="c-card">{_waiting(row)}</section>'
            ),
            tabs=[Tab("What waited before", lambda: _gone(row)), Tab("Comparisons before", lambda: _before(row))],
        )  # fmt: skip


def _many(row: Reconciliation, side: str) -> SafeString:
    counts = getattr(row, "_sides", None)
    if counts is None:
        found = reconciliation.standing(row.counterpart).order_by().values_list("side").annotate(Count("pk"))
        counts = row._sides = dict(found)  # type: ignore[attr-defined]
    return show.number(counts[side]) if counts.get(side) else show.NOTHING


def _ages(row: Reconciliation) -> SafeString:
    now, found = timezone.now(), {side: [0] * len(BUCKETS) for side in Side.values}
    for one in reconciliation.standing(row.counterpart):
        found[one.side][reconciliation.bucket(one.since, now)] += 1
    return show.table(
        ["How long it waits", *AGES],
        [[Side(side).label, *(show.number(many) if many else show.NOTHING for many in counts)] for side, counts in found.items()],
        right=tuple(range(1, len(AGES) + 1)),
    )  # fmt: skip


def _waiting(row: Reconciliation) -> SafeString:
    rows = list(reconciliation.standing(row.counterpart).select_related("currency")[: reconciliation.AT_MOST])
    return show.table(
        ["Since", "Where", "What", "Amount", "What is known"],
        [[show.when(one.since, tone=show.WRONG), one.get_side_display(), _link(one), _amount(one), one.says] for one in rows],
        right=(3,),
        empty="Both lists are equal. Whatever is on one alone will be listed here, with its age and a link.",
    )  # fmt: skip


def _gone(row: Reconciliation) -> SafeString:
    rows = Unmatched.objects.filter(counterpart=row.counterpart, gone_at__isnull=False).select_related(
        "currency"
    )
    return show.table(
        ["Since", "Until", "What", "Amount", "What was known"],
        [[show.at(one.since), show.at(one.gone_at), _link(one), _amount(one), one.says] for one in rows.order_by("-gone_at")[:50]],
        right=(3,),
        empty="Nothing ever waited.",
    )  # fmt: skip


def _before(row: Reconciliation) -> SafeString:
    rows = Reconciliation.objects.filter(counterpart=row.counterpart).order_by("-id")[:50]
    return show.table(
        ["Compared", "Matched", "Unmatched", "By", "Problem"],
        [[show.at(one.at), show.number(one.matched), show.number(one.unmatched), timeline.person(one.by), one.problem] for one in rows],
        right=(1, 2),
    )  # fmt: skip


def _amount(one: Unmatched) -> SafeString:
    return show.money(one.amount, one.currency.pk, one.currency.exponent) if one.currency else show.NOTHING


def _link(one: Unmatched) -> SafeString:
    short = one.name if len(one.name) <= 40 else f"{one.name[:38]}…"
    return record_of(one.subject, one.subject_pk, short)


ports.sidebar.register(
    "reconciliation",
    Entry("Payments", "Reconciliation", LIST, "balance", "ledger.view_reconciliation"),
    order=60,
)
ports.subjects.register(
    "reconciliation",
    lambda ids: {
        row.uuid: (str(row), reverse("admin:ledger_reconciliation_change", args=[row.pk]))
        for row in Reconciliation.objects.filter(uuid__in=ids)
    },
)
ports.words.register("reconciliation.unequal", "The lists are unequal")
ports.words.register("reconciliation.equal", "The lists are equal again")
