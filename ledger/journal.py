"""Post journal entries: one or many in one round trip, and reverse them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from backoffice import metrics
from backoffice.who import By
from ledger.batch import Batch
from ledger.content import Subject
from ledger.drafts import Balance, Draft, Line, Posted, credit, debit
from ledger.models import Entry, Hold, Side
from ledger.refusals import NothingToPost

__all__ = ["Balance", "Draft", "Line", "Posted", "credit", "debit", "post", "post_many", "reverse"]


@metrics.verb("journal.post")
def post(
    *,
    kind: str,
    lines: Sequence[Line],
    by: By,
    at: datetime,
    key: str,
    reference: str = "",
    narration: str = "",
    business_date: date | None = None,
    subject: Subject = None,
    client_id: UUID | None = None,
    captures: Sequence[tuple[Hold, Decimal]] = (),
    dry_run: bool = False,
) -> Posted:
    """Post one balanced entry, in one round trip and in the caller's transaction or its own.

    Locks the accounts in primary-key order, then looks for the key: the same key with the same content (kind,
    lines, reference, subject, captured holds) answers with the first entry and moves nothing. Nothing is rounded.
    The event `journal.posted` is written with it. A dry run answers the same, refusals too, and changes nothing.

    :raises NothingToPost: if there are fewer than two lines.
    :raises InvalidAmount: if an amount is not above zero, or has more decimals than its currency, or a hold is less
        than what is captured from it.
    :raises Unbalanced: if debits and credits differ in a currency.
    :raises MixedBooks: if the accounts are not all of one book.
    :raises AccountClosed: if an account is closed.
    :raises InsufficientFunds: if a guarded account would end below zero or below its holds.
    :raises DayClosed: if a business date was given that is closed in the book.
    :raises KeyReused: if the key was used with other content.
    :raises HoldResolved: if a hold to capture is not open.
    """
    draft = Draft(
        kind=kind,
        lines=lines,
        at=at,
        key=key,
        reference=reference,
        narration=narration,
        business_date=business_date,
        subject=subject,
        client_id=client_id,
        captures=captures,
    )
    return post_many([draft], by=by, dry_run=dry_run)[0]


@metrics.verb("journal.post_many")
def post_many(drafts: Iterable[Draft], *, by: By, dry_run: bool = False) -> list[Posted]:
    """Post any number of entries, in their order, as one statement: all of them or, on any refusal, none.

    Each entry may count on what the ones before it brought. A key that was posted before, or earlier in the same
    batch, answers with that entry. Everything else is as in `post`.

    :raises NothingToPost: if there are no drafts, or one has fewer than two lines. The other refusals of `post`.
    """
    batch = Batch()
    places = [batch.add(draft) for draft in drafts]
    if not places:
        raise NothingToPost("There is nothing to post.")
    results = batch.send(by, dry_run=dry_run)
    seen: set[int] = set()
    posted: list[Posted] = []
    for place in places:
        result = results[place]
        posted.append(replace(result, replayed=True) if place in seen else result)
        seen.add(place)
    return posted


@metrics.verb("journal.reverse")
def reverse(entry: Entry, *, reason: str, by: By, at: datetime, key: str) -> Posted:
    """Post the mirror image of an entry: each line on the other side, on the same accounts. Once only.

    Two round trips: the lines are read, then posted. The same key again answers with the first reversal.

    :raises AlreadyReversed: if the entry was reversed under another key. Also the refusals of `post`: what has been
        spent since cannot be taken back from a guarded account.
    """
    postings = entry.postings.order_by("line").values_list("account_id", "side", "amount")
    draft = Draft(
        kind="reversal",
        lines=[Line(account, Side(side).opposite, amount) for account, side, amount in postings],
        at=at,
        key=key,
        reference=entry.reference,
        narration=reason,
        subject=(entry.subject_type, entry.subject_id) if entry.subject_id else None,
        client_id=entry.client_id,
        reverses=entry,
    )
    return post_many([draft], by=by)[0]
