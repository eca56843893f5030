"""Two at once on coins and payments by hand, with real threads: each page is applied once, one person pays."""

import threading

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from backoffice.errors import MoveNotAllowed
from backoffice.who import By
from ledger import coins, payments
from ledger.models import CoinArrival, CoinRoute, Deposit, DepositAddress, Payment
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.payments import BY, NOW, D
from tests.races.test_trade_races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data")]


def by_hand() -> Payment:
    paying.route(provider="manual")
    row = paying.withdrawal(paying.funded())
    return (row if row.payments.exists() else paying.approve(row)).payments.get()


def take_on(row: Payment, who: str):
    return lambda: payments.take_on(Payment.objects.get(pk=row.pk), by=By.system(who), at=NOW)


def test_twin_without_locks_two_people_would_both_pay_by_hand(monkeypatch):
    row, both_have_looked = by_hand(), threading.Barrier(2)
    plain = payments.draft_of

    def draft_of(*args, **given):
        both_have_looked.wait(10)
        return plain(*args, **given)

    monkeypatch.setattr(payments, "draft_of", draft_of)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    results = at_once(take_on(row, "amina"), take_on(row, "lucas"))
    assert [type(found) for found in results] == [Payment, Payment]


def test_of_two_who_take_a_payment_on_at_once_one_pays_it():
    row = by_hand()
    results = at_once(take_on(row, "amina"), take_on(row, "lucas"))
    assert sorted(type(found) for found in results if isinstance(found, Exception)) == [MoveNotAllowed]
    assert Payment.objects.get().state == "sent"
    assert payments.payments_out("EUR").posted == D("100")


def test_two_who_ask_for_an_address_at_once_get_the_same_one(the_custodian):
    CoinRoute.objects.create(currency_id="BTC", network="bitcoin", confirmations=1)
    client = desk.client()
    one, two = at_once(*[lambda: coins.address_for(client, "BTC", by=BY, at=NOW)] * 2)
    assert one == two == DepositAddress.objects.get()


def test_two_readers_of_the_custodian_at_once_credit_coins_once(the_custodian):
    CoinRoute.objects.create(currency_id="BTC", network="bitcoin", confirmations=1)
    client = desk.client()
    address = coins.address_for(client, "BTC", by=BY, at=NOW).address
    for _ in range(3):
        the_custodian.send(address, "0.5")
    the_custodian.mine()
    at_once(*[lambda: coins.read(now=timezone.now)] * 3)
    coins.read(now=timezone.now)
    assert CoinArrival.objects.filter(state="credited").count() == 3
    assert (Deposit.objects.count(), desk.in_wallet(client, "BTC")) == (3, D("1.5"))
