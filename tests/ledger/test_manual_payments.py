"""Payments by hand: they wait for whoever takes them on, one person pays, and says with evidence what became of it."""

import pytest

from backoffice.errors import InvalidInput, MoveNotAllowed
from ledger import payments, withdrawals
from ledger.bank.accounts import unmatched_out
from ledger.models import Hold, Payment
from tests.edges.staff import fingerprint
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.payments import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
State = Payment.State


@pytest.fixture
def payment():
    paying.route(provider="manual")
    client = paying.funded()
    row = paying.withdrawal(client)
    return (row if row.payments.exists() else paying.approve(row)).payments.get()


def in_wallet(row: Payment):
    return desk.in_wallet(row.withdrawal.client)


def settle(row: Payment, **given):
    return payments.settle(
        row,
        **{
            "was_paid": True,
            "evidence": "The bank's receipt 4711.",
            "by": BY,
            "at": NOW,
            "key": "k",
            **given,
        },
    )


def test_no_machine_touches_it_and_the_money_stays_held_until_a_person_takes_it_on(payment):
    before = fingerprint()
    payments.push(payment, now=lambda: NOW)
    assert payments.sweep(now=lambda: NOW.replace(year=2027)) == 0
    assert fingerprint() == before
    assert (payment.state, in_wallet(payment)) == (State.QUEUED, D("1000"))
    assert withdrawals.cancel(payment.withdrawal, by=BY, at=NOW).state == "cancelled"


def test_one_person_takes_it_on_pays_it_and_says_so(payment):
    row = payments.take_on(payment, by=BY, at=NOW)
    assert (row.state, in_wallet(row)) == (State.SENT, D("900"))
    with pytest.raises(MoveNotAllowed):
        payments.take_on(row, by=BY, at=NOW)
    with pytest.raises(MoveNotAllowed):
        withdrawals.cancel(row.withdrawal, by=BY, at=NOW)
    done = settle(row, reference="R-4711")
    assert settle(row, reference="R-4711") == done
    assert (done.state, done.provider_ref, done.evidence) == (
        State.CONFIRMED,
        "R-4711",
        "The bank's receipt 4711.",
    )
    assert (payments.payments_out("EUR").posted, unmatched_out("EUR").posted) == (0, D("-100"))
    assert not Hold.objects.open().exists()


def test_what_could_not_be_paid_is_in_the_wallet_again(payment):
    row = payments.take_on(payment, by=BY, at=NOW)
    done = settle(row, was_paid=False, evidence="The bank closed the account.")
    assert (done.state, in_wallet(row), payments.payments_out("EUR").posted) == (State.FAILED, D("1000"), 0)


def test_two_payments_do_not_have_one_receipt(payment):
    settle(payments.take_on(payment, by=BY, at=NOW), reference="R-4711")
    other = paying.withdrawal(payment.withdrawal.client, "50.00")
    row = (other if other.payments.exists() else paying.approve(other)).payments.get()
    row = payments.take_on(row, by=BY, at=NOW)
    before = fingerprint()
    with pytest.raises(InvalidInput, match="Another payment has this reference"):
        settle(row, reference="R-4711", key="other")
    assert fingerprint() == before


def test_nobody_takes_on_what_a_machine_pays():
    paying.route()
    row = paying.withdrawal(paying.funded())
    found = (row if row.payments.exists() else paying.approve(row)).payments.get()
    before = fingerprint()
    with pytest.raises(MoveNotAllowed):
        payments.take_on(found, by=BY, at=NOW)
    assert fingerprint() == before
