"""Withdrawals and beneficiaries: where each stands, why, who agreed, and what was sent."""

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import ReasonForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.exporting import Exported, person
from backoffice.admin.filters import choice_filter, period_filter, queue_filter, rows_filter
from backoffice.admin.ports import Card, Found, Panel, Unfinished, Waiting
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.models import Currency
from backoffice.patience import is_late
from backoffice.who import By
from compliance.admin.approval_actions import try_subject_again, why
from compliance.models import Client
from ledger import beneficiaries, references, withdrawals
from ledger.admin.payments import badge as payment_badge
from ledger.admin.payments import evidence_of
from ledger.admin.shown import entries_text
from ledger.models import Beneficiary, Entry, Method, Payment, Withdrawal

WITHDRAWAL = Withdrawal._meta.label_lower
LIST = "admin:ledger_withdrawal_changelist"
State = Withdrawal.State
TONES = {
    State.BLOCKED: show.WRONG, State.WAITING: show.MINE, State.APPROVED: show.MOVING, State.PAYING: show.MOVING,
    State.PAID: show.DONE, State.RETURNED: show.WRONG, State.FAILED: show.WRONG, State.REJECTED: show.WRONG,
    State.CANCELLED: show.WAITING,
}  # fmt: skip


def _in(*states: str) -> Any:
    def chosen(rows: Any, at: datetime) -> Any:
        return rows.filter(state__in=states)

    return chosen


QUEUES = {
    "waiting": _in(State.WAITING), "blocked": _in(State.BLOCKED), "paying": _in(State.APPROVED, State.PAYING),
    "ended": _in(State.RETURNED, State.FAILED, State.REJECTED),
}  # fmt: skip
TITLES = {
    "": "All",
    "waiting": "For approval",
    "blocked": "Blocked",
    "paying": "Being paid",
    "ended": "Failed or returned",
}


class RejectForm(ReasonForm):
    """Why, for us; and what the client may read."""

    told = forms.CharField(
        max_length=300, required=False, label="What the client is told",
        help_text="Nothing of suspicions. Empty: that it was not possible.",
    )  # fmt: skip
    field_order = ("reason", "told", "key")


def _can_move_to(state: str) -> Any:
    return lambda row: state in Withdrawal.MOVES[State(row.state)]


@dialog_action(
    title="Cancel a withdrawal",
    button="Cancel it",
    description="What is held is the client's to use again. Approvals that wait for it end.",
    permission="ledger.cancel_withdrawal",
    check=lambda row: withdrawals.check_may_move(row, State.CANCELLED),
    applies=_can_move_to(State.CANCELLED),
    icon="block",
    danger=True,
)
def cancel_withdrawal(admin: Any, request: HttpRequest, row: Withdrawal, form: Any) -> str:
    by = By.user(request.user)  # type: ignore[arg-type]
    withdrawals.cancel(row, by=by, at=timezone.now(), reason=form.cleaned_data["reason"])
    return f"Cancelled. {money(row)} is available to {row.client} again."


@dialog_action(
    RejectForm,
    title="Reject a blocked withdrawal",
    button="Reject it",
    description="What compliance stopped ends here; what is held is the client's to use again.",
    permission="ledger.approve_withdrawal",
    check=lambda row: withdrawals.check_may_move(row, State.REJECTED),
    applies=lambda row: row.state == State.BLOCKED,
    icon="thumb_down",
    danger=True,
)
def reject_withdrawal(admin: Any, request: HttpRequest, row: Withdrawal, form: Any) -> str:
    by, data = By.user(request.user), form.cleaned_data  # type: ignore[arg-type]
    withdrawals.reject(row, reason=data["reason"], told=data["told"], by=by, at=timezone.now())
    return f"Rejected. {money(row)} is available to {row.client} again."


