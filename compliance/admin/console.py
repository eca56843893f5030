"""What compliance adds to the sidebar, the search, and who may see which client's rows."""

import uuid
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from backoffice.admin import ports
from backoffice.admin.base import url_of
from backoffice.admin.ports import Entry, Found
from backoffice.models import User
from compliance.admin.clients import matching
from compliance.models import Client, desks_of


def _search(request: HttpRequest, term: str, limit: int) -> list[Found]:
    if not request.user.has_perm("compliance.view_client"):
        return []
    rows = ports.visible(request.user, Client.objects.filter(pk__in=matching(term, 50))).select_related(
        "desk"
    )
    return [
        Found(client.name, " · ".join(word for word in ("Client", client.country, str(client.desk or "")) if word),
              url_of(client), "person", client.uuid)
        for client in rows.order_by("last_name", "first_name")[:limit]
    ]  # fmt: skip


def _clients(ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    return {row.uuid: (row.name, url_of(row)) for row in Client.objects.filter(uuid__in=ids)}


def of_visible_clients(staff: User, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Rows with a `client_id` (a public id): nobody's, and those of the clients this member of staff may see."""
    if desks_of(staff) is None:
        return rows
    seen = Client.objects.visible_to(staff).values("uuid")
    return rows.filter(Q(client_id__isnull=True) | Q(client_id__in=seen))


def _users(staff: User, rows: QuerySet[Any]) -> QuerySet[Any]:
    if desks_of(staff) is None:
        return rows
    acting = User.objects.filter(memberships__client__in=Client.objects.visible_to(staff)).values("pk")
    return rows.filter(Q(kind=User.Kind.STAFF) | Q(pk__in=acting))


def _sessions(staff: User, rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows if desks_of(staff) is None else rows.filter(user__in=_users(staff, User.objects.all()))


ports.limits.register("backoffice.event", of_visible_clients)
for _label in ("ledger.account", "ledger.entry", "ledger.hold"):
    ports.limits.register(_label, of_visible_clients)
ports.limits.register("backoffice.user", _users)
ports.limits.register("backoffice.session", _sessions)
ports.limits.register("backoffice.access", of_visible_clients)


def _clients_of_user(user: User) -> list[uuid.UUID]:
    if user.is_staff:
        return []
    return list(Client.objects.filter(membership__user=user).values_list("uuid", flat=True))


ports.clients_of.register("compliance.client", lambda client: [client.uuid])
ports.clients_of.register("backoffice.user", _clients_of_user)
ports.clients_of.register(
    "backoffice.session",
    lambda session: (
        [session.viewed_client_id] if session.viewed_client_id else _clients_of_user(session.user)
    ),
)

ports.sidebar.register(
    "clients", Entry("Clients", "Clients", "admin:compliance_client_changelist", "person", "compliance.view_client"),
    order=10,
)  # fmt: skip
ports.sidebar.register(
    "desks",
    Entry("Settings", "Desks", "admin:compliance_desk_changelist", "groups", "compliance.view_desk"),
    order=30,
)
ports.search.register("clients", _search, order=10)
ports.subjects.register("client", _clients)
ports.words.register("client.opened", "Signed up")
ports.words.register("client.viewed_as", "Staff looked as the client")
ports.words.register("client.viewing_ended", "Staff stopped looking as the client")
