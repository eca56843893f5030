"""Closing a day while entries of it are on their way, under real threads.

The twin without the shared lock shows what it is for: there the close passes an entry that is then booked on a closed day.
"""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, transaction

from ledger import accounts
from ledger.control import closing, totals
from ledger.models import Closing, Entry
from tests.ledger.world import BY, NOON, World, move, new_key
from tests.races.test_ledger_races import WAITING, kinds, together

pytestmark = pytest.mark.django_db(transaction=True)
DAY, LATER = NOON.date(), NOON + timedelta(days=3)


@pytest.fixture
def world(transactional_db: None) -> Iterator[World]:
    """A ledger that is really committed, and the lock put back afterwards."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('ledger_closed_through'::regproc)")
        source = cursor.fetchone()[0]
    yield World()
    with connection.cursor() as cursor:
        cursor.execute(source.replace("%", "%%"))


def without_the_lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('ledger_closed_through'::regproc)")
        source = cursor.fetchone()[0]
        lock = "PERFORM pg_advisory_xact_lock_shared(ledger_days_lock(of_book));"
        assert lock in source
        cursor.execute(source.replace(lock, "").replace("%", "%%"))


def close() -> Closing:
    return closing.close("demo", DAY, by=BY, at=LATER, key=new_key())


@pytest.mark.parametrize("locked", [True, False], ids=["with its lock", "without its lock"])
def test_a_close_waits_for_entries_on_their_way_and_takes_them_in(world: World, locked: bool) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    if not locked:
        without_the_lock()
    posted = threading.Event()

    def post_slowly() -> None:
        with transaction.atomic():
            move(ada, ben, 10)
            posted.set()
            with connection.cursor() as cursor:
                waits = closed = 0
                while not (waits or closed):
                    cursor.execute(f"SELECT count(*) {WAITING} AND locktype = 'advisory'")
                    waits = cursor.fetchone()[0]
                    cursor.execute("SELECT count(*) FROM ledger_closing")
                    closed = cursor.fetchone()[0]

    def close_meanwhile() -> Closing:
        assert posted.wait(20)
        return close()

    _, made = together(post_slowly, close_meanwhile)
    assert isinstance(made, Closing), made
    assert accounts.balance_on(ben, day=DAY) == 10
    kept_is_true = totals.kept(totals.from_now("demo", DAY)) == made.totals and made.entries == 2
    assert kept_is_true is locked


def test_what_waits_for_a_close_is_booked_on_the_day_after(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    outcomes = together(close, *(lambda: move(ada, ben, 1) for _ in range(5)))
    assert kinds(outcomes)["done"] == 6
    made = Closing.objects.get()
    days = Entry.objects.filter(kind="transfer").values_list("business_date", flat=True)
    assert made.entries == 1 + sum(day == DAY for day in days)
    assert set(days) <= {DAY, DAY + timedelta(days=1)}
    assert totals.kept(totals.from_now("demo", DAY)) == made.totals


def test_of_two_who_close_one_day_one_is_told_that_it_is_closed(world: World) -> None:
    world.wallet("ada", funds=100)
    outcomes = together(close, close)
    assert sorted(kinds(outcomes)) == ["AlreadyClosed", "done"]
    assert Closing.objects.count() == 1
