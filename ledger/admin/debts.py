"""Debts: what clients owe us, why, since when, and what people do about it."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.exporting import Exported, person
from backoffice.admin.filters import choice_filter, queue_filter
from backoffice.admin.ports import Card, Panel, Unfinished, Waiting
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.patience import is_late
from backoffice.who import By
from compliance.admin.approval_actions import try_subject_again, why
from ledger import debts
from ledger.admin.preview import preview_of
from ledger.admin.shown import entries_text
from ledger.models import Debt, Entry

DEBT = Debt._meta.label_lower
LIST = "admin:ledger_debt_changelist"
State = Debt.State
TONES = {
    State.OPEN: show.MINE, State.ASKED: show.WAITING, State.RECOVERED: show.DONE, State.WRITTEN_OFF: show.WRONG,
    State.CANCELLED: show.DONE,
}  # fmt: skip


def _owed(rows: Any, at: datetime) -> QuerySet[Debt]:
    return rows.open()  # type: ignore[no-any-return]


@dialog_action(
    title="Recover from the wallet",
    button="Take it from the wallet",
    description="As much as is available in the client's wallet is taken; what is held for something else stays held.",
    permission="ledger.recover_debt",
    check=debts.check_is_owed,
    applies=lambda row: row.state in Debt.OWED,
    effect=lambda row: preview_of(
        lambda: debts.recover(row, by=By.system("preview"), at=timezone.now(), key="preview")
    ),
    icon="account_balance_wallet",
)
def recover_debt(admin: Any, request: HttpRequest, row: Debt, form: Any) -> str:
    data = form.cleaned_data
    by = By.user(request.user)  # type: ignore[arg-type]
    done = debts.recover(row, by=by, at=timezone.now(), key=data["key"], reason=data["reason"])
    left = f"{show.tidy(done.left, done.currency.exponent)} {done.currency_id}"
    return f"Taken. {left} is still owed." if done.left else "Taken. Nothing is owed any more."


@dialog_action(
    title="Ask to write it off",
    button="Ask for it",
    description="Nothing is posted yet: others decide in the approvals inbox. Written off, it is a loss of ours.",
    permission="ledger.recover_debt",
    check=lambda row: debts.check_may_move(row, State.ASKED),
    applies=lambda row: row.state == State.OPEN,
    icon="money_off",
    danger=True,
)
def ask_to_write_off(admin: Any, request: HttpRequest, row: Debt, form: Any) -> str:
    debts.ask_write_off(row, reason=form.cleaned_data["reason"], by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
    return "Asked for. It waits in the approvals inbox for somebody else."


@admin.register(Debt)
class DebtAdmin(Exported, ReadOnlyAdmin):
    list_display = ("opened", "who", "value", "left_shown", "state_shown", "why_shown")
    list_display_links = ("opened",)
    list_select_related = ("client", "currency")
    record_related = ("client", "currency", "account", "claw_back__deposit")
    ordering = ("-id",)
    list_filter = (queue_filter({"owed": _owed}), choice_filter("state", "state", State.choices))
    exported = (
        ("Owed since", "opened_at"), ("Client", person("client")), ("Deposit", "claw_back__deposit__reference"), ("Owed", "amount"), ("Recovered", "recovered"), ("Written off", "written_off"), ("Cancelled", "cancelled"), ("Currency", "currency_id"), ("State", "state"), ("Reason", "reason"),
    )  # fmt: skip
    exported_clients = ("client__uuid",)
    subject_type = "debt"
    try_subject_again = try_subject_again
    actions_detail = ("try_subject_again", "recover_debt", "ask_to_write_off")
    recover_debt, ask_to_write_off = recover_debt, ask_to_write_off
    list_intro = "What clients owe us: money was taken back after it had left their wallet. They cannot withdraw while they owe."
    empty_text = "Nobody owes anything."

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(LIST)
        return [
            {"title": "All", "link": url, "active": not chosen, "count": 0},
            {
                "title": "Owed",
                "link": f"{url}?queue=owed",
                "active": chosen == "owed",
                "count": tally(request, DEBT).many,
            },
        ]

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("id",) if request.GET.get("queue") == "owed" else ("-id",)

    @admin.display(description="Since")
    def opened(self, row: Debt) -> SafeString:
        return show.when(row.opened_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: Debt) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="Was")
    def value(self, row: Debt) -> SafeString:
        return show.money(row.amount, row.currency_id, row.currency.exponent)

    @admin.display(description="Left")
    def left_shown(self, row: Debt) -> SafeString:
        return show.money(row.left, row.currency_id, row.currency.exponent)

    @admin.display(description="State")
    def state_shown(self, row: Debt) -> SafeString:
        return badge(row)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: Debt) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: Debt) -> Record:
        """Who owes it, for what, and what became of it."""
        digits = row.currency.exponent
        return Record(
            title=str(row),
            badge=badge(row),
            amount=self.left_shown(row),
            why=why(row),
            facts=[
                ("Who owes it?", [("Client", record_link(row.client)), ("Account", record_link(row.account))]),
                ("What for?", [
                    ("Claw-back", record_link(row.claw_back)), ("Deposit", record_link(row.claw_back.deposit, row.claw_back.deposit.reference)),
                ]),
                ("What became of it?", [
                    ("Was", self.value(row)),
                    *((words, show.money(part, row.currency_id, digits)) for words, part in (
                        ("Recovered", row.recovered), ("Written off", row.written_off), ("Owed no more", row.cancelled),
                    ) if part),
                ]),
                ("When?", [("Since", show.at(row.opened_at)), ("Last change", show.at(row.changed_at))]),
            ],
            timeline=timeline.of("debt", row.uuid),
            tabs=[Tab("Journal entries", lambda: entries_text(list(Entry.objects.about("debt", row.uuid))))]
            if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


def badge(row: Debt) -> SafeString:
    return show.badge(row.get_state_display(), TONES[State(row.state)])


def _panel(request: HttpRequest, client: Any) -> Any:
    rows = Debt.objects.filter(client=client).select_related("client", "currency").order_by("-id")[:20]
    return show.table(
        ["Since", "Was", "Left", "State"],
        [[record_link(row, f"{row.opened_at:%Y-%m-%d}"), show.money(row.amount, row.currency_id, row.currency.exponent),
          show.money(row.left, row.currency_id, row.currency.exponent), badge(row)] for row in rows],
        right=(1, 2),
        empty="The client owes nothing.",
    )  # fmt: skip


def _waiting(request: HttpRequest) -> Any:
    found = tally(request, DEBT, State.OPEN)
    yield Waiting(
        "Debts", f"{reverse(LIST)}?queue=owed", found.many, found.since, found.is_late, "Clients owe us"
    )


def _debts(ids: Any) -> Any:
    return {
        row.uuid: (str(row), url_of(row))
        for row in Debt.objects.filter(uuid__in=ids).select_related("client")
    }


ports.sidebar.register(
    "debts",
    SidebarEntry("Payments", "Debts", LIST, "money_off", "ledger.view_debt", lambda request: tally(request, DEBT, State.OPEN).many),
    order=52,
)  # fmt: skip
ports.waiting.register("debts", Card("ledger.recover_debt", _waiting), order=17)
ports.unfinished.register(
    DEBT, Unfinished(Debt, "Debts", "ledger.view_debt", ("client", "currency")), order=53
)
ports.client_panels.register("debts", Panel("Debts", "ledger.view_debt", _panel), order=33)
ports.subjects.register("debt", _debts)
for _name, _words in {
    "debt.opened": "Owed: money was taken back that was gone",
    "debt.recovered": "Taken from the wallet",
    "debt.write_off_asked": "Write-off asked for",
    "debt.write_off_refused": "Not written off",
    "debt.written_off": "Written off",
    "debt.cancelled": "Owed no more: the money came back",
}.items():
    ports.words.register(_name, _words)
