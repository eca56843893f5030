"""Payments out: what is with whom, what evidence says of each, and who pays what."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, ShownFirst, dialog_action
from backoffice.admin.base import ConsoleAdmin, ReadOnlyAdmin, record_link
from backoffice.admin.exporting import Exported, person
from backoffice.admin.fields import ReasonedForm
from backoffice.admin.filters import choice_filter, period_filter, queue_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Unfinished
from backoffice.admin.record import Record
from backoffice.admin.unfinished import tally
from backoffice.patience import is_late
from backoffice.who import By
from ledger import payments
from ledger.admin.preview import preview_of
from ledger.admin.shown import named
from ledger.models import BankLine, Method, Payment, WithdrawalRoute
from ledger.payment_states import pays
from ledger.providers import providers

PAYMENT = Payment._meta.label_lower
State = Payment.State
TONES = {
    State.QUEUED: show.WAITING, State.SENDING: show.MOVING, State.UNKNOWN: show.MINE, State.SENT: show.MOVING,
    State.CONFIRMED: show.DONE, State.FAILED: show.WRONG, State.RETURNED: show.WRONG, State.CANCELLED: show.WAITING,
}  # fmt: skip


def _by_hand(rows: Any, at: datetime) -> Any:
    by_hand = [one.name for one in providers if one.is_manual]
    return rows.filter(provider__in=by_hand, state__in=[State.QUEUED, State.SENT])


def _waits_for_a_person(row: Payment) -> bool:
    return (
        row.state == State.QUEUED
        and row.provider in providers.names()
        and providers.get(row.provider).is_manual
    )


class SettleForm(ShownFirst):
    """What became of it, and by which evidence."""

    decides = ("was_paid",)

    was_paid = forms.ChoiceField(
        choices=[("yes", "It was paid"), ("no", "It was not paid: the money goes back to the wallet")],
        widget=UnfoldAdminRadioSelectWidget, label="What does the evidence say?",
    )  # fmt: skip
    evidence = forms.CharField(
        min_length=5, max_length=300, widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="A line of a statement, a message of the provider: what an auditor can look up.",
    )  # fmt: skip
    reference = forms.CharField(
        required=False,
        max_length=128,
        widget=UnfoldAdminTextInputWidget,
        help_text="What whoever paid it calls it.",
    )
    field_order = ("was_paid", "evidence", "reference", "seen", "key")

    def effect(self, row: Payment) -> Any:
        """The entry that follows from what the evidence says."""
        return (
            preview_of(lambda: _settle(self, row, by=By.system("preview")))
            if self.is_bound and self.is_valid()
            else ""
        )


@dialog_action(
    SettleForm,
    title="Settle by evidence",
    button="Record it",
    description="What really became of it is recorded here, once: after you paid by hand, or where a provider’s answer was lost.",
    permission="ledger.settle_payment",
    check=payments.check_may_settle,
    applies=lambda row: row.state in (State.UNKNOWN, State.SENT),
    icon="gavel",
    danger=True,
    elevated=True,
)
def settle_payment(admin: Any, request: HttpRequest, row: Payment, form: Any) -> str:
    _settle(form, row, by=By.user(request.user))  # type: ignore[arg-type]
    return "Recorded, with the entry that follows from it."


def _settle(form: SettleForm, row: Payment, *, by: By) -> None:
    data = form.cleaned_data
    payments.settle(
        row, was_paid=data["was_paid"] == "yes", evidence=data["evidence"], by=by, at=timezone.now(), key=data["key"],
        reference=data["reference"],
    )  # fmt: skip


@dialog_action(
    DialogForm,
    title="Take a payment on",
    button="I pay it now",
    description="Say so before you pay by hand: the money leaves the wallet, and nobody else can pay it too.",
    permission="ledger.settle_payment",
    check=payments.check_may_take_on,
    applies=_waits_for_a_person,
    effect=lambda row: preview_of(lambda: payments.take_on(row, by=By.system("preview"), at=timezone.now())),
    icon="front_hand",
    elevated=True,
)
def take_payment_on(admin: Any, request: HttpRequest, row: Payment, form: Any) -> str:
    payments.take_on(row, by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
    return "It is yours. When you have paid it, or could not, record that with its evidence."


@admin.register(Payment)
class PaymentAdmin(Exported, ReadOnlyAdmin):
    list_display = ("queued", "who", "to_whom", "value", "provider", "state_shown", "why_shown")
    list_display_links = ("queued",)
    list_select_related = ("withdrawal__client", "withdrawal__beneficiary", "currency")
    record_related = ("withdrawal__client", "withdrawal__beneficiary", "currency", "batch")
    ordering = ("-id",)
    search_fields = ("end_to_end_id",)
    list_filter = (
        queue_filter({"by_hand": _by_hand}),
        choice_filter("state", "state", State.choices),
        period_filter("queued_at", "time queued"),
    )
    exported = (
        ("Queued", "queued_at"), ("Withdrawal", "withdrawal__reference"), ("Client", person("withdrawal__client")), ("To", "withdrawal__beneficiary__holder"), ("Amount", "amount"), ("Currency", "currency_id"), ("Provider", "provider"), ("File", "batch__message_id"), ("End-to-end id", "end_to_end_id"), ("Known there as", "provider_ref"), ("State", "state"), ("Evidence", "evidence"), ("Problem", "problem"), ("Left the wallet", "sent_at"),
    )  # fmt: skip
    exported_clients = ("withdrawal__client__uuid",)
    subject_type = "payment"
    actions_detail = ("take_payment_on", "settle_payment")
    take_payment_on, settle_payment = take_payment_on, settle_payment
    list_intro = (
        "Money that leaves through a provider. What is not known is never sent again; evidence settles it."
    )
    empty_text = "No payment yet. One is made when a withdrawal was agreed to."

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse("admin:ledger_payment_changelist")
        many = _by_hand(ports.visible(request.user, Payment.objects.all()), timezone.now()).count()
        return [
            {"title": "All", "link": url, "active": not chosen, "count": 0},
            {
                "title": "To be paid by hand",
                "link": f"{url}?queue=by_hand",
                "active": chosen == "by_hand",
                "count": many,
            },
        ]

    @admin.display(description="Queued")
    def queued(self, row: Payment) -> SafeString:
        return show.when(row.queued_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: Payment) -> SafeString:
        return record_link(row.withdrawal.client)  # type: ignore[no-any-return]

    @admin.display(description="To")
    def to_whom(self, row: Payment) -> str:
        return str(row.withdrawal.beneficiary)

    @admin.display(description="Amount")
    def value(self, row: Payment) -> SafeString:
        return show.money(row.amount, row.currency_id, row.currency.exponent)

    @admin.display(description="State")
    def state_shown(self, row: Payment) -> SafeString:
        return badge(row)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: Payment) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: Payment) -> Record:
        """With whom it is, under which number, and what says so."""
        return Record(
            title=f"Payment {row.withdrawal.reference}",
            badge=self.state_shown(row),
            amount=self.value(row),
            why=row.why,
            facts=[
                ("What is it for?", [
                    ("Withdrawal", record_link(row.withdrawal)), ("Client", record_link(row.withdrawal.client)),
                    ("Beneficiary", str(row.withdrawal.beneficiary)),
                ]),
                ("Who pays it, and what says so?", evidence_of(row)),
                ("When?", [
                    ("Queued", show.at(row.queued_at)), ("Left the wallet", show.at(row.sent_at)),
                    ("Last change", show.at(row.changed_at)),
                ]),
            ],
            timeline=timeline.of("payment", row.uuid),
        )  # fmt: skip


def badge(row: Payment) -> SafeString:
    return show.badge(row.get_state_display(), TONES[State(row.state)])


def evidence_of(row: Payment) -> list[tuple[str, Any]]:
    """With whom a payment is or was, under which numbers, and what says how it ended, each with its page."""
    ended = row.state in (State.CONFIRMED, State.RETURNED)
    rows = BankLine.objects.of_withdrawal(row.withdrawal.uuid).with_statement()
    lines = list(rows) if ended else []
    return [
        ("Provider", providers.get(row.provider).label if row.provider in providers.names() else row.provider),
        ("File", record_link(row.batch) if row.batch else ""),
        ("End-to-end id", format_html('<span class="c-code">{}</span>', row.end_to_end_id)),
        ("Known there as", format_html('<span class="c-code">{}</span>', row.provider_ref) if row.provider_ref else ""),
        ("Statement line", show.lines([record_link(line, f"{line.statement}, line {line.place}: {line}") for line in lines])),
        ("Evidence", row.evidence), ("Problem", row.problem),
    ]  # fmt: skip


class RouteForm(ReasonedForm):
    """Who pays is one of those who can, and by the method."""

    provider = forms.ChoiceField(
        choices=lambda: [(one.name, one.label) for one in providers], widget=UnfoldAdminSelectWidget,
        help_text="Cards and PayPal accounts are paid back by whoever took the deposit.",
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        method = found.get("method") or self.instance.method
        if (provider := found.get("provider")) and not pays(provider, method):
            self.add_error(
                "provider", f"{providers.get(provider).label} does not pay by {Method(method).label.lower()}."
            )
        return found


@admin.register(WithdrawalRoute)
class WithdrawalRouteAdmin(ConsoleAdmin):
    form = RouteForm
    list_display = ("method", "currency", "provider", "bank_account", "least_shown", "cool_off_hours", "use")
    list_select_related = ("currency", "bank_account")
    ordering = ("method", "currency")
    elevated = True
    add_fields = (
        "method",
        "currency",
        "provider",
        "bank_account",
        "pain_version",
        "least",
        "cool_off_hours",
        "is_active",
    )
    edit_fields = ("provider", "bank_account", "pain_version", "least", "cool_off_hours", "is_active")
    list_intro = "What withdrawals are offered in each currency, who pays them from which account, and how long a new beneficiary waits."
    empty_text = "Nothing is paid out yet. Add a route for each currency and method."

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **{"form": RouteForm, **kwargs})

    @admin.display(description="At least")
    def least_shown(self, row: WithdrawalRoute) -> SafeString:
        return show.money(row.least, row.currency_id, row.currency.exponent)

    @admin.display(description="Use")
    def use(self, row: WithdrawalRoute) -> SafeString:
        return show.badge("Offered", show.DONE) if row.is_active else show.badge("Not offered")

    def record(self, request: HttpRequest, row: WithdrawalRoute) -> Record:
        return Record(
            title=str(row),
            badge=self.use(row),
            why="Clients may take money out this way." if row.is_active else "Nobody may take money out this way.",
            facts=[
                ("How is it paid?", [
                    ("Provider", row.provider), ("From", record_link(row.bank_account) if row.bank_account else ""),
                    ("File format", row.get_pain_version_display()),
                ]),
                ("On what terms?", [("At least", self.least_shown(row)), ("Cool-off", f"{row.cool_off_hours} hours")]),
            ],
        )  # fmt: skip


ports.sidebar.register(
    "payments_out",
    SidebarEntry("Payments", "Payments out", "admin:ledger_payment_changelist", "payments", "ledger.view_payment",
                 lambda request: tally(request, PAYMENT, State.UNKNOWN).many),
    order=45,
)  # fmt: skip
ports.sidebar.register(
    "withdrawal_routes",
    SidebarEntry("Settings", "Withdrawal routes", "admin:ledger_withdrawalroute_changelist", "alt_route", "ledger.view_withdrawalroute"),
    order=45,
)  # fmt: skip
ports.unfinished.register(
    PAYMENT,
    Unfinished(Payment, "Payments out", "ledger.view_payment", ("withdrawal__client", "currency")),
    order=46,
)
ports.subjects.register("payment", named(Payment))
for _name, _words in {
    "payment.queued": "Made",
    "payment.begun": "Leaving",
    "payment.sent": "With the provider",
    "payment.unknown": "The provider's answer was lost",
    "payment.confirmed": "Confirmed",
    "payment.failed": "Failed",
    "payment.returned": "Came back",
    "payment.cancelled": "Taken back before it left",
}.items():
    ports.words.register(_name, _words)
