"""Writing down that a reader of the console saw something of a client."""

import uuid
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone

from backoffice import access
from backoffice.admin import ports
from backoffice.models import User


def clients_of(row: Model) -> list[uuid.UUID]:
    """The clients a row is about, by their public ids: what an app registered for its kind, else whose it is."""
    label = row._meta.label_lower
    if label in ports.clients_of.names():
        return ports.clients_of.get(label)(row)
    of: Any = row if hasattr(row, "client_id") else getattr(row, "account", None)
    found = getattr(of, "client_id", None)
    if found is None:
        return []
    return [found if isinstance(found, uuid.UUID) else of.client.uuid]


def note(request: HttpRequest, row: Model, what: str) -> None:
    """A page about a row was made for this reader."""
    if (clients := clients_of(row)) and isinstance(request.user, User):
        access.note(request.user, clients, what, row._meta.label_lower, str(row.pk), at=timezone.now())


def note_found(request: HttpRequest, clients: list[uuid.UUID]) -> None:
    """A search told this reader of some clients."""
    if clients and isinstance(request.user, User):
        access.note(request.user, clients, "search", "compliance.client", at=timezone.now())
