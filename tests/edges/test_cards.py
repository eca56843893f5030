"""Cards, claw-backs and debts at the edges: what the API answers, and what people do in the console."""

import re

import pytest
from django.urls import reverse

from ledger.bank.accounts import ledger_account
from ledger.collecting import accounts, refunding
from ledger.models import Account, BankLine, ClawBack, CollectorEvent, Debt, Deposit, Entry, WithdrawalRoute
from tests import world
from tests.edges import staff
from tests.edges.api import PROBLEM, App
from tests.edges.staff import fingerprint
from tests.edges.test_graphql_withdrawals import ADD as ADD_BENEFICIARY
from tests.edges.test_graphql_withdrawals import REQUEST
from tests.edges.test_payments_console import act, dialog
from tests.ledger import cards, paying
from tests.ledger import payments as desk
from tests.ledger.cards import NOW, D, now
from tests.ledger.statements import Entry as Line
from tests.ledger.statements import statement

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
CREATE = (
    "mutation($input: CreateDepositInput!) { createDeposit(input: $input) { ... on DepositAnswer { deposit { id state method } "
    f"wallet {{ posted {{ amount }} }} instructions {{ reference }} collect {{ clientSecret publishableKey url }} }} {PROBLEM} }} }}"
)
LIST = "{ deposits { edges { node { id state clawBacks { kind state why amount { amount currency } createdAt } } } } }"


def asked(**given):
    return {"currency": "EUR", "amount": "100.00", "key": "k", "method": "CARD", **given}


@pytest.fixture
def client(shop):
    opening = world.client()
    return opening.client, App().log_in(opening.user.email)


def test_a_client_asks_to_pay_by_card_and_is_given_what_stripe_s_form_needs(client, shop):
    _, app = client
    answer = app.data(CREATE, input=asked())
    assert (answer["deposit"]["state"], answer["instructions"], answer["wallet"]["posted"]["amount"]) == (
        "PROCESSING",
        None,
        "0.00",
    )
    row = Deposit.objects.get()
    assert answer["collect"]["clientSecret"].startswith(f"{row.external_id}_secret_")
    assert (answer["collect"]["publishableKey"], answer["collect"]["url"]) == ("pk_test_nexus", None)
    assert app.data(CREATE, input=asked()) == answer
    assert Deposit.objects.count() == 1


def test_what_was_clawed_back_is_told_with_the_deposit(client, shop, django_assert_max_num_queries):
    owner, app = client
    row = cards.paid(shop, owner)
    cards.applied(cards.event("charge.dispute.created", cards.dispute(row, 4000)))
    app.data(LIST)
    with django_assert_max_num_queries(12):
        (edge,) = app.data(LIST)["edges"]
    (back,) = edge["node"]["clawBacks"]
    assert (back["kind"], back["state"], back["amount"]) == (
        "CHARGEBACK",
        "OPEN",
        {"amount": "40.00", "currency": "EUR"},
    )


def test_a_collector_that_is_away_is_told_and_asked_again_with_the_same_key(client, settings):
    _, app = client
    known = settings.CONFIG
    settings.CONFIG = known.model_copy(update={"stripe_url": f"http://127.0.0.1:{cards.free_port()}"})
    assert app.data(CREATE, input=asked())["code"] == "COLLECTOR_AWAY"
    assert Deposit.objects.get().state == "pending" and not Entry.objects.filter(book="real").exists()
    settings.CONFIG = known
    assert app.data(CREATE, input=asked())["deposit"]["state"] == "PROCESSING"
    assert Deposit.objects.count() == 1


@pytest.mark.parametrize(
    "given",
    [{"method": "PAYPAL"}, {"currency": "BTC"}, {"amount": "0"}, {"amount": "1.001"}, {"currency": "XXX"}],
)
def test_what_no_collector_takes_is_refused_and_nothing_is_kept(client, given):
    _, app = client
    before = fingerprint()
    assert app.data(CREATE, input=asked(**given))["code"] in (
        "DEPOSIT_NOT_OFFERED",
        "INVALID_INPUT",
        "INVALID_AMOUNT",
    )
    assert fingerprint() == before


def test_a_deposit_is_given_back_from_its_page_with_the_lines_shown_before(shop):
    row = cards.paid(shop)
    browser = staff.of_role("Payments operator", elevated=True)
    shown = dialog(browser, row, "refund_deposit")
    assert "Stripe · collector EUR" in shown and "Balance before" in shown
    assert not ClawBack.objects.exists()
    assert "Held." in act(browser, row, "refund_deposit", amount="30.00")
    assert refunding.push(ClawBack.objects.get(), now=now).state == "done"
    page = browser.get(staff.page(row)).content.decode()
    assert "Collector" in page and desk.in_wallet(row.client) == 70
    before = fingerprint()
    assert "REFUND_TOO_LARGE" in act(browser, row, "refund_deposit", amount="70.01")
    assert fingerprint() == before


