"""A day is closed for good, in order, and chained; what comes late is booked on the next open day."""

from datetime import date, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from backoffice.errors import DomainError, KeyReused, MoveNotAllowed
from backoffice.models import Event
from ledger import journal
from ledger.control import assertions, closing, totals
from ledger.models import Closing, Entry
from ledger.refusals import DayClosed
from tests.ledger.test_verify import tamper
from tests.ledger.world import BY, NOON, D, World, move, new_key, picture, transfer_lines

DAY = NOON.date()
LATER = NOON + timedelta(days=4)


def close(day: date = DAY, **given: object) -> Closing:
    return closing.close("demo", day, **{"by": BY, "at": LATER, "key": new_key(), **given})  # type: ignore[arg-type]


def refused(refusal: type[DomainError], day: date = DAY, **given: object) -> None:
    before = (picture(), Closing.objects.count())
    with pytest.raises(refusal), transaction.atomic():
        close(day, **given)
    assert (picture(), Closing.objects.count()) == before


def test_a_close_keeps_what_stood_on_the_book_at_the_end_of_the_day(world: World) -> None:
    ada, ben = world.wallet("ada", funds="100.50"), world.wallet("ben")
    move(ada, ben, 30, at=NOON + timedelta(days=1))
    made = close()
    assert made.totals == [
        ["USD", "asset", "bank", "", "100.5"], ["USD", "liability", "wallet", "client", "-100.5"],
    ]  # fmt: skip
    assert (made.entries, made.previous, made.hash) == (1, None, closing.hash_of(made, ""))
    event = Event.objects.get(name="closing.closed")
    assert (event.subject_id, event.payload["hash"]) == (made.uuid, made.hash)


def test_each_close_is_chained_to_the_one_before_and_a_changed_one_is_found(world: World) -> None:
    world.wallet("ada", funds=100)
    first, second = close(), close(DAY + timedelta(days=1))
    assert second.previous == first and second.hash == closing.hash_of(second, first.hash)
    assert closing.broken("demo") == []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE ledger_closing SET entries = 7 WHERE id = %s", [first.pk])
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert closing.broken("demo") == [first]


def test_the_same_key_closes_once_and_is_good_for_no_other_day(world: World) -> None:
    world.wallet("ada", funds=100)
    key = new_key()
    assert close(key=key) == close(key=key)
    refused(KeyReused, DAY + timedelta(days=1), key=key)


def test_days_are_closed_in_order_once_and_after_they_are_over(world: World) -> None:
    world.wallet("ada", funds=100)
    refused(closing.DayNotOver, at=NOON)
    refused(closing.DayNotOver, LATER.date())
    close()
    refused(closing.AlreadyClosed)
    refused(closing.AlreadyClosed, DAY - timedelta(days=1))
    refused(closing.EarlierDayOpen, DAY + timedelta(days=2))
    close(DAY + timedelta(days=1))


def test_books_that_do_not_balance_are_not_closed(world: World) -> None:
    world.wallet("ada", funds=100)
    tamper("UPDATE ledger_account SET posted = posted + 1 WHERE purpose = 'bank'")
    refused(closing.NotBalanced)


