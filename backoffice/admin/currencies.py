"""Currencies: configuration, with history."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import ConsoleAdmin
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record
from backoffice.models import Currency


@admin.register(Currency)
class CurrencyAdmin(ConsoleAdmin):
    list_display = ("code", "name", "kind", "exponent", "use")
    ordering = ("code",)
    search_fields = ("code", "name")
    list_filter = (choice_filter("kind", "kind", Currency.Kind.choices),)
    # The code and the decimals are what booked amounts rest on: set once, when the currency is added.
    edit_fields = ("name", "is_active")
    add_fields = ("code", "name", "kind", "exponent", "is_active")

    @admin.display(description="In use")
    def use(self, currency: Currency) -> SafeString:
        return show.badge("In use", show.DONE) if currency.is_active else show.badge("Not in use")

    def record(self, request: HttpRequest, row: Currency) -> Record:
        return Record(
            title=f"{row.name} ({row.code})",
            badge=self.use(row),
            why="Accounts can be opened in it." if row.is_active else "No new account is opened in it; what is booked stays.",
            facts=[("What is it?", [
                ("Code", row.code), ("Name", row.name), ("Kind", row.get_kind_display()),
                ("Decimals an amount may have", str(row.exponent)),
            ])],
        )  # fmt: skip


ports.sidebar.register(
    "currencies",
    Entry(
        "Settings",
        "Currencies",
        "admin:backoffice_currency_changelist",
        "payments",
        "backoffice.view_currency",
    ),
    order=40,
)
