"""Doing one thing to many rows: each in a transaction of its own, and an answer for each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from django.db import transaction

from backoffice.errors import DomainError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row: a sentence, or the refusal that left it as it was."""

    what: str
    said: str
    code: str = ""

    @property
    def is_refused(self) -> bool:
        return bool(self.code)


@dataclass(frozen=True, slots=True)
class Results:
    """What became of each row, and a sentence over all."""

    said: str
    rows: list[Result]


def each(
    rows: Iterable[T], do: Callable[[T], str], done: str, *, called: Callable[[T], str] = str
) -> Results:
    """Do it to each row. What one refuses keeps none of the others back; `done` says of how many it is so (“sent again”)."""
    results = []
    for row in rows:
        try:
            with transaction.atomic():
                results.append(Result(called(row), do(row)))
        except DomainError as refused:
            results.append(Result(called(row), refused.message, refused.code))
    refusals = sum(result.is_refused for result in results)
    said = f"{len(results) - refusals} {done}."
    return Results(f"{said} {refusals} refused; those are as they were." if refusals else said, results)
