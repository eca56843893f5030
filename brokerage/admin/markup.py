"""Markup by month: what we booked, what the venue reports, and whether it has paid."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import ReasonForm, ShownFirst, dialog_action
from backoffice.admin.base import ReadOnlyAdmin
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.who import By, called
from brokerage import markup_reports
from brokerage.models import MarkupReport
from ledger.admin.preview import preview_of
from ledger.admin.shown import entries_text
from ledger.models import Entry as JournalEntry

State = MarkupReport.State
PERMISSION = "brokerage.settle_markup"
TONES = {
    State.RUNNING: show.MOVING,
    State.EQUAL: show.WAITING,
    State.DIFFERENT: show.MINE,
    State.ACCEPTED: show.WAITING,
    State.PAID: show.DONE,
}


def _money(row: MarkupReport, amount: Any) -> SafeString:
    return show.money(amount, row.currency_id, row.currency.exponent)


def _gap_effect(row: MarkupReport) -> SafeString:
    return format_html(
        "<p>The venue reports {}, we booked {}. {} is booked between what the venue owes us and the markup we earned.</p>",
        _money(row, row.venues), _money(row, row.ours), _money(row, row.gap),
    )  # fmt: skip


@dialog_action(
    title="Accept the venue's figure",
    button="Accept it",
    description="Our books follow the venue's report of this month. Trades keep what they say.",
    permission=PERMISSION,
    check=lambda row: markup_reports.check_may_move(row, State.ACCEPTED),
    applies=lambda row: row.state == State.DIFFERENT,
    effect=_gap_effect,
    icon="task_alt",
)
def accept_figure(admin: Any, request: HttpRequest, row: MarkupReport, form: Any) -> str:
    data = form.cleaned_data
    markup_reports.accept(
        row, by=By.user(request.user), at=timezone.now(), key=data["key"], reason=data["reason"],  # type: ignore[arg-type]
    )  # fmt: skip
    return "Our books follow the venue's figure now. Record its payment when it arrives."


class PaymentForm(ShownFirst, ReasonForm):
    """What arrived, and how the bank shows it."""

    decides = ("amount",)
    amount = forms.CharField(widget=UnfoldAdminTextInputWidget, label="Amount that arrived")
    reference = forms.CharField(
        widget=UnfoldAdminTextInputWidget, label="The bank's reference", max_length=64
    )
    field_order = ("amount", "reference", "reason", "seen", "key")

    def effect(self, row: MarkupReport) -> SafeString | str:
        """The entry of what arrived."""
        if not self.is_bound or not self.is_valid():
            return ""
        return preview_of(lambda: _record(self, row, by=By.system("preview")))


@dialog_action(
    PaymentForm,
    title="Record the payment",
    button="Record it",
    description="The venue's payment of this month's markup has arrived at the bank.",
    permission=PERMISSION,
    check=lambda row: markup_reports.check_may_move(row, State.PAID),
    applies=lambda row: row.state in (State.EQUAL, State.ACCEPTED),
    icon="payments",
)
def record_payment(admin: Any, request: HttpRequest, row: MarkupReport, form: Any) -> str:
    _record(form, row, by=By.user(request.user))  # type: ignore[arg-type]
    return "Paid: the venue owes nothing for this month any more."


def _record(form: PaymentForm, row: MarkupReport, *, by: By) -> None:
    data = form.cleaned_data
    markup_reports.record_payment(
        row, amount=data["amount"], reference=data["reference"], by=by, at=timezone.now(), key=data["key"],
        reason=data["reason"],
    )  # fmt: skip


@admin.register(MarkupReport)
class MarkupReportAdmin(ReadOnlyAdmin):
    list_display = ("what", "state_shown", "booked", "reported", "difference", "why_shown", "compared")
    list_display_links = ("what",)
    list_select_related = ("currency",)
    record_related = ("currency",)
    ordering = ("-month", "generation", "currency_id", "-id")
    list_filter = (choice_filter("state", "state", State.choices),)
    subject_type = "markup_report"
    actions_detail = ("accept_figure", "record_payment")
    accept_figure, record_payment = accept_figure, record_payment
    list_intro = (
        "Our markup is in the price of real clients' trades and the venue owes it to us. Its reports are read every day; "
        "a month that is over is compared, and its payment recorded here."
    )
    empty_text = "No markup yet: the first real trade with a markup in its price begins a month here."

    @admin.display(description="Month")
    def what(self, row: MarkupReport) -> str:
        return str(row)

    @admin.display(description="State")
    def state_shown(self, row: MarkupReport) -> SafeString:
        return show.badge(row.get_state_display(), TONES[State(row.state)])

    @admin.display(description="Booked by us")
    def booked(self, row: MarkupReport) -> SafeString:
        return _money(row, row.ours)

    @admin.display(description="Reported by the venue")
    def reported(self, row: MarkupReport) -> SafeString:
        return _money(row, row.venues)

    @admin.display(description="Difference")
    def difference(self, row: MarkupReport) -> SafeString:
        return _money(row, row.gap)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: MarkupReport) -> SafeString:
        return show.cut(row.why)

    @admin.display(description="Compared")
    def compared(self, row: MarkupReport) -> SafeString:
        return show.when(row.compared_at)

    def record(self, request: HttpRequest, row: MarkupReport) -> Record:
        entries = JournalEntry.objects.filter(subject_type="markup_report", subject_id=row.uuid).order_by(
            "-id"
        )
        tabs = [Tab("Journal entries", lambda: entries_text(list(entries)))]
        return Record(
            title=f"Markup: {row}",
            badge=self.state_shown(row),
            amount=_money(row, row.venues),
            why=row.why,
            facts=[
                ("What do both say?", [
                    ("Booked by us", self.booked(row)), ("Trades", show.number(row.ours_count)),
                    ("Reported by the venue", self.reported(row)), ("Contracts", show.number(row.venues_count)),
                    ("Difference", self.difference(row)), ("Compared", show.at(row.compared_at)),
                ]),
                ("What was decided?", [
                    ("By", called(row.decided_by)), ("When", show.at(row.decided_at)),
                    ("Paid", show.at(row.paid_at)), ("The bank's reference", row.reference),
                ]),
            ],
            timeline=timeline.of("markup_report", row.uuid),
            tabs=tabs if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


def _reports(ids: Any) -> Any:
    return {
        row.uuid: (f"Markup: {row}", reverse("admin:brokerage_markupreport_change", args=[row.pk]))
        for row in MarkupReport.objects.filter(uuid__in=ids)
    }


def _different(request: HttpRequest) -> int:
    return tally(request, MarkupReport._meta.label_lower, State.DIFFERENT).many


ports.subjects.register("markup_report", _reports)
ports.sidebar.register(
    "markup",
    Entry("Trading", "Markup", "admin:brokerage_markupreport_changelist", "percent", "brokerage.view_markupreport", _different),
    order=40,
)  # fmt: skip
ports.unfinished.register(
    MarkupReport._meta.label_lower,
    ports.Unfinished(MarkupReport, "Markup reports", "brokerage.view_markupreport", ("currency",)),
    order=20,
)
ports.words.register(
    "markup.compared", lambda payload: f"Compared with the venue's report: {payload['state']}"
)
ports.words.register("markup.accepted", "The venue's figure accepted")
ports.words.register("markup.paid", "Paid by the venue")
