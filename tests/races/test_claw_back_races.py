"""Two at once on what is clawed back, with real threads: taken once, refunded once, recovered once."""

import contextlib
import threading

import pytest
from django.db.models import QuerySet

from ledger import clawbacks, debts, deposits, holds, withdrawals
from ledger.collecting import taking, told
from ledger.collecting.port import Found, Outcome
from ledger.models import Account, Beneficiary, ClawBack, CollectorEvent, Debt, Deposit, Entry
from ledger.refusals import InsufficientFunds
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.cards import BY, NOW, D
from tests.races.test_trade_races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data")]


def by_card(client=None, amount="100.00", number="pi_1"):
    """A deposit whose money came, without a collector on the line."""
    row = deposits.create(
        client or desk.client(),
        method="card",
        currency="EUR",
        amount=amount,
        by=BY,
        at=NOW,
        key=number,
        collector="stripe",
    )
    row = deposits.begin(row, external_id=number, by=BY, at=NOW)
    return taking.settle(
        row, Found(outcome=Outcome.SUCCEEDED, amount=D(amount), currency="EUR"), by=BY, at=NOW
    )


def take(row, amount="100.00", number="dp_1"):
    return clawbacks.take_back(row, "chargeback", external_id=number, amount=D(amount), by=BY, at=NOW)


def test_twin_without_the_deposit_s_lock_the_key_must_stop_the_second_chargeback(monkeypatch):
    row = by_card()
    plain = QuerySet.select_for_update
    monkeypatch.setattr(
        QuerySet, "select_for_update",
        lambda self, **given: self if self.model in (Deposit, Account) else plain(self, **given),
    )  # fmt: skip
    results = at_once(*[lambda: take(row) for _ in range(4)])
    assert ClawBack.objects.count() == 1
    assert all(isinstance(found, ClawBack | Exception) for found in results)
    assert desk.in_wallet(row.client) == 0


def test_one_chargeback_told_by_several_at_once_is_taken_once():
    row = by_card()
    results = at_once(*[lambda: take(row) for _ in range(4)])
    assert {found.pk for found in results} == {ClawBack.objects.get().pk}
    assert (
        desk.in_wallet(row.client),
        Debt.objects.count(),
        Entry.objects.filter(kind="chargeback").count(),
    ) == (0, 0, 1)


def test_a_chargeback_and_a_hold_at_once_never_take_the_same_money():
    row = by_card()
    results = at_once(
        lambda: take(row),
        lambda: holds.place(
            account=row.wallet_id, amount=D(60), purpose="withdrawal", by=BY, at=NOW, key="h"
        ),
    )
    wallet = Account.objects.get(pk=row.wallet_id)
    refused = [found for found in results if isinstance(found, Exception)]
    assert [type(found) for found in refused] in ([], [InsufficientFunds])
    owed = sum((debt.left for debt in Debt.objects.all()), D(0))
    assert (wallet.posted, wallet.held, owed) == ((0, 0, 0) if refused else (60, 60, 60))


def test_two_who_recover_one_debt_take_it_once():
    client = desk.client()
    row = by_card(client)
    holds.place(account=row.wallet_id, amount=D(100), purpose="test", by=BY, at=NOW, key="h")
    debt = take(row).debt
    by_card(client, "300.00", "pi_2")
    at_once(*[lambda key=key: debts.recover(debt, by=BY, at=NOW, key=key) for key in "aabb"])
    debt = Debt.objects.get()
    assert (debt.state, debt.recovered, Account.objects.get(pk=debt.account_id).posted) == (
        "recovered",
        100,
        0,
    )
    assert (desk.in_wallet(client), Entry.objects.filter(kind="debt_recovered").count()) == (300, 1)


def test_one_event_applied_by_several_workers_at_once_counts_once():
    row = by_card()
    event = CollectorEvent.objects.create(
        collector="stripe", event_id="evt_1", kind="dispute_opened", payment_id="pi_1", object_id="dp_1", amount=D(40),
        currency_code="EUR", occurred_at=NOW, received_at=NOW, tried_at=NOW, changed_at=NOW,
    )  # fmt: skip
    results = at_once(*[lambda: told.apply(event, now=lambda: NOW) for _ in range(4)])
    assert {found.state for found in results} <= {"applied", "received"}
    assert (CollectorEvent.objects.get().state, desk.in_wallet(row.client), ClawBack.objects.count()) == (
        "applied",
        60,
        1,
    )


def test_two_refunds_at_once_never_give_back_more_than_came():
    row = by_card()
    results = at_once(
        *[lambda key=key: clawbacks.ask_refund(row, amount="60.00", by=BY, at=NOW, key=key) for key in "ab"]
    )
    assert [type(found) for found in results if isinstance(found, Exception)] == [clawbacks.RefundTooLarge]
    assert Account.objects.get(pk=row.wallet_id).held == 60


def leave(row, key):
    """The same money asked for by the client, back to the card."""
    to = Beneficiary.objects.get(deposit=row)
    return withdrawals.request(to, amount="60.00", by=BY, at=NOW, key=key)


def with_a_way_back():
    row = by_card(client=paying.funded("500.00"))
    paying.nothing_is_odd()
    paying.policy(1)
    paying.route(method="card", provider="stripe", bank_account=None)
    paying.beneficiary(row.client, method="card", number=row.reference)
    return row


def test_a_refund_and_a_withdrawal_back_to_the_card_at_once_never_give_back_more_than_came():
    row = with_a_way_back()
    results = at_once(
        lambda: clawbacks.ask_refund(row, amount="60.00", by=BY, at=NOW, key="a"), lambda: leave(row, "b")
    )
    assert [type(found) for found in results if isinstance(found, Exception)] == [clawbacks.RefundTooLarge]
    assert clawbacks.refundable(row) == 40


def test_twin_without_the_deposit_s_lock_more_would_go_back_than_came(monkeypatch):
    row, both_have_read = with_a_way_back(), threading.Barrier(2)
    plain, refundable = QuerySet.select_for_update, clawbacks.refundable

    def read(deposit):
        found = refundable(deposit)
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_read.wait(10)
        return found

    monkeypatch.setattr(
        QuerySet,
        "select_for_update",
        lambda self, **given: self if self.model is Deposit else plain(self, **given),
    )
    monkeypatch.setattr(clawbacks, "refundable", read)
    at_once(
        lambda: leave(row, "a"), lambda: clawbacks.ask_refund(row, amount="60.00", by=BY, at=NOW, key="b")
    )
    assert refundable(row) == -20