@admin.register(Withdrawal)
class WithdrawalAdmin(Exported, ReadOnlyAdmin):
    list_display = ("asked", "who", "to_whom", "value", "fee_shown", "state_shown", "why_shown")
    list_display_links = ("asked",)
    list_select_related = ("client", "currency", "beneficiary")
    record_related = ("client", "currency", "beneficiary", "wallet", "hold", "decision", "approval")
    ordering = ("-id",)
    search_fields = ("reference",)
    search_help_text = "Reference, or a client's name"
    list_filter = (
        queue_filter(QUEUES),
        choice_filter("state", "state", State.choices),
        choice_filter("method", "method", Method.choices),
        rows_filter("currency", "currency", lambda request: Currency.objects.filter(is_active=True).order_by("code")),
        period_filter("requested_at", "time asked for"),
    )  # fmt: skip
    exported = (
        ("Asked for", "requested_at"), ("Reference", "reference"), ("Client", person("client")), ("To", "beneficiary__holder"), ("Account", "beneficiary__hint"), ("Method", "method"), ("Amount", "amount"), ("Fee", "fee"), ("Currency", "currency_id"), ("State", "state"), ("Paid", "paid_at"),
    )  # fmt: skip
    exported_clients = ("client__uuid",)
    subject_type = "withdrawal"
    try_subject_again = try_subject_again
    actions_detail = ("try_subject_again", "cancel_withdrawal", "reject_withdrawal")
    cancel_withdrawal, reject_withdrawal = cancel_withdrawal, reject_withdrawal
    list_intro = "Money clients take out. It is agreed to in the approvals inbox, and paid in files for the bank or by a provider."
    empty_text = "No withdrawal here. One appears when a client asks for it."

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(LIST)
        counts = {
            "waiting": tally(request, WITHDRAWAL, State.WAITING).many,
            "blocked": tally(request, WITHDRAWAL, State.BLOCKED).many,
        }
        return [
            {"title": title, "link": f"{url}?queue={name}" if name else url, "active": chosen == name,
             "count": counts.get(name, 0)}
            for name, title in TITLES.items()
        ]  # fmt: skip

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("id",) if request.GET.get("queue") in QUEUES else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Withdrawal], search_term: str
    ) -> tuple[QuerySet[Withdrawal], bool]:
        term = search_term.strip()
        return (queryset.filter(_found(term)) if term else queryset), False

    @admin.display(description="Asked for")
    def asked(self, row: Withdrawal) -> SafeString:
        return show.when(row.requested_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: Withdrawal) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="To")
    def to_whom(self, row: Withdrawal) -> str:
        return str(row.beneficiary)

    @admin.display(description="Amount")
    def value(self, row: Withdrawal) -> SafeString:
        return money(row)

    @admin.display(description="Fee")
    def fee_shown(self, row: Withdrawal) -> SafeString:
        return show.money(row.fee, row.currency_id, row.currency.exponent) if row.fee else show.NOTHING

    @admin.display(description="State")
    def state_shown(self, row: Withdrawal) -> SafeString:
        return badge(row)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: Withdrawal) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: Withdrawal) -> Record:
        """What was asked for, what was decided, who agreed, and what was sent."""
        payment = row.payments.with_batch().order_by("-id").first()
        digits = row.currency.exponent
        return Record(
            title=str(row),
            badge=badge(row),
            amount=money(row),
            why=why(row),
            facts=[
                ("Whose is it?", [
                    ("Client", record_link(row.client)), ("Wallet", record_link(row.wallet)),
                    ("Reference", format_html('<span class="c-code">{}</span>', row.reference)), ("Method", row.get_method_display()),
                ]),
                ("Where does it go?", [
                    ("Beneficiary", record_link(row.beneficiary)),
                    ("Arrives", show.money(row.net, row.currency_id, digits)),
                    ("Fee", show.money(row.fee, row.currency_id, digits) if row.fee else ""),
                ]),
                ("How is it paid?", [("Payment", _paid(payment)), *evidence_of(payment)] if payment else []),
                ("What was decided?", [
                    ("Compliance", row.decision.get_outcome_display()),
                    ("Reasons", show.lines([reason["message"] for reason in row.decision.reasons])),
                    ("Approval", record_link(row.approval) if row.approval else ""),
                    ("The client is told", row.told),
                ]),
                ("When?", [
                    ("Asked for", show.at(row.requested_at)), ("Last change", show.at(row.changed_at)),
                    ("Paid", show.at(row.paid_at)),
                ]),
            ],
            timeline=timeline.of("withdrawal", row.uuid),
            tabs=[Tab("Journal entries", lambda: entries_text(list(Entry.objects.about("withdrawal", row.uuid))))]
            if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


@dialog_action(
    title="Remove a beneficiary",
    button="Remove it",
    description="Nothing more is paid to it. What was asked for before goes on.",
    permission="ledger.remove_beneficiary",
    applies=lambda row: not row.is_removed,
    icon="person_remove",
    danger=True,
)
def remove_beneficiary(admin: Any, request: HttpRequest, row: Beneficiary, form: Any) -> str:
    by = By.user(request.user)  # type: ignore[arg-type]
    beneficiaries.remove(row, by=by, at=timezone.now(), reason=form.cleaned_data["reason"])
    return "Removed. Nothing more is paid to it."


@admin.register(Beneficiary)
class BeneficiaryAdmin(ReadOnlyAdmin):
    list_display = ("added", "who", "holder", "hint", "currency", "bank_name", "state_shown")
    list_display_links = ("added",)
    list_select_related = ("client", "currency")
    record_related = ("client", "currency")
    ordering = ("-id",)
    list_filter = (choice_filter("method", "method", Method.choices), period_filter("added_at", "time added"))
    subject_type = "beneficiary"
    actions_detail = ("remove_beneficiary",)
    remove_beneficiary = remove_beneficiary
    list_intro = "Where clients' money may go. Numbers are kept encrypted and shown by their ends."
    empty_text = "No beneficiary yet. Clients add theirs in their app."

    @admin.display(description="Added")
    def added(self, row: Beneficiary) -> SafeString:
        return show.when(row.added_at)

    @admin.display(description="Client")
    def who(self, row: Beneficiary) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="State")
    def state_shown(self, row: Beneficiary) -> SafeString:
        if row.is_removed:
            return show.badge("Removed", show.WAITING)
        is_new = row.usable_at > timezone.now()
        return show.badge("In its cool-off", show.MINE) if is_new else show.badge("In use", show.DONE)

    def record(self, request: HttpRequest, row: Beneficiary) -> Record:
        others = Beneficiary.objects.filter(fingerprint=row.fingerprint).exclude(client=row.client)
        shared = ports.visible(request.user, others).select_related("client")[:5]
        return Record(
            title=str(row),
            badge=self.state_shown(row),
            why="Nothing more is paid to it." if row.is_removed else
            f"Added by {row.added_by.partition(':')[0]}; payments to it are possible from {row.usable_at:%Y-%m-%d %H:%M} UTC on.",
            facts=[
                ("Whose is it?", [("Client", record_link(row.client)), ("Holder", row.holder)]),
                ("Where is it?", [
                    ("Ends", row.hint), ("Bank", row.bank_name), ("BIC", row.bic), ("Country", row.country),
                    ("Network", row.network), ("Currency", row.currency_id),
                    ("Whatever paid", record_link(row.deposit) if row.deposit else ""),
                ]),
                ("Who else has it?", [("Client", record_link(other.client)) for other in shared]),
                ("When?", [
                    ("Added", show.at(row.added_at)), ("Usable from", show.at(row.usable_at)),
                    ("Removed", show.at(row.removed_at)),
                ]),
            ],
            timeline=timeline.of("beneficiary", row.uuid),
        )  # fmt: skip


