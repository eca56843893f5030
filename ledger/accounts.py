"""Open, find and close ledger accounts, and read their balances at any time."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from types import MappingProxyType
from typing import Final, Literal

from django.db import connection, transaction
from django.db.models import Case, DecimalField, F, Q, Sum, When
from django.db.models.functions import Now

from backoffice import events
from backoffice.who import By
from ledger.models import Account, AccountRef, Book, Posting, account_id
from ledger.refusals import AccountDiffers, AccountNotEmpty

Owner = tuple[str, uuid.UUID] | None

# How many shards a busy house account has; one that is not named here has one.
SHARDS: Final[Mapping[str, int]] = MappingProxyType(
    {"venue_funding": 8, "venue_result": 8, "markup_income": 8, "markup_receivable": 8}
)

_ON_DAY: Final = """
SELECT a.posted - coalesce((
    SELECT sum(CASE WHEN (p.side = 'debit') = (a.kind IN ('asset', 'expense')) THEN p.amount ELSE -p.amount END)
    FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id AND p.account_id = a.id
    WHERE e.book = a.book AND e.business_date > %s), 0)
FROM ledger_account a WHERE a.id = %s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What an account is for and what it is like: which one it is, and how it is opened where it is not there yet."""

    book: Book | str
    currency: str
    kind: Account.Kind | str
    purpose: str
    owner: Owner = None
    client_id: uuid.UUID | None = None
    shard: int = 0
    guarded: bool = True

    @property
    def identity(self) -> tuple[str, str, str, str, uuid.UUID | None, int]:
        owner_type, owner_id = self.owner or ("", None)
        return str(self.book), self.currency, self.purpose, owner_type, owner_id, self.shard


def open_all(purposes: Sequence[Purpose], *, at: datetime | None = None) -> list[Account]:
    """The accounts for some purposes, in their order, each opened at zero if it is not there yet. One question for all.

    Called twice, or by two at once, it answers with the same accounts. What an account is never changes afterwards. What
    is opened is opened at `at`; without, at the database's present time. Balances are as when they were read.

    :raises AccountDiffers: if one exists as another kind, guarded otherwise, or for another client.
    """
    found = _found(purposes)
    _check(purposes, found)
    # In one order, whoever opens them: two at once that open the same ones wait for each other, never in a circle.
    missing = sorted(
        (one for one in purposes if one.identity not in found), key=lambda one: str(one.identity)
    )
    if missing:
        rows = [
            Account(**dict(zip(_IDENTITY, one.identity, strict=True)), kind=str(one.kind), client_id=one.client_id,
                    guarded=one.guarded, opened_at=at or Now())
            for one in missing
        ]  # fmt: skip
        Account.objects.bulk_create(rows, ignore_conflicts=True)  # somebody else's row is as good as ours
        found |= _found(missing)
        _check(missing, found)
    return [found[one.identity] for one in purposes]


def open_account(
    *,
    book: Book | str,
    currency: str,
    kind: Account.Kind | str,
    purpose: str,
    owner: Owner = None,
    client_id: uuid.UUID | None = None,
    shard: int = 0,
    guarded: bool = True,
    at: datetime,
) -> Account:
    """The one account for a purpose of an owner (None: the house), as `open_all`.

    :raises AccountDiffers: if it exists as another kind, guarded otherwise, or for another client.
    """
    one = Purpose(
        book=book, currency=currency, kind=kind, purpose=purpose, owner=owner, client_id=client_id, shard=shard,
        guarded=guarded,
    )  # fmt: skip
    return open_all([one], at=at)[0]


def of_house(
    book: Book | str, currency: str, purpose: str, kind: Account.Kind | str, shard_key: object = None
) -> Purpose:
    """The purpose of an account of the house's own, unguarded; of a busy one the shard that `shard_key` falls on."""
    shard = 0
    if shard_key is not None:
        digest = hashlib.sha256(str(shard_key).encode()).digest()
        shard = int.from_bytes(digest[:4]) % SHARDS.get(purpose, 1)
    return Purpose(book=book, currency=currency, kind=kind, purpose=purpose, shard=shard, guarded=False)


def house(
    book: Book | str, currency: str, purpose: str, kind: Account.Kind | str, shard_key: object = None
) -> Account:
    """The house's own account for a purpose (`of_house`), opened when first asked for.

    :raises AccountDiffers: if it exists as another kind.
    """
    return open_all([of_house(book, currency, purpose, kind, shard_key)])[0]


_IDENTITY: Final = ("book", "currency_id", "purpose", "owner_type", "owner_id", "shard")


_Found = dict[tuple[object, ...], Account]


def _check(purposes: Sequence[Purpose], found: _Found) -> None:
    for one in purposes:
        row = found.get(one.identity)
        is_like = (str(one.kind), one.guarded, one.client_id)
        if row is not None and (row.kind, row.guarded, row.client_id) != is_like:
            raise AccountDiffers("This account exists already, and is of another kind or another client's.")


def _found(purposes: Sequence[Purpose]) -> _Found:
    which = [Q(**dict(zip(_IDENTITY, one.identity, strict=True))) for one in purposes]
    rows = Account.objects.filter(reduce(or_, which))
    return {tuple(getattr(row, name) for name in _IDENTITY): row for row in rows}


def close(account: Account, *, by: By, at: datetime) -> Account:
    """Close an account for good: nothing is posted to it or held on it again. Closing it twice is once.

    Locks the account.

    :raises AccountNotEmpty: if its balance is not zero or something is held on it.
    """
    with transaction.atomic():
        row = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        if row.is_closed:
            return row
        if row.posted or row.held:
            raise AccountNotEmpty("An account can be closed only at zero and without holds.")
        row.is_closed = True
        row.save(update_fields=["is_closed"])
        events.record(
            "account.closed",
            subject_type="account",
            subject_id=row.uuid,
            client_id=row.client_id,
            by=by,
            at=at,
            payload={"book": row.book, "purpose": row.purpose},
        )
    return row


def balance_at(
    account: Account, *, at: datetime, basis: Literal["effective", "recorded"] = "effective"
) -> Decimal:
    """What the account's balance was at an instant, that instant included; on its normal side, in its currency.

    By `effective` it is what counts at that time, as known today (late entries included); by `recorded` it is what
    had been written by then, by the database's clock. Summed from the postings, exact, never rounded.
    """
    field = "entry__effective_at__lte" if basis == "effective" else "entry__recorded_at__lte"
    return _net(account, **{field: at})


def balance_on(account: AccountRef, *, day: date) -> Decimal:
    """What stood on the account at the end of a business date, on its normal side, as known now. Exact.

    What stands now less what was booked on later days, of one moment: cheap for the days just past.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ON_DAY, [day, account_id(account)])
        found: Decimal = cursor.fetchone()[0]
    return found


def balance_before(account: Account, *, at: datetime) -> Decimal:
    """The effective balance just before an instant: what a half-open period that begins there opens with."""
    return _net(account, entry__effective_at__lt=at)


def _net(account: Account, **which: datetime) -> Decimal:
    """The sum of some of an account's postings, on its normal side."""
    exact = DecimalField(max_digits=38, decimal_places=18)
    signed = Case(When(side=account.normal_side, then=F("amount")), default=-F("amount"), output_field=exact)
    total: Decimal | None = Posting.objects.filter(account=account, **which).aggregate(total=Sum(signed))[
        "total"
    ]
    return Decimal(0) if total is None else total
