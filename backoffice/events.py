"""The event log: a domain change and its event commit together.

Audit trail, feed for whatever reacts, and what live subscriptions resume from are the same rows. A payload holds
ids, amounts and states, never personal data or secrets, so that erasure never has to touch the log.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import connection, transaction

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
    event = Event(
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
    _keep([_Kept(event, reason.strip()[:500])])
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
    _keep([_Kept(row) for row in rows])


@contextmanager
def together() -> Iterator[None]:
    """Have the events recorded inside written by one statement where the block ends, in the order they came.

    For a verb that calls others, inside of its transaction. Until then they have no primary key, and what the database
    records itself (entries, holds) stands before them. As without it, what was recorded in a savepoint that was rolled
    back is not written, and after an exception nothing is. Inside of another such block it is part of that one.

    :raises RuntimeError: if no transaction is open.
    """
    if _together.get() is not None:
        yield
        return
    if not connection.in_atomic_block:
        raise RuntimeError("Events are written together only within a transaction.")
    kept: list[_Kept] = []
    before = _together.set(kept)
    try:
        yield
    finally:
        _together.reset(before)
    # Django forgets what was to be called after the commit when it rolls back the savepoint that this was asked in.
    standing = {id(asked[1]) for asked in connection.run_on_commit}
    _write([one for one in kept if id(one) in standing])


@dataclass(frozen=True, slots=True)
class _Kept:
    """An event that is to be written, and why it happened. Called after the commit it does nothing (`together`)."""

    event: Event
    reason: str = ""

    def __call__(self) -> None: ...


_together: Final[ContextVar[list[_Kept] | None]] = ContextVar("together", default=None)


def _keep(rows: Sequence[_Kept]) -> None:
    kept = _together.get()
    if kept is None:
        _write(rows)
        return
    for row in rows:
        transaction.on_commit(row)
    kept.extend(rows)


def _write(rows: Sequence[_Kept]) -> None:
    if not rows:
        return
    notify("events:recorded", {})
    if len(rows) == 1:
        rows[0].event.save(force_insert=True)
    else:
        Event.objects.bulk_create([row.event for row in rows], batch_size=1000)
    reasons = [Reason(event=row.event, text=row.reason) for row in rows if row.reason]
    if reasons:
        Reason.objects.bulk_create(reasons, batch_size=1000)


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
