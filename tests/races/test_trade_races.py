"""Two writers on one trade, with real threads: each thing happens once.

The twins come first: with the row lock taken away the same threads do it twice (or the database's last guard has
to stop them), so the tests after them are known to be able to fail.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from backoffice.errors import DomainError
from backoffice.models import Event
from brokerage import limits, placing, trades
from brokerage.models import Trade
from compliance.models import Client
from ledger.models import Entry, Hold
from tests import world
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data")]


def at_once(*calls):
    """Run the calls together, each on a connection of its own; what each returned or raised."""
    start = threading.Barrier(len(calls))

    def run(call):
        try:
            start.wait(10)
            return call()
        except (DomainError, IntegrityError) as found:
            return found
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def count(name):
    return Event.objects.filter(name=name).count()


def test_twin_without_the_row_lock_a_trade_is_withdrawn_twice(monkeypatch):
    """The twin of everything below: `select_for_update` does nothing, and both threads read before either writes."""
    trade = world.placed()
    both_have_read = threading.Barrier(2)
    plain_get = QuerySet.get

    def get(self, *args, **given):
        found = plain_get(self, *args, **given)
        if isinstance(found, Trade) and threading.current_thread() is not threading.main_thread():
            both_have_read.wait(10)
        return found

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    monkeypatch.setattr(QuerySet, "get", get)
    results = at_once(
        *[lambda: placing.withdraw(trade, by=TESTER, at=NOW, key=world.key()) for _ in range(2)]
    )
    assert not [result for result in results if isinstance(result, Exception)]
    assert count("trade.withdrawn") == 2, "without the lock the second one did it again"


def test_a_trade_withdrawn_twice_at_once_is_withdrawn_once():
    trade = world.placed()
    at_once(*[lambda: placing.withdraw(trade, by=TESTER, at=NOW, key=world.key()) for _ in range(4)])
    assert (count("trade.withdrawn"), count("hold.released")) == (1, 1)


def test_two_requests_with_one_key_at_once_are_one_trade():
    account = world.account()
    results = at_once(*[lambda: world.placed(account, key="same") for _ in range(4)])
    assert {result.pk for result in results} == {Trade.objects.get().pk}
    assert Hold.objects.count() == 1
    account.cash.refresh_from_db()
    assert account.cash.held == 10


def test_two_trades_at_once_cannot_stake_the_same_money():
    account = world.account(balance="15.00")
    results = at_once(*[lambda: world.placed(account, stake="10.00") for _ in range(4)])
    assert sorted(type(result).__name__ for result in results) == ["InsufficientFunds"] * 3 + ["Trade"]
    account.cash.refresh_from_db()
    assert (account.cash.posted, account.cash.held, Trade.objects.count()) == (15, 10, 1)


def test_two_workers_that_take_one_trade_submit_it_once():
    trade = world.placed()
    results = at_once(*[lambda: world.submitting(trade) for _ in range(4)])
    assert sorted(type(result).__name__ for result in results) == ["MoveNotAllowed"] * 3 + ["Trade"]
    assert count("trade.submitted") == 1


def test_a_trade_is_either_withdrawn_or_submitted():
    for _ in range(5):
        trade = world.placed()
        at_once(
            lambda trade=trade: placing.withdraw(trade, by=TESTER, at=NOW, key=world.key()),
            lambda trade=trade: world.submitting(trade),
        )
        names = set(Event.objects.about("trade", trade.uuid).values_list("name", flat=True))
        assert len(names & {"trade.withdrawn", "trade.submitted"}) == 1


def test_the_answer_of_the_venue_and_the_reconciler_at_once_open_it_once():
    trade = trades.mark_uncertain(world.submitting(), code="x", message="", by=TESTER, at=NOW)
    found = world.bought(4711)
    at_once(*[lambda: trades.record_bought(trade, found, by=TESTER, at=NOW) for _ in range(4)])
    assert (count("trade.opened"), Entry.objects.filter(kind="stake").count()) == (1, 1)


def test_two_sources_that_settle_at_once_pay_once():
    trade = world.opened()
    outcomes = [world.outcome("won", "19.53"), world.outcome("won", "19.53"), world.outcome("lost", "0")]
    at_once(*[lambda o=o: trades.settle(trade, o, by=TESTER, at=NOW) for o in outcomes])
    trade.refresh_from_db()
    assert Entry.objects.filter(kind__startswith="contract_").count() == 1
    trade.account.cash.refresh_from_db()
    assert trade.account.cash.posted == 9990 + trade.proceeds


def test_two_trades_cannot_claim_one_contract_at_once():
    account = world.account()
    first, second = (world.submitting(world.placed(account, stake=stake)) for stake in ("10.00", "11.00"))
    results = at_once(
        *[lambda t=t: trades.record_bought(t, world.bought(4711), by=TESTER, at=NOW) for t in (first, second)]
    )
    assert sorted(type(result).__name__ for result in results) == ["ContractClaimed", "Trade"]
    assert Trade.objects.filter(contract_id=4711).count() == 1
    assert Entry.objects.filter(kind="stake").count() == 1


def test_never_placed_and_found_at_once_is_one_of_the_two():
    for _ in range(5):
        trade = trades.mark_uncertain(
            world.submitting(world.placed(world.account())), code="x", message="", by=TESTER, at=NOW
        )
        at_once(
            lambda trade=trade: trades.mark_never_placed(trade, by=TESTER, at=NOW),
            lambda trade=trade: trades.record_bought(trade, world.bought(), by=TESTER, at=NOW),
        )
        trade.refresh_from_db()
        with transaction.atomic():
            trade.account.cash.refresh_from_db()
            trade.account.stakes.refresh_from_db()
        opened = trade.state == "open"
        assert (trade.account.cash.posted, trade.account.stakes.posted) == (
            (9990, 10) if opened else (10000, 0)
        )
        assert trade.account.cash.held == 0


def test_a_purchase_with_a_markup_and_a_settlement_of_one_account_never_deadlock():
    account = world.account()
    account.markup_rate = "0.02"
    account.save()
    for _ in range(8):
        running = world.opened(world.placed(account, stake="11.00"), buy_price=Decimal("11.00"))
        bought = world.submitting(world.placed(account))
        results = at_once(
            lambda trade=running: trades.settle(trade, world.outcome("lost", "0"), by=TESTER, at=NOW),
            lambda trade=bought: trades.record_bought(trade, world.bought(), by=TESTER, at=NOW),
        )
        assert [type(result).__name__ for result in results] == ["Trade", "Trade"]


def limited(account):
    limits.change(
        None, None, account.currency, limits.Maxima(open_stake="30.00", per_minute=3), by=TESTER, at=NOW,
        key=world.key(), reason="A race.",
    )  # fmt: skip


def place_many(account):
    return at_once(*[lambda n=n: world.placed(account, stake=f"1{n}.00") for n in range(6)])


def test_trades_placed_at_once_do_not_pass_a_limit_together():
    account = world.account()
    limited(account)
    results = place_many(account)
    placed = [found for found in results if isinstance(found, Trade)]
    assert sum(trade.stake for trade in placed) <= 30 and 1 <= len(placed) <= 2
    assert {found.code for found in results if isinstance(found, DomainError)} == {"EXPOSURE_LIMIT"}


def test_twin_without_the_clients_lock_they_pass_it_together(monkeypatch):
    account = world.account()
    limited(account)
    all_have_counted, counted = threading.Barrier(6), limits._counted

    def count_then_wait(*given):
        found = counted(*given)
        all_have_counted.wait(10)
        return found

    monkeypatch.setattr(limits, "_counted", count_then_wait)
    plain = QuerySet.select_for_update
    monkeypatch.setattr(
        QuerySet,
        "select_for_update",
        lambda self, **given: self if self.model is Client else plain(self, **given),
    )
    assert len([found for found in place_many(account) if isinstance(found, Trade)]) == 6


def test_one_key_sent_many_times_at_once_is_one_trade_where_it_fills_the_limit():
    account = world.account()
    limits.change(
        None, None, account.currency, limits.Maxima(per_minute=1), by=TESTER, at=NOW, key=world.key(), reason="A race."
    )  # fmt: skip
    results = at_once(*[lambda: world.placed(account, key="once") for _ in range(5)])
    assert len({trade.pk for trade in results}) == 1
