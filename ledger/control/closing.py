"""Close a business date of a book for good, in order, and reopen the last one with a reason."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.db import OperationalError, connection, transaction

from backoffice import events, keys, metrics
from backoffice.errors import DomainError, InvalidInput, MoveNotAllowed
from backoffice.who import By
from ledger.control import assertions, totals
from ledger.models import Book, Closing, Entry

# Entries that are just being posted hold a close up; it waits so long for them, and they wait behind it.
WAIT_MS: Final = 5000


class DayNotOver(InvalidInput):
    """A day is closed after it is over, by UTC."""

    code = "DAY_NOT_OVER"
    field = "business_date"


class AlreadyClosed(DomainError):
    """The day is closed already."""

    code = "DAY_ALREADY_CLOSED"
    field = "business_date"


class EarlierDayOpen(DomainError):
    """Days are closed in their order; one before this is still open."""

    code = "EARLIER_DAY_OPEN"
    field = "business_date"


class NotBalanced(DomainError):
    """Debits and credits of the book differ; nothing is closed on books that are wrong."""

    code = "BOOKS_NOT_BALANCED"


class AssertionsFail(DomainError):
    """An account does not stand where somebody said it does, on the day or before it."""

    code = "ASSERTIONS_FAIL"


class NotLastClosed(DomainError):
    """Only the last closed day of a book can be reopened."""

    code = "NOT_LAST_CLOSED"


class BooksBusy(DomainError):
    """Entries were being posted all the while; nothing was closed. Asking again is safe."""

    code = "BOOKS_BUSY"


@metrics.verb("closing.close")
def close(book: Book | str, business_date: date, *, by: By, at: datetime, key: str) -> Closing:
    """Close a day: keep what stood on the book at its end, chained by hash to the close before. Nothing is booked on it after.

    The first close of a book takes in everything before it; after that each day follows the one before. What counts on
    a closed day is booked on the next open one from now on. The same key for the same day returns the first close.
    Waits until no entry of the book is on its way, then lets none pass until the commit.

    :raises DayNotOver: if the day is not over, by UTC. :raises AlreadyClosed: if it is closed.
    :raises EarlierDayOpen: if a day between the last closed one and this is open.
    :raises NotBalanced: if debits and credits differ. :raises AssertionsFail: if an asserted balance is not there.
    :raises BooksBusy: if entries were being posted for five seconds. :raises KeyReused: if the key closed another day.
    """
    book = Book(book)
    content = f"{book}|{business_date}"
    with transaction.atomic():
        _lock(book)
        if keys.is_claimed(by=by, verb="closing.close", key=key):
            keys.claim(by=by, verb="closing.close", key=key, content=content, at=at)
            return Closing.objects.filter(book=book, business_date=business_date).latest("id")
        keys.claim(by=by, verb="closing.close", key=key, content=content, at=at)
        last = last_closed(book)
        _check(book, business_date, last, at=at)
        found = totals.from_now(book, business_date)
        if wrong := totals.unbalanced(found):
            raise NotBalanced(
                f"Debits and credits differ in {', '.join(sorted(wrong))}; verify the ledger first."
            )
        previous = Closing.objects.filter(book=book).order_by("-id").first()
        after = last.business_date if last else date.min
        many = Entry.objects.filter(
            book=book, business_date__gt=after, business_date__lte=business_date
        ).count()
        row = Closing(
            book=book, business_date=business_date, totals=totals.kept(found), entries=many, previous=previous,
            closed_at=at, closed_by=by.name, closed_by_user_id=by.user_id,
        )  # fmt: skip
        row.hash = hash_of(row, previous.hash if previous else "")
        row.save(force_insert=True)
        events.record(
            "closing.closed", subject_type="closing", subject_id=row.uuid, by=by, at=at, key=key,
            payload={"book": book.value, "business_date": f"{business_date}", "entries": many, "hash": row.hash},
        )  # fmt: skip
    return row


@metrics.verb("closing.reopen")
def reopen(closing: Closing, *, reason: str, by: By, at: datetime, key: str) -> Closing:
    """Take back the last close of a book: its day can be booked on again. The close stays on record, and in the chain.

    The same key again returns the close as it is. Locks the book as `close` does.

    :raises MoveNotAllowed: if it was reopened before. :raises NotLastClosed: if a later day is closed.
    :raises BooksBusy: as `close`. :raises KeyReused: if the key reopened another day.
    """
    with transaction.atomic():
        _lock(Book(closing.book))
        row = Closing.objects.select_for_update(no_key=True).get(pk=closing.pk)
        if keys.is_claimed(by=by, verb="closing.reopen", key=key):
            keys.claim(by=by, verb="closing.reopen", key=key, content=str(row.uuid), at=at)
            return row
        keys.claim(by=by, verb="closing.reopen", key=key, content=str(row.uuid), at=at)
        check_may_reopen(row)
        row.reopened_at, row.reopened_by = at, by.name
        row.save(update_fields=["reopened_at", "reopened_by"])
        events.record(
            "closing.reopened", subject_type="closing", subject_id=row.uuid, by=by, at=at, key=key,
            payload={"book": row.book, "business_date": f"{row.business_date}"}, reason=reason,
        )  # fmt: skip
    return row


def check_may_reopen(closing: Closing) -> None:
    """:raises MoveNotAllowed, NotLastClosed: as `reopen`."""
    if not closing.stands:
        raise MoveNotAllowed("This close was taken back already.")
    last = last_closed(closing.book)
    if last is None or last.pk != closing.pk:
        raise NotLastClosed("A later day is closed; days are reopened from the last.")


def last_closed(book: Book | str) -> Closing | None:
    """The book's last closed day, if any is."""
    return Closing.objects.standing(str(book)).order_by("-business_date").first()