def test_a_day_is_not_closed_while_an_asserted_balance_is_not_there(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    asserted = assertions.enter(ada, on=DAY, amount="99.00", by=BY, at=LATER, key=new_key())
    refused(closing.AssertionsFail)
    assertions.resolve(asserted, reason="A typing mistake of ours.", by=BY, at=LATER, key=new_key())
    close()


def test_what_counts_on_a_closed_day_is_booked_on_the_next_open_one(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    close()
    late, early = move(ada, ben, 1), move(ada, ben, 1, at=NOON - timedelta(days=9))
    rows = Entry.objects.filter(pk__in=[late.entry_id, early.entry_id])
    assert {row.business_date for row in rows} == {DAY + timedelta(days=1)}
    assert rows.get(pk=late.entry_id).effective_at == NOON
    other = move(world.wallet("eve", funds=5, book="real"), world.wallet("ben", book="real"), 1)
    assert Entry.objects.get(pk=other.entry_id).business_date == DAY, "the other book is open"
    on_time = move(ada, ben, 1, at=LATER)
    assert Entry.objects.get(pk=on_time.entry_id).business_date == LATER.date()


def test_a_closed_day_that_is_asked_for_by_name_is_refused_and_nothing_moves(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    close()
    before = picture()
    with pytest.raises(DayClosed, match=f"{DAY} is closed"):
        move(ada, ben, 1, business_date=DAY)
    good = journal.Draft(kind="transfer", lines=transfer_lines(ada, ben, 1), at=LATER, key=new_key())
    bad = journal.Draft(
        kind="transfer", lines=transfer_lines(ada, ben, 1), at=LATER, key=new_key(), business_date=DAY
    )
    with pytest.raises(DayClosed):
        journal.post_many([good, bad], by=BY)
    assert picture() == before


def test_the_database_itself_books_nothing_on_a_closed_day(world: World) -> None:
    from tests.ledger.test_guards import write

    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_date")
        today = cursor.fetchone()[0]
    later = datetime.combine(today + timedelta(days=9), NOON.timetz())
    closing.close("demo", today - timedelta(days=1), by=BY, at=later, key=new_key())
    write((ada, "USD", 1, "debit", "7", "93"), (ben, "USD", 2, "credit", "7", "7"))
    closing.close("demo", today, by=BY, at=later, key=new_key())
    before = picture()
    with pytest.raises(IntegrityError, match="is closed in this book"), transaction.atomic():
        write((ada, "USD", 1, "debit", "7", "86"), (ben, "USD", 2, "credit", "7", "14"))
    assert picture() == before


def test_only_the_last_closed_day_is_reopened_once_and_its_close_stays_in_the_chain(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    first, second = close(), close(DAY + timedelta(days=1))
    with pytest.raises(closing.NotLastClosed):
        closing.reopen(first, reason="A late bank fee.", by=BY, at=LATER, key=new_key())
    key = new_key()
    for _ in range(2):
        closing.reopen(second, reason="A late bank fee.", by=BY, at=LATER, key=key)
    assert Event.objects.get(name="closing.reopened").reason.text == "A late bank fee."
    with pytest.raises(MoveNotAllowed):
        closing.reopen(second, reason="Again.", by=BY, at=LATER, key=new_key())
    move(ada, ben, 1, business_date=DAY + timedelta(days=1))
    third = close(DAY + timedelta(days=1))
    assert (third.previous, third.entries) == (second, 1)
    assert closing.broken("demo") == []


@pytest.mark.parametrize(
    "change",
    [
        "entries = 9",
        "reopened_at = NULL, reopened_by = ''",
        "business_date = '2026-01-01', reopened_at = now()",
    ],
)
def test_a_close_is_never_changed_but_taken_back_once(world: World, change: str) -> None:
    world.wallet("ada", funds=100)
    made = close()
    if "NULL" in change:
        closing.reopen(made, reason="A late bank fee.", by=BY, at=LATER, key=new_key())
    for statement in (f"UPDATE ledger_closing SET {change}", "DELETE FROM ledger_closing"):
        with (
            pytest.raises(IntegrityError, match="ledger:"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_what_stood_at_the_end_of_a_day_is_the_same_from_a_close_and_from_now(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben", funds="0.01")
    for number in range(6):
        move(ada, ben, number + 1, at=NOON + timedelta(days=number))
    days = [DAY + timedelta(days=number) for number in range(-1, 7)]
    today = DAY + timedelta(days=30)
    plain = {day: totals.kept(totals.from_now("demo", day)) for day in days}
    for day in days[1:4]:
        close(day, at=NOON + timedelta(days=30))
    for day in days:
        assert totals.kept(totals.at_end_of("demo", day, today=today)) == plain[day]
        assert totals.kept(totals.at_end_of("demo", day, today=day)) == plain[day]
    moved = totals.within("demo", days[2], days[3], today=today)
    assert not totals.unbalanced(moved)
    assert totals.kept(totals.now("demo")) == plain[days[-1]]
    assert D(0) in moved.values()
