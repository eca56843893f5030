"""Post journal entries: one or many in one round trip, and reverse them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, connection

from backoffice.database import uuid7
from backoffice.errors import KeyReused
from backoffice.logs import correlation
from backoffice.who import By
from ledger.content import Subject, amount_text, checked_instant, checked_key, content_hash, subject_parts
from ledger.models import AccountRef, Entry, Hold, Side, account_id
from ledger.refusals import NothingToPost, refuse


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an entry to come: a positive amount on one side, in the account's own currency."""

    account: AccountRef
    side: Side | str
    amount: Decimal


# The side that lowers an account, whichever that is: resolved in the database, so that nothing need be read first.
LOWER: Final = "lower"


def debit(account: AccountRef, amount: Decimal) -> Line:
    """A debit of an account: raises assets and expenses, lowers the rest."""
    return Line(account, Side.DEBIT, amount)


def credit(account: AccountRef, amount: Decimal) -> Line:
    """A credit of an account: raises liabilities, income and equity, lowers the rest."""
    return Line(account, Side.CREDIT, amount)


@dataclass(frozen=True, slots=True)
class Balance:
    """What stands on an account, on its normal side, in its currency."""

    posted: Decimal
    held: Decimal

    @property
    def available(self) -> Decimal:
        return self.posted - self.held


@dataclass(frozen=True, slots=True)
class Posted:
    """The answer to a post. `entry_id` is None after a dry run.

    `balances` are by account id and stand right after the entry; after a replay they are as they stand now.
    """

    entry_id: int | None
    uuid: UUID
    replayed: bool
    balances: Mapping[int, Balance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry to be posted. `at` is when it counts, by our clock; the business date is its UTC date unless given.

    `captures` are holds this entry uses up, each with the amount it takes from it; what remains of them is freed.
    """

    kind: str
    lines: Sequence[Line]
    at: datetime
    key: str
    reference: str = ""
    narration: str = ""
    business_date: date | None = None
    subject: Subject = None
    client_id: UUID | None = None
    captures: Sequence[tuple[Hold, Decimal]] = ()
    reverses: Entry | None = None
    uuid: UUID = field(default_factory=uuid7)


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


def post_many(drafts: Iterable[Draft], *, by: By, dry_run: bool = False) -> list[Posted]:
    """Post any number of entries, in their order, as one statement: all of them or, on any refusal, none.

    Each entry may count on what the ones before it brought. A key that was posted before, or earlier in the same
    batch, answers with that entry. Everything else is as in `post`.

    :raises NothingToPost: if there are no drafts, or one has fewer than two lines. The other refusals of `post`.
    """
    drafts = list(drafts)
    first: dict[str, tuple[int, str]] = {}
    bodies: list[dict[str, Any]] = []
    answered_by: list[int] = []
    accounts: set[int] = set()
    for draft in drafts:
        body = _body(draft)
        place, earlier_hash = first.setdefault(draft.key, (len(bodies), body["hash"]))
        if earlier_hash != body["hash"]:
            refuse("key_reused", {})
        if place == len(bodies):
            bodies.append(body)
            accounts.update(line[0] for line in body["lines"])
            accounts.update(hold.account_id for hold, _ in draft.captures)
        answered_by.append(place)
    if not bodies:
        raise NothingToPost("There is nothing to post.")

    answer = _call(bodies, sorted(accounts), by, dry_run)
    if answer["status"] != "posted":
        refuse(answer["status"], answer)
    results: list[Posted | None] = [None] * len(bodies)
    for entry in answer["entries"]:
        results[entry["draft"] - 1] = _posted(entry, dry_run=dry_run)
    posted: list[Posted] = []
    for index, place in enumerate(answered_by):
        result = results[place]
        assert result is not None
        repeated = place in answered_by[:index]
        posted.append(Posted(result.entry_id, result.uuid, True, result.balances) if repeated else result)
    return posted


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


def _body(draft: Draft) -> dict[str, Any]:
    """A draft as the SQL function reads it."""
    if len(draft.lines) < 2:
        raise NothingToPost("An entry has at least two lines.")
    lines = [[account_id(line.account), str(line.side), amount_text(line.amount)] for line in draft.lines]
    captures = [[hold.pk, amount_text(amount)] for hold, amount in draft.captures]
    subject_type, subject_id = subject_parts(draft.subject)
    reverses = draft.reverses.pk if draft.reverses else None
    date_ = draft.business_date or draft.at.astimezone(UTC).date()
    return {
        "uuid": str(draft.uuid),
        "key": checked_key(draft.key),
        "hash": content_hash(
            "entry",
            draft.kind,
            sorted(lines),
            draft.reference,
            subject_type,
            subject_id,
            sorted(captures),
            reverses,
        ),
        "kind": draft.kind,
        "reference": draft.reference,
        "narration": draft.narration,
        "at": checked_instant(draft.at),
        "business_date": date_.isoformat(),
        "reverses": reverses,
        "subject_type": subject_type,
        "subject_id": subject_id,
        "client_id": str(draft.client_id) if draft.client_id else None,
        "lines": lines,
        "captures": captures,
    }


def _call(bodies: list[dict[str, Any]], accounts: list[int], by: By, dry_run: bool) -> dict[str, Any]:
    keys = [body["key"] for body in bodies]
    with connection.cursor() as cursor:
        try:
            cursor.execute(
                "SELECT ledger_post(%s::jsonb, %s::bigint[], %s::text[], %s, %s, %s, %s)",
                [json.dumps(bodies), accounts, keys, by.name, by.user_id, correlation.get(), dry_run],
            )
        except IntegrityError as error:
            # Only two requests at once with one key and wholly different accounts get here: no lock was shared.
            if "ledger_entry_key" in str(error):
                raise KeyReused("This key was used before with other content.") from error
            raise
        answer: dict[str, Any] = json.loads(cursor.fetchone()[0])
    return answer


def _posted(entry: dict[str, Any], *, dry_run: bool) -> Posted:
    balances = {
        int(account): Balance(Decimal(posted), Decimal(held))
        for account, (posted, held) in entry["balances"].items()
    }
    entry_id = None if dry_run and not entry["replayed"] else int(entry["id"])
    return Posted(entry_id, UUID(entry["uuid"]), entry["replayed"], MappingProxyType(balances))