def _paid(payment: Payment) -> SafeString:
    return format_html("{} {}", record_link(payment, "The payment"), payment_badge(payment))


def badge(row: Withdrawal) -> SafeString:
    return show.badge(row.get_state_display(), TONES[State(row.state)])


def money(row: Withdrawal) -> SafeString:
    return show.money(row.amount, row.currency_id, row.currency.exponent)


def _found(term: str) -> Q:
    if named := references.found_in(
        term if term.upper().startswith(references.PREFIX) else references.PREFIX + term
    ):
        return Q(reference__in=named)
    return Q(client__in=list(Client.objects.named(term).values_list("pk", flat=True)[:200]))


def _search(request: HttpRequest, term: str, limit: int) -> list[Found]:
    named = references.found_in(term)
    if not named or not request.user.has_perm("ledger.view_withdrawal"):
        return []
    rows = ports.visible(request.user, Withdrawal.objects.filter(reference__in=named)).select_related(
        "client"
    )
    return [
        Found(str(row), f"{row.get_state_display()}: withdrawal of {row.client}", url_of(row), "north_east", row.client.uuid)
        for row in rows[:limit]
    ]  # fmt: skip


def _panel(request: HttpRequest, client: Any) -> Any:
    rows = (
        Withdrawal.objects.filter(client=client)
        .select_related("currency", "beneficiary")
        .order_by("-id")[:20]
    )
    return show.table(
        ["Asked for", "Reference", "To", "Amount", "State"],
        [[show.when(row.requested_at), record_link(row, row.reference), str(row.beneficiary), money(row), badge(row)]
         for row in rows],
        right=(3,),
        empty="No withdrawal yet. One appears when the client asks for it.",
    )  # fmt: skip