def next_open(book: Book | str) -> date | None:
    """The first day of a book that is not closed; None while nothing was ever booked."""
    last = last_closed(book)
    if last is not None:
        return last.business_date + timedelta(days=1)
    first = Entry.objects.filter(book=book).order_by("id").first()
    return first.business_date if first else None


def hash_of(closing: Closing, previous: str) -> str:
    """SHA-256 over the hash of the close before and all that this one says; a close that was changed has another."""
    said = [previous, closing.book, f"{closing.business_date}", closing.entries, closing.totals]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def broken(book: Book | str) -> list[Closing]:
    """The closes of a book whose hash is not what they say, or that do not follow the one before. Reads them all."""
    wrong, before = [], None
    for row in Closing.objects.filter(book=book).order_by("id").iterator(chunk_size=200):
        follows = row.previous_id == (before.pk if before else None)
        if not follows or row.hash != hash_of(row, before.hash if before else ""):
            wrong.append(row)
        before = row
    return wrong


def _check(book: Book, day: date, last: Closing | None, *, at: datetime) -> None:
    if day >= at.astimezone(UTC).date():
        raise DayNotOver(f"{day} is not over yet, by UTC.")
    if last is not None and day <= last.business_date:
        raise AlreadyClosed(f"{day} is closed already.")
    if last is not None and day > last.business_date + timedelta(days=1):
        raise EarlierDayOpen(f"{last.business_date + timedelta(days=1)} is still open; close it first.")
    if failing := assertions.failing(book, through=day):
        raise AssertionsFail(f"{failing[0]} is not as asserted; {len(failing)} in all.")


def _lock(book: Book) -> None:
    """Have the book's days alone. :raises BooksBusy: if others keep it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(WAIT_MS)])
        try:
            cursor.execute("SELECT pg_advisory_xact_lock(ledger_days_lock(%s))", [book.value])
        except OperationalError as error:
            if "lock timeout" not in str(error):
                raise
            raise BooksBusy("Entries are being posted without a pause; try again.") from None
