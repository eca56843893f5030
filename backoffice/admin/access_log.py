"""The access log: who looked at which client, and at what. To read only, and only for those who watch the watchers."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import ReadOnlyAdmin, record_link
from backoffice.admin.filters import choice_filter, period_filter
from backoffice.admin.ports import Entry, Panel
from backoffice.admin.record import Record
from backoffice.models import Access

LIST = "admin:backoffice_access_changelist"
PERMISSION = "backoffice.view_access"


@admin.register(Access)
class AccessAdmin(ReadOnlyAdmin):
    list_display = ("when", "who", "did", "client_shown", "correlation")
    list_display_links = ("when",)
    list_select_related = ("by_user",)
    ordering = ("-at", "-id")
    search_fields = ("correlation_id",)
    search_help_text = "A client's public id, or a correlation id"
    list_filter = (choice_filter("what", "what", Access.What.choices), period_filter("at", "time"))
    list_intro = "Who opened a page about a client, found one by searching, or asked as one. Kept apart from the event log, as long as the law asks."
    empty_text = "Nobody has looked at a client yet."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Access], search_term: str
    ) -> tuple[QuerySet[Access], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(client_id=uuid.UUID(term)), False
        except ValueError:
            return queryset.filter(correlation_id=term), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        answer = super().changelist_view(request, {"title": "Access log", **(extra_context or {})})
        listing = getattr(answer, "context_data", {}).get("cl")
        if listing is not None:
            rows = list(listing.result_list)
            named = ports.names(("client", row.client_id) for row in rows)
            for row in rows:
                row.client_named = named.get(row.client_id)
            listing.result_list = rows
        return answer

    @admin.display(description="When")
    def when(self, row: Access) -> SafeString:
        return show.at(row.at)

    @admin.display(description="Who")
    def who(self, row: Access) -> Any:
        return record_link(row.by_user)

    @admin.display(description="Did what")
    def did(self, row: Access) -> str:
        return did(row)

    @admin.display(description="About")
    def client_shown(self, row: Access) -> SafeString:
        named = getattr(row, "client_named", None)
        return show.link(*named) if named else show.NOTHING

    @admin.display(description="Correlation id")
    def correlation(self, row: Access) -> str:
        return row.correlation_id[:8]

    def record(self, request: HttpRequest, row: Access) -> Record:
        client = ports.names([("client", row.client_id)]).get(row.client_id)
        return Record(
            title=f"{row.by_user}: {did(row).lower()}",
            why="Written down when the page was made; it cannot be changed.",
            facts=[
                ("Who and when?", [("Who", record_link(row.by_user)), ("When", show.at(row.at)), ("Correlation id", row.correlation_id)]),
                ("At what?", [("What", did(row)), ("Client", show.link(*client) if client else ""), ("Page", _page(row))]),
            ],
        )  # fmt: skip


def did(row: Access) -> str:
    """“Opened a trade”, “Found by searching”."""
    if row.what == Access.What.SEARCH:
        return "Found by searching"
    if row.what == Access.What.VIEW:
        return f"As the client: {row.subject}"
    return f"{row.get_what_display()} {_noun(row)}"


def _noun(row: Access) -> str:
    from django.apps import apps

    name = str(apps.get_model(row.subject)._meta.verbose_name)
    return f"the {name[:1].lower()}{name[1:]}"


def _page(row: Access) -> SafeString | str:
    if not row.subject_pk:
        return ""
    app, _, model = row.subject.partition(".")
    return show.link("Open", reverse(f"admin:{app}_{model}_change", args=[row.subject_pk]))


def _panel(request: HttpRequest, client: Any) -> SafeString:
    rows = Access.objects.filter(client_id=client.uuid).select_related("by_user").order_by("-at")[:50]
    return show.table(
        ["When", "Who", "Did what"],
        [[show.at(row.at), record_link(row.by_user), did(row)] for row in rows],
        empty="Nobody has looked at this client yet.",
    )


ports.client_panels.register("access", Panel("Who looked", PERMISSION, _panel), order=95)
ports.sidebar.register("access", Entry("Compliance", "Access log", LIST, "visibility", PERMISSION), order=60)
