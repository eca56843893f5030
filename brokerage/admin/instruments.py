"""Instruments: what is offered, and for how much. Staff set the offer and the stakes; the rest comes from the venue."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import show
from backoffice.admin.base import ConsoleAdmin
from backoffice.admin.filters import choice_filter
from backoffice.admin.record import Record
from brokerage.admin.gate import gate_action
from brokerage.admin.limits import set_action
from brokerage.models import Instrument


def offer_badge(instrument: Instrument) -> SafeString:
    if instrument.is_suspended:
        return show.badge("Suspended by the venue", show.WRONG)
    return show.badge("Offered", show.DONE) if instrument.is_offered else show.badge("Not offered")


@admin.register(Instrument)
class InstrumentAdmin(ConsoleAdmin):
    list_display = ("name", "symbol", "kind", "offer", "least", "most", "lengths")
    ordering = ("name",)
    search_fields = ("name", "symbol")
    search_help_text = "Name or symbol"
    list_filter = (
        choice_filter("kind", "kind", Instrument.Kind.choices),
        choice_filter("is_offered", "offered", [("True", "Offered"), ("False", "Not offered")]),
        choice_filter("is_suspended", "venue", [("True", "Suspended by the venue"), ("False", "Open")]),
    )
    actions_detail = ("close_instrument", "limit_instrument")
    close_instrument = gate_action("close_instrument", "Order gate", lambda row: row)
    limit_instrument = set_action(
        "limit_instrument",
        "Limit trading",
        "For each client alike who has no limit of their own.",
        lambda row: None,
    )
    edit_fields = ("is_offered", "min_stake", "max_stake")
    empty_text = "No instrument yet. They are read from the venue within the first minute."

    @admin.display(description="Offer")
    def offer(self, instrument: Instrument) -> SafeString:
        return offer_badge(instrument)

    @admin.display(description="Least stake", ordering="min_stake")
    def least(self, instrument: Instrument) -> SafeString:
        return show.number(instrument.min_stake)

    @admin.display(description="Most", ordering="max_stake")
    def most(self, instrument: Instrument) -> SafeString:
        return show.number(instrument.max_stake)

    @admin.display(description="Duration")
    def lengths(self, instrument: Instrument) -> SafeString:
        return format_html("{}–{} ticks, {}–{}", instrument.min_ticks, instrument.max_ticks,
                           show.span(instrument.min_seconds), show.span(instrument.max_seconds))  # fmt: skip

    def record(self, request: HttpRequest, row: Instrument) -> Record:
        why = "Clients can trade it now."
        if row.is_suspended:
            why = "The venue has suspended it; it is offered again as soon as the venue opens it."
        elif not row.is_offered:
            why = "We do not offer it. Edit it to offer it to clients."
        return Record(
            title=row.name,
            badge=offer_badge(row),
            why=why,
            facts=[
                ("What is it?", [
                    ("Symbol at the venue", row.symbol),
                    ("Kind", row.get_kind_display()),
                    ("Market", row.market.replace("_", " ").capitalize()),
                    ("Smallest price change", show.number(row.pip)),
                    ("Seconds between ticks", str(row.tick_seconds)),
                ]),
                ("What may be staked?", [
                    ("Least", show.number(row.min_stake)),
                    ("Most", show.number(row.max_stake)),
                ]),
                ("For how long?", [
                    ("In ticks", f"{row.min_ticks} to {row.max_ticks}"),
                    ("In time", f"{show.span(row.min_seconds)} to {show.span(row.max_seconds)}"),
                    ("Read from the venue", show.at(row.synced_at)),
                ]),
            ],
        )  # fmt: skip
