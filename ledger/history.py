"""A client's transaction history: what was posted to their wallets, and requests that are not, or never will be.

Each app says what its kinds of entries are to a client (`kinds`), and which requests of its own belong in the list
(`requests`). A request that was posted appears once, as its posting, with what its app knows about it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import Q

from backoffice.registry import Port
from ledger.models import Book, Entry, Posting

# A place in the list: the public id of an entry or request, and which line of it.
Place = tuple[UUID, int]


class Type(StrEnum):
    """What it was, to the client."""

    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRADE = "trade"
    TRADE_PAYOUT = "trade_payout"
    TRANSFER = "transfer"
    LOAN = "loan"
    LOAN_REPAYMENT = "loan_repayment"
    COMMISSION = "commission"
    MARKUP = "markup"
    REFERRAL_BONUS = "referral_bonus"
    SIGNAL_PURCHASE = "signal_purchase"
    FEE = "fee"
    ADJUSTMENT = "adjustment"
    OTHER = "other"


class Status(StrEnum):
    """Where it is. What was posted is completed."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of journal entry, as clients know it."""

    type: Type
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One line of the history. `amount` is above zero when the wallet gains; `balance` is the wallet's right after it."""

    uuid: UUID
    line: int
    type: Type
    status: Status
    words: str
    currency: str
    amount: Decimal
    created_at: datetime
    fee: Decimal | None = None
    reference: str = ""
    external_id: str = ""
    note: str = ""
    completed_at: datetime | None = None
    balance: Decimal | None = None

    @property
    def place(self) -> Place:
        return (self.uuid, self.line)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the app behind a posted request adds to its line, in words the client may read."""

    requested_at: datetime
    fee: Decimal | None = None
    reference: str = ""
    external_id: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of the history is wanted: newest first, `limit` lines after a place. Empty collections ask for all."""

    clients: Collection[UUID]
    limit: int
    after: Place | None = None
    types: Collection[Type] = ()
    statuses: Collection[Status] = ()
    currency: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def wants(self, type_: Type, *statuses: Status) -> bool:
        """Whether lines of this type, in one of these states, are asked for."""
        return (not self.types or type_ in self.types) and (
            not self.statuses or bool(set(statuses) & set(self.statuses))
        )


@dataclass(frozen=True, slots=True)
class Requests:
    """A kind of request in the history. Each function asks one question, however many lines there are.

    `unposted` gives those that are not posted (waiting, failed, cancelled), newest first by public id, before the place
    asked for; `about` what is known about posted ones, by public id.
    """

    unposted: Callable[[Asked], list[Transaction]]
    about: Callable[[set[UUID]], dict[UUID, About]]


# By kind of journal entry.
kinds: Final[Port[Kind]] = Port("kinds of entries, as clients know them")
# By kind of subject.
requests: Final[Port[Requests]] = Port("requests in the transaction history")


def page(asked: Asked) -> list[Transaction]:
    """The lines asked for, in the order of their public ids, which is that of time. As many questions as apps, not lines."""
    found = _posted(asked) if not asked.statuses or Status.COMPLETED in asked.statuses else []
    for source in requests:
        found += source.unposted(asked)
    found.sort(key=lambda one: one.place, reverse=True)
    return found[: asked.limit]


def kind_of(entry_kind: str) -> Kind:
    """What an entry is to a client; of a kind nobody named, its own name."""
    if entry_kind in kinds.names():
        return kinds.get(entry_kind)
    return Kind(Type.OTHER, entry_kind.replace("_", " ").capitalize())


def before(place: Place | None) -> Q:
    """Rows with a public id that come after a place in a list that is newest first, where each has one line."""
    return (
        Q() if place is None else Q(uuid__lt=place[0]) | (Q(uuid=place[0]) if place[1] > 0 else Q(pk__in=()))
    )


def _posted(asked: Asked) -> list[Transaction]:
    rows = Posting.objects.filter(
        account__client_id__in=asked.clients, account__purpose="wallet", account__book=Book.REAL
    )
    if asked.currency:
        rows = rows.filter(currency_id=asked.currency)
    if asked.types:
        named = [name for name in kinds.names() if kinds.get(name).type in asked.types]
        wanted = Q(entry__kind__in=named)
        if Type.OTHER in asked.types:
            wanted |= ~Q(entry__kind__in=kinds.names())
        rows = rows.filter(wanted)
    if asked.since is not None:
        rows = rows.filter(entry__effective_at__gte=asked.since)
    if asked.until is not None:
        rows = rows.filter(entry__effective_at__lt=asked.until)
    if asked.after is not None:
        public_id, line = asked.after
        rows = rows.filter(Q(entry__uuid__lt=public_id) | Q(entry__uuid=public_id, line__lt=line))
    postings = list(rows.select_related("entry").order_by("-entry__uuid", "-line")[: asked.limit])
    about = _about([posting.entry for posting in postings])
    return [_line(posting, about.get(posting.entry.subject_id or posting.entry.uuid)) for posting in postings]


def _about(entries: list[Entry]) -> dict[UUID, About]:
    wanted: dict[str, set[UUID]] = {}
    for entry in entries:
        if entry.subject_id is not None and entry.subject_type in requests.names():
            wanted.setdefault(entry.subject_type, set()).add(entry.subject_id)
    found: dict[UUID, About] = {}
    for kind, ids in wanted.items():
        found |= requests.get(kind).about(ids)
    return found


def _line(posting: Posting, about: About | None) -> Transaction:
    entry, kind = posting.entry, kind_of(posting.entry.kind)
    return Transaction(
        uuid=entry.uuid,
        line=posting.line,
        type=kind.type,
        status=Status.COMPLETED,
        words=kind.words,
        currency=posting.currency_id,
        amount=posting.amount if posting.side == "credit" else -posting.amount,
        created_at=about.requested_at if about else entry.effective_at,
        fee=about.fee if about else None,
        reference=(about.reference if about else "") or entry.reference,
        external_id=about.external_id if about else "",
        note=about.note if about else "",
        completed_at=entry.effective_at,
        balance=posting.balance_after,
    )


for _name, _kind in {
    "deposit": Kind(Type.DEPOSIT, "Deposit"),
    "withdrawal": Kind(Type.WITHDRAWAL, "Withdrawal"),
    "withdrawal_failed": Kind(Type.WITHDRAWAL, "Withdrawal not paid"),
    "withdrawal_returned": Kind(Type.WITHDRAWAL, "Withdrawal sent back"),
    "transfer": Kind(Type.TRANSFER, "Transfer"),
    "exchange": Kind(Type.TRANSFER, "Exchange"),
    "fee": Kind(Type.FEE, "Fee"),
    "adjustment": Kind(Type.ADJUSTMENT, "Adjustment"),
    "reversal": Kind(Type.ADJUSTMENT, "Correction"),
}.items():
    kinds.register(_name, _kind)
