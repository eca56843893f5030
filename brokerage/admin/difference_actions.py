"""What staff may decide about a difference, each in a dialog that shows what will move, with a reason."""

from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminRadioSelectWidget

from backoffice.admin import show
from backoffice.admin.actions import ReasonForm, dialog_action
from backoffice.who import By
from brokerage import corrections, differences, reconciliation
from brokerage.models import Difference

PERMISSION = "brokerage.resolve_difference"
R = Difference.Resolution


def _by(request: HttpRequest) -> By:
    return By.user(request.user)  # type: ignore[arg-type]


def _offers(resolution: Difference.Resolution) -> Any:
    """Whether this kind of difference, still open, is decided like this."""

    def applies(row: Difference) -> bool:
        is_open = row.state == Difference.State.OPEN
        return is_open and resolution in Difference.CHOICES[Difference.Kind(row.kind)]

    return applies


class AdoptForm(ReasonForm):
    """Which of the listed contracts it is, and why."""

    contract = forms.ChoiceField(widget=UnfoldAdminRadioSelectWidget, label="Which contract is it?")
    field_order = ("contract", "reason", "key")

    def fit(self, row: Difference) -> None:
        field: Any = self.fields["contract"]
        field.choices = [
            (str(each.contract_id), f"{each.contract_id}: {each.buy_price:,.2f} {row.account.currency_id}, {each.shortcode}")
            for each in reconciliation.candidates_of(row)
        ]  # fmt: skip


@dialog_action(
    AdoptForm,
    title="Adopt a contract",
    button="Adopt the contract",
    description="The trade opens with the contract's price and is settled from the venue. The other contracts stay "
    "unclaimed and are booked as outside activity.",
    permission=PERMISSION,
    check=differences.check_may_decide,
    applies=_offers(R.ADOPTED),
    icon="task_alt",
)
def adopt_contract(admin: Any, request: HttpRequest, row: Difference, form: Any) -> str:
    data = form.cleaned_data
    chosen = int(data["contract"])
    reconciliation.adopt(
        row, chosen, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"]
    )
    return f"Contract {chosen} is the trade's now. The venue is being asked how it stands."


def _rule_out_effect(row: Difference) -> SafeString:
    trade = row.trade
    if trade is None:  # shown beside the refusal that says so
        return format_html("{}", "")
    return format_html(
        "<p>The trade ends as never placed; its held stake of {} is free again. The contracts at the venue are booked "
        "as the client's own doing. The client sees that.</p>",
        show.money(trade.stake, trade.currency, row.account.currency.exponent),
    )


@dialog_action(
    title="None of these",
    button="Call it never placed",
    permission=PERMISSION,
    check=differences.check_may_decide,
    applies=_offers(R.NEVER_PLACED),
    effect=_rule_out_effect,
    icon="block",
    danger=True,
)
def none_of_these(admin: Any, request: HttpRequest, row: Difference, form: Any) -> str:
    data = form.cleaned_data
    reconciliation.rule_out(row, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"])
    return "The trade was never placed; its stake is free again."


def _correction_effect(row: Difference) -> SafeString:
    account = row.account
    digits, before, amount = account.currency.exponent, account.cash.posted, corrections.change(row)
    return format_html(
        "<p>The mirror is brought to the venue's statement by one journal entry.</p><dl><dt>Change</dt><dd>{}</dd>"
        "<dt>Balance, our mirror</dt><dd>{} → {}</dd></dl>",
        show.gain(amount, account.currency_id, digits),
        show.tidy(before, digits),
        show.money(before + amount, account.currency_id, digits),
    )


@dialog_action(
    title="Correct to the statement",
    button="Correct our books",
    permission=PERMISSION,
    check=differences.check_may_decide,
    applies=_offers(R.CORRECTED),
    effect=_correction_effect,
    icon="rule",
    danger=True,
)
def correct_to_statement(admin: Any, request: HttpRequest, row: Difference, form: Any) -> str:
    data = form.cleaned_data
    corrections.correct(row, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"])
    return "Our books say what the venue's statement says."


@dialog_action(
    title="Explain",
    button="Close with this explanation",
    description="Nothing is posted. The explanation is kept with the event.",
    permission=PERMISSION,
    check=differences.check_may_decide,
    applies=_offers(R.EXPLAINED),
    icon="edit_note",
)
def explain(admin: Any, request: HttpRequest, row: Difference, form: Any) -> str:
    data = form.cleaned_data
    differences.explain(row, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"])
    return "The difference is closed with your explanation."
