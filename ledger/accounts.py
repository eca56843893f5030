"""Open, find and close ledger accounts, and read their balances at any time."""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from django.db import connection, transaction
from django.db.models import Case, DecimalField, F, Sum, When
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
    """The account for a purpose of an owner (None: the house), opened at zero if it is not there yet.

    Called twice, or by two at once, it answers with the same account. What an account is never changes afterwards.

    :raises AccountDiffers: if it exists as another kind, guarded otherwise, or for another client.
    """
    owner_type, owner_id = owner or ("", None)
    identity = {
        "book": str(book),
        "currency_id": currency,
        "purpose": purpose,
        "owner_type": owner_type,
        "owner_id": owner_id,
        "shard": shard,
    }
    account = Account.objects.filter(**identity).first()
    if account is None:
        row = Account(**identity, kind=str(kind), client_id=client_id, guarded=guarded, opened_at=at)
        Account.objects.bulk_create([row], ignore_conflicts=True)  # somebody else's row is as good as ours
        account = Account.objects.get(**identity)
    if (account.kind, account.guarded, account.client_id) != (str(kind), guarded, client_id):
        raise AccountDiffers("This account exists already, and is of another kind or another client's.")
    return account


def house(
    book: Book | str, currency: str, purpose: str, kind: Account.Kind | str, shard_key: object = None
) -> Account:
    """The house's own account for a purpose, unguarded; of a busy one the shard that `shard_key` falls on.

    Opened when first asked for, at the database's present time. The row may be some seconds old only in that its
    balances are read when it is fetched; what it is never changes.

    :raises AccountDiffers: if it exists as another kind.
    """
    shard = 0
    if shard_key is not None:
        digest = hashlib.sha256(str(shard_key).encode()).digest()
        shard = int.from_bytes(digest[:4]) % SHARDS.get(purpose, 1)
    identity = {
        "book": str(book),
        "currency_id": currency,
        "purpose": purpose,
        "owner_type": "",
        "shard": shard,
    }
    account = Account.objects.filter(**identity, owner_id=None).first()
    if account is None:
        row = Account(**identity, kind=str(kind), guarded=False, opened_at=Now())
        Account.objects.bulk_create([row], ignore_conflicts=True)
        account = Account.objects.get(**identity, owner_id=None)
    if account.kind != str(kind):
        raise AccountDiffers("This house account exists already and is of another kind.")
    return account


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
