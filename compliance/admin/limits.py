"""Limits: of each KYC level as settings, of single clients as what somebody allowed them, with a reason and an end."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import ReasonForm, dialog_action
from backoffice.admin.base import ConsoleAdmin, ReadOnlyAdmin, record_link, url_of
from backoffice.admin.exporting import Exported
from backoffice.admin.filters import choice_filter, rows_filter
from backoffice.admin.ports import Entry, Panel
from backoffice.admin.record import Record
from backoffice.models import Currency
from backoffice.who import By, called
from compliance import limits
from compliance.models import Client, Limit, LimitOverride, Movement, Window
from compliance.models.limits import LEVELS

PERMISSION = "compliance.set_limitoverride"


@admin.register(Limit)
class LimitAdmin(Exported, ConsoleAdmin):
    list_display = ("kind_shown", "level", "currency", "when", "most", "in_force")
    list_display_links = ("kind_shown",)
    list_select_related = ("currency",)
    ordering = ("kind", "currency", "kyc_level", "window")
    edit_fields = ("amount", "is_active")
    add_fields = ("kind", "kyc_level", "currency", "window", "amount", "is_active")
    list_filter = (
        choice_filter("kind", "kind", Movement.choices),
        choice_filter("kyc_level", "KYC level", [(str(level), f"Level {level}") for level in LEVELS]),
        rows_filter("currency", "currency", lambda request: Currency.objects.order_by("code")),
    )
    exported = (
        ("Kind", "kind"), ("KYC level", "kyc_level"), ("Currency", "currency_id"), ("Within", "window"), ("At most", "amount"),
        ("In force", "is_active"),
    )  # fmt: skip
    list_intro = (
        "The most a client of a KYC level may move, at once or within a window that rolls. What is over it is blocked, and stored as "
        "blocked. Without a row nothing is limited. A single client's own limit stands under Compliance → Client limits."
    )
    empty_text = "Nothing is limited."

    @admin.display(description="Kind")
    def kind_shown(self, row: Limit) -> str:
        return row.get_kind_display()

    @admin.display(description="KYC level")
    def level(self, row: Limit) -> str:
        return f"Level {row.kyc_level}"

    @admin.display(description="When")
    def when(self, row: Limit) -> str:
        return row.get_window_display()

    @admin.display(description="At most")
    def most(self, row: Limit) -> SafeString:
        return show.money(row.amount, row.currency_id, row.currency.exponent)

    @admin.display(description="In force")
    def in_force(self, row: Limit) -> SafeString:
        return show.badge("In force", show.DONE) if row.is_active else show.badge("Not in force")

    def record(self, request: HttpRequest, row: Limit) -> Record:
        return Record(
            title=str(row),
            badge=self.in_force(row),
            amount=self.most(row),
            why="Looked at with each request, under the client's lock." if row.is_active else "It limits nothing.",
            facts=[("What does it limit?", [
                ("Kind", self.kind_shown(row)), ("KYC level", self.level(row)), ("Currency", row.currency_id),
                ("When", self.when(row)), ("At most", self.most(row)),
            ])],
        )  # fmt: skip


class OverrideForm(ReasonForm):
    """What a client may move instead of what their level may, and for how long."""

    kind = forms.ChoiceField(choices=Movement.choices, widget=UnfoldAdminSelectWidget)
    currency = forms.ModelChoiceField(
        Currency.objects.order_by("code"), widget=UnfoldAdminSelectWidget, empty_label=None
    )
    window = forms.TypedChoiceField(
        choices=Window.choices, coerce=int, widget=UnfoldAdminSelectWidget, label="When"
    )
    amount = forms.DecimalField(widget=UnfoldAdminDecimalFieldWidget, label="At most")
    days = forms.IntegerField(
        min_value=1, max_value=365, initial=7, widget=UnfoldAdminIntegerFieldWidget, label="For how many days"
    )
    field_order = ("kind", "currency", "window", "amount", "days", "reason", "key")

    def fit(self, row: Client) -> None:
        self.fields["currency"].initial = row.base_currency_id


@dialog_action(
    OverrideForm, title="Set a client limit", button="Set the limit", permission=PERMISSION, icon="speed",
    description="It takes the place of what their KYC level may, until it ends by itself. The latest set counts.",
)  # fmt: skip
def set_client_limit(admin: Any, request: HttpRequest, row: Client, form: Any) -> str:
    data, now, by = form.cleaned_data, timezone.now(), By.user(request.user)  # type: ignore[arg-type]
    made = limits.override(
        row, data["kind"], data["currency"], data["window"], data["amount"], expires_at=_until(data["days"], now),
        by=by, at=now, key=data["key"], reason=data["reason"],
    )  # fmt: skip
    return f"{made}: at most {show.tidy(made.amount, made.currency.exponent)} {made.currency_id}."


@dialog_action(
    title="End a client limit", button="End it now", permission=PERMISSION, icon="timer_off",
    description="What their KYC level may counts again.", applies=lambda row: row.expires_at > timezone.now(),
    check=lambda row: limits.check_may_end(row, at=timezone.now()),
)  # fmt: skip
def end_client_limit(admin: Any, request: HttpRequest, row: LimitOverride, form: Any) -> str:
    data, by = form.cleaned_data, By.user(request.user)  # type: ignore[arg-type]
    limits.end_override(row, by=by, at=timezone.now(), key=data["key"], reason=data["reason"])
    return f"{row}: ended."


@admin.register(LimitOverride)
class LimitOverrideAdmin(ReadOnlyAdmin):
    list_display = ("who", "kind_shown", "when", "most", "state", "ends", "reason")
    list_display_links = ("kind_shown",)
    list_select_related = ("client", "currency")
    ordering = ("-id",)
    list_filter = (choice_filter("kind", "kind", Movement.choices),)
    actions_detail = ("end_client_limit",)
    end_client_limit = end_client_limit
    subject_type = "limit_override"
    list_intro = (
        "What single clients may move instead of what their KYC level may. Set one from the client's page."
    )
    empty_text = "No client has a limit of their own."

    @admin.display(description="Client")
    def who(self, row: LimitOverride) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="Kind")
    def kind_shown(self, row: LimitOverride) -> str:
        return row.get_kind_display()

    @admin.display(description="When")
    def when(self, row: LimitOverride) -> str:
        return row.get_window_display()

    @admin.display(description="At most")
    def most(self, row: LimitOverride) -> SafeString:
        return show.money(row.amount, row.currency_id, row.currency.exponent)

    @admin.display(description="State")
    def state(self, row: LimitOverride) -> SafeString:
        in_force = row.expires_at > timezone.now()
        return show.badge("In force", show.DONE) if in_force else show.badge("Ended")

    @admin.display(description="Ends")
    def ends(self, row: LimitOverride) -> SafeString:
        return show.when(row.expires_at)

    def record(self, request: HttpRequest, row: LimitOverride) -> Record:
        is_over = row.expires_at <= timezone.now()
        return Record(
            title=str(row),
            badge=self.state(row),
            amount=self.most(row),
            why="It has ended; their KYC level's limit counts." if is_over else "It takes the place of their KYC level's limit, and ends by itself.",
            facts=[
                ("What does it allow?", [
                    ("Client", record_link(row.client)), ("Kind", self.kind_shown(row)), ("When", self.when(row)),
                    ("At most", self.most(row)), ("Ends", show.at(row.expires_at)),
                ]),
                ("Why?", [("Reason", row.reason), ("By", called(row.set_by)), ("Set", show.at(row.set_at))]),
            ],
            timeline=timeline.of("limit_override", row.uuid),
        )  # fmt: skip


def _until(days: int, now: datetime) -> datetime:
    """When it ends: at the end of a day, by UTC, so that the same dialog sent twice asks for the same."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days + 1)


