"""What staff decide about bank lines: each in a dialog that shows the journal lines it would post."""

import uuid
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from backoffice.admin import ports, show
from backoffice.admin.actions import ReasonForm, ShownFirst, dialog_action
from backoffice.admin.taking import take_actions
from backoffice.models import User
from backoffice.who import By
from compliance.models import Client
from ledger import references
from ledger.admin.preview import preview_of
from ledger.bank import claims, suspense
from ledger.bank.matching import Candidate
from ledger.collecting.accounts import receivable
from ledger.collecting.port import collectors
from ledger.models import BankLine, Deposit, Payment

PERMISSION = "ledger.resolve_bankline"
State = BankLine.State


class DepositForm(ShownFirst, ReasonForm):
    """Which deposit: one that is proposed, or any by its reference. The lines of the first proposal are shown at once."""

    decides = ("deposit", "reference")

    deposit = forms.ChoiceField(widget=UnfoldAdminSelectWidget, required=False, label="Proposed")
    reference = forms.CharField(
        required=False,
        max_length=40,
        widget=UnfoldAdminTextInputWidget,
        help_text="Or another deposit's reference.",
    )
    field_order = ("deposit", "reference", "reason", "seen", "key")

    def fit(self, row: BankLine) -> None:
        proposed = [
            (deposit.reference, f"{deposit.reference} · {deposit.client} · {show.tidy(deposit.amount, deposit.currency.exponent)} "
                                f"{deposit.currency_id} · {one.words}")
            for one, deposit in self._candidates(row)
        ]  # fmt: skip
        self.begin_with_first("deposit", [*proposed, ("", "Another, by its reference")])

    def effect(self, row: BankLine) -> Any:
        """The lines for the deposit that is chosen; before any was, for the likeliest."""
        chosen = (
            self.cleaned_data["chosen"]
            if self.is_bound and self.is_valid()
            else self.fields["deposit"].initial
        )
        if not chosen:
            return "The money goes from suspense to the wallet of the deposit's client, less the fee."
        by = By.system("preview")
        return preview_of(
            lambda: suspense.assign(row, self.meant(chosen), by=by, at=timezone.now(), key="preview")
        )

    def meant(self, reference: str) -> Deposit:
        """The one of this reference that the reader may see. :raises NoSuchOwner: if there is none."""
        rows = ports.visible(self.reader, Deposit.objects.filter(reference=reference))
        found: Deposit | None = rows.select_related("client", "currency").first()
        if found is None:
            raise suspense.NoSuchOwner("There is no such deposit.", field="reference")
        return found

    def _candidates(self, row: BankLine) -> list[tuple[Candidate, Deposit]]:
        return suspense.candidates_of(row, among=ports.visible(self.reader, Deposit.objects.all()))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        typed = data.get("reference") or data.get("deposit") or ""
        found = references.found_in(typed)
        if len(found) != 1:
            self.add_error("reference", "Choose a deposit, or give one good reference.")
        else:
            data["chosen"] = found[0]
        return data


class ClientForm(ShownFirst, ReasonForm):
    """Which client, found by name."""

    client = forms.CharField(
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text="The client's id, or a name that only one client has.",
    )
    field_order = ("client", "reason", "seen", "key")
    decides = ("client",)

    def effect(self, row: BankLine) -> Any:
        """Who it was found to be, and the lines of crediting them."""
        if not self.is_bound or not self.is_valid():
            return ""
        who, by = self.cleaned_data["client"], By.system("preview")
        return preview_of(
            lambda: suspense.assign(row, _client(self.reader, who), by=by, at=timezone.now(), key="preview")
        )


def _in_suspense(row: BankLine) -> None:
    suspense.check_may_move(row, State.ASSIGNED)


@dialog_action(
    DepositForm,
    title="Assign to a deposit",
    button="Assign and credit",
    description="The money is credited to the deposit's client, less the fee, whatever amount was asked for.",
    permission=PERMISSION,
    check=_in_suspense,
    applies=suspense.may_move_to(State.ASSIGNED),
    icon="task_alt",
)
def assign_to_deposit(admin: Any, request: HttpRequest, row: BankLine, form: Any) -> str:
    data = form.cleaned_data
    return _assign(request, row, form.meant(data["chosen"]), data)


