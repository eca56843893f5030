"""Quotes and wallets used by several at once, with real threads: each quote once, each balance once."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.db.models import QuerySet

from backoffice.models import Currency
from compliance import limits
from compliance.models import Activity, Window
from ledger import adjustments, transfers
from ledger.models import Adjustment, Quote, Transfer
from ledger.refusals import InsufficientFunds
from tests.ledger import transferring as desk
from tests.ledger.transferring import NOW
from tests.races.counting import without_locks_both_count_before_either_goes_on
from tests.races.test_trade_races import at_once, count

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def amina():
    desk.rate()
    desk.spread(50)
    return desk.funded("1000.00")


def outcomes(results):
    return sorted(type(one).__name__ for one in results)


def test_twin_without_the_client_s_lock_both_find_the_quote_unused_and_only_the_database_stops_one(
    amina, monkeypatch
):
    quote = desk.quote(amina)
    both_have_looked, seen = threading.Barrier(2), threading.local()
    plain = QuerySet.exists

    def exists(self):
        found = plain(self)
        if self.model is Transfer and not getattr(seen, "once", False):
            seen.once = True
            both_have_looked.wait(10)
        return found

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    monkeypatch.setattr(QuerySet, "exists", exists)
    results = at_once(lambda: desk.exchange(quote, key="one"), lambda: desk.exchange(quote, key="two"))
    monkeypatch.undo()
    assert sum(isinstance(one, IntegrityError) for one in results) == 1, (
        "a bug and no answer, without the lock"
    )
    assert desk.in_wallet(amina) == 900


def test_a_quote_used_by_several_at_once_is_used_once(amina):
    quote = desk.quote(amina)
    results = at_once(*[lambda key=key: desk.exchange(quote, key=key) for key in ("a", "b", "c", "d")])
    assert outcomes(results) == ["QuoteUsed", "QuoteUsed", "QuoteUsed", "Transfer"]
    assert (desk.in_wallet(amina), desk.in_wallet(amina, "USD"), count("transfer.done")) == (
        900,
        desk.D("109.45"),
        1,
    )


def test_the_same_exchange_sent_several_times_at_once_is_one(amina):
    quote = desk.quote(amina)
    results = at_once(*[lambda: desk.exchange(quote, key="one") for _ in range(4)])
    assert len({one.pk for one in results}) == 1 and desk.in_wallet(amina) == 900


def test_a_quote_that_runs_out_while_it_is_used_is_used_in_time_or_not_at_all(amina):
    """Whoever came in time uses it, however the two wait for each other; whoever came late never does."""
    quote = desk.quote(amina)
    late, in_time = quote.valid_until, quote.valid_until - timedelta(microseconds=1)
    results = at_once(
        lambda: desk.exchange(quote, at=late, key="late"),
        lambda: desk.exchange(quote, at=in_time, key="in-time"),
    )
    assert isinstance(results[1], Transfer) and isinstance(
        results[0], transfers.QuoteExpired | transfers.QuoteUsed
    )
    assert Quote.objects.get(pk=quote.pk).transfer == results[1]


def test_two_transfers_out_of_one_balance_take_what_is_there_once(amina):
    people = [desk.desk.client("Lucas", f"Ferreira {number}") for number in range(2)]
    for person in people:
        desk.code(person)
    results = at_once(*[lambda person=person: desk.sent(amina, person, "600.00") for person in people])
    assert outcomes(results) == ["InsufficientFunds", "Transfer"]
    assert desk.in_wallet(amina) == 400 and sum(desk.in_wallet(person) for person in people) == 600
    assert Activity.objects.filter(kind="transfer").count() == 1, "of the one refused nothing stays"


def test_twin_without_the_client_s_lock_the_ledger_alone_still_keeps_the_balance(amina, monkeypatch):
    people = [desk.desk.client("Lucas", f"Ferreira {number}") for number in range(2)]
    for person in people:
        desk.code(person)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    results = at_once(*[lambda person=person: desk.sent(amina, person, "600.00") for person in people])
    monkeypatch.undo()
    assert sum(isinstance(one, InsufficientFunds) for one in results) == 1 and desk.in_wallet(amina) == 400


def narrow(amina):
    """Amina may send 40.00 a day, and has sent Lucas so little that it does not count; he has a wallet."""
    lucas = desk.desk.client("Lucas", "Ferreira")
    desk.sent(amina, lucas, "0.01")
    limits.override(
        amina, "transfer", Currency.objects.get(pk="EUR"), Window.DAY, "40.01", expires_at=NOW + timedelta(days=1),
        by=desk.BY, at=NOW, key="narrow", reason="For this test.",
    )  # fmt: skip
    return lucas


def used(client):
    return next(
        room.used for room in limits.of(client, "transfer", "EUR", at=NOW) if room.window == Window.DAY
    )


def test_of_several_transfers_at_once_only_those_with_room_are_done(amina):
    lucas = narrow(amina)
    results = at_once(*[lambda: desk.sent(amina, lucas, "25.00")] * 4)
    assert sorted(one.state for one in results) == ["blocked", "blocked", "blocked", "done"]
    assert (desk.in_wallet(lucas), used(amina)) == (desk.D("25.01"), desk.D("25.01"))


def test_twin_without_the_client_s_lock_two_transfers_use_the_same_room(amina, monkeypatch):
    lucas = narrow(amina)
    without_locks_both_count_before_either_goes_on(monkeypatch)
    results = at_once(*[lambda: desk.sent(amina, lucas, "25.00")] * 2)
    monkeypatch.undo()
    assert [one.state for one in results] == ["done", "done"]
    assert used(amina) == desk.D("50.01"), "without the lock more went through than the limit allows"


def test_transfers_to_each_other_at_once_do_not_wait_for_each_other_forever(amina):
    lucas = desk.funded("1000.00", first_name="Lucas", last_name="Ferreira")
    desk.code(lucas), desk.code(amina)
    calls = [lambda: desk.sent(amina, lucas, "10.00"), lambda: desk.sent(lucas, amina, "10.00")] * 3
    results = at_once(*calls)
    assert outcomes(results) == ["Transfer"] * 6
    assert desk.in_wallet(amina) == desk.in_wallet(lucas) == 1000


def test_one_adjustment_is_reversed_by_one_of_several_at_once(amina):
    row = desk.adjustment(amina)
    desk.approve(row)
    row = adjustments.whole().get(pk=row.pk)
    results = at_once(*[
        lambda key=key: adjustments.reverse(row, reason="A mistake.", by=desk.BY, at=NOW, key=key) for key in ("a", "b", "c")
    ])  # fmt: skip
    assert outcomes(results) == ["Adjustment", "AdjustmentReversed", "AdjustmentReversed"]
    assert Adjustment.objects.filter(reverses=row).count() == 1
