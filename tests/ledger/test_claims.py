"""Lines on bank statements that are payments of ours: paid, sent back, booked twice by the bank, sent back by us."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ledger import batches, payments, withdrawals
from ledger.bank import accounts, claims, suspense
from ledger.models import BankLine
from tests.ledger import paying, statements
from tests.ledger import payments as desk
from tests.ledger.paying import BY, NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def sent(amount="100.00", **given):
    """A payment in a file that was taken to the bank."""
    client = paying.funded("1000.00", **given)
    paying.nothing_is_odd()
    paying.policy(0)
    row = paying.withdrawal(client, amount)
    batch = row.payments.get().batch
    batches.seal(batch, by=BY, at=NOW)
    batches.write(batch, now=lambda: NOW)
    batches.mark_sent(batch, by=BY, at=NOW)
    return client, row.payments.get()


def line(amount, *, number="1", **given):
    """One line of a statement that was imported."""
    entry = statements.Entry(amount=amount, **{"side": "DBIT", "bank_id": f"B-{number}", **given})
    return desk.imported(statements.statement(entry, opening="9000.00", number=number)).lines.get()


def again(row):
    row.refresh_from_db()
    return row


def test_a_payment_is_confirmed_by_its_line_once_and_its_file_is_closed():
    client, payment = sent()
    row = line("100.00", end_to_end=payment.end_to_end_id)
    assert (row.state, row.reason.startswith("Payment of NX-")) == ("unmatched_out", True)
    assert (claims.sweep(at=NOW), claims.sweep(at=NOW)) == (1, 0)
    payment = again(payment)
    assert (payment.state, again(row).state) == ("confirmed", "paid")
    assert payment.evidence == "On statement 1 of House bank EUR, line 1, booked on 2026-11-20."
    assert (batches.close_done(at=NOW), again(payment.batch).state) == (1, "closed")
    assert accounts.unmatched_out("EUR").posted == payments.payments_out("EUR").posted == 0
    assert desk.in_wallet(client) == 900


def test_files_are_not_read_to_say_what_became_of_the_payments_in_them():
    _, payment = sent()
    line("100.00", end_to_end=payment.end_to_end_id)
    with CaptureQueriesContext(connection) as seen:
        assert claims.sweep(at=NOW) == 1
    asked = [query["sql"] for query in seen]
    assert [sql for sql in asked if '"ledger_bankstatement"."number"' in sql]
    files = ('"ledger_bankstatement"."content"', '"ledger_paymentbatch"."file"')
    assert not [sql for sql in asked if any(name in sql for name in files)]


def test_a_line_without_the_number_is_found_by_the_reference_in_its_text():
    _, payment = sent()
    row = line("100.00", text=f"SEPA transfer {payment.withdrawal.reference.lower()} thanks")
    assert claims.sweep(at=NOW) == 1 and again(row).settled_by is not None


@pytest.mark.parametrize("reversal", [True, False])
def test_what_comes_back_is_the_clients_again_less_what_banks_kept(reversal):
    client, payment = sent()
    line("100.00", end_to_end=payment.end_to_end_id)
    back = line("95.00", number="2", side="CRDT", end_to_end=payment.end_to_end_id, reversal=reversal)
    assert back.state == "suspense"
    assert claims.sweep(at=NOW) == 2
    payment, back = again(payment), again(back)
    assert (payment.state, back.state, desk.in_wallet(client)) == ("returned", "paid", 995)
    assert accounts.suspense("EUR").posted == accounts.unmatched_out("EUR").posted == 0
    assert withdrawals.of_pk(payment.withdrawal_id).state == "returned"


def test_a_return_seen_before_the_payment_itself_leaves_what_the_payments_line_will_take():
    client, payment = sent()
    line("100.00", side="CRDT", end_to_end=payment.end_to_end_id, reversal=True)
    assert claims.sweep(at=NOW) == 1
    assert (again(payment).state, desk.in_wallet(client), accounts.unmatched_out("EUR").posted) == (
        "returned",
        1000,
        -100,
    )
    row = line("100.00", number="2", end_to_end=payment.end_to_end_id)
    assert accounts.unmatched_out("EUR").posted == 0 and row.state == "unmatched_out"


def test_a_return_that_was_told_before_its_money_is_seen_is_credited_once():
    client, payment = sent()
    line("100.00", end_to_end=payment.end_to_end_id)
    claims.sweep(at=NOW)
    payments.bring_back(again(payment), code="AC04", message="", by=BY, at=NOW)
    assert (desk.in_wallet(client), accounts.unmatched_out("EUR").posted) == (1000, 100)
    back = line("100.00", number="2", side="CRDT", end_to_end=payment.end_to_end_id, reversal=True)
    assert claims.sweep(at=NOW) == 1 and again(back).state == "paid"
    assert (
        desk.in_wallet(client),
        accounts.unmatched_out("EUR").posted,
        accounts.suspense("EUR").posted,
    ) == (1000, 0, 0)


def test_what_the_bank_books_twice_waits_for_a_person():
    client, payment = sent()
    line("100.00", end_to_end=payment.end_to_end_id)
    claims.sweep(at=NOW)
    twice = line("100.00", number="2", end_to_end=payment.end_to_end_id)
    assert claims.sweep(at=NOW) == 0 and again(twice).state == "unmatched_out"
    with pytest.raises(claims.PaidByAnotherLine):
        claims.claim(twice, again(payment), by=BY, at=NOW)
    assert desk.in_wallet(client) == 900 and claims.candidates_of(twice) == []


def test_a_line_that_differs_claims_nothing():
    _, payment = sent()
    less = line("99.00", end_to_end=payment.end_to_end_id)
    assert claims.sweep(at=NOW) == 0
    with pytest.raises(claims.LineDiffers):
        claims.claim(less, payment, by=BY, at=NOW)
    more = line("101.00", number="2", side="CRDT", end_to_end=payment.end_to_end_id)
    with pytest.raises(claims.LineDiffers):
        claims.claim(more, payment, by=BY, at=NOW)
    assert again(payment).state == "sent" and {row.settled_by for row in BankLine.objects.all()} == {None}


def test_a_person_says_which_payment_an_unnamed_line_is():
    _, payment = sent()
    row = line("100.00", text="Sammelueberweisung")
    assert claims.sweep(at=NOW) == 0
    assert claims.candidates_of(row) == [payment]
    claims.claim(row, payment, by=BY, at=NOW)
    assert claims.claim(row, payment, by=BY, at=NOW).state == "paid"


def test_money_of_nobody_is_sent_back_and_both_lines_are_settled_by_one_entry():
    desk.bank()
    came = suspense.send_back(line("70.00", side="CRDT", text="What is this"), by=BY, at=NOW)
    left = line("70.00", number="2", text="Return")
    done = suspense.sent_back(came, left, by=BY, at=NOW)
    assert (done.state, again(left).state, done.settled_by_id) == ("returned", "paid", left.settled_by_id)
    assert suspense.sent_back(came, left, by=BY, at=NOW).settled_by_id == done.settled_by_id
    assert accounts.suspense("EUR").posted == accounts.unmatched_out("EUR").posted == 0


def test_only_lines_of_one_amount_and_account_settle_each_other():
    desk.bank()
    came = line("70.00", side="CRDT")
    left = line("69.00", number="2")
    with pytest.raises(suspense.MoveNotAllowed):
        suspense.sent_back(came, left, by=BY, at=NOW)
    suspense.send_back(came, by=BY, at=NOW)
    with pytest.raises(suspense.LinesDiffer):
        suspense.sent_back(came, left, by=BY, at=NOW)
    assert (accounts.suspense("EUR").posted, accounts.unmatched_out("EUR").posted) == (70, 69)
