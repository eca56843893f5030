"""How long things take: medians and 95th percentiles, of ours and of bare SQL in the same process."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.ground import say

WARM = 2  # the first two fill caches


def once(work: Callable[[], object]) -> float:
    """What it takes, in milliseconds."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def median(work: Callable[[], object], rounds: int) -> float:
    """Milliseconds of the middle one of so many, after two that do not count."""
    took = [once(work) for _ in range(WARM + rounds)][WARM:]
    found = statistics.median(took)
    say(f"{found:,.1f} ms")
    return found


def each(works: Iterable[Callable[[], object]]) -> list[float]:
    """What each takes, in milliseconds, one after the other."""
    return [once(work) for work in works]


def p95(took: Sequence[float]) -> float:
    """What 95 of 100 stay within; of fewer than twenty the longest."""
    return max(took) if len(took) < 20 else statistics.quantiles(took, n=20)[-1]


def asking(query: str, given: Sequence[Any]) -> Callable[[], object]:
    """A bare statement, to be measured: sent, and every row fetched."""
    from django.db import connection

    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute(query, given)
            cursor.fetchall()

    return ask


def questions(work: Callable[[], object]) -> int:
    """How many statements it sends to the database."""
    from django.db import connection

    seen: list[str] = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        work()
    return len(seen)
