"""What is not final, counted in one question for a whole page; and the page of what is stuck, whatever it is."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import CharField, Count, F, Min, Model, QuerySet, Value
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice import patience
from backoffice.admin import ports, show
from backoffice.admin.base import record_link
from backoffice.admin.ports import Card, Entry, Unfinished, Waiting

PAGE = "admin:stuck"
AT_MOST = 50  # rows of a kind on the page
INTRO = (
    "What is not final and older than its state allows, whatever it is: who moves it on, why it waits and what comes next. "
    "What waits within its time is counted below."
)


class Tally(NamedTuple):
    """How many wait, how many of them past their age, and since when the oldest of all and of those."""

    many: int = 0
    late: int = 0
    since: datetime | None = None
    late_since: datetime | None = None

    def __add__(self, other: Any) -> "Tally":
        return Tally(
            self.many + other.many,
            self.late + other.late,
            _older(self.since, other.since),
            _older(self.late_since, other.late_since),
        )

    @property
    def is_late(self) -> bool:
        return self.late > 0


def tally(request: HttpRequest, label: str, *states: str) -> Tally:
    """What waits of a kind, in these states or in all that are not final, as far as this reader may see it.

    Asked once for all kinds and kept for the request.
    """
    counted = _counted(request)[label]
    return sum((counted.get(state, Tally()) for state in states or counted), Tally())


def stuck(request: HttpRequest) -> Tally:
    """Everything past its age that this reader may look at."""
    kinds = [kind.model._meta.label_lower for kind in _seen(request)]
    return sum((tally(request, label) for label in kinds), Tally())


def page(request: HttpRequest) -> list[tuple[str, SafeString]]:
    """The parts of the page: for each kind with something stuck a table, oldest first, and what else waits."""
    kinds, now = _seen(request), timezone.now()
    parts = [
        (f"{kind.title} ({found.late:,})", _table(request, kind, now))
        for kind in kinds
        if (found := tally(request, kind.model._meta.label_lower)).is_late
    ]
    waits = [
        [kind.title, kind.model.State(state).label, show.number(found.many), show.number(found.late),  # type: ignore[attr-defined]
         show.when(found.since), limit.owner, show.span(limit.length.total_seconds())]
        for kind in kinds
        for state, limit in kind.model.PATIENCE.items()  # type: ignore[attr-defined]
        if (found := tally(request, kind.model._meta.label_lower, state)).many
    ]  # fmt: skip
    table = show.table(
        ["Kind", "State", "Waiting", "Stuck", "Oldest", "Who moves it on", "Stuck after"],
        waits,
        right=(2, 3),
        empty="Nothing waits: whatever you may see is final.",
    )
    return [*parts, ("Everything that waits" if parts else "Nothing is stuck", table)]


def _table(request: HttpRequest, kind: Unfinished, now: datetime) -> SafeString:
    rows = ports.visible(request.user, kind.model._default_manager.filter(patience.late(kind.model, now)))
    oldest = rows.select_related(*kind.related).annotate(waits_since=patience.age_column(kind.model))
    return show.table(
        ["Waits since", "What", "State", "Who moves it on", "Why, and what next"],
        [
            [show.when(row.waits_since, tone=show.WRONG), kind.show(row) if kind.show else record_link(row),
             show.badge(row.get_state_display(), show.MINE), patience.of(row).owner, row.why]  # type: ignore[union-attr]
            for row in oldest.order_by("waits_since", "pk")[:AT_MOST]
        ],
    )  # fmt: skip


def _seen(request: HttpRequest) -> list[Unfinished]:
    return [kind for kind in ports.unfinished if request.user.has_perm(kind.permission)]


def _counted(request: HttpRequest) -> Mapping[str, dict[str, Tally]]:
    kept: dict[str, Mapping[str, dict[str, Tally]]] = request.__dict__
    if "_unfinished" not in kept:
        found: defaultdict[str, dict[str, Tally]] = defaultdict(dict)
        if asked := list(_questions(request.user)):
            with connection.cursor() as cursor:
                cursor.execute(
                    " UNION ALL ".join(f"({sql})" for sql, _ in asked),
                    list(chain.from_iterable(given for _, given in asked)),
                )
                for label, state, *counts in cursor.fetchall():
                    found[label][state] = Tally(*counts)
        kept["_unfinished"] = found
    return kept["_unfinished"]


def _questions(user: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for kind in ports.unfinished:
        everything = kind.model._default_manager.all()
        seen = ports.visible(user, everything)
        with suppress(EmptyResultSet):  # nothing of this kind is theirs to see
            yield _of_everything(kind.model) if seen is everything else _counts(seen)


@cache
def _of_everything(model: type[Model]) -> tuple[str, tuple[Any, ...]]:
    """The SQL for readers who may see every row. Making it takes far longer than asking it, and every page asks."""
    return _counts(model._default_manager.all())


def _counts(rows: QuerySet[Any]) -> tuple[str, tuple[Any, ...]]:
    """By state that is not final: how many there are and since when, by the database's clock, so that it can be kept."""
    model = rows.model
    late = patience.late(model, Now())
    named = rows.filter(state__in=list(model.PATIENCE)).order_by().annotate(
        kind_label=Value(model._meta.label_lower, CharField()),
        waits_since=patience.age_column(model),
    )  # fmt: skip
    asked = named.values("kind_label", "state").annotate(
        many=Count("pk"), late=Count("pk", filter=late), since=Min(F("waits_since")), late_since=Min(F("waits_since"), filter=late)
    ).values_list("kind_label", "state", "many", "late", "since", "late_since")  # fmt: skip
    sql, given = asked.query.sql_with_params()
    return sql, tuple(given)


def _older(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((instant for instant in (one, other) if instant is not None), default=None)


def _card(request: HttpRequest) -> Any:
    if not _seen(request):
        return
    found = stuck(request)
    yield Waiting(
        "Stuck", reverse(PAGE), found.late, found.late_since, True, "Past the age their state allows"
    )


ports.waiting.register("stuck", Card("", _card), order=5)
ports.sidebar.register(
    "stuck",
    Entry("My work", "Stuck", PAGE, "hourglass_bottom", "", lambda request: stuck(request).late, "danger"),
    order=10,
)
