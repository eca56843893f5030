"""Deposits: asked for, paid, late, short, twice; and what they cost."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.errors import InvalidInput, KeyReused, MoveNotAllowed
from backoffice.models import Currency, Event
from ledger import deposits, fees, references
from ledger.deposits import DepositNotOffered
from ledger.models import Deposit, Fee
from tests.books import books_text
from tests.edges.staff import fingerprint
from tests.ledger import payments
from tests.ledger.payments import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def test_a_deposit_is_asked_for_paid_and_in_the_wallet_less_the_fee():
    amina = payments.client()
    payments.fee(fixed=D("1.50"))
    row = payments.deposit(amina, "100.00")
    assert (row.state, row.received, row.entry_id) == ("pending", None, None)
    done = payments.complete(row, "100.00")
    assert (done.state, done.received, done.fee, done.note) == ("completed", D("100"), D("1.50"), "")
    assert payments.in_wallet(amina) == D("98.50")
    names = {amina.uuid: "Amina", payments.bank().uuid: "House bank"}
    assert (
        books_text(book="real", names=names)
        == f"""2026-11-21 09:00:00  deposit  {row.reference}  Bank transfer {row.reference}
    House bank bank EUR     100.00
    Amina wallet EUR                98.50
    house deposit fees EUR           1.50"""
    )
    assert list(Event.objects.about("deposit", row.uuid).values_list("name", flat=True)) == [
        "deposit.created",
        "deposit.completed",
    ]


def test_the_same_request_twice_is_one_deposit_and_another_content_is_refused():
    amina = payments.client()
    first = payments.deposit(amina, "100.00", key="k")
    assert payments.deposit(amina, "100.0", key="k") == first
    before = fingerprint()
    with pytest.raises(KeyReused):
        payments.deposit(amina, "101.00", key="k")
    assert fingerprint() == before
    assert payments.deposit(payments.client(), "101.00", key="k") != first


@pytest.mark.parametrize("amount", ["0", "-1", "1.001", "NaN", "1e30", "ten", ""])
def test_what_is_no_amount_is_refused_and_leaves_nothing(amount):
    amina = payments.client()
    payments.bank()
    before = fingerprint()
    with pytest.raises(InvalidInput) as refused:
        payments.deposit(amina, amount)
    assert refused.value.field == "amount"
    assert fingerprint() == before


def test_no_deposit_in_a_currency_nobody_takes():
    amina = payments.client()
    Currency.objects.filter(code="GBP").update(is_active=False)
    payments.bank("USD", takes_deposits=False)
    before = fingerprint()
    for currency in ("XXX", "GBP", "USD"):
        with pytest.raises(DepositNotOffered):
            deposits.create(amina, method="bank", currency=currency, amount="1.00", by=BY, at=NOW, key="k")
    assert fingerprint() == before


def test_completing_twice_is_once_and_with_another_amount_refused():
    amina = payments.client()
    row = payments.deposit(amina)
    payments.complete(row, "100.00")
    before = fingerprint()
    assert payments.complete(row, "100.00").received == D("100")
    with pytest.raises(MoveNotAllowed):
        payments.complete(row, "50.00")
    for verb in (deposits.cancel, lambda one, **who: deposits.fail(one, note="No", **who)):
        with pytest.raises(MoveNotAllowed):
            verb(row, by=BY, at=NOW)
    assert fingerprint() == before


@pytest.mark.parametrize("ended", ["cancelled", "expired"])
def test_money_that_comes_after_the_end_is_the_client_s_all_the_same(ended):
    amina = payments.client()
    row = payments.deposit(amina)
    if ended == "cancelled":
        assert deposits.cancel(row, by=BY, at=NOW).state == ended
        assert deposits.cancel(row, by=BY, at=NOW).state == ended
    else:
        assert deposits.expire_due(row.expires_at) == 1
        assert deposits.expire_due(row.expires_at) == 0
    done = payments.complete(row, "90.00")
    assert done.state == "completed"
    assert "came after" in done.note and "90.00 came instead of 100.00" in done.note
    assert payments.in_wallet(amina) == D("90")


def test_a_deposit_expires_only_when_its_time_has_come():
    row = payments.deposit()
    assert deposits.expire_due(row.expires_at - timedelta(microseconds=1)) == 0
    assert deposits.expire_due(row.expires_at) == 1
    assert Deposit.objects.get().state == "expired"


def test_what_a_provider_has_begun_is_not_cancelled_and_a_failed_one_stays_failed():
    row = payments.deposit()
    assert deposits.begin(row, external_id="pi_1", by=BY, at=NOW).state == "processing"
    before = fingerprint()
    with pytest.raises(MoveNotAllowed):
        deposits.cancel(row, by=BY, at=NOW)
    assert fingerprint() == before
    failed = deposits.fail(row, note="Card refused", by=BY, at=NOW)
    assert (failed.state, failed.why) == ("failed", "Nothing came: Card refused.")
    with pytest.raises(MoveNotAllowed):
        payments.complete(row)


def test_a_fee_never_takes_more_than_came():
    amina = payments.client()
    payments.fee(fixed=D("5.00"))
    done = payments.complete(payments.deposit(amina, "3.00"), "3.00")
    assert (done.fee, payments.in_wallet(amina)) == (D("3"), 0)


amounts = st.decimals(min_value=0, max_value=10**6, places=4)


@given(amounts, amounts, st.decimals(0, D("0.99"), places=6), amounts, st.none() | amounts)
def test_a_fee_can_be_booked_is_within_its_bounds_and_never_above_the_amount(
    amount, fixed, rate, least, most
):
    amount = amount.quantize(D("0.01"))
    if most is not None and most < least:
        least, most = most, least
    row = Fee(direction="in", method="bank", currency=Currency(code="EUR", exponent=2), fixed=fixed, rate=rate,
              least=least, most=most)  # fmt: skip
    taken = fees.amount_of(row, amount)
    assert taken == taken.quantize(D("0.01")) and 0 <= taken <= amount
    exact = min(max(fixed + amount * rate, least), amount if most is None else min(most, amount))
    assert abs(taken - exact) <= D("0.005")


# ── references ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_reference_is_found_however_it_is_written():
    good = references.new()
    signs = good.replace("-", "")
    for text in (good, good.lower(), signs, " ".join(signs), f"Payment {good}, thanks", f"RF{signs}X",
                 f"NX {signs[2:5]}\n{signs[5:]}", f"{good} {good.lower()}"):  # fmt: skip
        assert references.found_in(text) == [good], text
    other = references.new()
    assert references.found_in(f"{good} and {other}") == [good, other]
    assert references.found_in("NX-0000-0000 INVOICE 123") == []


@given(st.integers(0, 7), st.sampled_from(references.SIGNS))
def test_one_wrong_sign_or_two_swapped_ones_never_make_another_good_reference(place, sign):
    signs = references.new().replace("-", "")[2:]
    wrong = signs[:place] + sign + signs[place + 1 :]
    assert references.is_good(wrong) is (wrong == signs)
    if place < 7:
        swapped = signs[:place] + signs[place + 1] + signs[place] + signs[place + 2 :]
        assert references.is_good(swapped) is (swapped == signs)
