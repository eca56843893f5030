"""Claw-backs, what collectors told, and debts: why each is where it is, and what people decide about it."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, ReasonForm, ShownFirst, dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.filters import choice_filter, period_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Unfinished
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.patience import is_late
from backoffice.who import By
from ledger import clawbacks
from ledger.admin.preview import preview_of
from ledger.admin.shown import entries_text, named
from ledger.collecting import refunding, told
from ledger.collecting.port import collectors
from ledger.models import ClawBack, CollectorEvent, Deposit, Entry

CLAW_BACK, EVENT = ClawBack._meta.label_lower, CollectorEvent._meta.label_lower
State, Told = ClawBack.State, CollectorEvent.State
TONES = {
    State.ASKED: show.MOVING, State.SENDING: show.MOVING, State.UNKNOWN: show.MINE, State.DONE: show.DONE,
    State.OPEN: show.WAITING, State.WON: show.DONE, State.LOST: show.WRONG, State.FAILED: show.WRONG,
}  # fmt: skip
EVENT_TONES = {
    Told.RECEIVED: show.MOVING, Told.APPLIED: show.DONE, Told.IGNORED: show.WAITING, Told.FAILED: show.WRONG,
}  # fmt: skip


class RefundForm(ShownFirst, ReasonForm):
    """How much goes back, and why."""

    amount = forms.CharField(max_length=40, widget=UnfoldAdminTextInputWidget)
    field_order = ("amount", "reason", "seen", "key")
    decides = ("amount",)

    def fit(self, row: Deposit) -> None:
        left = clawbacks.refundable(row)
        self.fields["amount"].initial = show.tidy(left, row.currency.exponent).replace(",", "")
        self.fields["amount"].help_text = "All of what has not gone back yet, or part of it."

    def effect(self, row: Deposit) -> Any:
        """The lines of the amount that stands there, as they will be once the collector has done it."""
        typed = self.cleaned_data.get("amount") if self.is_bound and self.is_valid() else None
        amount, by, now = typed or clawbacks.refundable(row), By.system("preview"), timezone.now()

        def given_back() -> None:
            asked = clawbacks.ask_refund(row, amount=amount, by=by, at=now, key="preview")
            ClawBack.objects.filter(pk=asked.pk).update(state=State.SENDING)
            clawbacks.done(clawbacks.of_pk(asked.pk), external_id="preview", by=by, at=now)

        return preview_of(given_back)


@dialog_action(
    RefundForm,
    title="Give a deposit back",
    button="Hold it and give it back",
    description="It is held in the wallet at once, and leaves when the collector has given it back the way it came.",
    permission="ledger.refund_deposit",
    check=clawbacks.check_may_refund,
    applies=lambda row: row.state == Deposit.State.COMPLETED and bool(row.collector),
    icon="undo",
    danger=True,
    elevated=True,
)
def refund_deposit(admin: Any, request: HttpRequest, row: Deposit, form: Any) -> str:
    data = form.cleaned_data
    clawbacks.ask_refund(
        row, amount=data["amount"], by=By.user(request.user), at=timezone.now(), key=data["key"], reason=data["reason"]  # type: ignore[arg-type]
    )  # fmt: skip
    return "Held. The collector is asked to give it back within seconds."


class EvidenceForm(DialogForm):
    """Which evidence says that nothing was given back."""

    evidence = forms.CharField(
        min_length=5, max_length=200, widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="The collector's list of refunds, a message of theirs: what an auditor can look up.",
    )  # fmt: skip
    field_order = ("evidence", "key")


@dialog_action(
    EvidenceForm,
    title="Settle by evidence",
    button="It was never given back",
    description="Only for a refund whose answer was lost and which the collector's books do not show. What is held is the client's again.",
    permission="ledger.refund_deposit",
    check=refunding.check_may_settle,
    applies=lambda row: row.state == State.UNKNOWN,
    icon="gavel",
    danger=True,
    elevated=True,
)
def settle_refund(admin: Any, request: HttpRequest, row: ClawBack, form: Any) -> str:
    refunding.settle(row, evidence=form.cleaned_data["evidence"], by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
    return "Recorded. What was held is available to the client again."


@admin.register(ClawBack)
class ClawBackAdmin(ReadOnlyAdmin):
    list_display = ("asked", "who", "deposit_shown", "kind", "value", "state_shown", "why_shown")
    list_display_links = ("asked",)
    list_select_related = ("deposit__client", "currency")
    record_related = ("deposit__client", "currency", "debt")
    ordering = ("-id",)
    list_filter = (
        choice_filter("state", "state", State.choices),
        choice_filter("kind", "kind", ClawBack.Kind.choices),
        period_filter("requested_at", "time"),
    )
    subject_type = "claw_back"
    actions_detail = ("settle_refund",)
    settle_refund = settle_refund
    list_intro = "Money of deposits that goes back to whoever paid it: refunds we give, and chargebacks that banks force."
    empty_text = "Nothing was taken back. A refund is given from the deposit's own page."

    @admin.display(description="Since")
    def asked(self, row: ClawBack) -> SafeString:
        return show.when(row.requested_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: ClawBack) -> SafeString:
        return record_link(row.deposit.client)  # type: ignore[no-any-return]

    @admin.display(description="Deposit")
    def deposit_shown(self, row: ClawBack) -> SafeString:
        return record_link(row.deposit, row.deposit.reference)  # type: ignore[no-any-return]

    @admin.display(description="Amount")
    def value(self, row: ClawBack) -> SafeString:
        return show.money(row.amount, row.currency_id, row.currency.exponent)

    @admin.display(description="State")
    def state_shown(self, row: ClawBack) -> SafeString:
        return badge(row)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: ClawBack) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: ClawBack) -> Record:
        """Whose money it is, who took it, and what was posted."""
        debt = getattr(row, "debt", None)
        return Record(
            title=str(row),
            badge=badge(row),
            amount=self.value(row),
            why=row.why,
            facts=[
                ("Whose is it?", [("Client", record_link(row.deposit.client)), ("Deposit", self.deposit_shown(row))]),
                ("Who took it?", [
                    ("Collector", collectors.get(row.collector).label), ("Known there as", row.external_id),
                    ("Its fee", show.money(row.fee, row.currency_id, row.currency.exponent) if row.fee else ""),
                    ("Problem", row.problem), ("Debt", record_link(debt, debt.get_state_display()) if debt else ""),
                ]),
                ("When?", [("Begun", show.at(row.requested_at)), ("Last change", show.at(row.changed_at))]),
            ],
            timeline=timeline.of("claw_back", row.uuid),
            tabs=[Tab("Journal entries", lambda: entries_text(list(Entry.objects.about("claw_back", row.uuid))))]
            if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


@dialog_action(
    title="Apply again",
    button="Apply it",
    permission="ledger.resolve_collectorevent",
    check=lambda row: told.check_may_move(row, Told.RECEIVED),
    applies=lambda row: row.state == Told.FAILED,
    icon="replay",
)
def apply_event(admin: Any, request: HttpRequest, row: CollectorEvent, form: Any) -> str:
    told.again(row, by=By.user(request.user), at=timezone.now(), reason=form.cleaned_data["reason"])  # type: ignore[arg-type]
    return "A worker applies it within seconds."


@dialog_action(
    title="Set aside",
    button="Set it aside",
    description="Nothing is posted: somebody has looked, and it changes nothing in our books.",
    permission="ledger.resolve_collectorevent",
    check=lambda row: told.check_may_move(row, Told.IGNORED),
    applies=lambda row: row.state == Told.FAILED,
    icon="inventory_2",
    danger=True,
)
def set_event_aside(admin: Any, request: HttpRequest, row: CollectorEvent, form: Any) -> str:
    told.set_aside(row, by=By.user(request.user), at=timezone.now(), reason=form.cleaned_data["reason"])  # type: ignore[arg-type]
    return "Set aside."


@admin.register(CollectorEvent)
class CollectorEventAdmin(ReadOnlyAdmin):
    list_display = ("received", "collector", "kind", "deposit_shown", "value", "state_shown", "why_shown")
    list_display_links = ("received",)
    list_select_related = ("deposit",)
    record_related = ("deposit__client",)
    ordering = ("-id",)
    list_filter = (
        choice_filter("state", "state", Told.choices),
        choice_filter("kind", "kind", CollectorEvent.Kind.choices),
        period_filter("received_at", "time received"),
    )
    subject_type = "collector_event"
    actions_detail = ("apply_event", "set_event_aside")
    apply_event, set_event_aside = apply_event, set_event_aside
    list_intro = (
        "What collectors told us, signed by them, each stored once and applied in whatever order it came."
    )
    empty_text = "Nothing was told yet. Collectors tell us of every payment by card or PayPal."

    @admin.display(description="Received")
    def received(self, row: CollectorEvent) -> SafeString:
        return show.when(row.received_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Deposit")
    def deposit_shown(self, row: CollectorEvent) -> SafeString:
        return record_link(row.deposit, row.deposit.reference) if row.deposit else show.NOTHING  # type: ignore[no-any-return]

    @admin.display(description="Amount")
    def value(self, row: CollectorEvent) -> SafeString:
        return show.NOTHING if row.amount is None else show.money(row.amount, row.currency_code, 2)

    @admin.display(description="State")
    def state_shown(self, row: CollectorEvent) -> SafeString:
        return show.badge(row.get_state_display(), EVENT_TONES[Told(row.state)])

    @admin.display(description="Why, and what next")
    def why_shown(self, row: CollectorEvent) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: CollectorEvent) -> Record:
        """What was told, about what, and what became of it."""
        return Record(
            title=str(row),
            badge=self.state_shown(row),
            amount=self.value(row),
            why=row.why,
            facts=[
                ("What was told?", [
                    ("Collector", row.collector), ("Its number", row.event_id), ("Payment", row.payment_id),
                    ("Dispute", row.object_id), ("In its words", row.told),
                ]),
                ("About what?", [("Deposit", record_link(row.deposit) if row.deposit else ""), ("Reference", row.reference)]),
                ("When?", [
                    ("Happened", show.at(row.occurred_at)), ("Received", show.at(row.received_at)), ("Last change", show.at(row.changed_at)),
                ]),
            ],
            timeline=timeline.of("collector_event", row.uuid),
        )  # fmt: skip


def badge(row: ClawBack) -> SafeString:
    return show.badge(row.get_state_display(), TONES[State(row.state)])


def of_deposit(request: HttpRequest, deposit: Deposit) -> Any:
    """What its collector told of a deposit, and what was taken back, for the deposit's page."""
    rows: list[list[Any]] = [
        [
            show.at(row.received_at),
            record_link(row, row.get_kind_display()),
            row.event_id,
            row.get_state_display(),
        ]
        for row in deposit.collector_events.order_by("id")[:50]
    ]
    rows += [
        [show.at(row.requested_at), record_link(row, row.get_kind_display()), row.external_id, badge(row)]
        for row in deposit.claw_backs.select_related("deposit").order_by("id")[:50]
    ]
    return show.table(
        ["When", "What", "Known there as", "State"], rows, empty="The collector has told nothing yet."
    )


