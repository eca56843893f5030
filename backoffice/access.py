"""Who looked at which client, and at what: a log of its own, kept as long as the law asks, never in the feed.

One insert for each page that shows something of a client; its rows cannot be changed, and whole months are dropped.
"""

import uuid
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from django.conf import settings
from django.db import connection, transaction

from backoffice.logs import correlation
from backoffice.models import Access, User

MONTHS_AHEAD: Final = 12
TABLE: Final = "backoffice_access"


def note(
    user: User, clients: Iterable[uuid.UUID], what: str, subject: str, subject_pk: str = "", *, at: datetime
) -> None:
    """Write down that somebody looked at something of these clients: one row each, a statement for each thousand."""
    Access.objects.bulk_create(
        [
            Access(
                at=at, by_user=user, client_id=client, what=what, subject=subject[:64], subject_pk=subject_pk[:64],
                correlation_id=correlation.get(),
            )
            for client in dict.fromkeys(clients)
        ],
        batch_size=1000,
    )  # fmt: skip


def make_months(at: datetime) -> list[str]:
    """Make the partitions of this month and the next twelve that are missing; says their names. Locks one at a time."""
    made = []
    for number in range(MONTHS_AHEAD + 1):
        first = _month(at.date(), number)
        name = _name(first)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtext(%s)), to_regclass(%s) IS NOT NULL", [TABLE, name]
            )
            if cursor.fetchone()[1]:
                continue
            cursor.execute(
                f"SELECT EXISTS (SELECT 1 FROM {TABLE}_rest WHERE at >= %s AND at < %s)",
                [first, _month(first, 1)],
            )
            if cursor.fetchone()[0]:
                continue  # the month began without its partition; its rows stay where they are
            cursor.execute(
                f"CREATE TABLE {name} PARTITION OF {TABLE} FOR VALUES FROM ('{first}') TO ('{_month(first, 1)}')"
            )
            made.append(name)
    return made


def drop_old(at: datetime) -> list[str]:
    """Drop the months that are kept no longer (`ACCESS_LOG_MONTHS`); says which."""
    oldest = _name(_month(at.date(), -settings.CONFIG.access_log_months))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass AND c.relname ~ '_[0-9]{4}_[0-9]{2}$' AND c.relname < %s ORDER BY 1",
            [TABLE, oldest],
        )
        names = [row[0] for row in cursor.fetchall()]
        for name in names:
            cursor.execute(f"DROP TABLE {name}")
    return names


def _month(day: date, later: int) -> date:
    """The first of the month so many months after a day's."""
    number = day.year * 12 + day.month - 1 + later
    return date(number // 12, number % 12 + 1, 1)


def _name(first: date) -> str:
    return f"{TABLE}_{first:%Y_%m}"