def rooms(request: HttpRequest, client: Client) -> SafeString:
    """How much of each limit a client has used, in the currencies that have any."""
    now, digits = timezone.now(), dict(Currency.objects.values_list("code", "exponent"))
    rows = limits.every(client, at=now)
    return show.table(
        ["Kind", "When", "At most", "Used", "Left", "Whose"],
        [
            [Movement(movement).label, room.window.label, show.money(room.allowed, room.currency, digits[room.currency]),
             show.money(room.used, room.currency, digits[room.currency]), show.money(room.left, room.currency, digits[room.currency]),
             record_link(LimitOverride(pk=room.override), "Their own") if room.override is not None else f"Of level {client.kyc_level}"]
            for movement, room in rows
        ],
        right=(2, 3, 4),
        empty="Nothing is limited for them.",
    )  # fmt: skip


def _overrides(ids: Any) -> Any:
    rows = LimitOverride.objects.filter(uuid__in=ids).select_related("client")
    return {row.uuid: (f"Client limit: {row}", url_of(row)) for row in rows}


ports.client_panels.register("limits", Panel("Limits", "compliance.view_limit", rooms), order=40)
ports.subjects.register("limit_override", _overrides)
ports.words.register("limit_override.set", "Client limit set")
ports.words.register("limit_override.ended", "Client limit ended")
ports.sidebar.register(
    "limits",
    Entry("Settings", "Limits", "admin:compliance_limit_changelist", "speed", "compliance.view_limit"),
    order=22,
)
ports.sidebar.register(
    "client_limits",
    Entry("Compliance", "Client limits", "admin:compliance_limitoverride_changelist", "person_alert", "compliance.view_limitoverride"),
    order=30,
)  # fmt: skip
