"""Filters people use, none of which asks the table for its distinct values."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter

Queue = Callable[[Any, datetime], QuerySet[Any]]
Queues = Mapping[str, Queue]


def queue_filter(queues: Queues | Callable[[HttpRequest], Queues]) -> type[SimpleListFilter]:
    """The filter behind a list's tabs: `?queue=stuck`. It takes no place among the other filters.

    Queues that differ from reader to reader ("mine") are made from the request.
    """

    def _of(request: HttpRequest) -> Queues:
        return queues(request) if callable(queues) else queues

    class QueueFilter(SimpleListFilter):
        title = "queue"
        parameter_name = "queue"
        template = "console/no_filter.html"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(name, name) for name in _of(request)]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            chosen = _of(request).get(self.value() or "")
            return chosen(queryset, timezone.now()) if chosen else queryset

    return QueueFilter


def period_filter(column: str, label: str) -> type[DropdownFilter]:
    """“Today”, “last 7 days” …, by the reader's own clock."""

    class PeriodFilter(DropdownFilter):
        title = label
        parameter_name = f"{column}_in"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [
                ("hour", "The last hour"), ("today", "Today"), ("yesterday", "Yesterday"),
                ("week", "The last 7 days"), ("month", "The last 30 days"),
            ]  # fmt: skip

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            if not self.value():
                return queryset
            now = timezone.localtime()
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            start, end = {
                "hour": (now - timedelta(hours=1), None),
                "today": (midnight, None),
                "yesterday": (midnight - timedelta(days=1), midnight),
                "week": (now - timedelta(days=7), None),
                "month": (now - timedelta(days=30), None),
            }.get(self.value() or "", (None, None))
            if start is not None:
                queryset = queryset.filter(**{f"{column}__gte": start})
            return queryset.filter(**{f"{column}__lt": end}) if end is not None else queryset

    return PeriodFilter


def choice_filter(lookup: str, label: str, choices: list[tuple[str, Any]]) -> type[DropdownFilter]:
    """One of a fixed set of values, of this model or of one it refers to."""

    class ChoiceFilter(DropdownFilter):
        title = label
        parameter_name = f"by_{lookup}"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
            return choices

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{lookup: self.value()}) if self.value() else queryset

    return ChoiceFilter


def rows_filter(
    lookup: str, label: str, rows: Callable[[HttpRequest], QuerySet[Any]]
) -> type[DropdownFilter]:
    """One of a small table's rows: instruments, desks. At most 300 are offered."""

    class RowsFilter(DropdownFilter):
        title = label
        parameter_name = f"by_{lookup}"

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(str(row.pk), str(row)) for row in rows(request)[:300]]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            value = self.value()
            if not value:
                return queryset
            key = queryset.model._meta.get_field(lookup).related_model._meta.pk
            try:
                return queryset.filter(**{lookup: key.to_python(value)})
            except Exception:  # noqa: BLE001  whatever was typed into the address is no row
                return queryset.none()

    return RowsFilter
