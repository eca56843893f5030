"""What stood on a book at the end of a business date, without reading all that was ever posted.

A close keeps the totals of its day. What a later day stood at is those and what was booked since; a day nearer to now
is what stands now less what was booked after it. Whichever is nearer is read.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from django.db import connection

from ledger.models import Book, Closing


class Group(NamedTuple):
    """All accounts of one kind and purpose in one currency, the house's or of one kind of owner."""

    currency: str
    kind: str
    purpose: str
    owner_type: str


# Debits above zero, credits below.
Totals = dict[Group, Decimal]

_NOW: Final = """
SELECT currency_id, kind, purpose, owner_type,
       sum(CASE WHEN kind IN ('asset', 'expense') THEN posted ELSE -posted END) AS net
FROM ledger_account WHERE book = %(book)s GROUP BY 1, 2, 3, 4"""
_MOVED: Final = """
SELECT a.currency_id, a.kind, a.purpose, a.owner_type,
       sum(CASE p.side WHEN 'debit' THEN p.amount ELSE -p.amount END) AS net
FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id JOIN ledger_account a ON a.id = p.account_id
WHERE e.book = %(book)s AND e.business_date > %(after)s{until} GROUP BY 1, 2, 3, 4"""
_BEFORE: Final = f"""
SELECT currency_id, kind, purpose, owner_type, sum(net)
FROM ({_NOW} UNION ALL SELECT currency_id, kind, purpose, owner_type, -net FROM ({_MOVED.format(until="")}) later) both_
GROUP BY 1, 2, 3, 4"""


def now(book: Book | str) -> Totals:
    """What stands on a book at present, by its accounts."""
    return _read(_NOW, book=str(book))


def at_end_of(book: Book | str, day: date, *, today: date) -> Totals:
    """What stood on a book at the end of a business date, as known today. Exact.

    `today` is the present business date, by the caller's clock; it only decides from where to read.
    """
    closes = Closing.objects.standing(str(book))
    before = closes.filter(business_date__lte=day).order_by("-business_date")[:1]
    after = closes.filter(business_date__gt=day).order_by("business_date")[:1]
    # In days: what lies between the day and where it could be read from.
    between = {abs(close.business_date - day): close for close in before.union(after, all=True)}
    nearest = min([*between, abs(today - day)])
    if nearest not in between:
        return from_now(book, day)
    close = between[nearest]
    if close.business_date <= day:
        return _sum(of_closing(close), _moved(book, close.business_date, day), 1)
    return _sum(of_closing(close), _moved(book, day, close.business_date), -1)


def from_now(book: Book | str, day: date) -> Totals:
    """The same by the accounts alone, whatever a close says: what stands now less what was booked after the day."""
    return _read(_BEFORE, book=str(book), after=day)


def within(book: Book | str, first: date, last: date, *, today: date) -> Totals:
    """What moved on a book from one business date to another, both included."""
    begun = at_end_of(book, first - timedelta(days=1), today=today)
    return _sum(at_end_of(book, last, today=today), begun, -1)


def of_closing(closing: Closing) -> Totals:
    """What a close kept."""
    return {Group(*row[:4]): Decimal(row[4]) for row in closing.totals}


def kept(totals: Mapping[Group, Decimal]) -> list[list[str]]:
    """Totals as a close keeps them: in order, each amount as its one shortest text, groups at zero left out."""
    return [[*group, f"{net.normalize():f}"] for group, net in sorted(totals.items()) if net]


def unbalanced(totals: Mapping[Group, Decimal]) -> dict[str, Decimal]:
    """The currencies in which debits and credits differ, each with what debits are more."""
    sums: dict[str, Decimal] = {}
    for group, net in totals.items():
        sums[group.currency] = sums.get(group.currency, Decimal(0)) + net
    return {currency: net for currency, net in sums.items() if net}


def _moved(book: Book | str, after: date, until: date) -> Totals:
    """What was booked after one day, up to another, that included."""
    return _read(
        _MOVED.format(until=" AND e.business_date <= %(until)s"), book=str(book), after=after, until=until
    )


def _sum(found: Totals, other: Totals, sign: int) -> Totals:
    zero = Decimal(0)
    return {group: found.get(group, zero) + sign * other.get(group, zero) for group in {**found, **other}}


def _read(query: str, **given: str | date) -> Totals:
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return {Group(*row[:4]): row[4] for row in cursor.fetchall()}