@dialog_action(
    ClientForm,
    title="Assign to a client",
    button="Assign and credit",
    description="A deposit is made for the client and completed at once: debit suspense, credit the wallet, less the fee.",
    permission=PERMISSION,
    check=_in_suspense,
    applies=suspense.may_move_to(State.ASSIGNED),
    icon="person_check",
)
def assign_to_client(admin: Any, request: HttpRequest, row: BankLine, form: Any) -> str:
    data = form.cleaned_data
    return _assign(request, row, _client(form.reader, data["client"]), data)


class PaymentForm(ShownFirst, ReasonForm):
    """Which payment of ours: of this account, and amount if it left. The lines of the first are shown at once."""

    decides = ("payment",)
    payment = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    field_order = ("payment", "reason", "seen", "key")

    def fit(self, row: BankLine) -> None:
        self.begin_with_first("payment", [
            (str(one.uuid), f"{one.withdrawal.reference} · {one.withdrawal.client} to {one.withdrawal.beneficiary} · "
                            f"{one.get_state_display().lower()}")
            for one in self._candidates(row)
        ])  # fmt: skip

    def effect(self, row: BankLine) -> Any:
        """The lines for the payment that is chosen; before any was, for the likeliest."""
        chosen = self.chosen("payment")
        found = next((one for one in self._candidates(row) if str(one.uuid) == chosen), None)
        if found is None:
            return "No payment that left this account has this amount and waits for a line."
        by = By.system("preview")
        return preview_of(lambda: claims.claim(row, found, by=by, at=timezone.now()))

    def _candidates(self, row: BankLine) -> list[Payment]:
        visible = ports.visible(self.reader, Payment.objects.all())
        found = claims.candidates_of(row)
        seen = set(visible.filter(pk__in=[one.pk for one in found]).values_list("pk", flat=True))
        return [one for one in found if one.pk in seen]


@dialog_action(
    PaymentForm,
    title="It is a payment of ours",
    button="Confirm by this line",
    description="Money out: the payment is confirmed. Money in: the payment came back, and what came is the client's again.",
    permission=PERMISSION,
    check=lambda row: suspense.check_may_move(row, State.PAID),
    applies=suspense.may_move_to(State.PAID),
    icon="price_check",
)
def claim_line(admin: Any, request: HttpRequest, row: BankLine, form: Any) -> str:
    known = Payment.objects.with_batch().select_related("withdrawal")
    payment = ports.visible(request.user, known).get(uuid=form.cleaned_data["payment"])
    claims.claim(row, payment, by=_by(request), at=timezone.now(), reason=form.cleaned_data["reason"])
    return f"{payment.withdrawal} is {Payment.objects.get(pk=payment.pk).get_state_display().lower()}."


class LeftForm(ShownFirst, ReasonForm):
    """Which line out is the money on its way back. The lines of the latest are shown at once."""

    decides = ("line",)
    line = forms.ChoiceField(widget=UnfoldAdminSelectWidget, label="Left with")
    field_order = ("line", "reason", "seen", "key")

    def fit(self, row: BankLine) -> None:
        self.begin_with_first("line", [
            (str(one.uuid), f"{one} · {one.counterparty or 'nobody named'} · {one.statement}, line {one.place}")
            for one in _lefts(row)
        ])  # fmt: skip

    def effect(self, row: BankLine) -> Any:
        """Both lines settled with each other."""
        chosen = self.chosen("line")
        found = next((one for one in _lefts(row) if str(one.uuid) == chosen), None)
        if found is None:
            return (
                "No unexplained line out of this account has this amount: import the statement with it first."
            )
        by = By.system("preview")
        return preview_of(lambda: suspense.sent_back(row, found, by=by, at=timezone.now()))


@dialog_action(
    LeftForm,
    title="It was sent back",
    button="Settle both lines",
    description="The line out that took the money back to where it came from is explained, and this one is done.",
    permission=PERMISSION,
    check=lambda row: suspense.check_may_move(row, State.RETURNED),
    applies=suspense.may_move_to(State.RETURNED),
    icon="undo",
)
def line_was_sent_back(admin: Any, request: HttpRequest, row: BankLine, form: Any) -> str:
    left = BankLine.objects.get(uuid=form.cleaned_data["line"])
    suspense.sent_back(row, left, by=_by(request), at=timezone.now(), reason=form.cleaned_data["reason"])
    return "Sent back. Both lines are settled."


def _lefts(row: BankLine) -> Any:
    rows = BankLine.objects.with_statement().filter(
        bank_account=row.bank_account_id, amount=row.amount, state=State.UNMATCHED_OUT
    )
    return rows.order_by("-id")


