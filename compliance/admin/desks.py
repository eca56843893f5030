"""Desks: teams of staff and the clients they look after."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice.admin import show
from backoffice.admin.base import ConsoleAdmin, record_link
from backoffice.admin.record import Record, Tab
from backoffice.models import User
from compliance.models import Client, Desk


@admin.register(Desk)
class DeskAdmin(ConsoleAdmin):
    list_display = ("name", "people", "looked_after")
    ordering = ("name",)
    search_fields = ("name",)
    edit_fields = add_fields = ("name", "staff")
    filter_horizontal = ("staff",)
    list_intro = (
        "Staff on a desk see that desk's clients and nobody else's. Staff on no desk see every client."
    )
    empty_text = "No desk yet: every member of staff sees every client. Add a desk to divide the clients."

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .annotate(
                people_count=_counted(Desk.staff.through.objects.filter(desk=OuterRef("pk")), "desk"),
                client_count=_counted(Client.objects.filter(desk=OuterRef("pk")), "desk"),
            )
        )

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = User.objects.filter(kind=User.Kind.STAFF).order_by("full_name")
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @admin.display(description="Staff")
    def people(self, desk: Any) -> int:
        return int(desk.people_count)

    @admin.display(description="Clients")
    def looked_after(self, desk: Any) -> int:
        return int(desk.client_count)

    def record(self, request: HttpRequest, row: Any) -> Record:
        return Record(
            title=row.name,
            why=f"{row.people_count} staff look after {row.client_count} clients.",
            facts=[("Who is on it?", [
                ("Staff", show.lines(list(row.staff.order_by("full_name")[:50])) or "Nobody yet"),
            ])],
            tabs=[Tab("Clients", lambda: _clients(request, row))],
        )  # fmt: skip


def _counted(rows: Any, by: str) -> Any:
    """A count of its own: two joins counted together would multiply each other."""
    return Coalesce(Subquery(rows.order_by().values(by).annotate(n=Count("pk")).values("n")), 0)


def _clients(request: HttpRequest, row: Desk) -> SafeString:
    rows = Client.objects.visible_to(request.user).filter(desk=row)  # type: ignore[arg-type]
    return show.table(
        ["Client", "Country", "Opened"],
        [[record_link(client), client.country, show.when(client.opened_at)]
         for client in rows.order_by("-opened_at")[:50]],
        empty="No client yet. Give a client this desk under Edit on the client's page.",
    )  # fmt: skip
