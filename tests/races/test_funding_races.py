"""Two at once on one client's money for the venue, with real threads: held once, sent once, counted once."""

import threading
from decimal import Decimal

import pytest
from django.utils import timezone

from backoffice import keys
from brokerage import funding
from brokerage.models import Funding
from ledger.refusals import InsufficientFunds
from tests.brokerage.test_funding import at_the_venue, code_of, confirm, deposit, money, real, rich, withdraw
from tests.races.test_trade_races import at_once, count

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.processes,
    pytest.mark.usefixtures("reference_data", "redis", "the_venue"),
]  # fmt: skip


def refusals(results):
    return [type(one) for one in results if isinstance(one, Exception)]


def test_twin_without_claiming_the_key_first_a_repeated_request_is_told_that_nothing_is_left(monkeypatch):
    account = rich(real(), "50.00")
    both_are_there = threading.Barrier(2)
    monkeypatch.setattr(keys, "claim", lambda **given: both_are_there.wait(10))
    assert refusals(at_once(*[lambda: deposit(account, "50.00", key="k") for _ in range(2)])) == [
        InsufficientFunds
    ]


def test_one_request_repeated_at_once_holds_the_money_once():
    account = rich(real(), "50.00")
    results = at_once(*[lambda: deposit(account, "50.00", key="k") for _ in range(4)])
    assert refusals(results) == []
    assert {row.pk for row in results} == {Funding.objects.get().pk}
    assert (money(account), count("funding.requested")) == ((Decimal(50), Decimal(50), 0), 1)


def test_two_requests_for_the_last_money_get_it_once():
    account = rich(real(), "50.00")
    results = at_once(*[lambda key=key: deposit(account, "50.00", key=key) for key in ("one", "two")])
    assert refusals(results) == [InsufficientFunds]
    assert money(account) == (Decimal(50), Decimal(50), 0)


def test_workers_that_send_one_deposit_at_once_move_it_once(the_venue):
    account = rich(real())
    row = deposit(account)
    at_once(*[lambda: funding.push(row, now=timezone.now) for _ in range(4)])
    assert funding.push(row, now=timezone.now).state == "done"
    assert (money(account), at_the_venue(the_venue, account)) == (
        (Decimal(150), 0, Decimal(-50)),
        Decimal("550.00"),
    )
    assert count("funding.done") == 1


def test_workers_that_ask_about_one_withdrawal_at_once_fill_the_wallet_once(the_venue):
    account = real()
    row = confirm(withdraw(account), code_of(the_venue, account))
    for _ in range(200):
        at_once(*[lambda: funding.push(row, now=timezone.now) for _ in range(3)])
        if Funding.objects.get().is_final:
            break
    assert Funding.objects.get().state == "done"
    assert (money(account), at_the_venue(the_venue, account)) == (
        (Decimal(50), 0, Decimal(50)),
        Decimal("450.00"),
    )
    assert (count("funding.taken"), count("funding.done")) == (1, 1)
