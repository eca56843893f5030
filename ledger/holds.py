"""Set money aside for one purpose: place, capture, release, expire, transfer. Each hold is resolved once."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, connection

from backoffice import metrics
from backoffice.database import uuid7
from backoffice.errors import KeyReused
from backoffice.logs import correlation
from backoffice.money import quantum
from backoffice.who import By
from ledger.content import Subject, amount_text, checked_instant, checked_key, content_hash, subject_parts
from ledger.drafts import LOWER, Balance, Line, Posted
from ledger.journal import post
from ledger.models import AccountRef, Hold, account_id
from ledger.refusals import refuse


@dataclass(frozen=True, slots=True)
class HoldResult:
    """The hold as it stands after the verb, and what its account then holds and has available."""

    hold: Hold
    balance: Balance
    replayed: bool


@metrics.verb("hold.place")
def place(
    *,
    account: AccountRef,
    amount: Decimal,
    purpose: str,
    by: By,
    at: datetime,
    key: str,
    expires_at: datetime | None = None,
    subject: Subject = None,
    client_id: uuid.UUID | None = None,
) -> HoldResult:
    """Hold an amount, in the account's currency, so that nothing else can use it. One round trip; locks the account.

    The same key with the same content (account, amount, purpose, subject, expiry) answers with the first hold, in
    whatever state it is by now. Writes the event `hold.placed`.

    :raises InsufficientFunds: if less is available, on unguarded accounts too.
    :raises InvalidAmount: if it is not above zero or has more decimals than the currency.
    :raises AccountClosed: if the account is closed. :raises KeyReused: if the key was used with other content.
    """
    return _place(
        source=None,
        account=account_id(account),
        amount=amount,
        purpose=purpose,
        by=by,
        at=at,
        key=key,
        expires_at=expires_at,
        subject=subject,
        client_id=client_id,
    )


@metrics.verb("hold.transfer")
def transfer(
    hold: Hold,
    *,
    by: By,
    at: datetime,
    key: str,
    to_account: AccountRef | None = None,
    amount: Decimal | None = None,
    purpose: str | None = None,
    expires_at: datetime | None = None,
    subject: Subject = None,
    client_id: uuid.UUID | None = None,
) -> HoldResult:
    """Resolve a hold as transferred and place another in its stead, with no moment in which the funds are free.

    What is not given is as on the first hold, except for the expiry: none unless given. Another account must be of
    the same book and currency and have the amount available; on the same account a larger amount needs the
    difference. One round trip; locks the accounts in primary-key order. The same key again answers with the hold
    it placed.

    :raises HoldResolved: if the hold is not open. Also the refusals of `place`.
    :raises MixedBooks: if the other account is of another book or currency.
    """
    if subject is None and hold.subject_id is not None:
        subject = (hold.subject_type, hold.subject_id)
    return _place(
        source=hold,
        account=hold.account_id if to_account is None else account_id(to_account),
        amount=hold.amount if amount is None else amount,
        purpose=hold.purpose if purpose is None else purpose,
        by=by,
        at=at,
        key=key,
        expires_at=expires_at,
        subject=subject,
        client_id=client_id or hold.client_id,
    )


def capture(
    hold: Hold,
    *,
    lines: Sequence[Line],
    kind: str,
    by: By,
    at: datetime,
    key: str,
    amount: Decimal | None = None,
    reference: str = "",
    narration: str = "",
    business_date: date | None = None,
    subject: Subject = None,
    client_id: uuid.UUID | None = None,
    dry_run: bool = False,
) -> Posted:
    """Use a hold up: take `amount` (all of it unless given) from its account to the accounts of `lines`, in one entry.

    The account is lowered (a liability is debited, an asset credited) as line 1; what remains of the hold is
    released. One round trip. Subject and client are the hold's unless given. The same key and content again answers
    with the first entry. Writes `hold.captured` and `journal.posted`.

    :raises HoldResolved: if the hold was resolved under another key or otherwise.
    :raises InvalidAmount: if the amount is above the hold's. Also the refusals of `journal.post`.
    """
    taken = hold.amount if amount is None else amount
    if subject is None and hold.subject_id is not None:
        subject = (hold.subject_type, hold.subject_id)
    return post(
        kind=kind,
        lines=[Line(hold.account_id, LOWER, taken), *lines],
        by=by,
        at=at,
        key=key,
        reference=reference,
        narration=narration,
        business_date=business_date,
        subject=subject,
        client_id=client_id or hold.client_id,
        captures=[(hold, taken)],
        dry_run=dry_run,
    )


@metrics.verb("hold.release")
def release(hold: Hold, *, by: By, at: datetime) -> HoldResult:
    """Give a hold's funds free again. Releasing a released hold answers with it as it is. One round trip.

    :raises HoldResolved: if it was captured, expired or transferred.
    """
    row = _call(_RELEASE, [hold.pk, hold.account_id, by.name, by.user_id, at, correlation.get()])
    return _result(row, "released")


def expire_due(at: datetime, limit: int = 500) -> int:
    """Expire up to `limit` open holds whose time has come by `at`, oldest first, and say how many. One round trip.

    Locks their accounts in primary-key order. Two at once do not expire a hold twice.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT ledger_holds_expire(%s, %s, %s, %s)",
            [at, limit, By.system("holds").name, correlation.get()],
        )
        return int(cursor.fetchone()[0])


