"""Coins, payments by hand and reconciliation in the console: what is shown, who may decide, and what a dialog would post."""

import pytest
from django.urls import reverse
from django.utils import timezone

from compliance.models import Client
from ledger import coins, payments
from ledger.control import reconciliation
from ledger.models import CoinArrival, CoinRoute, Deposit, Payment
from tests import world
from tests.edges import staff
from tests.edges.test_payments_console import act, dialog
from tests.ledger import arrivals, paying
from tests.ledger import payments as desk
from tests.ledger.payments import BY, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


@pytest.fixture
def client() -> Client:
    return desk.client()


def few(client: Client) -> CoinArrival:
    """Coins that were too few, booked beside the wallets."""
    arrivals.everything(client)
    row = CoinArrival.objects.get()
    CoinArrival.objects.update(amount=D("0.0001"))
    CoinRoute.objects.update(least=D("0.001"))
    return coins.credit(row, height=200, at=timezone.now())


def approver():
    return staff.of_role("Payments approver", elevated=True)


def test_pages_of_coins_and_comparisons_say_what_is_there(client):
    rows = arrivals.everything(client)
    browser = staff.browser(staff.superuser())
    for row in rows:
        for url in (reverse(staff.name(type(row), "changelist")), staff.page(row)):
            assert browser.get(url).status_code == 200, url
    page = browser.get(staff.page(rows[0])).content.decode()
    assert "0 (3 needed)" in page and "In block 101" in page and client.name in page
    assert "6a5a53244d" in browser.get(staff.page(rows[1])).content.decode()
    assert "How long it waits" in browser.get(staff.page(rows[3])).content.decode()


def test_too_few_coins_are_credited_by_an_approver_who_saw_the_entry(client):
    row, browser = few(client), approver()
    shown = dialog(browser, row, "credit_coins")
    assert "coins beside" in shown and "wallet" in shown
    assert not Deposit.objects.exists()
    assert "Credited" in act(browser, row, "credit_coins")
    assert desk.in_wallet(client, "BTC") == D("0.0001")


def test_an_operator_may_look_and_not_decide(client):
    row, browser = few(client), staff.of_role("Payments operator")
    assert browser.get(staff.page(row)).status_code == 200
    before = staff.fingerprint()
    url = reverse("admin:ledger_coinarrival_credit_coins", args=[row.pk])
    assert browser.post(url, {"key": world.key(), "reason": "In a hurry."}).status_code == 403
    assert staff.fingerprint() == before


def test_a_payment_by_hand_is_in_its_queue_taken_on_after_its_entry_was_shown_and_settled_with_a_receipt():
    paying.route(provider="manual")
    found = paying.withdrawal(paying.funded())
    row = (found if found.payments.exists() else paying.approve(found)).payments.get()
    browser = staff.browser(staff.superuser(), elevated=True)
    url = f"{reverse('admin:ledger_payment_changelist')}?queue=by_hand"
    assert row.withdrawal.client.name in browser.get(url).content.decode()
    assert "payments out" in dialog(browser, row, "take_payment_on")
    assert Payment.objects.get().state == "queued"
    assert "It is yours" in act(browser, row, "take_payment_on")
    said = act(browser, row, "settle_payment", was_paid="yes", evidence="Receipt 4711.", reference="R-4711")
    assert "Recorded" in said
    assert (Payment.objects.get().state, Payment.objects.get().provider_ref) == ("confirmed", "R-4711")
    assert row.withdrawal.client.name not in browser.get(url).content.decode()
    assert payments.payments_out("EUR").posted == 0


def test_a_comparison_links_to_what_waits_and_says_how_long():
    paying.route(provider="manual")
    found = paying.withdrawal(paying.funded())
    row = (found if found.payments.exists() else paying.approve(found)).payments.get()
    (compared,) = reconciliation.run("manual", by=BY, at=timezone.now())
    page = approver().get(staff.page(compared)).content.decode()
    assert "Nobody has taken it on yet." in page and staff.page(row) in page and "0–1 days" in page
