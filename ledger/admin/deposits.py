"""Deposits: what clients said would come, what came, and what was late."""

from datetime import datetime
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
from compliance.models import Client
from ledger import deposits, references
from ledger.admin.claw_backs import of_deposit, refund_deposit
from ledger.admin.shown import entries_text
from ledger.models import Deposit, Entry, Method

DEPOSIT = Deposit._meta.label_lower
LIST = "admin:ledger_deposit_changelist"
State = Deposit.State
TONES = {
    State.PENDING: show.WAITING, State.PROCESSING: show.MOVING, State.COMPLETED: show.DONE, State.FAILED: show.WRONG,
    State.CANCELLED: show.WAITING, State.EXPIRED: show.WAITING,
}  # fmt: skip


def _open(rows: Any, at: datetime) -> QuerySet[Deposit]:
    return rows.open()  # type: ignore[no-any-return]


def _completed(rows: Any, at: datetime) -> QuerySet[Deposit]:
    return rows.filter(state=State.COMPLETED)  # type: ignore[no-any-return]


QUEUES = {"open": _open, "completed": _completed}
TITLES = {"": "All", "open": "Waiting for money", "completed": "Completed"}


@dialog_action(
    title="Cancel a deposit",
    button="Cancel it",
    description="The client is no longer waited for. Money that comes all the same is still credited by its reference.",
    permission="ledger.cancel_deposit",
    check=lambda row: deposits.check_may_move(row, State.CANCELLED),
    applies=lambda row: State.CANCELLED in Deposit.MOVES[State(row.state)],
    icon="block",
    danger=True,
)
def cancel_deposit(admin: Any, request: HttpRequest, row: Deposit, form: Any) -> str:
    by = By.user(request.user)  # type: ignore[arg-type]
    deposits.cancel(row, by=by, at=timezone.now(), reason=form.cleaned_data["reason"])
    return f"Cancelled. Nobody waits for {row.reference} any more."


@admin.register(Deposit)
class DepositAdmin(Exported, ReadOnlyAdmin):
    list_display = (
        "created",
        "who",
        "reference_shown",
        "method",
        "asked",
        "came",
        "state_shown",
        "why_shown",
    )
    list_display_links = ("reference_shown",)
    list_select_related = ("client", "currency")
    record_related = ("client", "currency", "wallet", "bank_line")
    ordering = ("-id",)
    search_fields = ("reference",)
    search_help_text = "Reference, the provider's id, or a client's name"
    list_filter = (
        queue_filter(QUEUES),
        choice_filter("state", "state", State.choices),
        choice_filter("method", "method", Method.choices),
        rows_filter("currency", "currency", lambda request: Currency.objects.filter(is_active=True).order_by("code")),
        period_filter("created_at", "time asked for"),
    )  # fmt: skip
    exported = (
        ("Asked for", "created_at"), ("Reference", "reference"), ("Client", person("client")), ("Method", "method"), ("Amount asked for", "amount"), ("Amount received", "received"), ("Fee", "fee"), ("Currency", "currency_id"), ("State", "state"), ("Collector", "collector"), ("Number there", "external_id"), ("Completed", "completed_at"),
    )  # fmt: skip
    exported_clients = ("client__uuid",)
    subject_type = "deposit"
    actions_detail = ("cancel_deposit", "refund_deposit")
    cancel_deposit, refund_deposit = cancel_deposit, refund_deposit
    list_intro = "Money clients said would come. It is credited when it is seen on a bank statement, or by its provider."
    empty_text = "No deposit here. One appears when a client asks for a reference to pay under."

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(LIST)
        counts = {"open": tally(request, DEPOSIT).many}
        return [
            {"title": title, "link": f"{url}?queue={name}" if name else url, "active": chosen == name,
             "count": counts.get(name, 0)}
            for name, title in TITLES.items()
        ]  # fmt: skip

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("id",) if request.GET.get("queue") == "open" else ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Deposit], search_term: str
    ) -> tuple[QuerySet[Deposit], bool]:
        term = search_term.strip()
        return (queryset.filter(found(term)) if term else queryset), False

    @admin.display(description="Asked for")
    def created(self, row: Deposit) -> SafeString:
        return show.when(row.created_at, tone=show.WRONG if is_late(row, timezone.now()) else "")

    @admin.display(description="Client")
    def who(self, row: Deposit) -> SafeString:
        return record_link(row.client)  # type: ignore[no-any-return]

    @admin.display(description="Reference")
    def reference_shown(self, row: Deposit) -> SafeString:
        return format_html('<span class="c-code">{}</span>', row.reference)

    @admin.display(description="Amount")
    def asked(self, row: Deposit) -> SafeString:
        return show.money(row.amount, row.currency_id, row.currency.exponent)

    @admin.display(description="Came")
    def came(self, row: Deposit) -> SafeString:
        return show.money(row.received, row.currency_id, row.currency.exponent)

    @admin.display(description="State")
    def state_shown(self, row: Deposit) -> SafeString:
        return badge(row)

    @admin.display(description="Why, and what next")
    def why_shown(self, row: Deposit) -> SafeString:
        return show.cut(row.why)

    def record(self, request: HttpRequest, row: Deposit) -> Record:
        """What was asked for, what came, and what was posted."""
        line, digits = getattr(row, "bank_line", None), row.currency.exponent
        return Record(
            title=str(row),
            badge=badge(row),
            amount=self.asked(row),
            why=row.why,
            facts=[
                ("Whose is it?", [
                    ("Client", record_link(row.client)), ("Wallet", record_link(row.wallet)),
                    ("Method", row.get_method_display()), ("Reference", self.reference_shown(row)),
                ]),
                ("What came?", [
                    ("Asked for", self.asked(row)), ("Came", self.came(row)),
                    ("Fee", show.money(row.fee, row.currency_id, digits) if row.fee else ""),
                    ("Bank line", record_link(line) if line else ""), ("Collector", row.collector), ("Known there as", row.external_id),
                    ("Note", row.note),
                ]),
                ("When?", [
                    ("Asked for", show.at(row.created_at)), ("Expires", show.at(row.expires_at) if row.is_open else ""),
                    ("Completed", show.at(row.completed_at)), ("Last change", show.at(row.changed_at)),
                ]),
            ],
            timeline=timeline.of("deposit", row.uuid),
            tabs=_tabs(request, row),
        )  # fmt: skip