_ANSWER: Final = "SELECT x.status, x.replayed, x.posted, x.held, x.exponent, (x.hold).* FROM "
_PLACE: Final = _ANSWER + "ledger_hold_place(%s, %s, %s::jsonb, %s, %s, %s) x"
_RELEASE: Final = _ANSWER + "ledger_hold_release(%s, %s, %s, %s, %s, %s) x"


def _place(
    *,
    source: Hold | None,
    account: int,
    amount: Decimal,
    purpose: str,
    by: By,
    at: datetime,
    key: str,
    expires_at: datetime | None,
    subject: Subject,
    client_id: uuid.UUID | None,
) -> HoldResult:
    subject_type, subject_id = subject_parts(subject)
    amount_ = amount_text(amount)
    expires = checked_instant(expires_at) if expires_at else None
    source_id = source.pk if source else None
    draft = {
        "uuid": str(uuid7()),
        "key": checked_key(key),
        "hash": content_hash("hold", account, amount_, purpose, subject_type, subject_id, expires, source_id),
        "amount": amount_,
        "purpose": purpose,
        "at": checked_instant(at),
        "expires_at": expires,
        "subject_type": subject_type,
        "subject_id": subject_id,
        "client_id": str(client_id) if client_id else None,
    }
    row = _call(_PLACE, [source_id, account, json.dumps(draft), by.name, by.user_id, correlation.get()])
    return _result(row, "placed")


def _call(sql: str, params: list[Any]) -> dict[str, Any]:
    with connection.cursor() as cursor:
        try:
            cursor.execute(sql, params)
        except IntegrityError as error:
            # Only two requests at once with one key and different accounts get here: no lock was shared.
            if "hold_key_once" in str(error):
                raise KeyReused("This key was used before with other content.") from error
            raise
        names = [column.name for column in cursor.description]
        return dict(zip(names, cursor.fetchone(), strict=True))


def _result(row: dict[str, Any], expected: str) -> HoldResult:
    status, replayed = row.pop("status"), row.pop("replayed")
    posted, exponent = row.pop("posted"), row.pop("exponent")
    if status != expected:
        refuse(status, row | {"exponent": exponent})
    balance = Balance(posted.quantize(quantum(exponent)), row.pop("held").quantize(quantum(exponent)))
    hold = Hold(**row)
    hold._state.adding, hold._state.db = False, connection.alias
    return HoldResult(hold, balance, replayed)
