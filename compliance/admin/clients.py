"""Clients: the list, and everything about one client on one page, in panels the apps above add."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import accessing, ports, show, timeline
from backoffice.admin.actions import dialog_action
from backoffice.admin.base import ConsoleAdmin, record_link
from backoffice.admin.filters import choice_filter, period_filter, rows_filter
from backoffice.admin.record import Record, Tab
from compliance import viewing
from compliance.admin.limits import set_client_limit
from compliance.models import Client, Desk, Membership

TONES = {
    Client.Status.ACTIVE: show.DONE,
    Client.Status.SUSPENDED: show.WRONG,
    Client.Status.CLOSED: show.WAITING,
}
RISKS = {Client.Risk.LOW: show.DONE, Client.Risk.MEDIUM: show.MINE, Client.Risk.HIGH: show.WRONG}
WHY = {
    Client.Status.ACTIVE: "May log in, trade and move money within the limits of their KYC level.",
    Client.Status.SUSPENDED: "Suspended by staff; the reason stands under Changes.",
    Client.Status.CLOSED: "Closed; records stay.",
}


@dialog_action(
    title="View as client",
    button="View as the client",
    description="You see the client app as the client sees it, for some minutes. Nothing can be changed there; whatever is asked is written "
    "to the access log, and that you looked, and why, to the event log.",
    permission=viewing.PERMISSION,
    icon="visibility",
    leads_to=lambda client: next(iter(ports.client_views))(client.uuid),
)
def view_as_client(admin: Any, request: HttpRequest, row: Client, form: Any) -> str:
    viewing.begin(row, request.user, at=timezone.now(), reason=form.cleaned_data["reason"])  # type: ignore[arg-type]
    return f"You looked as {row}."


@admin.register(Client)
class ClientAdmin(ConsoleAdmin):
    list_display = ("name_shown", "country", "desk", "status_shown", "kyc", "risk", "opened")
    list_display_links = ("name_shown",)
    list_select_related = ("desk",)
    ordering = ("-opened_at",)
    search_fields = ("last_name",)
    search_help_text = "Name or e-mail address"
    list_filter = (
        rows_filter("desk", "desk", lambda request: Desk.objects.order_by("name")),
        choice_filter("status", "status", Client.Status.choices),
        choice_filter("kyc_level", "KYC level", [(str(level), f"Level {level}") for level in range(4)]),
        choice_filter("risk_rating", "risk", Client.Risk.choices),
        period_filter("opened_at", "time opened"),
    )
    fieldsets = (
        ("Who", {"fields": ("first_name", "last_name", "date_of_birth", "country")}),
        ("How we serve them", {"fields": ("desk", "status", "markup_rate")}),
        ("What we know of them", {"fields": ("kyc_level", "risk_rating")}),
    )
    edit_fields = ("desk",)
    actions_detail = ("view_as_client", "set_client_limit")
    view_as_client, set_client_limit = view_as_client, set_client_limit
    subject_type = "client"
    empty_text = "No client here. Clients appear as they sign up, in the client app or over the API."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Client], search_term: str
    ) -> tuple[QuerySet[Client], bool]:
        term = search_term.strip()
        return (queryset.filter(pk__in=matching(term)) if term else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        answer = super().changelist_view(request, extra_context)
        listing = getattr(answer, "context_data", {}).get("cl")
        if listing is not None and listing.query:
            accessing.note_found(request, [client.uuid for client in listing.result_list])
        return answer

    @admin.display(description="Client")
    def name_shown(self, client: Client) -> str:
        return client.name

    @admin.display(description="Status")
    def status_shown(self, client: Client) -> SafeString:
        return status_badge(client)

    @admin.display(description="KYC")
    def kyc(self, client: Client) -> str:
        return f"Level {client.kyc_level}"

    @admin.display(description="Risk")
    def risk(self, client: Client) -> SafeString:
        return show.badge(client.get_risk_rating_display(), RISKS[Client.Risk(client.risk_rating)])

    @admin.display(description="Opened", ordering="opened_at")
    def opened(self, client: Client) -> SafeString:
        return show.when(client.opened_at)

    def record(self, request: HttpRequest, row: Client) -> Record:
        """Profile, memberships and what each app adds to the client's page."""
        panels = [
            Tab(panel.title, _reader(panel, request, row))
            for panel in ports.client_panels
            if request.user.has_perm(panel.permission)
        ]
        return Record(
            title=row.name,
            badge=format_html("{} {}", status_badge(row), show.badge(f"KYC level {row.kyc_level}")),
            why=WHY[Client.Status(row.status)],
            facts=[
                ("Who is it?", [
                    ("Kind", row.get_kind_display()), ("First name", row.first_name), ("Last name", row.last_name),
                    ("Date of birth", f"{row.date_of_birth:%Y-%m-%d}" if row.date_of_birth else ""),
                    ("Country", row.country), ("Client since", show.at(row.opened_at)),
                ]),
                ("Who acts for them?", _members(row)),
                ("How do we serve them?", [
                    ("Desk", record_link(row.desk) if row.desk else "None; every desk-less member of staff sees them"),
                    ("Base currency", str(row.base_currency_id)),
                    ("Markup", show.percent(row.markup_rate) if row.markup_rate is not None else "The application's"),
                ]),
                ("What do we know of them?", [
                    ("KYC level", str(row.kyc_level)), ("Risk", self.risk(row)),
                ]),
            ],
            timeline=list(timeline.of_client(row.uuid)),
            tabs=panels,
        )  # fmt: skip


def _reader(panel: ports.Panel, request: HttpRequest, row: Client) -> Any:
    return lambda: panel.show(request, row)


def _members(row: Client) -> list[tuple[str, Any]]:
    members = Membership.objects.filter(client=row).select_related("user").order_by("pk")[:20]
    return [
        (member.get_role_display(), show.two(record_link(member.user), member.user.email))
        for member in members
    ]


def status_badge(client: Client) -> SafeString:
    return show.badge(client.get_status_display(), TONES[Client.Status(client.status)])


def matching(term: str, limit: int = 200) -> list[int]:
    """Clients whose name begins with what was typed, or for whom somebody with such an e-mail address acts."""
    if "@" in term:
        rows = Membership.objects.filter(user__email__istartswith=term).values_list("client_id", flat=True)
        return list(rows[:limit])
    return list(Client.objects.named(term).values_list("pk", flat=True)[:limit])
