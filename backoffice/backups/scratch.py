"""A scratch database beside ours: made empty, worked in, gone afterwards."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db import ProgrammingError, connection, connections

from backoffice.backups.tools import BackupError

# Tells a scratch database from one that only happens to have its name.
_MARK: Final = "scratch of restore_drill; may be dropped"
_LOCK: Final = 0x6E78_6472_6C
_ALIAS: Final = "default"


def name_of() -> str:
    """The scratch database's name; at most as long as PostgreSQL's names may be."""
    return f"{str(connection.settings_dict['NAME'])[:49]}_restore_drill"


@contextmanager
def scratch(*, keep: bool = False) -> Iterator[str]:
    """The name of a new, empty database on the same server, dropped at the end, whatever happens, unless it is kept.

    One at a time for each live database. What a killed drill left, or a former one kept, is dropped first.

    :raises BackupError: if another drill is under way, the name belongs to another database, or our user may not
        create databases.
    """
    name = name_of()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            raise BackupError("Another restore drill of this database is under way.")
        live = connections[_ALIAS]
    try:
        _drop(live, name)
        _create(live, name)
        try:
            yield name
        finally:
            if not keep:
                _drop(live, name)
    finally:
        with live.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


@contextmanager
def looking_at(name: str) -> Iterator[None]:
    """This thread's default database is that one, for reading only, until the end; then it is ours again."""
    live: Any = connections[_ALIAS]
    given = copy.deepcopy(live.settings_dict)
    given["NAME"] = name
    given["OPTIONS"]["options"] = "-c statement_timeout=0 -c timezone=UTC -c default_transaction_read_only=on"
    there = type(live)(given, _ALIAS)
    connections[_ALIAS] = there
    try:
        yield
    finally:
        connections[_ALIAS] = live
        there.close()


@contextmanager
def _unhurried(live: Any) -> Iterator[Any]:
    with live.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        try:
            yield cursor
        finally:
            cursor.execute("RESET statement_timeout")


def _create(live: Any, name: str) -> None:
    with _unhurried(live) as cursor:
        try:
            cursor.execute(f"CREATE DATABASE {live.ops.quote_name(name)} TEMPLATE template0 ENCODING 'UTF8'")
        except ProgrammingError as refused:
            raise BackupError(
                f"No scratch database could be made: {str(refused).strip()}. The user of DATABASE_URL needs CREATEDB."
            ) from refused
        cursor.execute(f"COMMENT ON DATABASE {live.ops.quote_name(name)} IS %s", [_MARK])


def _drop(live: Any, name: str) -> None:
    with _unhurried(live) as cursor:
        cursor.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name]
        )
        found = cursor.fetchone()
        if found is None:
            return
        if found[0] != _MARK:
            raise BackupError(f"There is a database {name} that no drill made. Rename it or drop it.")
        cursor.execute(f"DROP DATABASE {live.ops.quote_name(name)} WITH (FORCE)")
