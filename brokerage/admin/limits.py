"""Trade limits: the list, and the dialogs that set and lift them, for everyone, a client or an instrument."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
)

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import ReasonForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record
from backoffice.models import Currency
from backoffice.who import By, called
from brokerage import limits
from brokerage.models import Instrument, TradeLimit, TradingAccount

LIST = "admin:brokerage_tradelimit_changelist"
PERMISSION = "brokerage.set_tradelimit"


class MaximaForm(ReasonForm):
    """What a limit allows, and why. An empty field limits nothing."""

    max_stake = forms.DecimalField(
        required=False, widget=UnfoldAdminDecimalFieldWidget, label="Most for one trade"
    )
    max_open_stake = forms.DecimalField(
        required=False, widget=UnfoldAdminDecimalFieldWidget, label="Most at stake at once"
    )
    max_per_minute = forms.IntegerField(
        required=False, widget=UnfoldAdminIntegerFieldWidget, label="Most trades a minute"
    )
    field_order: tuple[str, ...] = ("max_stake", "max_open_stake", "max_per_minute", "reason", "key")

    @property
    def maxima(self) -> limits.Maxima:
        data = self.cleaned_data
        return limits.Maxima(data["max_stake"], data["max_open_stake"], data["max_per_minute"])


class ChangeForm(MaximaForm):
    """A limit that is there, with what it allows now."""

    def fit(self, row: TradeLimit) -> None:
        digits = row.currency.exponent
        for name in ("max_stake", "max_open_stake"):
            value = getattr(row, name)
            self.fields[name].initial = f"{value:.{digits}f}" if value is not None else None
            self.fields[name].label = f"{self.fields[name].label}, {row.currency_id}"
        self.fields["max_per_minute"].initial = row.max_per_minute


class SetForm(MaximaForm):
    """Which trades, too: of one instrument or over all, in which currency."""

    instrument = forms.ModelChoiceField(
        Instrument.objects.order_by("name"), required=False, widget=UnfoldAdminSelectWidget,
        empty_label="All instruments together",
    )  # fmt: skip
    currency = forms.ModelChoiceField(
        Currency.objects.order_by("code"), widget=UnfoldAdminSelectWidget, empty_label=None
    )
    field_order = ("instrument", "currency", *MaximaForm.field_order)

    def fit(self, row: Any) -> None:
        if isinstance(row, TradingAccount):
            self.fields["currency"].initial = row.currency_id
        if isinstance(row, Instrument):
            self.fields["instrument"].initial = row.pk


def set_action(name: str, title: str, description: str, client: Callable[[Any], Any]) -> Any:
    """A dialog that sets a limit for everyone or for the client a record is about."""

    def set_limit(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
        data = form.cleaned_data
        return _change(request, form, client(row), data["instrument"], data["currency"])

    set_limit.__name__ = name
    return dialog_action(
        SetForm,
        title=title,
        button="Set the limit",
        description=description,
        permission=PERMISSION,
        icon="speed",
    )(set_limit)


def _change(request: HttpRequest, form: Any, client: Any, instrument: Any, currency: Any) -> str:
    data = form.cleaned_data
    row = limits.change(
        client, instrument, currency, form.maxima if isinstance(form, MaximaForm) else limits.Maxima(),
        by=By.user(request.user), at=timezone.now(), key=data["key"], reason=data["reason"],  # type: ignore[arg-type]
    )  # fmt: skip
    return f"{row}: {_sentence(row)}"


def _sentence(row: TradeLimit) -> str:
    if row.is_lifted:
        return "no limit any more."
    code, digits = row.currency_id, row.currency.exponent
    parts = []
    if row.max_stake is not None:
        parts.append(f"at most {show.tidy(row.max_stake, digits)} {code} for one trade")
    if row.max_open_stake is not None:
        parts.append(f"{show.tidy(row.max_open_stake, digits)} {code} at stake at once")
    if row.max_per_minute is not None:
        parts.append(f"{row.max_per_minute:,} trades a minute")
    return f"{', '.join(parts)}."


@dialog_action(
    ChangeForm, title="Change a limit", button="Set the limit", permission=PERMISSION, icon="edit",
    description="Holds for trades placed from now on; what was placed before goes on.",
)  # fmt: skip
def change_limit(admin: Any, request: HttpRequest, row: TradeLimit, form: Any) -> str:
    return _change(request, form, row.client, row.instrument, row.currency)


@dialog_action(
    title="Lift a limit",
    button="Lift the limit",
    permission=PERMISSION,
    icon="lock_open",
    applies=lambda row: not row.is_lifted,
    description="Nothing is limited by it any more. For a client's own limit, everyone's applies again.",
)
def lift_limit(admin: Any, request: HttpRequest, row: TradeLimit, form: Any) -> str:
    return _change(request, form, row.client, row.instrument, row.currency)


@admin.register(TradeLimit)
class TradeLimitAdmin(ReadOnlyAdmin):
    list_display = ("whose", "what", "stake", "open_stake", "rate", "changed", "changed_by_whom")
    list_display_links = ("whose",)
    list_select_related = ("client", "instrument", "currency")
    ordering = ("client", "instrument", "id")
    actions_list = ("limit_everyone",)
    actions_detail = ("change_limit", "lift_limit")
    subject_type = "trade_limit"
    list_intro = (
        "How much and how fast a client may trade; counted for each client, demo and real money apart. A client's own "
        "limit takes the place of everyone's. Set one for a client from the client's trading account."
    )
    empty_text = "Nothing is limited but by the instruments' own stakes."
    limit_everyone = set_action(
        "limit_everyone",
        "Limit every client",
        "For each client alike who has no limit of their own.",
        lambda row: None,
    )
    change_limit, lift_limit = change_limit, lift_limit

    @admin.display(description="For")
    def whose(self, row: TradeLimit) -> str:
        return str(row.client) if row.client_id else "Every client"

    @admin.display(description="Instruments")
    def what(self, row: TradeLimit) -> str:
        return str(row.instrument) if row.instrument_id else "All together"

    @admin.display(description="One trade")
    def stake(self, row: TradeLimit) -> SafeString:
        return show.money(row.max_stake, row.currency_id, row.currency.exponent)

    @admin.display(description="At stake at once")
    def open_stake(self, row: TradeLimit) -> SafeString:
        return show.money(row.max_open_stake, row.currency_id, row.currency.exponent)

    @admin.display(description="Trades a minute")
    def rate(self, row: TradeLimit) -> SafeString:
        return show.number(row.max_per_minute)

    @admin.display(description="Changed")
    def changed(self, row: TradeLimit) -> SafeString:
        return show.when(row.changed_at)

    @admin.display(description="By")
    def changed_by_whom(self, row: TradeLimit) -> str:
        return timeline.person(row.changed_by)

    def record(self, request: HttpRequest, row: TradeLimit) -> Record:
        return Record(
            title=f"Trade limit: {row}",
            badge=show.badge("Lifted") if row.is_lifted else show.badge("In force", show.DONE),
            why=_sentence(row)[:1].upper() + _sentence(row)[1:],
            facts=[
                ("For what?", [
                    ("Client", record_link(row.client) if row.client_id else "Every client"),
                    ("Instruments", record_link(row.instrument) if row.instrument_id else "All together"),
                    ("Currency", row.currency_id),
                ]),
                ("How much?", [
                    ("One trade", self.stake(row)), ("At stake at once", self.open_stake(row)),
                    ("Trades a minute", self.rate(row)),
                ]),
                ("Why?", [("Reason", row.reason), ("By", called(row.changed_by)), ("When", show.at(row.changed_at))]),
            ],
            timeline=timeline.of("trade_limit", row.uuid),
        )  # fmt: skip


def _limits(ids: Any) -> Any:
    rows = TradeLimit.objects.filter(uuid__in=ids).select_related("client", "instrument")
    return {
        row.uuid: (f"Trade limit: {row}", reverse("admin:brokerage_tradelimit_change", args=[row.pk]))
        for row in rows
    }


ports.subjects.register("trade_limit", _limits)
ports.sidebar.register(
    "trade_limits", Entry("Trading", "Trade limits", LIST, "speed", "brokerage.view_tradelimit"), order=19
)
ports.words.register("trade_limit.changed", "Trade limit set")
