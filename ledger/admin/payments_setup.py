"""Settings of payments: our bank accounts, fees, and how bank lines are matched. Each with its history."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import ConsoleAdmin, record_link, url_of
from backoffice.admin.exporting import Exported
from backoffice.admin.fields import ReasonedForm
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.record import Record
from backoffice.errors import InvalidInput
from ledger.bank.csv_lines import NAMES
from ledger.bank.numbers import checked_bic, checked_iban
from ledger.models import Account, BankAccount, Fee, MatchingRule, Method


def _in_use(row: Any) -> SafeString:
    return show.badge("In use", show.DONE) if row.is_active else show.badge("Not in use")


class BankAccountForm(ReasonedForm):
    """Numbers are checked before anybody is told to pay there."""

    def clean_iban(self) -> str:
        return self._checked("iban", checked_iban)

    def clean_bic(self) -> str:
        return self._checked("bic", checked_bic)

    def clean_csv_columns(self) -> dict[str, Any]:
        given = self.cleaned_data["csv_columns"] or {}
        known = {*NAMES, "date_format", "decimal"}
        if not isinstance(given, dict) or not given.keys() <= known:
            raise forms.ValidationError(f"An object with some of: {', '.join(sorted(known))}.")
        if not all(
            isinstance(one, str) or (isinstance(one, list) and all(isinstance(part, str) for part in one))
            for one in given.values()
        ):
            raise forms.ValidationError("Each is what the bank calls the column, or a list of such names.")
        if given.get("decimal", ".") not in (".", ","):
            raise forms.ValidationError("“decimal” is . or ,")
        return given

    def _checked(self, name: str, check: Any) -> str:
        text: str = self.cleaned_data[name].strip()
        try:
            return check(text) if text else ""  # type: ignore[no-any-return]
        except InvalidInput as wrong:
            raise forms.ValidationError(wrong.message) from None


@admin.register(BankAccount)
class BankAccountAdmin(ConsoleAdmin):
    form = BankAccountForm
    list_display = ("name", "bank_name", "iban", "currency", "in_books", "for_deposits", "use")
    list_select_related = ("currency",)
    ordering = ("name",)
    search_fields = ("name", "iban", "number")
    # Where clients send their money: staff prove themselves again before they touch it.
    elevated = True
    add_fields = ("name", "holder", "bank_name", "iban", "number", "bic", "currency", "csv_columns", "takes_deposits",
                  "is_active")  # fmt: skip
    # Number and currency are what its statements and its ledger account rest on: set once.
    edit_fields = ("name", "holder", "bank_name", "bic", "csv_columns", "takes_deposits", "is_active")
    list_intro = "Our own accounts at banks: where clients pay in, whose statements are imported."
    empty_text = "No bank account yet. Without one nobody can pay by bank transfer."

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change=change, **{"form": BankAccountForm, **kwargs})

    @admin.display(description="In our books")
    def in_books(self, row: BankAccount) -> SafeString:
        return show.money(_posted(row), row.currency_id, row.currency.exponent)

    @admin.display(description="Clients pay here")
    def for_deposits(self, row: BankAccount) -> SafeString:
        return show.yes(row.takes_deposits)

    @admin.display(description="Use")
    def use(self, row: BankAccount) -> SafeString:
        return _in_use(row)

    def record(self, request: HttpRequest, row: BankAccount) -> Record:
        return Record(
            title=row.name,
            badge=_in_use(row),
            amount=self.in_books(row),
            why="Clients are told to pay here." if row.takes_deposits and row.is_active
            else "Its statements are imported; clients are not told to pay here.",
            facts=[
                ("Which account is it?", [
                    ("Bank", row.bank_name), ("Holder", row.holder), ("IBAN", row.iban), ("Account number", row.number),
                    ("BIC", row.bic), ("Currency", row.currency_id),
                ]),
                ("How are its CSV statements read?", [
                    (NAMES_IN_WORDS.get(name, name.replace("_", " ").capitalize()),
                     ", ".join(value) if isinstance(value, list) else value)
                    for name, value in row.csv_columns.items()
                ] or [("Columns", "By what many banks call them")]),
            ],
        )  # fmt: skip


NAMES_IN_WORDS = {"iban": "IBAN", "counterparty_iban": "Counterparty's IBAN", "bank_id": "Bank's id"}


def _posted(row: BankAccount) -> Any:
    account = Account.objects.owned_by("bank_account", row.uuid).filter(purpose="bank").first()
    return account.posted if account is not None else None


@admin.register(Fee)
class FeeAdmin(Exported, ConsoleAdmin):
    list_display = (
        "what",
        "method",
        "currency",
        "fixed_shown",
        "rate_shown",
        "least_shown",
        "most_shown",
        "use",
    )
    list_display_links = ("what",)
    list_select_related = ("currency",)
    ordering = ("direction", "method", "currency_id")
    list_filter = (choice_filter("method", "method", Method.choices),)
    add_fields = ("direction", "method", "currency", "fixed", "rate", "least", "most", "is_active")
    edit_fields = ("fixed", "rate", "least", "most", "is_active")
    exported = (
        ("Of", "direction"), ("Method", "method"), ("Currency", "currency_id"), ("Fixed", "fixed"), ("Rate", "rate"),
        ("At least", "least"), ("At most", "most"), ("In use", "is_active"),
    )  # fmt: skip
    list_intro = "What we take of payments. It is reckoned when the money is booked; what was booked stays."
    empty_text = "No fee. Payments cost clients nothing until one is added."

    @admin.display(description="Of")
    def what(self, row: Fee) -> str:
        return row.get_direction_display()

    @admin.display(description="Fixed")
    def fixed_shown(self, row: Fee) -> SafeString:
        return show.money(row.fixed, row.currency_id, row.currency.exponent)

    @admin.display(description="Rate")
    def rate_shown(self, row: Fee) -> SafeString:
        return show.percent(row.rate)

    @admin.display(description="At least")
    def least_shown(self, row: Fee) -> SafeString:
        return show.money(row.least, row.currency_id, row.currency.exponent)

    @admin.display(description="At most")
    def most_shown(self, row: Fee) -> SafeString:
        return show.money(row.most, row.currency_id, row.currency.exponent)

    @admin.display(description="Use")
    def use(self, row: Fee) -> SafeString:
        return _in_use(row)

    def record(self, request: HttpRequest, row: Fee) -> Record:
        return Record(
            title=f"Fee: {row}",
            badge=_in_use(row),
            why="Taken of every such payment when it is booked." if row.is_active else "Nothing is taken by it any more.",
            facts=[("How much?", [
                ("Fixed", self.fixed_shown(row)), ("Rate", self.rate_shown(row)), ("At least", self.least_shown(row)),
                ("At most", self.most_shown(row)),
            ])],
        )  # fmt: skip


@admin.register(MatchingRule)
class MatchingRuleAdmin(ConsoleAdmin):
    list_display = (
        "whose",
        "tolerance_shown",
        "tolerance_rate_shown",
        "late_days",
        "others",
        "by_name",
        "use",
    )
    list_display_links = ("whose",)
    list_select_related = ("bank_account", "currency")
    ordering = ("id",)
    add_fields = ("bank_account", "currency", "tolerance", "tolerance_rate", "late_days", "others_may_pay",
                  "matches_by_name", "is_active")  # fmt: skip
    edit_fields = add_fields[2:]
    list_intro = (
        "How far a bank line may be from the deposit it is credited to. The most specific rule applies: of one bank "
        "account, else of its currency, else of all. What no rule credits waits in suspense."
    )
    empty_text = (
        "No rule. Lines are credited by their reference, within 2 % of the amount, up to 90 days late."
    )

    @admin.display(description="For")
    def whose(self, row: MatchingRule) -> str:
        return str(row)

    @admin.display(description="Tolerance")
    def tolerance_shown(self, row: MatchingRule) -> SafeString:
        return show.number(row.tolerance)

    @admin.display(description="Tolerance, rate")
    def tolerance_rate_shown(self, row: MatchingRule) -> SafeString:
        return show.percent(row.tolerance_rate)

    @admin.display(description="Others may pay")
    def others(self, row: MatchingRule) -> SafeString:
        return show.yes(row.others_may_pay)

    @admin.display(description="Amount and name suffice")
    def by_name(self, row: MatchingRule) -> SafeString:
        return show.yes(row.matches_by_name)

    @admin.display(description="Use")
    def use(self, row: MatchingRule) -> SafeString:
        return _in_use(row)

    def record(self, request: HttpRequest, row: MatchingRule) -> Record:
        return Record(
            title=f"Matching rule: {row}",
            badge=_in_use(row),
            why="Applies to statements imported from now on." if row.is_active else "Applies to nothing any more.",
            facts=[
                ("To what does it apply?", [
                    ("Bank account", record_link(row.bank_account) if row.bank_account else "Any"),
                    ("Currency", row.currency_id or "Any"),
                ]),
                ("What is credited?", [
                    ("More or less than asked", show.number(row.tolerance)),
                    ("The same as a share", self.tolerance_rate_shown(row)),
                    ("Days after its end", str(row.late_days)), ("Paid by somebody else", self.others(row)),
                    ("By amount and name alone", self.by_name(row)),
                ]),
            ],
        )  # fmt: skip


for _number, (_name, _entry) in enumerate(
    {
        "bank_accounts": SidebarEntry(
            "Settings",
            "Bank accounts",
            "admin:ledger_bankaccount_changelist",
            "account_balance",
            "ledger.view_bankaccount",
        ),
        "fees": SidebarEntry("Settings", "Fees", "admin:ledger_fee_changelist", "percent", "ledger.view_fee"),
        "matching_rules": SidebarEntry(
            "Settings",
            "Matching rules",
            "admin:ledger_matchingrule_changelist",
            "join_inner",
            "ledger.view_matchingrule",
        ),
    }.items()
):
    ports.sidebar.register(_name, _entry, order=50 + _number)
ports.subjects.register(
    "bank_account",
    lambda ids: {row.uuid: (row.name, url_of(row)) for row in BankAccount.objects.filter(uuid__in=ids)},
)