def _withdrawals(ids: Any) -> Any:
    return {row.uuid: (str(row), url_of(row)) for row in Withdrawal.objects.filter(uuid__in=ids)}


def _beneficiaries(ids: Any) -> Any:
    return {row.uuid: (str(row), url_of(row)) for row in Beneficiary.objects.filter(uuid__in=ids)}


def _waiting(request: HttpRequest) -> Any:
    found = tally(request, WITHDRAWAL, State.BLOCKED)
    yield Waiting("Blocked withdrawals", f"{reverse(LIST)}?queue=blocked", found.many, found.since, found.is_late,
                  "Compliance stopped them")  # fmt: skip


ports.sidebar.register(
    "withdrawals",
    SidebarEntry("Payments", "Withdrawals", LIST, "north_east", "ledger.view_withdrawal",
                 lambda request: tally(request, WITHDRAWAL, State.WAITING).many),
    order=5,
)  # fmt: skip
ports.sidebar.register(
    "beneficiaries",
    SidebarEntry("Payments", "Beneficiaries", "admin:ledger_beneficiary_changelist", "contacts", "ledger.view_beneficiary"),
    order=60,
)  # fmt: skip
ports.waiting.register("blocked_withdrawals", Card("ledger.approve_withdrawal", _waiting), order=15)
ports.unfinished.register(
    WITHDRAWAL,
    Unfinished(Withdrawal, "Withdrawals", "ledger.view_withdrawal", ("client", "currency", "beneficiary")),
    order=45,
)
ports.client_panels.register("withdrawals", Panel("Withdrawals", "ledger.view_withdrawal", _panel), order=32)
ports.search.register("withdrawals", _search, order=31)
ports.subjects.register("withdrawal", _withdrawals)
ports.subjects.register("beneficiary", _beneficiaries)
for _name, _words in {
    "withdrawal.requested": "Asked for; the money is held",
    "withdrawal.unblocked": "Looked at again: no longer blocked",
    "withdrawal.approved": "Agreed to",
    "withdrawal.paying": "Left the wallet",
    "withdrawal.paid": "Paid",
    "withdrawal.failed": "Failed; the money is in the wallet again",
    "withdrawal.returned": "Came back; the money is in the wallet again",
    "withdrawal.rejected": "Rejected; the money is free again",
    "withdrawal.cancelled": "Called off; the money is free again",
    "beneficiary.added": "Added",
    "beneficiary.removed": "Removed",
}.items():
    ports.words.register(_name, _words)
