"""Our list beside theirs, for everybody who keeps or pays money for us: what matches, and what waits on one side, how long.

    reconcilers.register("custodian", compare)   # compare(at) -> one Compared for each counterpart

A reconciler reads only. It may ask over a wire, so it runs at night and when somebody says so, outside of transactions.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection, transaction
from django.db.models import OuterRef, QuerySet, Subquery

from backoffice import events, metrics
from backoffice.registry import Port
from backoffice.who import By
from ledger.models import Reconciliation, Unmatched
from ledger.providers.port import ProviderError

Side = Unmatched.Side
# Of one counterpart so many are kept one by one.
AT_MOST: Final = 500
KEPT: Final = timedelta(days=400)
# Ages in days; the last has no end.
BUCKETS: Final = ((0, 1), (1, 3), (3, 7), (7, None))


@dataclass(frozen=True, slots=True)
class Waits:
    """One thing on one list alone, or unequal on both. `says` has no personal data in it."""

    side: str
    name: str
    says: str
    since: datetime
    amount: Decimal | None = None
    currency: str = ""
    subject: str = ""
    subject_pk: str = ""


@dataclass(slots=True)
class Compared:
    """A counterpart's list beside ours."""

    counterpart: str
    label: str
    matched: int = 0
    unmatched: list[Waits] = field(default_factory=list)


reconcilers: Final[Port[Callable[[datetime], Iterable[Compared]]]] = Port("who keeps lists beside ours")


@metrics.verb("reconciliation.run")
def run(name: str, *, by: By, at: datetime) -> list[Reconciliation]:
    """Compare with every counterpart of one reconciler and keep what was found; an event where it became equal or unequal.

    One that does not answer leaves what was found before, and says so.
    """
    begun = time.perf_counter()
    try:
        found, problem = list(reconcilers.get(name)(at)), ""
    except ProviderError as failed:
        found, problem = [], (failed.message or failed.code)[:200]
    took = round((time.perf_counter() - begun) * 1000)
    if problem:
        last = latest().filter(counterpart=name).first()
        return [
            Reconciliation.objects.create(
                counterpart=name, label=last.label if last else name.capitalize(), at=at, took_ms=took, matched=0,
                unmatched=standing(name).count(), problem=problem, by=by.name,
            )
        ]  # fmt: skip
    return [_keep(one, took_ms=took, by=by, at=at) for one in found]


def run_all(*, by: By, at: datetime) -> list[Reconciliation]:
    """Compare with everybody, and forget comparisons that are kept no longer."""
    rows = [row for name in reconcilers.names() for row in run(name, by=by, at=at)]
    Reconciliation.objects.filter(at__lt=at - KEPT).exclude(pk__in=latest().values("pk")).delete()
    return rows


def latest() -> QuerySet[Reconciliation]:
    """The last comparison with each counterpart."""
    last = Reconciliation.objects.filter(counterpart=OuterRef("counterpart")).order_by("-id")
    return Reconciliation.objects.filter(pk=Subquery(last.values("pk")[:1]))


def standing(counterpart: str) -> QuerySet[Unmatched]:
    """What does not match, the oldest first."""
    return Unmatched.objects.filter(counterpart=counterpart, gone_at=None).order_by("since", "id")


def bucket(since: datetime, at: datetime) -> int:
    """Which of `BUCKETS` something is in that waits since then."""
    days = (at - since) / timedelta(days=1)
    return next(place for place, (_, end) in enumerate(BUCKETS) if end is None or days < end)


def _keep(found: Compared, *, took_ms: int, by: By, at: datetime) -> Reconciliation:
    """Those still there keep their age, new ones begin, the others are gone."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Two at once would each begin the same rows.
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('reconciliation ' || %s, 0))", [found.counterpart]
        )
        before = latest().filter(counterpart=found.counterpart).first()
        row = Reconciliation.objects.create(
            counterpart=found.counterpart, label=found.label, at=at, took_ms=took_ms, matched=found.matched,
            unmatched=len(found.unmatched), by=by.name,
        )  # fmt: skip
        known = {(one.side, one.name): one for one in standing(found.counterpart)}
        given = {(str(one.side), one.name[:128]): one for one in found.unmatched}
        for place in known.keys() & given.keys():
            known[place].seen_at, known[place].says = at, given[place].says[:300]
            known[place].amount = given[place].amount
        both = [known[place] for place in known.keys() & given.keys()]
        Unmatched.objects.bulk_update(both, ["seen_at", "says", "amount"])
        gone = [one.pk for place, one in known.items() if place not in given]
        Unmatched.objects.filter(pk__in=gone).update(gone_at=at)
        new = [one for place, one in given.items() if place not in known][: max(AT_MOST - len(both), 0)]
        Unmatched.objects.bulk_create([
            Unmatched(
                counterpart=found.counterpart, side=one.side, name=one.name[:128], says=one.says[:300], amount=one.amount,
                currency_id=one.currency or None, subject=one.subject, subject_pk=one.subject_pk, since=one.since, seen_at=at,
            )
            for one in new
        ])  # fmt: skip
        if bool(found.unmatched) != bool(before and before.unmatched):
            events.record(
                "reconciliation.unequal" if found.unmatched else "reconciliation.equal", subject_type="reconciliation",
                subject_id=row.uuid, by=by, at=at,
                payload={"counterpart": found.counterpart, "matched": found.matched, "unmatched": len(found.unmatched)},
            )  # fmt: skip
    return row
