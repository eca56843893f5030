"""How many questions something asks of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

# What only opens or ends something: no question, though some are a round trip.
_NONE = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK", "BEGIN", "COMMIT", "SET ")


@contextmanager
def questions() -> Iterator[list[str]]:
    """Every statement sent meanwhile that reads or writes, in its order.

    A SELECT that locks is one, a call of a function of ours is one whatever it does inside. Savepoints, BEGIN, COMMIT
    and SET are none.
    """
    asked: list[str] = []

    def note(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        text = " ".join(str(sql).split())
        if not text.upper().startswith(_NONE):
            asked.append(text)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield asked
