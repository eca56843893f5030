"""A monitoring rule tried on what clients did: what it would have said of each, and what would have become of them. Changes nothing."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Prefetch

from backoffice.models import User
from backoffice.registry import Port
from compliance.conditions import Case, Facts, came_true
from compliance.models import Activity, Decision, MonitoringRule, Outcome

# The newest so many are looked at; each may take a question or two.
AT_MOST: Final = 500
EXAMPLES: Final = 20

# By kind of subject: what compliance cannot know of things with these public ids, as it was when they were asked for.
facts: Final[Port[Callable[[set[UUID]], Mapping[UUID, Facts]]]] = Port(
    "what only an app knows of an activity"
)


@dataclass(frozen=True, slots=True)
class Came:
    """One activity of which the rule would have come true: how staff read that, and what became of it without and with it."""

    activity: Activity
    message: str
    was: Outcome
    would_be: Outcome


@dataclass(frozen=True, slots=True)
class Trial:
    """How many were looked at, how they ended without the rule and would have with it; and those it would have spoken of."""

    looked_at: int
    is_all: bool
    was: Mapping[Outcome, int]
    would_be: Mapping[Outcome, int]
    came: tuple[Came, ...]


def run(rule: MonitoringRule, *, days: int, reader: User, at: datetime) -> Trial:
    """Look at what the clients this reader may see did in the last so many days, the newest first, by the rule as it is given.

    Each is judged as of when it was asked for, by what we know of its client today (level, risk, standing): those change
    without a trace that could be asked for all at once. What else spoke against it then counts as it did then.
    """
    decided = Prefetch("decisions", queryset=Decision.objects.order_by("id"))
    rows = Activity.objects.visible_to(reader).filter(
        at__gte=at - timedelta(days=days), decisions__isnull=False
    )
    found = list(
        rows.distinct()
        .order_by("-id")
        .select_related("client", "currency")
        .prefetch_related(decided)[: AT_MOST + 1]
    )
    known = _facts(found)
    judged = [_judge(rule, row, known.get(row.subject_id, Facts())) for row in found[:AT_MOST]]
    return Trial(
        looked_at=len(judged),
        is_all=len(found) <= AT_MOST,
        was=Counter(one.was for one in judged),
        would_be=Counter(one.would_be for one in judged),
        came=tuple(one for one in judged if one.message),
    )


def _judge(rule: MonitoringRule, row: Activity, known: Facts) -> Came:
    message = came_true(rule, Case(row, row.client, known, row.at, is_past=True))
    first = next(iter(row.decisions.all()))
    others = [Outcome(reason["outcome"]) for reason in first.reasons if reason["code"] != rule.code]
    was = _worst(others)
    return Came(row, message, was, _worst([*others, Outcome(rule.outcome)]) if message else was)


def _worst(outcomes: list[Outcome]) -> Outcome:
    return max(outcomes, key=Decision.SEVERITY.index, default=Outcome.ALLOW)


def _facts(rows: list[Activity]) -> dict[UUID, Facts]:
    wanted: dict[str, set[UUID]] = {}
    for row in rows:
        if row.subject_type in facts.names():
            wanted.setdefault(row.subject_type, set()).add(row.subject_id)
    return {
        public_id: known for kind, ids in wanted.items() for public_id, known in facts.get(kind)(ids).items()
    }
