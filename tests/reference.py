"""What every test database begins with, kept aside and put back after each test that commits.

Django empties all tables after such a test and would leave every later test to load its roles, currencies, limits
and rules again: about 0.6 s each, for more than a thousand tests. A copy in a schema of its own is put back in the
transaction that empties the tables.
"""

from collections.abc import Iterable
from typing import Any

from django.core.management.commands import flush
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations

KEPT = "kept_for_tests"


def keep() -> None:
    """Copy every row there is now, to be what tests find from here on."""
    with connection.cursor() as cursor:
        filled = _filled(cursor, connection.introspection.django_table_names(only_existing=True))
        cursor.execute(
            f"DROP SCHEMA IF EXISTS {KEPT} CASCADE"
        )  # of a run before, where its database is used again
        cursor.execute(f"CREATE SCHEMA {KEPT}")
        for table in filled:
            cursor.execute(f'CREATE TABLE {KEPT}."{table}" AS TABLE public."{table}"')


def put_back_after_each_test_that_commits() -> None:
    """Teach Django's flush about it; append-only tables are emptied too, and only what has rows is emptied at all."""
    plain = DatabaseOperations.execute_sql_flush

    def execute_sql_flush(self: Any, sql_list: Iterable[str]) -> None:
        with self.connection.cursor() as cursor:
            names = self.connection.introspection.django_table_names(only_existing=True)
            filled, kept = _filled(cursor, names), _kept(cursor)
            # TRUNCATE would take every table that refers to one of these with it, and a new file for each index.
            sql = [f'DELETE FROM public."{table}"' for table in filled]
            sql += [
                f'INSERT INTO public."{table}" ({columns}) SELECT {columns} FROM {KEPT}."{table}"'
                for table, columns in kept
            ]
        # Triggers that refuse this would be right anywhere else.
        plain(self, ["SET LOCAL session_replication_role = replica", *sql])

    DatabaseOperations.execute_sql_flush = execute_sql_flush  # type: ignore[method-assign]
    # Permissions and types of content are put back with the rest.
    flush.emit_post_migrate_signal = lambda *given, **more: None  # type: ignore[assignment]


def _filled(cursor: Any, tables: list[str]) -> list[str]:
    """The tables with a row."""
    cursor.execute(
        " UNION ALL ".join(
            f"SELECT '{table}' WHERE EXISTS (SELECT FROM public.\"{table}\")" for table in tables
        )
    )
    return [table for (table,) in cursor.fetchall()]


def _kept(cursor: Any) -> list[tuple[str, str]]:
    """The tables kept aside, each with its columns."""
    cursor.execute(
        "SELECT relname, string_agg(quote_ident(attname), ', ') FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid "
        "WHERE relnamespace = %s::regnamespace AND attnum > 0 AND NOT attisdropped GROUP BY relname",
        [KEPT],
    )
    return list(cursor.fetchall())
