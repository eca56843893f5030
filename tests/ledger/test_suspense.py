"""Money in suspense: proposed, assigned, sent back; money out: claimed by a payment, or the bank's fee."""

import pytest

from backoffice.database import uuid7
from backoffice.errors import InvalidInput, KeyReused, MoveNotAllowed
from backoffice.models import Event
from ledger import accounts, deposits
from ledger.bank import accounts as bank_accounts
from ledger.bank import suspense
from ledger.models import Account, BankLine, Deposit
from tests.books import books_text
from tests.edges.staff import fingerprint
from tests.ledger import payments
from tests.ledger.payments import BY, NOW, D
from tests.ledger.statements import Entry as Line
from tests.ledger.statements import statement

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def in_suspense(amount="70.00", **given):
    payments.imported(statement(Line(amount=amount, **given)))
    return BankLine.objects.select_related("bank_account").latest("id")


def left(amount="12.50", **given):
    return in_suspense(amount, side="DBIT", **given)


def assign(line, to, key="k", **given):
    return suspense.assign(line, to, by=BY, at=NOW, key=key, **given)


def test_suspense_is_assigned_to_a_deposit_with_another_amount_less_the_fee():
    amina = payments.client()
    payments.fee(fixed=D("1.00"))
    row, line = payments.deposit(amina, "100.00"), in_suspense("70.00", text="thanks", who="Amina")
    done = assign(line, row, reason="She called.")
    assert (done.state, done.deposit.state, done.deposit.received) == ("assigned", "completed", D("70"))
    assert done.deposit.note == "70.00 came instead of 100.00."
    assert done.settled_by == done.deposit.entry
    names = {amina.uuid: "Amina", payments.bank().uuid: "House bank"}
    assert books_text(book="real", names=names).replace(row.reference, "REF") == (
        """2026-11-21 09:00:00  bank_in  On House bank EUR · 2026-1, line 1
    House bank bank EUR     70.00
    house suspense EUR             70.00

2026-11-21 09:00:00  deposit  REF  Out of suspense: REF
    house suspense EUR      70.00
    Amina wallet EUR               69.00
    house deposit fees EUR          1.00"""
    )
    (event,) = Event.objects.filter(name="bank_line.assigned")
    assert (event.client_id, event.reason.text) == (amina.uuid, "She called.")


def test_suspense_is_assigned_to_a_client_by_a_deposit_made_for_it():
    amina = payments.client()
    line = in_suspense("70.00")
    done = assign(line, amina)
    assert (done.deposit.client, done.deposit.amount, done.deposit.state) == (amina, D("70"), "completed")
    assert payments.in_wallet(amina) == D("70")
    assert Account.objects.get(pk=bank_accounts.suspense("EUR").pk).posted == 0


def test_assigning_twice_with_one_key_is_once_and_with_another_refused():
    amina, lucas = payments.client(), payments.client("Lucas", "Ferreira")
    line = in_suspense()
    assign(line, amina)
    before = fingerprint()
    assert assign(line, amina).state == "assigned"
    for to, key, refusal in (
        (lucas, "k", KeyReused),
        (lucas, "k2", MoveNotAllowed),
        (amina, "k3", MoveNotAllowed),
    ):
        with pytest.raises(refusal):
            assign(line, to, key)
    with pytest.raises(MoveNotAllowed):
        suspense.send_back(line, by=BY, at=NOW)
    assert {name for name, was in fingerprint().items() if before[name] != was} == set()


def test_a_deposit_that_was_paid_already_takes_nothing_out_of_suspense():
    row = payments.deposit(amount="70.00")
    payments.complete(row, "70.00")
    line = in_suspense("70.00")
    before = fingerprint()
    with pytest.raises(MoveNotAllowed):
        assign(line, row)
    failed = deposits.fail(payments.deposit(amount="70.00"), note="No", by=BY, at=NOW)
    with pytest.raises(MoveNotAllowed):
        assign(line, failed)
    line.refresh_from_db()
    assert line.state == "suspense" and fingerprint()["ledger.Posting"] == before["ledger.Posting"]


