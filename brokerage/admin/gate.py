"""The order gate: what is not trading at one look, the kill switch, and the same dialog on accounts and instruments."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminRadioSelectWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import ReasonForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.ports import Card, Entry, Trouble
from backoffice.admin.record import Record
from backoffice.who import By, called
from brokerage import gate
from brokerage.admin import venue_faults
from brokerage.models import OrderGate, Trade

LIST = "admin:brokerage_ordergate_changelist"
PERMISSION = "brokerage.change_gate"
State = OrderGate.State
TONES = {State.ACTIVE: show.DONE, State.REDUCING: show.MINE, State.HALTED: show.WRONG}
WORDS = [
    (State.HALTED, "Halted: nothing is bought or sold early"),
    (State.REDUCING, "Reducing: nothing is bought, open contracts may be sold early"),
    (State.ACTIVE, "Active: trading goes on"),
]


class GateForm(ReasonForm):
    """How the gate is to stand, and why."""

    state = forms.ChoiceField(choices=WORDS, widget=UnfoldAdminRadioSelectWidget, label="The gate is")
    field_order = ("state", "reason", "key")


def _change(request: HttpRequest, target: gate.Target, state: str, form: Any) -> str:
    data = form.cleaned_data
    by = By.user(request.user)  # type: ignore[arg-type]
    row = gate.change(target, state, by=by, at=timezone.now(), key=data["key"], reason=data["reason"])
    return f"{row}: {row.get_state_display().lower()}. {row.why}"


def _effect(row: Any) -> SafeString:
    """What a stop would leave running, and what it would stop."""
    live = Trade.objects.filter(state__in=set(Trade.State) - Trade.FINAL)
    counts = {
        state: live.filter(state=state).count() for state in ("queued", "submitting", "uncertain", "open")
    }
    return format_html(
        "<dl><dt>Queued, will be denied and their stakes freed</dt><dd>{}</dd><dt>On the wire, recorded as they come</dt>"
        "<dd>{}</dd><dt>Open contracts, go on and settle</dt><dd>{}</dd></dl>"
        "<p class='c-quiet'>It holds everywhere within a second: this dialog closes when it does. Clients who try to "
        "trade are told so; the reason stays with us.</p>",
        f"{counts['queued']:,}", f"{counts['submitting'] + counts['uncertain']:,}", f"{counts['open']:,}",
    )  # fmt: skip


@dialog_action(
    title="Halt all trading",
    button="Halt all trading now",
    permission=PERMISSION,
    effect=_effect,
    icon="front_hand",
    danger=True,
)
def halt_everything(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
    return _change(request, None, State.HALTED, form)


@dialog_action(
    title="Resume all trading",
    button="Resume trading now",
    description="Clients can buy and sell again at once, except where an instrument, a client or an account is still closed.",
    permission=PERMISSION,
    icon="play_arrow",
    elevated=True,
)
def resume_everything(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
    return _change(request, None, State.ACTIVE, form)


def _is_for_everything(row: Any) -> bool:
    return isinstance(row, OrderGate) and row.target is None


def gate_action(name: str, title: str, target: Callable[[Any], gate.Target]) -> Any:
    """A dialog on somebody's record page that sets the gate for them, or for what they belong to."""

    def set_gate(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
        return _change(request, target(row), form.cleaned_data["state"], form)

    set_gate.__name__ = name
    return dialog_action(
        GateForm,
        title=title,
        button="Set the order gate",
        description="Contracts already bought go on and settle, whatever is set here.",
        permission=PERMISSION,
        icon="front_hand",
        danger=True,
        elevated=_is_for_everything,
    )(set_gate)


@admin.register(OrderGate)
class OrderGateAdmin(ReadOnlyAdmin):
    list_display = ("name", "scope_shown", "state_shown", "why_shown", "changed", "changed_by_whom")
    list_display_links = ("name",)
    list_select_related = ("instrument", "client", "account")
    record_related = ("instrument", "client", "account")
    ordering = ("-state", "-changed_at")
    actions_list = ("halt_everything", "resume_everything")
    actions_detail = ("change_this",)
    subject_type = "order_gate"
    list_intro = (
        "What may leave for the venue. The strictest setting that applies decides; what is not listed is active. "
        "Instruments, clients and trading accounts are closed from their own pages."
    )
    empty_text = "Nothing is closed, and nothing ever was: everything trades."
    halt_everything, resume_everything = halt_everything, resume_everything
    change_this = gate_action("change_this", "Change", lambda row: row.target)

    def get_urls(self) -> list[URLPattern]:
        return [
            *venue_faults.urls(self.admin_site.admin_view, self.admin_site.each_context),
            *super().get_urls(),
        ]

    @admin.display(description="For")
    def name(self, row: OrderGate) -> str:
        return str(row)

    @admin.display(description="Scope")
    def scope_shown(self, row: OrderGate) -> str:
        return row.get_scope_display()

    @admin.display(description="State")
    def state_shown(self, row: OrderGate) -> SafeString:
        return show.badge(row.get_state_display(), TONES[State(row.state)])

    @admin.display(description="What that means")
    def why_shown(self, row: OrderGate) -> str:
        return row.why

    @admin.display(description="Changed")
    def changed(self, row: OrderGate) -> SafeString:
        return show.when(row.changed_at)

    @admin.display(description="By")
    def changed_by_whom(self, row: OrderGate) -> str:
        return timeline.person(row.changed_by)

    def record(self, request: HttpRequest, row: OrderGate) -> Record:
        return Record(
            title=f"Order gate: {row}",
            badge=self.state_shown(row),
            why=row.why,
            facts=[
                ("For what?", [
                    ("Scope", row.get_scope_display()),
                    ("Target", record_link(row.target) if row.target is not None else "Everything"),
                ]),
                ("Why?", [("Reason", row.reason), ("By", called(row.changed_by)), ("When", show.at(row.changed_at))]),
            ],
            timeline=timeline.of("order_gate", row.uuid),
        )  # fmt: skip


def _trouble(request: HttpRequest) -> Any:
    rows = list(
        OrderGate.objects.closed().select_related("instrument", "client", "account").order_by("-state")[:4]
    )
    if rows:
        told = ", ".join(f"{row} {row.get_state_display().lower()}" for row in rows[:3])
        yield Trouble("Order gate", f"{told}{' and more' if len(rows) > 3 else ''}.", reverse(LIST), True)
    else:
        yield Trouble("Order gate", "Everything may trade.", reverse(LIST))


def _gates(ids: Any) -> Any:
    rows = OrderGate.objects.filter(uuid__in=ids).select_related("instrument", "client", "account")
    return {
        row.uuid: (f"Order gate: {row}", reverse("admin:brokerage_ordergate_change", args=[row.pk]))
        for row in rows
    }


ports.troubles.register("order_gate", Card("brokerage.view_ordergate", _trouble), order=5)
ports.subjects.register("order_gate", _gates)
ports.sidebar.register(
    "order_gate", Entry("Trading", "Order gate", LIST, "front_hand", "brokerage.view_ordergate"), order=18
)
ports.words.register(
    "order_gate.changed", lambda payload: f"Order gate: {payload['before']} → {payload['state']}"
)
