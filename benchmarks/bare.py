"""Tables beside ours in a schema of their own: the same columns, indexes and checks, without triggers and foreign keys.

What our verbs wrote is written there once more by bare SQL: the reference of what the rows themselves cost.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, transaction

SCHEMA = "bare"


class Bare:
    """Empty tables like those named; then all rows that are written into ours from now on, again. Left, they are gone."""

    def __init__(self, *tables: str) -> None:
        self.tables = tables
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            for table in tables:
                cursor.execute(f"DROP TABLE IF EXISTS {SCHEMA}.{table}")
                cursor.execute(f"CREATE TABLE {SCHEMA}.{table} (LIKE {table} INCLUDING ALL)")
        self._from = {table: self._last(table) for table in tables}

    def __enter__(self) -> "Bare":
        return self

    def __exit__(self, *problem: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {SCHEMA} CASCADE")

    def take(self, table: str, where: str = "true", given: Sequence[Any] = ()) -> None:
        """Have rows there that stand in ours already."""
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {SCHEMA}.{table} SELECT * FROM {table} WHERE {where}", given)
            cursor.execute(f"ANALYZE {SCHEMA}.{table}")

    def again(self, times: int, changed: Mapping[str, Sequence[int]]) -> list[float]:
        """Write what was written since the beginning, in so many equal transactions, and say what each took, in ms.

        `changed` are keys of rows that were there before and were changed: each is brought to what it is now.
        """
        until = {table: self._last(table) for table in self.tables}
        columns = {table: self._columns(table) for table in changed}
        took = []
        for number in range(times):
            begun = time.perf_counter()
            with transaction.atomic(), connection.cursor() as cursor:
                for table in self.tables:
                    first, last = self._part(self._from[table], until[table], number, times)
                    if last > first:
                        cursor.execute(
                            f"INSERT INTO {SCHEMA}.{table} SELECT * FROM {table} WHERE id > %s AND id <= %s",
                            [first, last],
                        )
                for table, keys in changed.items():
                    first, last = self._part(0, len(keys), number, times)
                    names = columns[table]
                    cursor.execute(
                        f"UPDATE {SCHEMA}.{table} b SET ({names}) = (SELECT {names} FROM {table} o WHERE o.id = b.id) "
                        "WHERE b.id = ANY (%s)",
                        [list(keys[first:last])],
                    )
            took.append((time.perf_counter() - begun) * 1000)
        return took

    @staticmethod
    def _part(first: int, last: int, number: int, times: int) -> tuple[int, int]:
        return first + (last - first) * number // times, first + (last - first) * (number + 1) // times

    @staticmethod
    def _last(table: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
            return int(cursor.fetchone()[0])

    @staticmethod
    def _columns(table: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name = %s AND column_name <> 'id'",
                [table],
            )
            return str(cursor.fetchone()[0])