def test_a_deposit_in_another_currency_or_by_another_method_is_refused():
    line, before = in_suspense(), None
    others = [
        payments.deposit(amount="70.00", currency="USD"),
        deposits.create(
            payments.client(), method="card", currency="EUR", amount="70.00", by=BY, at=NOW, key="c"
        ),
    ]
    before = fingerprint()
    for row in others:
        with pytest.raises(InvalidInput):
            assign(line, row)
    assert fingerprint() == before


def test_candidates_are_the_likeliest_first_with_what_speaks_for_each():
    amina, lucas = payments.client("Amina", "Odhiambo"), payments.client("Lucas", "Ferreira")
    by_reference = payments.deposit(lucas, "500.00")
    by_both = payments.deposit(amina, "70.00")
    by_amount = payments.deposit(lucas, "70.00")
    nearly = payments.deposit(amina, "71.00")
    payments.deposit(lucas, "71.00")  # nearly the amount alone is not enough
    paid = payments.deposit(amina, "70.00")
    payments.complete(paid, "70.00")
    line = in_suspense("70.00", text=by_reference.reference, who="Odhiambo, Amina")
    found = [(deposit, one.words) for one, deposit in suspense.candidates_of(line)]
    assert found == [
        (by_reference, "Its reference fits"),
        (by_both, "The amount and the name fit"),
        (nearly, "Nearly the amount and the name fit"),
        (by_amount, "The amount fits"),
    ]


def test_money_to_be_sent_back_can_be_kept_again_but_not_assigned_meanwhile():
    line = in_suspense()
    assert suspense.send_back(line, by=BY, at=NOW).state == "to_return"
    assert suspense.send_back(line, by=BY, at=NOW).state == "to_return"
    before = fingerprint()
    with pytest.raises(MoveNotAllowed):
        assign(line, payments.client())
    assert fingerprint()["ledger.Posting"] == before["ledger.Posting"]
    assert suspense.keep(line, by=BY, at=NOW).state == "suspense"
    assert assign(line, payments.client(), "k9").state == "assigned"


def test_money_that_left_is_the_bank_s_fee_once():
    line = left()
    done = suspense.book_fee(line, by=BY, at=NOW)
    assert (done.state, Account.objects.get(pk=bank_accounts.bank_fees("EUR").pk).posted) == (
        "bank_fee",
        D("12.5"),
    )
    assert Account.objects.get(pk=bank_accounts.unmatched_out("EUR").pk).posted == 0
    before = fingerprint()
    assert suspense.book_fee(line, by=BY, at=NOW).state == "bank_fee"
    assert fingerprint() == before
    for other in (in_suspense(),):
        with pytest.raises(MoveNotAllowed):
            suspense.book_fee(other, by=BY, at=NOW)


def test_a_payment_of_ours_claims_the_line_it_caused_once_and_no_other_does():
    line = left("30.00", end_to_end="PAY-1")
    transit = accounts.house("real", "EUR", "payments_in_transit", "liability")
    subject = ("payment", uuid7())

    def claim(by_whom=subject, of=line):
        return suspense.claim(of, against=transit, kind="payment_out", subject=by_whom, by=BY, at=NOW)

    done = claim()
    assert (done.state, done.settled_by.subject_id) == ("paid", subject[1])
    assert Account.objects.get(pk=transit.pk).posted == D("-30")
    before = fingerprint()
    assert claim() == done
    with pytest.raises(MoveNotAllowed):
        claim(("payment", uuid7()))
    assert fingerprint() == before
    back = in_suspense("30.00", end_to_end="PAY-1", reversal=True)
    assert claim(("return", uuid7()), back).state == "paid"
    assert Account.objects.get(pk=transit.pk).posted == 0


def test_a_line_of_a_client_is_seen_by_their_desk_alone_and_one_of_nobody_by_all():
    from compliance.models import Client, Desk
    from tests import world

    amina, line, other = payments.client(), in_suspense("70.00"), in_suspense("71.00")
    assign(line, amina)
    theirs, elsewhere = Desk.objects.create(name="Theirs"), Desk.objects.create(name="Elsewhere")
    Client.objects.filter(pk=amina.pk).update(desk=theirs)
    near, far = world.staff(), world.staff()
    theirs.staff.add(near)
    elsewhere.staff.add(far)
    assert set(BankLine.objects.visible_to(near)) == {line, other}
    assert set(BankLine.objects.visible_to(far)) == {other}
    assert set(Deposit.objects.visible_to(far)) == set()
