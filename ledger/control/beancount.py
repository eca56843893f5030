"""The books as beancount text, so that an outsider can check them with a program that is not ours (`bean-check`).

A debit is above zero, a credit below, as beancount has it. The text opens each account, begins with what stood before
the period, has every entry of it with its public id, and ends with what our own books say each account stands at.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from ledger.models import Book, Entry, Posting

ROOTS: Final = {
    "asset": "Assets", "liability": "Liabilities", "income": "Income", "expense": "Expenses", "equity": "Equity",
}  # fmt: skip

# Each account with what it stood at before the period and at its end, debits above zero.
_ACCOUNTS: Final = """
SELECT a.id, a.kind, a.purpose, a.owner_type, a.owner_id, a.shard, a.currency_id, c.exponent,
       CASE WHEN a.kind IN ('asset', 'expense') THEN a.posted ELSE -a.posted END - coalesce(m.since, 0),
       CASE WHEN a.kind IN ('asset', 'expense') THEN a.posted ELSE -a.posted END - coalesce(m.after, 0)
FROM ledger_account a JOIN backoffice_currency c ON c.code = a.currency_id
LEFT JOIN (
    SELECT p.account_id, sum(CASE p.side WHEN 'debit' THEN p.amount ELSE -p.amount END) AS since,
           coalesce(sum(CASE p.side WHEN 'debit' THEN p.amount ELSE -p.amount END)
                        FILTER (WHERE e.business_date > %(last)s), 0) AS after
    FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id
    WHERE e.book = %(book)s AND e.business_date >= %(first)s GROUP BY p.account_id
) m ON m.account_id = a.id
WHERE a.book = %(book)s ORDER BY a.id"""


class _Account(NamedTuple):
    name: str
    commodity: str
    exponent: int
    opening: Decimal
    closing: Decimal

    def amount(self, value: Decimal) -> str:
        return f"{value:.{self.exponent}f} {self.commodity}"

    def exactly(self, value: Decimal) -> str:
        """An amount to be found without any tolerance."""
        return f"{value:.{self.exponent}f} ~ 0 {self.commodity}"


def export(book: Book | str, first: date, last: date) -> Iterator[str]:
    """The text of a book from one business date to another, both included, in pieces that end with a line.

    All of one moment, unless it is read inside somebody else's transaction.
    """
    with _one_moment():
        accounts = _accounts(str(book), first, last)
        yield f"; Book “{Book(book).label}”, {first} to {last}. Debits are above zero.\n"
        yield f'option "title" "{Book(book).label}"\n\n'
        before = first - timedelta(days=1)
        for account in accounts.values():
            yield f"{before} open {account.name} {account.commodity}\n"
        yield from _opening(accounts, before)
        yield from _entries(accounts, str(book), first, last)
        for account in accounts.values():
            yield f"{last + timedelta(days=1)} balance {account.name}  {account.exactly(account.closing)}\n"


def _accounts(book: str, first: date, last: date) -> dict[int, _Account]:
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNTS, {"book": book, "first": first, "last": last})
        return {
            row[0]: _Account(_name(*row[1:7]), _commodity(row[6]), row[7], row[8], row[9])
            for row in cursor.fetchall()
        }


def _opening(accounts: dict[int, _Account], before: date) -> Iterator[str]:
    lines = [
        f"  {account.name}  {account.amount(account.opening)}\n"
        for account in accounts.values()
        if account.opening
    ]
    if lines:
        yield f'\n{before} * "What stood before the period"\n{"".join(lines)}'
    yield "\n"


def _entries(accounts: dict[int, _Account], book: str, first: date, last: date) -> Iterator[str]:
    rows = (
        Posting.objects.filter(
            entry__book=book, entry__business_date__gte=first, entry__business_date__lte=last
        )
        .order_by("entry__business_date", "entry_id", "line")
        .values_list("entry_id", "entry__business_date", "entry__uuid", "entry__kind", "entry__reference",
                     "entry__narration", "account_id", "side", "amount")
    )  # fmt: skip
    for _, postings in groupby(rows.iterator(chunk_size=5000), key=lambda row: row[0]):
        lines = list(postings)
        _, day, public_id, kind, reference, narration, *_ = lines[0]
        yield _heading(day, public_id, kind, reference, narration)
        for *_, account, side, amount in lines:
            found = accounts[account]
            yield f"  {found.name}  {found.amount(amount if side == 'debit' else -amount)}\n"
        yield "\n"


def _heading(day: date, public_id: UUID, kind: str, reference: str, narration: str) -> str:
    said = narration or kind.replace("_", " ").capitalize()
    return f'{day} * "{_quoted(said)}"\n  uuid: "{public_id}"\n  kind: "{_quoted(kind)}"\n' + (
        f'  reference: "{_quoted(reference)}"\n' if reference else ""
    )


def _name(kind: str, purpose: str, owner_type: str, owner_id: UUID | None, shard: int, currency: str) -> str:
    owner = f"{_part(owner_type)}-{owner_id}" if owner_type else f"House-{shard}"
    return ":".join([ROOTS[kind], _part(purpose), owner, _commodity(currency)])


def _part(words: str) -> str:
    """A part of an account's name: letters, digits and dashes, a capital letter or digit first."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-") or "X"
    return plain[0].upper() + plain[1:]


def _commodity(code: str) -> str:
    """A currency as beancount names it: a letter first."""
    return code if code[0].isalpha() else f"X{code}"


def _quoted(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("\\", "\\\\").replace('"', '\\"')


@contextmanager
def _one_moment() -> Iterator[None]:
    """Everything read inside is of one moment."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield


def count(book: Book | str, first: date, last: date) -> int:
    """How many entries such a text has."""
    return Entry.objects.filter(book=book, business_date__gte=first, business_date__lte=last).count()
