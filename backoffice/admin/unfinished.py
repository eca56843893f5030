"""What is not final, counted in one question for a whole page; and the page of what is stuck, whatever it is."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import CharField, Count, F, Min, Model, QuerySet, Value
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
# Stands for the present in a question that is put together once.
_THEN: Final = datetime(2000, 1, 1, tzinfo=UTC)
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
        for label, state, *counts in _asked(request, timezone.now()):
            found[label][state] = Tally(*counts)
        kept["_unfinished"] = found
    return kept["_unfinished"]


def _asked(request: HttpRequest, now: datetime) -> list[tuple[Any, ...]]:
    """One row for each kind and state of which something waits that this reader may see. One question."""
    parts: list[str] = []
    given: list[Any] = []
    for kind in ports.unfinished:
        every = kind.model._default_manager.all()
        seen = ports.visible(request.user, every)
        try:
            sql, params = _question(seen, now) if seen is not every else _prepared(kind.model)
        except EmptyResultSet:  # nothing of this kind is theirs to see
            continue
        parts.append(f"({sql})")
        given += [now - one if isinstance(one, timedelta) else one for one in params]
    if not parts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(parts), given)
        return cursor.fetchall()


@cache
def _prepared(model: type[Model]) -> tuple[str, tuple[Any, ...]]:
    """The question about all rows of a model; an instant stands as how long it is before the asking.

    Every page asks it, and Django takes longer to put it together than PostgreSQL to answer.
    """
    sql, params = _question(model._default_manager.all(), _THEN)
    return sql, tuple(_THEN - one if isinstance(one, datetime) else one for one in params)


def _question(rows: QuerySet[Any], now: datetime) -> tuple[str, tuple[Any, ...]]:
    model = rows.model
    late = patience.late(model, now)
    named = rows.filter(state__in=list(model.PATIENCE)).order_by().annotate(
        kind_label=Value(model._meta.label_lower, CharField()),
        waits_since=patience.age_column(model),
    )  # fmt: skip
    counted = named.values("kind_label", "state").annotate(
        many=Count("pk"), late=Count("pk", filter=late), since=Min(F("waits_since")), late_since=Min(F("waits_since"), filter=late)
    ).values_list("kind_label", "state", "many", "late", "since", "late_since")  # fmt: skip
    return counted.query.sql_with_params()


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
