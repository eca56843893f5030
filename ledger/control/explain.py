"""From a figure to the entries behind it, and from each to what it was about, who caused it, and why.

Apps say more about their own things: `explains.register("trade", …)` is given public ids and answers with facts, the
approval behind it or what the provider said, say. A page costs the same however many entries stand on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Q, QuerySet

from backoffice.models import Event
from backoffice.registry import Port
from compliance.models import Approval
from ledger.models import Account, Entry, Posting
from ledger.reports import latest_postings

Facts = list[tuple[str, str]]

# A verb takes no longer than that from its first statement to its last.
AFTER: Final = timedelta(minutes=1)

# By kind of subject: what else explains it, as labels and values.
explains: Final[Port[Callable[[set[UUID]], dict[UUID, Facts]]]] = Port("what explains an entry")


@dataclass(frozen=True, slots=True)
class Step:
    """One posting on the account: its entry, the event that caused it if one is known, and facts of its app.

    `cause` happened to what the entry is about, in the same transaction that posted it.
    """

    posting: Posting
    entry: Entry
    cause: Event | None
    facts: Facts


@dataclass(frozen=True, slots=True)
class Explained:
    """An account with a page of what moved on it, and where the next page begins, if there is one."""

    account: Account
    steps: list[Step]
    more: int | None


def explain(
    account_pk: int,
    *,
    accounts: QuerySet[Account],
    entries: QuerySet[Entry],
    before: int | None = None,
    at_most: int = 20,
) -> Explained | None:
    """The latest postings of an account, newest first; None if it is not among the accounts.

    `accounts` and `entries` are those the reader may see; `before` is a place that an earlier page gave. The account
    comes with its postings, in one question.
    """
    rows = latest_postings(account_pk).filter(account__in=accounts, entry__in=entries)
    rows = rows.select_related("entry__by_user", "account__currency")
    if before is not None:
        rows = rows.filter(id__lt=before)
    postings = list(rows[: at_most + 1])
    more, postings = len(postings) > at_most, postings[:at_most]
    account = (
        postings[0].account if postings else accounts.select_related("currency").filter(pk=account_pk).first()
    )
    if account is None:
        return None
    found = [posting.entry for posting in postings]
    causes, facts = _causes(found), _facts(found)
    steps = [
        Step(
            posting,
            posting.entry,
            causes.get(posting.entry.pk),
            facts.get(posting.entry.subject_id or posting.entry.uuid, []),
        )
        for posting in postings
    ]
    return Explained(account, steps, postings[-1].pk if more else None)


def agreed(approval: Approval | None) -> Facts:
    """Under which policy something was agreed to, and by whom; with `votes__by_user` fetched before it asks nothing."""
    if approval is None:
        return []
    return [
        ("Policy", str(approval.policy or "")),
        ("Agreed to by", ", ".join(str(vote.by_user) for vote in approval.votes.all())),
    ]


def _causes(entries: list[Entry]) -> dict[int, Event]:
    """For each entry the event about its subject that the same verb recorded: verbs post first and record after.

    So it is the first one after the event of the posting, in the same piece of work. One question.
    """
    about = {entry.uuid: entry for entry in entries if entry.subject_id}
    if not about:
        return {}
    times = [entry.recorded_at for entry in about.values()]
    postings = Q(subject_type="entry", subject_id__in=about, name="journal.posted")
    subjects = Q(
        subject_type__in={entry.subject_type for entry in about.values()},
        subject_id__in={entry.subject_id for entry in about.values()},
        recorded_at__range=(min(times), max(times) + AFTER),
    )
    marks: dict[UUID, Event] = {}
    others: dict[UUID, list[Event]] = {}
    rows = Event.objects.filter(postings | subjects).select_related("by_user", "reason")
    for event in rows.order_by("-id")[:1000]:
        if event.subject_id in about:
            marks[event.subject_id] = event
        else:
            others.setdefault(event.subject_id, []).append(event)
    found = {}
    for public_id, entry in about.items():
        mark = marks.get(public_id)
        later = [
            event
            for event in others.get(entry.subject_id, [])  # type: ignore[arg-type]
            if mark is not None and event.pk > mark.pk and event.correlation_id == mark.correlation_id
        ]
        if later:
            found[entry.pk] = min(later, key=lambda event: event.pk)
    return found


def _facts(entries: list[Entry]) -> dict[UUID, Facts]:
    wanted: dict[str, set[UUID]] = {}
    for entry in entries:
        if entry.subject_id is not None and entry.subject_type in explains.names():
            wanted.setdefault(entry.subject_type, set()).add(entry.subject_id)
    found: dict[UUID, Facts] = {}
    for kind, ids in wanted.items():
        found |= explains.get(kind)(ids)
    return found
