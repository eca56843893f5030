"""Withdrawals to the card that paid a deposit, against a Stripe-compatible server and a till: as a refund, once, never more than came."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from backoffice.errors import InvalidInput
from ledger import beneficiaries, clawbacks, payments, withdrawals
from ledger.collecting import refunding
from ledger.collecting.port import GiveBack, Outcome, Refund, collectors
from ledger.models import Beneficiary, ClawBack, Entry, Payment, Withdrawal
from ledger.providers import providers
from ledger.providers.back import Back
from tests import books
from tests.ledger import cards, paying, till
from tests.ledger import payments as desk
from tests.ledger.cards import BY, NOW, D, now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]

STORY = """\
2026-11-21 09:00:00  deposit  DX  Card DX
    Stripe collector EUR    100.00
    Amina wallet EUR                100.00

2026-11-21 09:00:00  withdrawal  NX  Card NX
    Amina wallet EUR         60.00
    house payments out EUR           60.00

2026-11-21 09:00:00  withdrawal_paid  NX  Card NX
    house payments out EUR   60.00
    Stripe collector EUR             60.00"""


def of_card(deposit, number=""):
    """The way back to the card that paid a deposit."""
    paying.route(method="card", provider=deposit.collector, bank_account=None)
    return beneficiaries.add(
        deposit.client, method="card", currency="EUR", holder="Amina Odhiambo", number=number or deposit.reference,
        by=BY, at=NOW, key=cards.world.key(),
    )  # fmt: skip


def asked(deposit, amount):
    paying.nothing_is_odd()
    paying.policy(0)
    return withdrawals.request(of_card_once(deposit), amount=amount, by=BY, at=NOW, key=cards.world.key())


def of_card_once(deposit):
    return Beneficiary.objects.filter(deposit=deposit).first() or of_card(deposit)


def by_till(amount="100.00"):
    """A deposit by card at a till, which pays back too."""
    client = desk.client()
    client.kyc_level = 2
    client.save()
    row = till.by_card(client, amount)
    if "till" not in providers.names():
        providers.register("till", Back(collectors.get("till")))
    return row


@pytest.fixture
def deposit(shop):
    client = desk.client()
    client.kyc_level = 2
    client.save()
    return cards.paid(shop, client, "100.00")


def test_it_is_refunded_once_to_the_card_and_the_collector_s_word_of_it_takes_nothing_again(deposit):
    row = asked(deposit, "60.00")
    payment = payments.push(row.payments.get(), now=now)
    again = payments.push(payment, now=now)
    cards.applied(cards.event("charge.refunded", {"payment_intent": deposit.external_id, "currency": "eur"}))
    (refund,) = collectors.get("stripe").refunds(deposit)
    row = withdrawals.of_pk(row.pk)
    assert (refund.ours, refund.amount, payment.provider_ref, again.state) == (
        payment.uuid, 60, refund.external_id, "confirmed",
    )  # fmt: skip
    assert (row.state, row.wallet.posted, ClawBack.objects.count()) == ("paid", 40, 0)
    names = {deposit.client.uuid: "Amina", collectors.get("stripe").uuid: "Stripe"}
    told = books.books_text(book="real", names=names)
    assert told.replace(row.reference, "NX").replace(deposit.reference, "DX") == STORY


def test_no_more_goes_back_than_came_whether_by_withdrawals_or_by_refunds(deposit):
    desk.complete(desk.deposit(deposit.client, "500.00"), "500.00")
    asked(deposit, "60.00")
    clawbacks.ask_refund(deposit, amount="30.00", by=BY, at=NOW, key="k")
    before = (Withdrawal.objects.count(), desk.Account.objects.get(pk=deposit.wallet_id).held)
    with pytest.raises(clawbacks.RefundTooLarge, match=r"At most 10\.00 EUR"):
        asked(deposit, "10.01")
    with pytest.raises(clawbacks.RefundTooLarge):
        clawbacks.ask_refund(deposit, amount="10.01", by=BY, at=NOW, key="l")
    assert (Withdrawal.objects.count(), desk.Account.objects.get(pk=deposit.wallet_id).held) == before
    row = asked(deposit, "10.00")
    withdrawals.cancel(row, by=BY, at=NOW)
    assert clawbacks.refundable(deposit) == 10, "what was called off does not count"


def test_a_lost_answer_is_asked_about_and_never_answered_by_a_second_refund(deposit):
    begun = payments.begin(asked(deposit, "60.00").payments.get(), by=BY, at=NOW)
    collectors.get("stripe").refund(GiveBack(begun.uuid, deposit, begun.amount))  # and the worker dies
    found = payments.push(begun, now=lambda: NOW + timedelta(minutes=2))
    assert found.state == "confirmed" and len(collectors.get("stripe").refunds(deposit)) == 1


def test_what_the_collector_will_not_do_is_in_the_wallet_again(monkeypatch):
    row = asked(by_till(), "60.00")
    monkeypatch.setattr(till.Till, "next_answer", "refused")
    payment = payments.push(row.payments.get(), now=now)
    assert (payment.state, withdrawals.of_pk(row.pk).state) == ("failed", "failed")
    assert desk.in_wallet(row.client) == 100 and clawbacks.refundable(row.beneficiary.deposit) == 100


def test_a_refund_that_fails_after_it_was_paid_came_back():
    row = asked(by_till(), "60.00")
    payment = payments.push(row.payments.get(), now=now)
    assert (payment.state, desk.in_wallet(row.client)) == ("confirmed", 40)
    name = str(payment.uuid)
    till.Till.given[name] = Refund(
        external_id=f"re-{name}", amount=D(60), currency="EUR", outcome=Outcome.FAILED, ours=payment.uuid, message="Card closed"
    )  # fmt: skip
    for _ in range(2):
        refunding.follow(row.beneficiary.deposit, now=now)
    row = withdrawals.of_pk(row.pk)
    assert (row.state, desk.in_wallet(row.client)) == ("returned", 100)
    assert row.told == "The money came back: card closed. It is available again, less what banks kept of it."
    assert Entry.objects.filter(kind="withdrawal_returned").count() == 1


def test_only_a_completed_deposit_of_one_s_own_that_came_by_card_is_a_way_back(deposit, shop):
    paying.route(method="card", provider="stripe", bank_account=None)
    by_bank = desk.deposit(deposit.client)
    for wrong in (
        cards.begun(deposit.client).reference,
        cards.paid(shop).reference,
        by_bank.reference,
        "NX-1",
        "",
    ):
        with pytest.raises(InvalidInput) as found:
            of_card(deposit, wrong or " ")
        assert found.value.field == "number"
    assert not Beneficiary.objects.exists()
    with pytest.raises(beneficiaries.WithdrawalNotOffered):
        beneficiaries.add(deposit.client, method="paypal", currency="EUR", holder="Amina Odhiambo",
                          number=deposit.reference, by=BY, at=NOW, key="k")  # fmt: skip
    of_card(deposit)
    with pytest.raises(beneficiaries.BeneficiaryKnown):
        of_card(deposit, deposit.reference.lower())


def test_the_database_wants_a_deposit_behind_a_card_and_behind_nothing_else(deposit):
    row = of_card(deposit)
    for wrong in ({"deposit": None}, {"method": "bank"}, {"method": "crypto", "network": "bitcoin"}):
        with pytest.raises(IntegrityError, match="beneficiary_bank_or_network"), transaction.atomic():
            Beneficiary.objects.filter(pk=row.pk).update(**wrong)


def test_whoever_does_not_pay_by_a_method_is_not_asked_to(deposit):
    row = asked(deposit, "60.00")
    assert Payment.objects.get().provider == "stripe"
    paying.WithdrawalRoute.objects.update(provider="crypto")
    other = asked(deposit, "20.00")
    assert (row.state, other.state, other.payments.count()) == ("approved", "waiting", 0)
