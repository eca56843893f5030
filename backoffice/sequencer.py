"""Gives every committed event its place: a gapless position, and a hash that chains it to the one before.

Readers keep a cursor on positions. A cursor on ids would lose rows that commit late; positions are given after
the commit, by one writer at a time, so what a reader has passed never changes and never fills up from behind.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

GENESIS: Final = bytes(32)
# One writer at a time, over every process of the deployment: a PostgreSQL advisory lock of the transaction.
LOCK: Final = 0x6E78_7365_71

# What is hashed, as it is hashed: times in UTC with PostgreSQL's microseconds, since hashing finer would never
# verify. The database writes ids and times as text several times faster than Python does.
_TIME: Final = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')"""
COLUMNS: Final = (
    'id, name, version, subject_type, subject_id::text, subject_version, client_id::text, "by", by_user_id, '
    f"{_TIME.format('at')}, {_TIME.format('recorded_at')}, key, correlation_id, payload"
)
_encode: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Sequenced:
    """What one pass did: the positions it gave, in order, and the clients whose events they are."""

    positions: list[int]
    clients: set[str]


def sequence(limit: int = 500) -> Sequenced:
    """Give up to `limit` committed events their positions, in the order of their ids.

    Any number of processes may call this: one works, the others return at once with nothing. Events of
    transactions still open are not seen and follow later, with higher positions.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return Sequenced([], set())
        cursor.execute(
            "SELECT position, hash FROM backoffice_event WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1"
        )
        last = cursor.fetchone()
        position, previous = (last[0], bytes(last[1])) if last else (0, GENESIS)
        cursor.execute(
            f"SELECT {COLUMNS} FROM backoffice_event WHERE position IS NULL ORDER BY id LIMIT %s", [limit]
        )
        ids, positions, hashes, clients = [], [], [], set()
        for row in cursor.fetchall():
            position += 1
            previous = chain(previous, position, row)
            ids.append(row[0])
            if row[6] is not None:
                clients.add(row[6])
            positions.append(position)
            hashes.append(previous)
        if ids:
            cursor.execute(
                "UPDATE backoffice_event SET position = given.position, hash = given.hash "
                "FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS given(id, position, hash) "
                "WHERE backoffice_event.id = given.id",
                [ids, positions, hashes],
            )
    return Sequenced(positions, clients)


def chain(previous: bytes, position: int, row: tuple[str | int | None, ...]) -> bytes:
    """SHA-256 over the previous hash, the position and every column of the event as stored (`COLUMNS`)."""
    content = _encode([position, *[_canonical(value) for value in row]])
    return hashlib.sha256(previous + content.encode()).digest()


def _canonical(value: str | int | None) -> Any:
    # A raw cursor hands jsonb over as text, in PostgreSQL's own key order.
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


@dataclass(frozen=True, slots=True)
class Break:
    """Where the chain does not hold, and how."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of a verification: how many events were checked, and the first break if there is one."""

    checked: int
    head: bytes
    first_break: Break | None
    waiting: int


def verify(*, since: int = 0) -> Verified:
    """Recompute the chain from position `since` + 1 to its end. Reads only; stops at the first break.

    A change to any column, a missing row, a repeated or skipped position: each breaks the chain.
    """
    previous, expected = GENESIS, since
    with transaction.atomic(), connection.cursor() as plain:
        # One snapshot for the whole walk, though the log grows meanwhile.
        plain.execute("SELECT count(*) FROM backoffice_event WHERE position IS NULL")
        waiting = plain.fetchone()[0]
        if since:
            plain.execute("SELECT hash FROM backoffice_event WHERE position = %s", [since])
            found = plain.fetchone()
            if found is None:
                return Verified(0, GENESIS, Break(since, "the event to start from is missing"), waiting)
            previous = bytes(found[0])
        for row in _rows(since):
            expected += 1
            position, stored, content = row[0], bytes(row[1]), row[2:]
            if position != expected:
                return Verified(
                    expected - since - 1, previous, Break(expected, "the event is missing"), waiting
                )
            previous = chain(previous, position, content)
            if previous != stored:
                return Verified(
                    expected - since - 1,
                    previous,
                    Break(position, "the event is not what was sealed"),
                    waiting,
                )
    return Verified(expected - since, previous, None, waiting)


def _rows(since: int) -> Iterator[tuple[Any, ...]]:
    """Sequenced events in order, streamed by a server-side cursor: memory stays flat however long the log is."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            f"SELECT position, hash, {COLUMNS} FROM backoffice_event WHERE position > %s ORDER BY position",
            [since],
        )
        while rows := cursor.fetchmany(2000):
            yield from rows
