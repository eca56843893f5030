"""Asserted balances: what somebody says an account stands at, and where the books say something else."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import DialogForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin, url_of
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Card, Entry, Unfinished, Waiting
from backoffice.admin.record import Record
from backoffice.admin.unfinished import tally
from backoffice.who import By, called
from ledger.admin import shown
from ledger.control import assertions
from ledger.models import Account, BalanceAssertion

State = BalanceAssertion.State
LABEL = BalanceAssertion._meta.label_lower
LIST = "admin:ledger_balanceassertion_changelist"
TONES = {State.HOLDS: show.DONE, State.FAILS: show.MINE, State.RESOLVED: show.WAITING}


class AssertionForm(DialogForm):
    """What stands there, when, and who says so."""

    on = forms.DateField(
        label="At the end of", input_formats=["%Y-%m-%d"],
        widget=UnfoldAdminTextInputWidget({"placeholder": "2026-11-24"}), help_text="As year-month-day; by UTC.",
    )  # fmt: skip
    amount = forms.CharField(
        label="It stands at",
        widget=UnfoldAdminTextInputWidget({"inputmode": "decimal", "autocomplete": "off"}),
    )
    source = forms.CharField(
        label="Where the figure is from", max_length=120, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="“Bank statement 231”, for example.",
    )  # fmt: skip
    field_order = ("on", "amount", "source", "key")


def _stands(row: Account) -> SafeString:
    now = show.money(row.posted, row.currency_id, row.currency.exponent)
    return format_html("<p>It stands at {} now, by the books. Nothing is posted by this.</p>", now)


@dialog_action(
    AssertionForm,
    title="Say what it stands at",
    button="Hold it against the books",
    description="Checked at once, and every night while the day is open. Where the books say something else it waits in a queue.",
    permission="ledger.enter_assertion",
    effect=_stands,
    icon="fact_check",
)
def assert_balance(admin: Any, request: HttpRequest, row: Account, form: Any) -> str:
    data, by = form.cleaned_data, By.user(request.user)  # type: ignore[arg-type]
    made = assertions.enter(
        row,
        on=data["on"],
        amount=data["amount"],
        source=data["source"],
        by=by,
        at=timezone.now(),
        key=data["key"],
    )
    if made.state == State.HOLDS:
        return "The books agree."
    said = show.tidy(made.found, row.currency.exponent)
    return f"The books say {said} {row.currency_id}. It waits under Asserted balances."


@dialog_action(
    title="Resolve",
    button="Resolve it",
    description="Say why the books are right, or why it does not matter. It no longer stands in the way of closing the day.",
    permission="ledger.resolve_assertion",
    check=assertions.check_may_resolve,
    applies=lambda row: row.state == State.FAILS,
    icon="task_alt",
)
def resolve_assertion(admin: Any, request: HttpRequest, row: BalanceAssertion, form: Any) -> str:
    data, by = form.cleaned_data, By.user(request.user)  # type: ignore[arg-type]
    assertions.resolve(row, reason=data["reason"], by=by, at=timezone.now(), key=data["key"])
    return "Resolved. The reason stands in its timeline."


@admin.register(BalanceAssertion)
class BalanceAssertionAdmin(ReadOnlyAdmin):
    list_display = ("age", "account_shown", "day", "amount_shown", "found_shown", "missing", "state_shown")
    list_display_links = ("day",)
    list_select_related = ("account__currency",)
    record_related = ("account__currency",)
    ordering = ("state", "changed_at", "id")  # what fails first, the oldest first
    list_filter = (choice_filter("state", "state", State.choices),)
    actions_detail = ("resolve_assertion",)
    resolve_assertion = resolve_assertion
    subject_type = "balance_assertion"
    list_intro = "What accounts were said to stand at, from bank statements for example, held against the books. Entered from an account's page."
    empty_text = "No balance was asserted yet. Open an account and say what it stands at."

    @admin.display(description="Since")
    def age(self, row: BalanceAssertion) -> SafeString:
        return show.when(row.changed_at)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        answer = super().changelist_view(request, extra_context)
        listing = getattr(answer, "context_data", {}).get("cl")
        if listing is not None:
            listing.result_list = rows = list(listing.result_list)
            named = shown.owners(row.account for row in rows)
            for row in rows:
                row.account_named = shown.account_link(row.account, named)
        return answer

    @admin.display(description="Account")
    def account_shown(self, row: BalanceAssertion) -> SafeString:
        return getattr(row, "account_named", format_html("{}", row.account))

    @admin.display(description="At the end of")
    def day(self, row: BalanceAssertion) -> str:
        return f"{row.business_date:%Y-%m-%d}"

    @admin.display(description="Asserted")
    def amount_shown(self, row: BalanceAssertion) -> SafeString:
        return show.money(row.amount, row.account.currency_id, row.account.currency.exponent)

    @admin.display(description="The books say")
    def found_shown(self, row: BalanceAssertion) -> SafeString:
        return show.money(row.found, row.account.currency_id, row.account.currency.exponent)

    @admin.display(description="Missing in the books")
    def missing(self, row: BalanceAssertion) -> SafeString:
        return show.gain(row.difference, row.account.currency_id, row.account.currency.exponent)

    @admin.display(description="State")
    def state_shown(self, row: BalanceAssertion) -> SafeString:
        return show.badge(row.get_state_display(), TONES[State(row.state)])

    def record(self, request: HttpRequest, row: BalanceAssertion) -> Record:
        named = shown.owners([row.account])
        return Record(
            title=f"Asserted at the end of {row.business_date:%Y-%m-%d}",
            badge=self.state_shown(row),
            amount=self.amount_shown(row),
            why=row.why,
            facts=[
                ("Of what?", [("Account", shown.account_link(row.account, named)), ("From", row.source)]),
                ("What differs?", [
                    ("Asserted", self.amount_shown(row)), ("The books say", self.found_shown(row)),
                    ("Missing in the books", self.missing(row)),
                ]),
                ("When?", [
                    ("Entered by", called(row.entered_by)), ("Entered", show.at(row.entered_at)),
                    ("Last checked", show.at(row.checked_at)),
                ]),
            ],
            timeline=timeline.of("balance_assertion", row.uuid),
        )  # fmt: skip


def _waiting(request: HttpRequest) -> Any:
    from django.urls import reverse

    found = tally(request, LABEL, State.FAILS)
    yield Waiting("Balances that are not as asserted", reverse(LIST), found.many, found.since, found.is_late)


ports.waiting.register("assertions", Card("ledger.resolve_assertion", _waiting), order=81)
ports.unfinished.register(
    LABEL,
    Unfinished(BalanceAssertion, "Asserted balances", "ledger.view_balanceassertion", ("account",)),
    order=61,
)
ports.sidebar.register(
    "assertions",
    Entry("Books", "Asserted balances", LIST, "fact_check", "ledger.view_balanceassertion",
          lambda request: tally(request, LABEL, State.FAILS).many),
    order=65,
)  # fmt: skip
ports.subjects.register(
    "balance_assertion",
    lambda ids: {
        row.uuid: (f"Asserted balance, {row.business_date}", url_of(row))
        for row in BalanceAssertion.objects.filter(uuid__in=ids)
    },
)
for _name, _words in {
    "balance_assertion.entered": "Entered",
    "balance_assertion.failed": "The books say something else",
    "balance_assertion.held": "The books agree",
    "balance_assertion.resolved": "Resolved",
}.items():
    ports.words.register(_name, _words)
