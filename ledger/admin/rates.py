"""Exchange rates, entered one by one or from a file, and the spreads we keep of exchanges."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, dialog_action
from backoffice.admin.base import ConsoleAdmin, ReadOnlyAdmin, url_of
from backoffice.admin.filters import period_filter, rows_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.record import Record
from backoffice.errors import InvalidInput
from backoffice.models import Currency
from backoffice.who import By, called
from ledger import exchange, rate_files, rates
from ledger.models import ExchangeRate, Spread

PERMISSION = "ledger.enter_exchangerate"


class CheckedForm(DialogForm):
    """What is far from the rate before needs a second look."""

    is_checked = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, label="I have looked again",
        help_text="Needed where a rate is more than a tenth away from the one before.",
    )  # fmt: skip


class RateForm(CheckedForm):
    """One rate, taken now."""

    base = forms.ModelChoiceField(
        Currency.objects.filter(is_active=True).order_by("code"), widget=UnfoldAdminSelectWidget, empty_label=None,
        label="One unit of",
    )  # fmt: skip
    quote = forms.ModelChoiceField(
        Currency.objects.filter(is_active=True).order_by("code"), widget=UnfoldAdminSelectWidget, empty_label=None,
        label="Is worth, in",
    )  # fmt: skip
    mid = forms.CharField(
        max_length=24, widget=UnfoldAdminTextInputWidget, label="So much",
        help_text="The mid rate, with at most ten decimals. Our spread is taken off it.",
    )  # fmt: skip
    field_order = ("base", "quote", "mid", "is_checked", "key")


class FileForm(CheckedForm):
    """Rates as a CSV file."""

    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text="CSV with the columns base, quote, mid and taken_at (2026-11-26T09:00:00Z; may be left out: now). "
        "1,000 rates at most. All of them are taken, or none.",
    )
    field_order = ("file", "is_checked", "key")


@dialog_action(
    RateForm,
    title="Enter a rate",
    button="Enter it",
    description="Quotes are by it from now on. Rates are never changed: a wrong one is followed by a right one.",
    permission=PERMISSION,
    icon="add",
)
def enter_rate(admin: Any, request: HttpRequest, row: None, form: Any) -> str:
    data, now = form.cleaned_data, timezone.now()
    one = rates.Given(data["base"].code, data["quote"].code, data["mid"], now)
    (made,) = rates.enter([one], by=_by(request), at=now, is_checked=data["is_checked"])
    return f"{made.base_id}/{made.quote_id} is {show.tidy(made.mid)} from now on."


@dialog_action(
    FileForm,
    title="Import rates",
    button="Import them",
    description="Each counts from the instant it was taken. What was imported before changes nothing.",
    permission=PERMISSION,
    icon="upload_file",
)
def import_rates(admin: Any, request: HttpRequest, row: None, form: Any) -> str:
    data, now = form.cleaned_data, timezone.now()
    file = data["file"]
    if file.size > rate_files.LARGEST:
        raise InvalidInput("That file is too large for rates.", field="file")
    given = rate_files.read(file.read(), at=now)
    made = rates.enter(given, by=_by(request), at=now, is_checked=data["is_checked"])
    return f"{len(made):,} rates are there."


@admin.register(ExchangeRate)
class ExchangeRateAdmin(ReadOnlyAdmin):
    list_display = ("pair", "mid_shown", "taken", "source_shown", "entered")
    list_display_links = ("pair",)
    list_select_related = ("base", "quote")
    ordering = ("-id",)
    list_filter = (
        rows_filter("base", "currency", lambda request: Currency.objects.order_by("code")),
        rows_filter("quote", "against", lambda request: Currency.objects.order_by("code")),
        period_filter("taken_at", "time taken"),
    )  # fmt: skip
    subject_type = rates.SUBJECT
    actions_list = ("enter_rate", "import_rates")
    enter_rate, import_rates = enter_rate, import_rates
    list_intro = "What currencies are worth in each other. The newest of a pair counts, in both directions, until it is too old (EXCHANGE_RATE_HOURS)."
    empty_text = "No rate yet. Without one nothing is exchanged."

    @admin.display(description="Pair")
    def pair(self, row: ExchangeRate) -> str:
        return f"{row.base_id}/{row.quote_id}"

    @admin.display(description="Mid rate")
    def mid_shown(self, row: ExchangeRate) -> SafeString:
        return show.number(row.mid)

    @admin.display(description="Taken")
    def taken(self, row: ExchangeRate) -> SafeString:
        return show.when(row.taken_at)

    @admin.display(description="By")
    def source_shown(self, row: ExchangeRate) -> str:
        return timeline.person(row.source)

    @admin.display(description="Entered")
    def entered(self, row: ExchangeRate) -> SafeString:
        return show.when(row.entered_at)

    def record(self, request: HttpRequest, row: ExchangeRate) -> Record:
        newest = rates.newest(row.base_id, row.quote_id, at=timezone.now())
        counts = newest is not None and newest.row.pk == row.pk
        return Record(
            title=str(row),
            badge=show.badge("Newest", show.DONE) if counts else show.badge("Replaced"),
            amount=self.mid_shown(row),
            why="Quotes are by this rate until a newer one is entered or it is too old." if counts else "A newer one counts.",
            facts=[("What does it say?", [
                (f"One {row.base_id} in {row.quote_id}", self.mid_shown(row)),
                (f"One {row.quote_id} in {row.base_id}", show.number(exchange.inverse(row.mid))),
                ("Taken", show.at(row.taken_at)), ("By", called(row.source)), ("Entered", show.at(row.entered_at)),
            ])],
            timeline=timeline.of(rates.SUBJECT, row.uuid),
        )  # fmt: skip


@admin.register(Spread)
class SpreadAdmin(ConsoleAdmin):
    list_display = ("what", "bps", "least_shown", "use")
    list_display_links = ("what",)
    list_select_related = ("given", "got")
    ordering = ("given_id", "got_id")
    add_fields = ("given", "got", "spread_bps", "least", "is_active")
    edit_fields = ("spread_bps", "least", "is_active")
    list_intro = "What we keep of exchanges. The row of the two currencies counts, else the one for any; without one nothing is exchanged."
    empty_text = "No spread. Nothing is exchanged until one is added."

    @admin.display(description="Of")
    def what(self, row: Spread) -> str:
        return str(row)

    @admin.display(description="Basis points")
    def bps(self, row: Spread) -> SafeString:
        return show.number(row.spread_bps)

    @admin.display(description="At least")
    def least_shown(self, row: Spread) -> SafeString:
        return show.money(row.least, row.got_id, row.got.exponent) if row.got is not None else show.NOTHING  # type: ignore[arg-type]

    @admin.display(description="Use")
    def use(self, row: Spread) -> SafeString:
        return show.badge("In use", show.DONE) if row.is_active else show.badge("Not in use")

    def record(self, request: HttpRequest, row: Spread) -> Record:
        return Record(
            title=f"Spread: {row}",
            badge=self.use(row),
            why="Taken off the mid rate of every quote from now on." if row.is_active else "Nothing is quoted by it any more.",
            facts=[("How much?", [("Basis points", self.bps(row)), ("At least", self.least_shown(row))])],
        )  # fmt: skip


def _by(request: HttpRequest) -> By:
    return By.user(request.user)  # type: ignore[arg-type]


def _rates(ids: Any) -> Any:
    return {row.uuid: (str(row), url_of(row)) for row in ExchangeRate.objects.filter(uuid__in=ids)}


ports.sidebar.register(
    "exchange_rates",
    SidebarEntry("Payments", "Exchange rates", "admin:ledger_exchangerate_changelist", "currency_exchange", "ledger.view_exchangerate"),
    order=70,
)  # fmt: skip
ports.sidebar.register(
    "spreads",
    SidebarEntry(
        "Settings", "Spreads", "admin:ledger_spread_changelist", "unfold_less", "ledger.view_spread"
    ),
    order=55,
)
ports.subjects.register("exchange_rate", _rates)
ports.words.register("exchange_rate.entered", "Entered")
