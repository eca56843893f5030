"""Several at once on money that leaves, with real threads: it leaves once, or not at all."""

import threading

import pytest
from django.db import IntegrityError
from django.db.models import QuerySet

from backoffice.errors import MoveNotAllowed
from compliance.models import Vote
from ledger import batches, payments, withdrawals
from ledger.bank import claims
from ledger.models import Account, BankLine, Payment, PaymentBatch
from ledger.refusals import InsufficientFunds
from tests.ledger import paying, statements
from tests.ledger import payments as desk
from tests.ledger.paying import BY, NOW
from tests.races.test_trade_races import at_once, count

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def amina():
    paying.nothing_is_odd()
    client = paying.funded("1000.00")
    paying.beneficiary(client)
    return client


def now():
    return NOW


def push(row):
    return payments.push(Payment.objects.get(pk=row.pk), now=now)


def to_be_wired(amina):
    paying.wire()
    paying.policy(0)
    return paying.withdrawal(amina, "100.00").payments.get()


def test_twin_without_the_locks_two_workers_hand_one_payment_over_twice(amina, monkeypatch):
    row = to_be_wired(amina)
    both_have_read, seen = threading.Barrier(2), threading.local()
    plain_get = QuerySet.get

    def get(self, *args, **given):
        found = plain_get(self, *args, **given)
        if isinstance(found, Payment) and self.query.select_related and not getattr(seen, "twice", False):
            seen.twice, first = getattr(seen, "once", False), not getattr(seen, "once", False)
            seen.once = True
            if not first and threading.current_thread() is not threading.main_thread():
                both_have_read.wait(10)
        return found

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    monkeypatch.setattr(QuerySet, "get", get)
    at_once(lambda: push(row), lambda: push(row))
    assert len(paying.Wire.sent) == 2, "without the locks both handed it over"


def test_several_workers_hand_one_payment_over_once_and_book_it_once(amina):
    row = to_be_wired(amina)
    at_once(*[lambda: push(row)] * 4)
    assert len(paying.Wire.sent) == 1
    at_once(*[lambda: push(row)] * 3)
    row.refresh_from_db()
    assert (row.state, count("payment.begun"), count("payment.confirmed")) == ("confirmed", 1, 1)
    assert desk.in_wallet(amina) == 900 and payments.payments_out("EUR").posted == 0


def test_an_approval_and_a_cancel_at_once_are_one_end_and_nothing_leaves(amina):
    paying.policy(1)
    for _ in range(3):
        row, user = paying.withdrawal(amina, "100.00"), paying.approver()
        at_once(
            lambda row=row, user=user: paying.approve(row, user),
            lambda row=row: withdrawals.cancel(row, by=BY, at=NOW),
        )
        row = withdrawals.of_pk(row.pk)
        assert (row.state, row.hold.state) == ("cancelled", "released")
        assert set(row.payments.values_list("state", flat=True)) <= {"cancelled"}
    assert desk.in_wallet(amina) == 1000 and not PaymentBatch.objects.filter(payments__isnull=False).exists()


def test_twin_without_the_locks_only_the_database_stops_a_yes_to_what_was_cancelled_meanwhile(
    amina, monkeypatch
):
    paying.policy(1)
    row, user = paying.withdrawal(amina, "100.00"), paying.approver()
    has_looked, is_cancelled, plain_create = threading.Event(), threading.Event(), QuerySet.create

    def create(self, **given):
        if self.model is Vote:
            has_looked.set()
            assert is_cancelled.wait(10)  # with the locks the cancel would wait for this vote
        return plain_create(self, **given)

    def cancel():
        assert has_looked.wait(10)
        found = withdrawals.cancel(row, by=BY, at=NOW)
        is_cancelled.set()
        return found

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    monkeypatch.setattr(QuerySet, "create", create)
    refused, cancelled = at_once(lambda: paying.approve(row, user), cancel)
    assert isinstance(refused, IntegrityError) and "a vote needs an open approval" in str(refused)
    assert (cancelled.state, count("withdrawal.approved")) == ("cancelled", 0)


def test_a_cancel_and_a_worker_at_once_either_pay_it_or_give_it_back(amina):
    for _ in range(3):
        row = to_be_wired(amina)
        results = at_once(
            lambda row=row: push(row), lambda row=row: withdrawals.cancel(row.withdrawal, by=BY, at=NOW)
        )
        owner = withdrawals.of_pk(row.withdrawal_id)
        if owner.state == "cancelled":
            assert (paying.Wire.sent, owner.hold.state) == ([], "released")
        else:
            assert isinstance(results[1], MoveNotAllowed) and (owner.state, len(paying.Wire.sent)) == (
                "paying",
                1,
            )


def test_two_withdrawals_at_once_do_not_take_the_same_money(amina):
    paying.policy(1)
    results = at_once(*[lambda: paying.withdrawal(amina, "600.00")] * 2)
    assert [type(one) for one in results if isinstance(one, Exception)] == [InsufficientFunds]
    assert Account.objects.get(client_id=amina.uuid, purpose="wallet").held == 600


def test_the_same_request_several_times_at_once_is_one_withdrawal(amina):
    paying.policy(1)
    results = at_once(*[lambda: paying.withdrawal(amina, "100.00", key="once")] * 4)
    assert len({row.pk for row in results}) == 1
    assert (count("withdrawal.requested"), results[0].wallet.held) == (1, 100)


def test_a_file_sealed_by_several_workers_is_written_once(amina):
    paying.policy(0)
    for amount in ("10.00", "20.00", "30.00"):
        paying.withdrawal(amina, amount)
    batch = PaymentBatch.objects.get()
    at_once(*[lambda: batches.seal(batch, by=BY, at=NOW)] * 2)
    written = at_once(*[lambda: batches.write(batch, now=now)] * 3)
    assert len({one.sha256 for one in written}) == 1 and count("batch.sealed") == 1
    batch.refresh_from_db()
    assert (batch.count, batch.control_sum, count("payment.begun"), desk.in_wallet(amina)) == (3, 60, 3, 940)


def test_two_sweeps_at_once_confirm_a_payment_by_its_line_once(amina):
    paying.policy(0)
    row = paying.withdrawal(amina, "100.00").payments.get()
    batches.seal(row.batch, by=BY, at=NOW)
    batches.write(row.batch, now=now)
    entry = statements.Entry(amount="100.00", side="DBIT", bank_id="B-1", end_to_end=row.end_to_end_id)
    desk.imported(statements.statement(entry, opening="9000.00"))
    assert sum(at_once(*[lambda: claims.sweep(at=NOW)] * 3)) >= 1
    assert (count("payment.confirmed"), count("bank_line.paid"), BankLine.objects.get().state) == (
        1,
        1,
        "paid",
    )
    assert payments.payments_out("EUR").posted == 0
