"""Money out, told as accounting: asked for, agreed to by two, in a file for the bank, and what the bank says of it."""

import pytest

from compliance.models import Approval
from ledger import batches, payments, withdrawals
from ledger.bank.accounts import ledger_account
from ledger.models import Entry, Fee, Payment, PaymentBatch, Withdrawal
from tests import books, world
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.paying import BY, NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


WITHDRAWAL = """\
2026-11-21 09:00:00  withdrawal  NX  Bank transfer NX
    Amina wallet EUR           250.00
    house payments out EUR             247.50
    house withdrawal fees EUR            2.50

2026-11-21 09:00:00  withdrawal_paid  NX  Bank transfer NX
    house payments out EUR     247.50
    House bank EUR                     247.50"""


def now():
    return NOW


def sent(row):
    """The file its payment is in, sealed and taken to the bank; the payment."""
    batch = row.payments.get().batch
    batches.seal(batch, by=BY, at=NOW)
    batches.write(batch, now=now)
    batches.mark_sent(batch, by=BY, at=NOW)
    return row.payments.get()


@pytest.fixture
def amina():
    return paying.funded("1000.00")


def told(client, after):
    return books.books_text(book="real", names={client.uuid: "Amina", desk.bank().uuid: "House"}, after=after)


def test_a_withdrawal_is_held_agreed_to_by_two_put_in_a_file_and_confirmed(amina):
    Fee.objects.create(direction="out", method="bank", currency_id="EUR", fixed="2.50")
    paying.policy(2)
    begun = Entry.objects.latest("id").pk
    row = paying.withdrawal(amina, "250.00")
    assert (row.state, row.wallet.held, paying.waiting(row).needed) == ("waiting", 250, 2)
    assert paying.approve(row).state == "waiting"
    row = paying.approve(row)
    assert row.state == "approved" and Entry.objects.latest("id").pk == begun
    payment = sent(row)
    assert (payment.state, payment.amount) == ("sent", desk.D("247.50"))
    payments.confirm(payment, evidence="Statement 1, line 1", by=BY, at=NOW)
    assert told(amina, begun).replace(row.reference, "NX") == WITHDRAWAL
    row = withdrawals.of_pk(row.pk)
    assert (row.state, row.hold.state, row.wallet.posted, row.wallet.held) == ("paid", "captured", 750, 0)
    assert batches.close_done(at=NOW) == 1


def test_what_comes_back_is_in_the_wallet_again_less_the_fee(amina):
    Fee.objects.create(direction="out", method="bank", currency_id="EUR", fixed="2.50")
    paying.policy(1)
    payment = sent(paying.approve(paying.withdrawal(amina, "250.00")))
    begun = Entry.objects.latest("id").pk
    payment = payments.bring_back(payment, code="AC04", message="Account closed", by=BY, at=NOW)
    row = withdrawals.of_pk(payment.withdrawal_id)
    assert (row.state, row.wallet.posted, row.told) == (
        "returned", desk.D("997.50"), "Your bank sent the money back. It is available again, less the fee.",
    )  # fmt: skip
    kinds = [entry.kind for entry in Entry.objects.filter(pk__gt=begun).order_by("id")]
    assert kinds == ["withdrawal_paid", "withdrawal_returned"]
    assert payments.payments_out("EUR").posted == 0


def test_what_was_certainly_not_paid_is_in_the_wallet_again_with_the_fee(amina):
    Fee.objects.create(direction="out", method="bank", currency_id="EUR", fixed="2.50")
    paying.policy(1)
    payment = sent(paying.approve(paying.withdrawal(amina, "250.00")))
    payments.fail(payment, code="AC01", message="Wrong account number", by=BY, at=NOW)
    again = payments.fail(payment, code="AC01", message="Wrong account number", by=BY, at=NOW)
    row = withdrawals.of_pk(payment.withdrawal_id)
    assert (again.state, row.state, row.wallet.posted) == ("failed", "failed", 1000)
    assert payments.fee_account("EUR").posted == payments.payments_out("EUR").posted == 0


def test_by_policy_of_nobody_it_is_paid_at_once_and_the_approval_says_by_which(amina):
    policy = paying.policy(0)
    row = paying.withdrawal(amina, "20.00")
    found = paying.waiting(row)
    assert (row.state, found.state, found.policy) == ("approved", "applied", policy)
    assert Payment.objects.get().batch.state == "open"


def test_called_off_the_money_is_free_and_neither_file_nor_approval_has_it(amina):
    paying.policy(1)
    row = paying.approve(paying.withdrawal(amina, "250.00"))
    row = withdrawals.cancel(row, by=BY, at=NOW)
    assert (row.state, row.hold.state) == ("cancelled", "released")
    assert (Payment.objects.get().state, PaymentBatch.objects.get().payments.count()) == ("cancelled", 0)
    other = withdrawals.cancel(paying.withdrawal(amina, "10.00"), by=BY, at=NOW)
    assert (other.state, Approval.objects.latest("id").state) == ("cancelled", "voided")
    assert withdrawals.cancel(other, by=BY, at=NOW).state == "cancelled"
    assert desk.in_wallet(amina) == 1000


def test_what_compliance_blocks_is_stored_held_and_looked_at_again_when_the_client_is_known(amina):
    from compliance import decisions
    from compliance.models import MonitoringRule

    MonitoringRule.objects.create(name="No KYC", code="NO_KYC", condition="level_below", threshold=1, outcome="block",
                                  told="Confirm who you are first.")  # fmt: skip
    amina.kyc_level = 0
    amina.save()
    row = paying.withdrawal(amina, "50.00")
    assert (row.state, row.told, row.wallet.held) == ("blocked", "Confirm who you are first.", 50)
    assert not Approval.objects.exists()
    amina.kyc_level = 1
    amina.save()
    decisions.client_changed(amina, by=BY, at=NOW)
    row = withdrawals.of_pk(row.pk)
    assert (row.state, row.told, row.decision.outcome) == ("waiting", "", "allow")
    assert paying.approve(row).state == "approved"


def test_the_ledger_account_of_the_bank_is_what_files_are_paid_from(amina):
    paying.policy(1)
    payment = sent(paying.approve(paying.withdrawal(amina, "100.00")))
    before = ledger_account(desk.bank(), at=NOW).posted
    payments.confirm(payment, evidence="Statement", by=BY, at=NOW)
    assert ledger_account(desk.bank(), at=NOW).posted == before - 100
    assert Withdrawal.objects.get().paid_at == NOW and world.TESTER == BY
