"""Money out, told as accounting: asked for, agreed to by two, in a file for the bank, and what the bank says of it."""

import pytest

from compliance import decisions
from compliance.models import Approval
from ledger import batches, payments, withdrawals
from ledger.bank import accounts, claims
from ledger.models import Entry, Fee, Payment, PaymentBatch
from tests import books
from tests.ledger import paying, statements
from tests.ledger import payments as desk
from tests.ledger.paying import BY, NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


STORY = """\
2026-11-21 09:00:00  deposit  DX  On House bank EUR · 2026-0, line 1
    House bank EUR             1,000.00
    Amina wallet EUR                     1,000.00

2026-11-21 09:00:00  withdrawal  NX  Bank transfer NX
    Amina wallet EUR             250.00
    house payments out EUR                 247.50
    house withdrawal fees EUR                2.50

2026-11-21 09:00:00  bank_out  B-1  On House bank EUR · 2026-1, line 1
    house unmatched out EUR      247.50
    House bank EUR                         247.50

2026-11-21 09:00:00  withdrawal_paid  NX  Bank transfer NX
    house payments out EUR       247.50
    house unmatched out EUR                247.50"""


def now():
    return NOW


def sent(row):
    """The file its payment is in, sealed and taken to the bank; the payment."""
    batch = row.payments.get().batch
    batches.seal(batch, by=BY, at=NOW)
    batches.write(batch, now=now)
    batches.mark_sent(batch, by=BY, at=NOW)
    return row.payments.get()


def seen(payment, amount=None, **given):
    """The bank books it: one line of a camt.053 statement, imported."""
    values = {
        "side": "DBIT",
        "who": "Amina Odhiambo",
        "end_to_end": payment.end_to_end_id,
        "bank_id": "B-1",
        **given,
    }
    file = statements.statement(
        statements.Entry(amount=amount or f"{payment.amount:.2f}", **values), opening="9000.00"
    )
    return desk.imported(file).lines.get()


def came_by_statement(amount):
    """A client of level 2 who said that money would come, and whose bank transfer then was on our bank's statement."""
    client = desk.client()
    client.kyc_level = 2
    client.save()
    deposit = desk.deposit(client, amount)
    line = statements.Entry(
        amount=amount, text=f"My deposit {deposit.reference}", who="Amina Odhiambo", bank_id="A-1"
    )
    desk.imported(statements.statement(line, opening="8247.50", number="2026-0"))
    deposit.refresh_from_db()
    assert (deposit.state, desk.in_wallet(client)) == ("completed", desk.D(amount))
    return client, deposit


@pytest.fixture
def amina():
    return paying.funded("1000.00")


def told(client, after):
    return books.books_text(book="real", names={client.uuid: "Amina", desk.bank().uuid: "House"}, after=after)


def test_money_comes_by_a_statement_and_leaves_agreed_to_by_two_in_a_file_that_the_next_statement_confirms():
    Fee.objects.create(direction="out", method="bank", currency_id="EUR", fixed="2.50")
    paying.policy(2)
    amina, deposit = came_by_statement("1000.00")
    begun = Entry.objects.latest("id").pk
    row = paying.withdrawal(amina, "250.00")
    assert (row.state, row.wallet.held, paying.waiting(row).needed) == ("waiting", 250, 2)
    assert paying.approve(row).state == "waiting"
    row = paying.approve(row)
    assert row.state == "approved" and Entry.objects.latest("id").pk == begun
    payment = sent(row)
    assert (payment.state, payment.amount) == ("sent", desk.D("247.50"))
    seen(payment)
    assert claims.sweep(at=NOW) == 1
    assert told(amina, 0).replace(row.reference, "NX").replace(deposit.reference, "DX") == STORY
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
        "returned", desk.D("997.50"),
        "The money came back: the account is closed. It is available again, less what banks kept of it.",
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
    paying.nothing_is_odd()
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
    amina.kyc_level = 0
    amina.save()
    row = paying.withdrawal(amina, "50.00")
    assert (row.state, row.told, row.wallet.held) == (
        "blocked", "Confirm your identity first; then you can withdraw.", 50,
    )  # fmt: skip
    assert not Approval.objects.exists()
    amina.kyc_level = 1
    amina.save()
    decisions.client_changed(amina, by=BY, at=NOW)
    row = withdrawals.of_pk(row.pk)
    assert (row.state, row.told, row.decision.outcome) == (
        "waiting",
        "We are looking at this request.",
        "review",
    )
    assert paying.approve(row).state == "approved"


def test_what_a_person_confirmed_before_the_statement_came_is_not_booked_twice(amina):
    paying.policy(1)
    payment = sent(paying.approve(paying.withdrawal(amina, "100.00")))
    bank = desk.ours(desk.bank()).posted
    payments.mark_unknown(payment, code="NO_ANSWER", message="", at=NOW)
    payments.settle(payment, was_paid=True, evidence="The bank's portal", by=BY, at=NOW, key="settled")
    assert (desk.ours(desk.bank()).posted, accounts.unmatched_out("EUR").posted) == (bank, -100)
    line = seen(payment)
    assert (claims.sweep(at=NOW), claims.sweep(at=NOW)) == (1, 0)
    line.refresh_from_db()
    assert (line.state, line.settled_by.kind) == ("paid", "withdrawal_paid")
    assert (desk.ours(desk.bank()).posted, accounts.unmatched_out("EUR").posted) == (bank - 100, 0)
    assert payments.payments_out("EUR").posted == 0