def owing(shop):
    """A client who owes 40.00, and has 60.00 held."""
    owner = paying.funded("10.00")
    paying.policy(0)
    row = cards.paid(shop, owner, "90.00")
    paying.withdrawal(owner, "60.00")
    cards.applied(cards.event("charge.dispute.created", cards.dispute(row, 8000, fee=0)))
    return owner, Debt.objects.get()


def test_a_debt_is_a_queue_item_and_is_recovered_in_the_console_with_the_lines_shown(shop):
    owner, debt = owing(shop)
    assert (debt.left, desk.in_wallet(owner)) == (40, 60)
    browser = staff.of_role("Payments operator")
    assert "NOTHING_TO_RECOVER" in act(browser, debt, "recover_debt")
    page = browser.get(reverse("admin:ledger_debt_changelist") + "?queue=owed").content.decode()
    assert owner.name in page
    cards.paid(shop, owner, "25.00")
    assert "Balance before" in dialog(browser, debt, "recover_debt")
    assert "15.00 EUR is still owed" in act(browser, debt, "recover_debt")
    assert (Debt.objects.get().left, desk.in_wallet(owner)) == (15, 60)
    assert "Asked for" in act(browser, debt, "ask_to_write_off")
    assert Debt.objects.get().state == "asked"


def test_who_owes_may_not_withdraw_until_nothing_is_owed(shop):
    owner, debt = owing(shop)
    cards.paid(shop, owner, "500.00")
    row = paying.withdrawal(owner, "20.00")
    assert (row.state, row.decision.codes[0], row.told) == (
        "blocked", "HAS_DEBT", "Please settle what you owe us first; then you can withdraw.",
    )  # fmt: skip
    assert "Nothing is owed" in act(staff.of_role("Payments operator"), debt, "recover_debt")
    row.refresh_from_db()
    assert row.state != "blocked"


def test_a_payout_of_a_collector_is_booked_from_the_bank_line(shop):
    cards.paid(shop, amount="90.00")
    desk.imported(statement(Line(amount="85.00", text="STRIPE PAYOUT")))
    line = BankLine.objects.get()
    browser = staff.of_role("Payments operator")
    assert "Balance before" in dialog(browser, line, "from_a_collector")
    assert "owes us" in act(browser, line, "from_a_collector", collector="stripe")
    assert Account.objects.get(pk=accounts.receivable("stripe", "EUR", at=NOW).pk).posted == 5
    assert ledger_account(desk.bank(), at=NOW).posted == D("85")
    line.refresh_from_db()
    assert (line.state, Account.objects.get(purpose="suspense").posted) == ("paid", 0)


def test_an_event_that_could_not_be_applied_is_seen_to_in_the_console(shop):
    row = cards.begun()
    found = cards.applied(cards.event("payment_intent.succeeded", {**shop.pay(row), "currency": "usd"}))
    browser = staff.of_role("Payments operator")
    page = browser.get(staff.page(found)).content.decode()
    assert "Could not be applied" in page and re.search("took USD", page)
    act(browser, found, "apply_event")
    assert CollectorEvent.objects.get().state == "received"


def test_a_client_takes_money_back_to_the_card_that_paid(client, shop):
    owner, app = client
    owner.kyc_level = 2
    owner.save()
    row = cards.paid(shop, owner)
    paying.policy(1)
    paying.route(method="card", provider="stripe", bank_account=None)
    to = {
        "method": "CARD",
        "currency": "EUR",
        "holder": "Amina Odhiambo",
        "number": row.reference,
        "key": "k",
    }
    refused = app.data(ADD_BENEFICIARY, input={**to, "number": "NX-0000-0000"})
    assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "number")
    added = app.data(ADD_BENEFICIARY, input=to)["beneficiary"]
    assert (added["method"], added["hint"]) == ("CARD", row.reference)
    wish = {"beneficiary": added["id"], "amount": "60.00", "key": "w"}
    answer = app.data(REQUEST, input=wish)
    assert (answer["withdrawal"]["state"], answer["wallet"]["available"]["amount"]) == ("WAITING", "40.00")
    before = fingerprint()
    refused = app.data(REQUEST, input={**wish, "amount": "40.01", "key": "x"})
    assert (refused["code"], refused["field"]) == ("REFUND_TOO_LARGE", "amount")
    assert fingerprint() == before


def test_a_route_is_paid_by_somebody_who_can(client):
    paying.route()
    browser, url = (
        staff.browser(staff.superuser(), elevated=True),
        reverse("admin:ledger_withdrawalroute_add"),
    )
    page = browser.get(url).content.decode()
    assert "Stripe, the way it came" in page and "Custodian of coins" in page
    given = {"method": "card", "currency": "EUR", "bank_account": "", "pain_version": "001.09", "least": "5", "cool_off_hours": "0",
             "is_active": "on"}  # fmt: skip
    before = WithdrawalRoute.objects.count()
    answer = browser.post(url, {**given, "provider": "crypto"})
    assert "Custodian of coins does not pay by card." in answer.content.decode()
    assert WithdrawalRoute.objects.count() == before
    assert browser.post(url, {**given, "provider": "stripe"}).status_code == 302
    assert WithdrawalRoute.objects.get(method="card").provider == "stripe"