ports.sidebar.register(
    "claw_backs",
    SidebarEntry("Payments", "Claw-backs", "admin:ledger_clawback_changelist", "undo", "ledger.view_clawback",
                 lambda request: tally(request, CLAW_BACK, State.UNKNOWN).many),
    order=50,
)  # fmt: skip
ports.sidebar.register(
    "collector_events",
    SidebarEntry("Payments", "Collectors' events", "admin:ledger_collectorevent_changelist", "webhook", "ledger.view_collectorevent",
                 lambda request: tally(request, EVENT, Told.FAILED).many),
    order=55,
)  # fmt: skip
ports.unfinished.register(
    CLAW_BACK,
    Unfinished(ClawBack, "Claw-backs", "ledger.view_clawback", ("deposit__client", "currency")),
    order=51,
)
ports.unfinished.register(
    EVENT,
    Unfinished(CollectorEvent, "Collectors' events", "ledger.view_collectorevent", ("deposit",)),
    order=52,
)
ports.subjects.register("claw_back", named(ClawBack, "deposit"))
ports.subjects.register("collector_event", named(CollectorEvent))
ports.subjects.register(
    "collector", lambda ids: {one.uuid: (one.label, "") for one in collectors if one.uuid in ids}
)
for _name, _words in {
    "claw_back.asked": "Asked for; the money is held",
    "claw_back.sending": "The collector is being asked",
    "claw_back.unsent": "The collector could not be reached; nothing was asked for",
    "claw_back.unknown": "The collector's answer was lost",
    "claw_back.refunded": "Given back; it has left the wallet",
    "claw_back.taken": "Taken back by the collector",
    "claw_back.won": "Decided for us; the money is in the wallet again",
    "claw_back.lost": "Decided against us",
    "claw_back.failed": "Not given back; the money is the client's again",
    "collector_event.received": "Received",
    "collector_event.applied": "Applied",
    "collector_event.ignored": "Set aside",
    "collector_event.failed": "Could not be applied",
}.items():
    ports.words.register(_name, _words)
