"""Transfers: what clients sent each other and exchanged, why each is where it is, and what was posted."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import dialog_action
from backoffice.admin.base import ReadOnlyAdmin, record_link, url_of
from backoffice.admin.exporting import Exported, person
from backoffice.admin.filters import choice_filter, period_filter, queue_filter, rows_filter
from backoffice.admin.ports import Entry as SidebarEntry
from backoffice.admin.ports import Found, Panel, Unfinished
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.models import Currency
from backoffice.patience import is_late
from backoffice.who import By
from compliance.admin.approval_actions import try_subject_again, why
from compliance.models import Client
from ledger import references, transfers
from ledger.admin.shown import entries_text
from ledger.models import Entry, Transfer

TRANSFER = Transfer._meta.label_lower
LIST = "admin:ledger_transfer_changelist"
State = Transfer.State
TONES = {
    State.BLOCKED: show.WRONG, State.WAITING: show.MINE, State.DONE: show.DONE, State.REJECTED: show.WRONG,
    State.CANCELLED: show.WAITING,
}  # fmt: skip
QUEUES: dict[str, Any] = {
    "waiting": lambda rows, at: rows.filter(state=State.WAITING),
    "blocked": lambda rows, at: rows.filter(state=State.BLOCKED),
}
TITLES = {"": "All", "waiting": "For approval", "blocked": "Blocked"}


@dialog_action(
    title="Call off a transfer",
    button="Call it off",
    description="What is held is the client's to use again. The approval that waits for it ends.",
    permission="ledger.cancel_transfer",
    check=lambda row: transfers.check_may_move(row, State.CANCELLED),
    applies=lambda row: row.state == State.WAITING,
    icon="block",
    danger=True,
)
def cancel_transfer(admin: Any, request: HttpRequest, row: Transfer, form: Any) -> str:
    by = By.user(request.user)  # type: ignore[arg-type]
    transfers.cancel(row, by=by, at=timezone.now(), reason=form.cleaned_data["reason"])
    return f"Called off. What was held is available to {row.client} again."


@admin.register(Transfer)
class TransferAdmin(Exported, ReadOnlyAdmin):
    list_display = ("asked", "who", "to_whom", "gives", "gets", "state_shown", "why_shown")
    list_display_links = ("asked",)
    list_select_related = ("client", "to_client", "given_currency", "got_currency")
    record_related = (
        "client", "to_client", "given_currency", "got_currency", "from_wallet", "to_wallet", "quote", "decision", "approval",
        "hold",
    )  # fmt: skip
    ordering = ("-id",)
    search_fields = ("reference",)
    search_help_text = "Reference, or the name of a client"
    list_filter = (
        queue_filter(QUEUES),
        choice_filter("state", "state", State.choices),
        rows_filter("given_currency", "currency", lambda request: Currency.objects.filter(is_active=True).order_by("code")),
        period_filter("requested_at", "time asked for"),
    )  # fmt: skip
    exported = (
        ("Asked for", "requested_at"), ("Reference", "reference"), ("From", person("client")), ("To", person("to_client")), ("Given", "given"), ("Currency given", "given_currency_id"), ("Got", "got"), ("Currency got", "got_currency_id"), ("Mid rate", "quote__mid"), ("Rate", "quote__rate"), ("State", "state"),
    )  # fmt: skip
    exported_clients = ("client__uuid", "to_client__uuid")
    subject_type = "transfer"
    try_subject_again = try_subject_again
    actions_detail = (
        "try_subject_again",
        "cancel_transfer",
    )
    cancel_transfer = cancel_transfer
    list_intro = "Money clients send each other, or exchange at a quoted rate. What compliance wants looked at waits in the approvals inbox."
    empty_text = "No transfer here. One appears when a client sends or exchanges money."

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(LIST)
        counts = {"waiting": tally(request, TRANSFER, State.WAITING).many}
        return [
            {"title": title, "link": f"{url}?queue={name}" if name else url, "active": chosen == name,
             "count": counts.get(name, 0)}
            for name, title in TITLES.items()
        ]  # fmt: skip

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("id",) if request.GET.get("queue") == "waiting" else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Transfer], search_term: str
    ) -> tuple[QuerySet[Transfer], bool]:
        term = search_term.strip()
        return (queryset.filter(_found(term)) if term else queryset), False

    @admin.display(description="Asked for")
    def asked(self, row: Transfer) -> SafeString:
        return show.when(row.requested_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="From")
    def who(self, row: Transfer) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="To")
    def to_whom(self, row: Transfer) -> SafeString | str:
        return "Own wallet" if row.is_exchange else record_link(row.to_client)

    @admin.display(description="Gives")
    def gives(self, row: Transfer) -> SafeString:
        return given(row)

    @admin.display(description="Gets")
    def gets(self, row: Transfer) -> SafeString:
        return got(row)

    @admin.display(description="State")
    def state_shown(self, row: Transfer) -> SafeString:
        return badge(row)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: Transfer) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: Transfer) -> Record:
        """What was asked for, at which rate, what was decided, and what was posted."""
        return Record(
            title=str(row),
            badge=badge(row),
            amount=given(row),
            why=why(row),
            facts=[
                ("From where to where?", [
                    ("From", record_link(row.client)), ("Wallet", record_link(row.from_wallet)),
                    ("To", self.to_whom(row)), ("Their wallet", record_link(row.to_wallet)),
                    ("Reference", format_html('<span class="c-code">{}</span>', row.reference)),
                ]),
                ("How much?", [("Gives", given(row)), ("Gets", got(row)), *_rate(row)]),
                ("What was decided?", [
                    ("Compliance", row.decision.get_outcome_display()),
                    ("Reasons", show.lines([reason["message"] for reason in row.decision.reasons])),
                    ("Approval", record_link(row.approval) if row.approval else ""), ("The client is told", row.told),
                ]),
                ("When?", [("Asked for", show.at(row.requested_at)), ("Last change", show.at(row.changed_at))]),
            ],
            timeline=timeline.of("transfer", row.uuid),
            tabs=[Tab("Journal entries", lambda: entries_text(list(Entry.objects.about("transfer", row.uuid))))]
            if request.user.has_perm("ledger.view_entry") else [],
        )  # fmt: skip


def _rate(row: Transfer) -> list[tuple[str, Any]]:
    if row.quote is None:
        return []
    return [
        ("Rate", show.number(row.quote.rate)), ("Mid rate", show.number(row.quote.mid)),
        ("We keep", show.money(row.quote.spread, row.got_currency_id, row.got_currency.exponent)),
        ("Quoted", show.at(row.quote.quoted_at)), ("Held until", show.at(row.quote.valid_until)),
    ]  # fmt: skip


def badge(row: Transfer) -> SafeString:
    return show.badge(row.get_state_display(), TONES[State(row.state)])


def given(row: Transfer) -> SafeString:
    return show.money(row.given, row.given_currency_id, row.given_currency.exponent)


def got(row: Transfer) -> SafeString:
    return show.money(row.got, row.got_currency_id, row.got_currency.exponent)


def _found(term: str) -> Q:
    if named := references.found_in(
        term if term.upper().startswith(references.PREFIX) else references.PREFIX + term
    ):
        return Q(reference__in=named)
    people = list(Client.objects.named(term).values_list("pk", flat=True)[:200])
    return Q(client__in=people) | Q(to_client__in=people)


def _search(request: HttpRequest, term: str, limit: int) -> list[Found]:
    named = references.found_in(term)
    if not named or not request.user.has_perm("ledger.view_transfer"):
        return []
    rows = ports.visible(request.user, Transfer.objects.filter(reference__in=named)).select_related("client")
    return [
        Found(
            str(row), f"{row.get_state_display()}: {row.client}", url_of(row), "swap_horiz", row.client.uuid
        )
        for row in rows[:limit]
    ]


def _panel(request: HttpRequest, client: Any) -> Any:
    rows = Transfer.objects.filter(Q(client=client) | Q(to_client=client))
    rows = rows.select_related("client", "to_client", "given_currency", "got_currency").order_by("-id")[:20]
    return show.table(
        ["Asked for", "Reference", "From", "To", "Gives", "Gets", "State"],
        [[show.when(row.requested_at), record_link(row, row.reference), str(row.client),
          "Own wallet" if row.is_exchange else str(row.to_client), given(row), got(row), badge(row)] for row in rows],
        right=(4, 5),
        empty="No transfer yet. One appears when the client sends or exchanges money, or is sent some.",
    )  # fmt: skip


def _transfers(ids: Any) -> Any:
    return {row.uuid: (str(row), url_of(row)) for row in Transfer.objects.filter(uuid__in=ids)}


ports.sidebar.register(
    "transfers",
    SidebarEntry("Payments", "Transfers", LIST, "swap_horiz", "ledger.view_transfer",
                 lambda request: tally(request, TRANSFER, State.WAITING).many),
    order=15,
)  # fmt: skip
ports.unfinished.register(
    TRANSFER,
    Unfinished(Transfer, "Transfers", "ledger.view_transfer", ("client", "given_currency")),
    order=46,
)
ports.client_panels.register("transfers", Panel("Transfers", "ledger.view_transfer", _panel), order=33)
ports.search.register("transfers", _search, order=32)
ports.subjects.register("transfer", _transfers)
# Whoever opens one has looked at both clients.
ports.clients_of.register(TRANSFER, lambda row: list(dict.fromkeys([row.client.uuid, row.to_client.uuid])))
for _name, _words in {
    "transfer.requested": "Asked for; the money is held until somebody agrees",
    "transfer.blocked": "Blocked by compliance; nothing moved",
    "transfer.done": "Done",
    "transfer.received": "Received by the other client",
    "transfer.rejected": "Rejected; the money is free again",
    "transfer.cancelled": "Called off; the money is free again",
    "quote.made": "Quoted a rate",
}.items():
    ports.words.register(_name, _words)