@dialog_action(
    title="Send back",
    button="Mark to be sent back",
    description="Nothing is posted yet: the money stays in suspense until it is paid back to the account it came from.",
    permission=PERMISSION,
    check=lambda row: suspense.check_may_move(row, State.TO_RETURN),
    applies=suspense.may_move_to(State.TO_RETURN),
    icon="undo",
    danger=True,
)
def send_line_back(admin: Any, request: HttpRequest, row: BankLine, form: Any) -> str:
    suspense.send_back(row, by=_by(request), at=timezone.now(), reason=form.cleaned_data["reason"])
    return "Marked. It is paid back to the account it came from."


@dialog_action(
    title="Do not send back",
    button="Keep it in suspense",
    permission=PERMISSION,
    check=lambda row: suspense.check_may_move(row, State.SUSPENSE),
    applies=suspense.may_move_to(State.SUSPENSE),
    icon="redo",
)
def keep_line(admin: Any, request: HttpRequest, row: BankLine, form: Any) -> str:
    suspense.keep(row, by=_by(request), at=timezone.now(), reason=form.cleaned_data["reason"])
    return "It waits in suspense again."


@dialog_action(
    title="Book as the bank's fee",
    button="Book the fee",
    permission=PERMISSION,
    check=lambda row: suspense.check_may_move(row, State.BANK_FEE),
    applies=suspense.may_move_to(State.BANK_FEE),
    effect=lambda row: preview_of(lambda: suspense.book_fee(row, by=By.system("preview"), at=timezone.now())),
    icon="account_balance",
)
def book_bank_fee(admin: Any, request: HttpRequest, row: BankLine, form: Any) -> str:
    suspense.book_fee(row, by=_by(request), at=timezone.now(), reason=form.cleaned_data["reason"])
    return "Booked as a fee of the bank."


class CollectorForm(ShownFirst, ReasonForm):
    """Which collector paid us, or took from us. The lines of the first are shown at once."""

    decides = ("collector",)
    collector = forms.ChoiceField(widget=UnfoldAdminSelectWidget)
    field_order = ("collector", "reason", "seen", "key")

    def fit(self, row: BankLine) -> None:
        self.begin_with_first("collector", [(one.name, one.label) for one in collectors])

    def effect(self, row: BankLine) -> Any:
        """The lines for the collector that is chosen."""
        return preview_of(lambda: _from_collector(row, self.chosen("collector"), by=By.system("preview")))


@dialog_action(
    CollectorForm,
    title="From a collector",
    button="Book it",
    description="A payout of what a collector has taken for us, or what it took back from our account: it settles what the collector owes us.",
    permission=PERMISSION,
    check=lambda row: suspense.check_may_move(row, State.PAID),
    applies=suspense.may_move_to(State.PAID),
    icon="webhook",
)
def from_a_collector(admin: Any, request: HttpRequest, row: BankLine, form: Any) -> str:
    name = form.cleaned_data["collector"]
    _from_collector(row, name, by=_by(request))
    return f"Booked against what {collectors.get(name).label} owes us."


def _from_collector(row: BankLine, name: str, *, by: By) -> BankLine:
    collector, at = collectors.get(name), timezone.now()
    against = receivable(name, row.bank_account.currency_id, at=at)
    return suspense.claim(
        row, against=against, kind="collector_payout", subject=("collector", collector.uuid),
        narration=f"Payout of {collector.label}", by=by, at=at,
    )  # fmt: skip


def _assign(request: HttpRequest, row: BankLine, to: Deposit | Client, data: dict[str, Any]) -> str:
    done = suspense.assign(
        row, to, by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"]
    )
    return f"Credited: {done.deposit}. The money is in the client's wallet."


def _client(reader: User, term: str) -> Client:
    """Who is meant, of those the reader may see. :raises NoSuchOwner: if that is nobody, or more than one."""
    try:
        rows = Client.objects.filter(uuid=uuid.UUID(term.strip()))
    except ValueError:
        rows = Client.objects.named(term)
    found: list[Client] = list(ports.visible(reader, rows)[:2])
    if len(found) == 1:
        return found[0]
    said = "Several clients have this name; give the id." if found else "There is no such client."
    raise suspense.NoSuchOwner(said, field="client")


taking = take_actions(
    permission=PERMISSION, take=suspense.take, let_go=suspense.let_go, take_next=suspense.take_next,
    waits=lambda row: row.state in BankLine.WAITING,
)  # fmt: skip


def _by(request: HttpRequest) -> By:
    return By.user(request.user)  # type: ignore[arg-type]
