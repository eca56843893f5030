"""Bugs that this industry has had before, each by its name: what was done wrong elsewhere, done here."""

from decimal import Decimal

import pytest

from backoffice.errors import MoveNotAllowed
from backoffice.money import InvalidAmount
from compliance import approvals
from ledger import clawbacks, deposits, holds, journal, payments, withdrawals
from ledger.collecting import refunding
from ledger.models import Account, Book, Entry
from ledger.providers import Answer, AnswerLost
from ledger.providers import Outcome as Said
from ledger.refusals import InsufficientFunds
from tests.ledger import paying, till
from tests.ledger import payments as desk
from tests.ledger.paying import BY, NOW, D
from tests.races.test_trade_races import at_once, count

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def amina():
    paying.nothing_is_odd()
    paying.policy(1)
    return paying.funded("1000.00")


def wallet(client):
    return Account.objects.get(client_id=client.uuid, purpose="wallet", currency="EUR", book=Book.REAL)


def test_refund_twice(amina):
    """The whole of a payment given back a second time: by another request, and by the collector's word come twice."""
    row = till.by_card(amina)
    first = clawbacks.ask_refund(row, amount="100.00", by=BY, at=NOW, key="one")
    with pytest.raises(MoveNotAllowed):
        clawbacks.ask_refund(row, amount="0.01", by=BY, at=NOW, key="two")
    for _ in range(2):
        refunding.push(first, now=lambda: NOW)
        clawbacks.done(first, external_id=f"re-{first.uuid}", by=BY, at=NOW)
    assert (wallet(amina).posted, wallet(amina).held, count("claw_back.refunded")) == (1000, 0, 1)


def test_void_twice(amina):
    """A hold given back twice, so that more is free than there is."""
    row = paying.withdrawal(amina, "400.00")
    for _ in range(2):
        withdrawals.cancel(row, by=BY, at=NOW)
        holds.release(row.hold, by=BY, at=NOW)
    assert (wallet(amina).posted, wallet(amina).held, count("withdrawal.cancelled")) == (1000, 0, 1)


def test_commit_after_reject(amina):
    """Somebody says no, and a vote that was on its way pays it all the same."""
    row = paying.withdrawal(amina, "400.00")
    found, user = paying.waiting(row), paying.approver()
    withdrawals.reject(row, reason="Not theirs", by=BY, at=NOW)
    with pytest.raises(approvals.ApprovalOver):
        paying.approve(row, user)
    assert (withdrawals.of_pk(row.pk).state, row.payments.count(), wallet(amina).held) == ("rejected", 0, 0)
    assert found.pk


def test_commit_above_hold(amina):
    """More captured than was held: the rest comes out of what somebody else counts on."""
    row = paying.withdrawal(amina, "400.00")
    begun = Entry.objects.latest("id").pk
    with pytest.raises(InvalidAmount):
        holds.capture(
            row.hold, amount=Decimal("400.01"), lines=[journal.credit(payments.payments_out("EUR"), D("400.01"))],
            kind="withdrawal", by=BY, at=NOW, key="more",
        )  # fmt: skip
    assert (wallet(amina).posted, wallet(amina).held, Entry.objects.latest("id").pk) == (1000, 400, begun)


def test_holds_ignored_in_the_balance_check(amina):
    """Money that is held for one withdrawal asked for again by another, or sent away meanwhile."""
    from tests.ledger import transferring

    paying.withdrawal(amina, "700.00")
    with pytest.raises(InsufficientFunds):
        paying.withdrawal(amina, "300.01")
    ben = desk.client("Ben")
    with pytest.raises(InsufficientFunds):
        transferring.sent(amina, ben, "300.01")
    assert (wallet(amina).posted, wallet(amina).held) == (1000, 700)
    assert paying.withdrawal(amina, "300.00").state == "waiting"


@pytest.mark.django_db(transaction=True)
def test_duplicate_revert_concurrently(amina):
    """A returned payment credited by each of those who saw it come back."""
    paying.beneficiary(amina)
    paying.wire()
    row = paying.approve(paying.withdrawal(amina, "400.00")).payments.get()
    for _ in range(2):
        row = payments.push(row, now=lambda: NOW)
    assert row.state == "confirmed"
    at_once(*[lambda: payments.bring_back(row, code="AC04", message="", by=BY, at=NOW)] * 3)
    assert (wallet(amina).posted, count("payment.returned"), count("withdrawal.returned")) == (1000, 1, 1)


def test_void_then_late_payment(amina):
    """A deposit called off, and then its money comes: neither lost, nor credited by both the old request and a new one."""
    row = desk.deposit(amina, "250.00")
    deposits.cancel(row, by=BY, at=NOW)
    line = f"2026-11-20;250.00;{row.reference};Amina;"
    for text in ("", "\n"):
        desk.imported(desk.csv_file(line) + text.encode())
    row = deposits.locked(row)
    assert (row.state, row.note, wallet(amina).posted) == (
        "completed",
        "The money came after it was cancelled.",
        1250,
    )


def test_an_error_reply_that_moved_money(amina, monkeypatch):
    """The provider pays, and answers with an error: taken for a failure, the client has the money twice; sent again, they
    are paid twice."""
    paying.beneficiary(amina)
    wire = paying.wire()
    row = paying.approve(paying.withdrawal(amina, "400.00")).payments.get()
    plain = wire.send

    def pays_and_fails(self, payment):
        plain(self, payment)
        raise AnswerLost("HTTP_500", "Internal error")

    monkeypatch.setattr(wire, "send", pays_and_fails)
    row = payments.push(row, now=lambda: NOW)
    assert (row.state, wallet(amina).posted, len(wire.sent)) == ("unknown", 600, 1)
    monkeypatch.setattr(wire, "status", lambda self, payment: Answer(Said.NOT_KNOWN))
    row = payments.push(row, now=lambda: NOW)
    assert (row.state, len(wire.sent)) == ("unknown", 1), "that it is not known over there proves nothing"
    monkeypatch.undo()
    row = payments.push(row, now=lambda: NOW)
    assert (row.state, wallet(amina).posted, len(wire.sent)) == ("confirmed", 600, 1)
