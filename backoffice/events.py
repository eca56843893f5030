"""The event log: a domain change and its event commit together.

Audit trail, feed for whatever reacts, and what live subscriptions resume from are the same rows. A payload holds
ids, amounts and states, never personal data or secrets, so that erasure never has to touch the log.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from backoffice.logs import correlation
from backoffice.models import Event, Reason
from backoffice.wake import notify
from backoffice.who import By

Payload = Mapping[str, "str | int | bool | Decimal | uuid.UUID | datetime | list[str] | None"]

# Words that would mean personal data or a secret stood in a payload.
FORBIDDEN: Final = {
    "email",
    "password",
    "token",
    "first_name",
    "last_name",
    "phone",
    "secret",
    "address",
    "full_name",
    "reason",
}


def record(
    name: str,
    *,
    subject_type: str,
    subject_id: uuid.UUID,
    by: By,
    at: datetime,
    client_id: uuid.UUID | None = None,
    subject_version: int | None = None,
    key: str = "",
    version: int = 1,
    payload: Payload | None = None,
    reason: str = "",
) -> Event:
    """Write one event in the caller's transaction. Its position and hash follow, from the sequencer.

    `at` is when it happened by our clock; the database stamps when it was recorded. Decimals, ids and instants
    are written as text, so the hash chain never depends on how a number prints. Floats are refused.

    A `reason`, in the words of whoever acts, is kept beside the log, where erasure can reach it.

    :raises ValueError: if a payload key names personal data or a secret, or a value is of another type.
    """
    notify("events:recorded", {})
    event = Event.objects.create(
        name=name,
        version=version,
        subject_type=subject_type,
        subject_id=subject_id,
        subject_version=subject_version,
        client_id=client_id,
        by=by.name,
        by_user_id=by.user_id,
        at=at,
        key=key,
        correlation_id=correlation.get(),
        payload={word: _plain(word, value) for word, value in (payload or {}).items()},
    )
    if reason := reason.strip():
        Reason.objects.create(event=event, text=reason[:500])
    return event


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to be recorded among many: what happened, to what, of which client."""

    name: str
    subject_type: str
    subject_id: uuid.UUID
    client_id: uuid.UUID | None
    payload: Payload


def record_many(drafts: Iterable[Draft], *, by: By, at: datetime) -> None:
    """Write many events in their order, as `record` writes one; a statement for each thousand.

    :raises ValueError: as `record`.
    """
    notify("events:recorded", {})
    rows = [
        Event(
            name=one.name,
            subject_type=one.subject_type,
            subject_id=one.subject_id,
            client_id=one.client_id,
            by=by.name,
            by_user_id=by.user_id,
            at=at,
            correlation_id=correlation.get(),
            payload={word: _plain(word, value) for word, value in one.payload.items()},
        )
        for one in drafts
    ]
    Event.objects.bulk_create(rows, batch_size=1000)


def _plain(word: str, value: object) -> object:
    if word in FORBIDDEN:
        raise ValueError(f"An event never carries “{word}”.")
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ValueError(f"“{word}” cannot stand in an event: {type(value).__name__}.")
