"""PayPal as the second collector: an order the client approves there, captured by us; the same port, the same books."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client as Browser

from ledger import clawbacks
from ledger.collecting import accounts, refunding, taking, told
from ledger.models import Account, ClawBack, CollectorEvent, Deposit, Entry
from tests import world
from tests.ledger import payments as desk
from tests.ledger import paypal_server
from tests.ledger.cards import BY, NOW, D, free_port, now

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def paypal(settings):
    with paypal_server.running() as found:
        settings.CONFIG = settings.CONFIG.model_copy(
            update={"paypal_url": found.url, "paypal_client_id": paypal_server.CLIENT[0], "paypal_secret": paypal_server.CLIENT[1],
                    "paypal_webhook_id": paypal_server.WEBHOOK_ID}
        )  # fmt: skip
        yield found


def begun():
    row = taking.create(
        desk.client(), method="paypal", currency="EUR", amount="100.00", by=BY, at=NOW, key=world.key()
    )
    collect = taking.begin(row, by=BY, now=now)
    assert collect.url.startswith("https://paypal.test/checkoutnow?token=")
    return Deposit.objects.select_related("client", "currency").get(pk=row.pk)


def tell(signed):
    text, headers = signed
    return Browser().post("/hooks/paypal/", data=text, content_type="application/json", headers=headers)


def applied(signed):
    assert tell(signed).status_code == 200
    return told.apply(CollectorEvent.objects.latest("id"), now=now)


def paid(paypal):
    row = begun()
    paypal.approve(row.external_id)
    assert applied(paypal.event("CHECKOUT.ORDER.APPROVED", paypal.orders[row.external_id])).state == "applied"
    return Deposit.objects.select_related("client", "currency").get(pk=row.pk)


def receivable():
    return Account.objects.get(pk=accounts.receivable("paypal", "EUR", at=NOW).pk).posted


def test_what_the_client_approves_is_captured_once_and_paypal_s_fee_is_an_expense(paypal):
    row = paid(paypal)
    assert (row.state, row.received, desk.in_wallet(row.client)) == ("completed", 100, 100)
    assert (receivable(), Account.objects.get(purpose="collector_fees").posted) == (D("98.50"), D("1.50"))
    applied(paypal.event("PAYMENT.CAPTURE.COMPLETED", paypal.capture_of(row.external_id)))
    assert taking.ask(row, now=now).state == "completed"
    assert (desk.in_wallet(row.client), Entry.objects.count()) == (100, 2)


def test_what_paypal_does_not_call_its_own_is_refused_and_nothing_is_kept(paypal, settings):
    row = begun()
    text, headers = paypal.event("CHECKOUT.ORDER.APPROVED", paypal.orders[row.external_id])
    assert tell((text.replace("APPROVED", "VOIDED"), headers)).status_code == 400
    assert tell((text, {**headers, "Paypal-Transmission-Sig": "forged"})).status_code == 400
    old = paypal.headers(headers["Paypal-Transmission-Id"], datetime.now(UTC) - timedelta(days=5))
    assert tell((text, old)).status_code == 400
    assert tell(("[]", headers)).status_code == 400
    assert tell((text, {})).status_code == 400
    settings.CONFIG = settings.CONFIG.model_copy(update={"paypal_url": f"http://127.0.0.1:{free_port()}"})
    assert tell((text, headers)).status_code == 503  # PayPal sends it again
    assert not CollectorEvent.objects.exists()


def test_a_refund_is_made_once_and_one_made_at_paypal_is_taken_too(paypal):
    row = paid(paypal)
    asked = clawbacks.ask_refund(row, amount="30.00", by=BY, at=NOW, key="k")
    done = refunding.push(asked, now=now)
    assert (done.state, done.external_id[:3], desk.in_wallet(row.client), paypal.refunds_made) == (
        "done",
        "REF",
        70,
        1,
    )
    capture = paypal.capture_of(row.external_id)["id"]
    _, theirs = paypal.answer(
        "POST",
        f"/v2/payments/captures/{capture}/refund",
        {"amount": {"currency_code": "EUR", "value": "20.00"}},
    )
    assert applied(paypal.event("PAYMENT.CAPTURE.REFUNDED", theirs)).state == "applied"
    assert (desk.in_wallet(row.client), ClawBack.objects.count()) == (50, 2)


@pytest.mark.parametrize(
    ("outcome", "state", "left"),
    [("RESOLVED_SELLER_FAVOUR", "won", 100), ("RESOLVED_BUYER_FAVOUR", "lost", 60)],
)
def test_a_dispute_takes_the_money_until_it_is_decided(paypal, outcome, state, left):
    row = paid(paypal)
    dispute = {
        "dispute_id": "PP-D-1", "reason": "UNAUTHORISED", "dispute_amount": {"currency_code": "EUR", "value": "40.00"},
        "disputed_transactions": [{"seller_transaction_id": paypal.capture_of(row.external_id)["id"]}],
    }  # fmt: skip
    applied(paypal.event("CUSTOMER.DISPUTE.CREATED", dispute))
    assert desk.in_wallet(row.client) == 60
    ended = {**dispute, "dispute_outcome": {"outcome_code": outcome}}
    assert applied(paypal.event("CUSTOMER.DISPUTE.RESOLVED", ended)).state == "applied"
    assert (ClawBack.objects.get().state, desk.in_wallet(row.client)) == (state, left)


def test_an_order_nobody_approves_is_given_up(paypal):
    row = begun()
    late = NOW + timedelta(hours=25)
    assert taking.ask(row, now=lambda: late).state == "failed"
