"""What must hold in the books, said in a sentence, checked by the clock, with whoever breaks it and since when.

    invariants.register("holds_have_a_reason", Invariant("Every open hold is for something that is still going on.", check))

A check is set-based and bounded: at most a second on a million postings, or `nightly`. It reads only.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import DatabaseError, connection, transaction
from django.db.models import OuterRef, QuerySet, Subquery

from backoffice import events, metrics
from backoffice.registry import Port
from backoffice.who import By
from ledger.models import InvariantOffender, InvariantRun

# Offenders of one invariant that are kept one by one; a check need not find more.
AT_MOST: Final = 100
# How long runs are kept; what broke an invariant is kept for good.
KEPT: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Offender:
    """One thing that breaks an invariant: a record by its kind (`ledger.account`) and key, or just a name.

    `says` has no personal data in it. `since` is when it began, if the check can tell; else when it was first seen.
    """

    subject: str
    key: str
    says: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Invariant:
    """A sentence that is true of sound books, and how to find what makes it false."""

    sentence: str
    check: Callable[[datetime], Iterable[Offender]]
    is_nightly: bool = False


invariants: Final[Port[Invariant]] = Port("invariants")


@metrics.verb("invariants.run")
def run(name: str, *, by: By, at: datetime) -> InvariantRun:
    """Check one invariant and keep what was found. One that holds again, or breaks, is an event.

    A check that fails itself counts as one offender, which says so.
    """
    invariant, begun = invariants.get(name), time.perf_counter()
    try:
        with transaction.atomic():
            found = {(one.subject, one.key): one for one in invariant.check(at)}
    except DatabaseError as error:
        found = {("", "check"): Offender("", "check", f"It could not be checked: {type(error).__name__}.")}
    took = time.perf_counter() - begun
    with transaction.atomic(), connection.cursor() as cursor:
        # Two at once would each begin the same offenders.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('invariant ' || %s, 0))", [name])
        before = latest().filter(invariant=name).first()
        row = InvariantRun.objects.create(
            invariant=name, at=at, took_ms=round(took * 1000), found=len(found), by=by.name
        )
        _keep(name, found, at)
        if bool(found) != bool(before and before.found):
            events.record(
                "invariant.broken" if found else "invariant.mended", subject_type="invariant_run",
                subject_id=row.uuid, by=by, at=at, payload={"invariant": name, "found": len(found)},
            )  # fmt: skip
    return row


def run_all(*, nightly: bool, by: By, at: datetime) -> list[InvariantRun]:
    """Check every invariant, those that read everything only if `nightly`; forget runs that are kept no longer."""
    names = [name for name in invariants.names() if nightly or not invariants.get(name).is_nightly]
    rows = [run(name, by=by, at=at) for name in names]
    InvariantRun.objects.filter(at__lt=at - KEPT).exclude(pk__in=latest().values("pk")).delete()
    return rows


def latest() -> QuerySet[InvariantRun]:
    """The last run of each invariant."""
    last = InvariantRun.objects.filter(invariant=OuterRef("invariant")).order_by("-id")
    return InvariantRun.objects.filter(invariant__in=invariants.names(), pk=Subquery(last.values("pk")[:1]))


def standing(name: str) -> QuerySet[InvariantOffender]:
    """What broke it at its last run, the oldest first."""
    return InvariantOffender.objects.filter(invariant=name, gone_at=None).order_by("since", "id")


def sentence(name: str) -> str:
    """What it says; of one that is not checked any more, its name."""
    known = name in invariants.names()
    return invariants.get(name).sentence if known else name.replace("_", " ").capitalize()


def _keep(name: str, found: dict[tuple[str, str], Offender], at: datetime) -> None:
    """Those still there keep their age, new ones begin, the others are gone."""
    known = {(row.subject, row.subject_pk): row for row in standing(name)}
    for place in known.keys() & found.keys():
        known[place].seen_at, known[place].says = at, found[place].says[:300]
    InvariantOffender.objects.bulk_update(
        [known[each] for each in known.keys() & found.keys()], ["seen_at", "says"]
    )
    gone = [row.pk for place, row in known.items() if place not in found]
    InvariantOffender.objects.filter(pk__in=gone).update(gone_at=at)
    room = max(AT_MOST - len(known) + len(gone), 0)
    InvariantOffender.objects.bulk_create([
        InvariantOffender(invariant=name, subject=one.subject, subject_pk=one.key, says=one.says[:300],
                          since=one.since or at, seen_at=at)
        for place, one in list(found.items()) if place not in known
    ][:room])  # fmt: skip