def _tabs(request: HttpRequest, row: Deposit) -> list[Tab]:
    tabs = (
        [Tab("Journal entries", lambda: _entries(row))] if request.user.has_perm("ledger.view_entry") else []
    )
    if (
        row.collector
        and request.user.has_perm("ledger.view_collectorevent")
        and request.user.has_perm("ledger.view_clawback")
    ):
        tabs.append(Tab("Collector", lambda: of_deposit(request, row)))
    return tabs


def _entries(row: Deposit) -> SafeString:
    owner = {row.client.uuid: (row.client.name, url_of(row.client))}
    return entries_text(list(Entry.objects.about("deposit", row.uuid)), owner)


def badge(row: Deposit) -> SafeString:
    return show.badge(row.get_state_display(), TONES[State(row.state)])


def found(term: str) -> Q:
    """What a search term means for a deposit: its reference however it is written, a provider's id, or a client."""
    if named := references.found_in(
        term if term.upper().startswith(references.PREFIX) else references.PREFIX + term
    ):
        return Q(reference__in=named)
    people = Client.objects.named(term).values_list("pk", flat=True)[:200]
    return Q(external_id=term) | Q(client__in=list(people))


def _search(request: HttpRequest, term: str, limit: int) -> list[Found]:
    named = references.found_in(term)
    if not named or not request.user.has_perm("ledger.view_deposit"):
        return []
    rows = ports.visible(request.user, Deposit.objects.filter(reference__in=named)).select_related("client")
    return [
        Found(
            str(row),
            f"{row.get_state_display()} deposit of {row.client}",
            url_of(row),
            "south_west",
            row.client.uuid,
        )
        for row in rows[:limit]
    ]


def _panel(request: HttpRequest, client: Any) -> Any:
    rows = Deposit.objects.filter(client=client).select_related("currency").order_by("-id")[:20]
    return show.table(
        ["Asked for", "Reference", "Amount", "Came", "State"],
        [[show.when(row.created_at), record_link(row, row.reference),
          show.money(row.amount, row.currency_id, row.currency.exponent),
          show.money(row.received, row.currency_id, row.currency.exponent), badge(row)] for row in rows],
        right=(2, 3),
        empty="No deposit yet. One appears when the client asks for a reference to pay under.",
    )  # fmt: skip


def _deposits(ids: Any) -> Any:
    return {row.uuid: (str(row), url_of(row)) for row in Deposit.objects.filter(uuid__in=ids)}


ports.sidebar.register(
    "deposits", SidebarEntry("Payments", "Deposits", LIST, "south_west", "ledger.view_deposit"), order=10
)
ports.unfinished.register(
    DEPOSIT, Unfinished(Deposit, "Deposits", "ledger.view_deposit", ("client", "currency")), order=50
)
ports.client_panels.register("deposits", Panel("Deposits", "ledger.view_deposit", _panel), order=31)
ports.search.register("deposits", _search, order=30)
ports.subjects.register("deposit", _deposits)
for _name, _words in {
    "deposit.created": "Asked for by the client",
    "deposit.processing": "Taken by the provider",
    "deposit.completed": "Completed; the money is in the wallet",
    "deposit.cancelled": "Cancelled",
    "deposit.expired": "No money came in time",
    "deposit.failed": "Failed",
}.items():
    ports.words.register(_name, _words)
