"""Relay connections over keyset pages: no counting, no offsets, and page 10,000 costs what page 1 costs."""

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

import strawberry
from django.db.models import Q, QuerySet

from backoffice.errors import InvalidInput

T = TypeVar("T")
LARGEST_PAGE: Final = 100
PAGE: Final = 20  # rows, unless told


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type
class Edge(Generic[T]):
    node: T
    cursor: str


@strawberry.type
class Connection(Generic[T]):
    edges: list[Edge[T]]
    page_info: PageInfo


def page_size(first: int | None) -> int:
    """How many rows a page has that is asked for from the front. :raises InvalidInput: if below 0 or above 100."""
    size = PAGE if first is None else first
    if not 0 <= size <= LARGEST_PAGE:
        raise InvalidInput(f"A page has 0 to {LARGEST_PAGE} rows.", field="first")
    return size


def paginate(
    rows: QuerySet[Any],
    *,
    show: Callable[[Any], T],
    newest_first: bool,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
) -> Connection[T]:
    """One page of rows that have a time-ordered public id, as Relay describes it. One query.

    :raises InvalidInput: if `first` and `last` are both given, below 0 or above 100, or a cursor is not ours.
    """
    if first is not None and last is not None:
        raise InvalidInput("Give first or last, not both.", field="first")
    size = first if first is not None else last if last is not None else PAGE
    if not 0 <= size <= LARGEST_PAGE:
        raise InvalidInput(
            f"A page has 0 to {LARGEST_PAGE} rows.", field="last" if last is not None else "first"
        )
    backwards = last is not None
    if after:
        rows = rows.filter(_past(after, newest_first, "after"))
    if before:
        rows = rows.filter(_past(before, not newest_first, "before"))
    descending = newest_first != backwards
    found = list(rows.order_by("-uuid" if descending else "uuid")[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    edges = [Edge(node=show(row), cursor=cursor(row.uuid)) for row in found]
    return Connection(
        edges=edges,
        page_info=PageInfo(
            has_next_page=bool(before) if backwards else more,
            has_previous_page=more if backwards else bool(after),
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
    )


def cursor(public_id: UUID) -> str:
    """A row's place in a list, as text that tells nothing but its public id."""
    return base64.urlsafe_b64encode(public_id.bytes).decode().rstrip("=")


def line_cursor(place: tuple[UUID, int]) -> str:
    """The place of one line of something that has several, as text."""
    return base64.urlsafe_b64encode(place[0].bytes + place[1].to_bytes(2)).decode().rstrip("=")


def line_place(text: str, field: str) -> tuple[UUID, int]:
    """The place that `line_cursor` wrote. :raises InvalidInput: if it is not a cursor of ours."""
    try:
        found = base64.urlsafe_b64decode(text + "==")
        return UUID(bytes=found[:16]), int.from_bytes(found[16:])
    except (ValueError, binascii.Error):
        raise InvalidInput("That is not a cursor of this list.", field=field) from None


def _past(text: str, newest_first: bool, field: str) -> Q:
    try:
        public_id = UUID(bytes=base64.urlsafe_b64decode(text + "=="))
    except (ValueError, binascii.Error):
        raise InvalidInput("That is not a cursor of this list.", field=field) from None
    return Q(uuid__lt=public_id) if newest_first else Q(uuid__gt=public_id)
