"""Transfers, adjustments and rates in the console: asked for, agreed to, called off; and who may."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from backoffice.admin.actions import LOOK
from ledger.models import Adjustment, AdjustmentCategory, Entry, ExchangeRate, Spread, Transfer
from tests import world
from tests.edges import staff
from tests.edges.test_payments_console import act, dialog
from tests.ledger import transferring as desk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
REASON = "The client was charged twice."
RATES = "admin:ledger_exchangerate_"


@pytest.fixture
def amina():
    return desk.funded("1000.00")


def wallet_of(client):
    return desk.wallet(client.uuid, "EUR", at=desk.NOW)


def rates_file(text):
    return SimpleUploadedFile("rates.csv", text.encode())


def test_every_page_opens_for_those_who_may_look_and_for_nobody_else(amina):
    rows = [*desk.everything(amina, at=timezone.now()), Spread.objects.get()]
    auditor, support = staff.of_role("Auditor"), staff.of_role("Support")
    for row in rows:
        for url in (reverse(staff.name(type(row), "changelist")), staff.page(row)):
            assert auditor.get(url).status_code == 200, url
            assert support.get(url).status_code == 403, url
    whole = staff.browser(staff.superuser())
    for model in (Spread, AdjustmentCategory):
        assert whole.get(reverse(staff.name(model, "add"))).status_code == 200
    page = whole.get(staff.page(amina)).content.decode()
    assert "Adjustments" in page and "Transfers" in page


def test_an_adjustment_is_asked_for_on_the_wallet_s_page_and_shows_what_it_will_post(amina):
    browser, wallet, category = staff.of_role("Payments operator"), wallet_of(amina), desk.category()
    assert "Nothing is posted until somebody else agrees" in dialog(browser, wallet, "adjust_wallet")
    assert not Adjustment.objects.exists()
    begun = Entry.objects.count()
    page = act(
        browser,
        wallet,
        "adjust_wallet",
        direction="credit",
        amount="20.00",
        category=category.pk,
        told="Sorry.",
    )
    row = Adjustment.objects.get()
    assert "Somebody else must agree" in page and "What it will post" in page
    assert (row.state, row.amount, row.told, Entry.objects.count()) == ("waiting", 20, "Sorry.", begun)
    assert "To be refused" not in page
    refused = act(browser, wallet, "adjust_wallet", direction="credit", amount="501", category=category.pk)
    assert "CATEGORY_NOT_FIT" in refused and Adjustment.objects.count() == 1
    approver = staff.of_role("Payments approver")
    assert act(approver, row, "cancel_adjustment") and Adjustment.objects.get().state == "waiting"
    act(browser, row, "cancel_adjustment")
    assert Adjustment.objects.get().state == "cancelled"


def test_an_adjustment_s_first_press_shows_its_lines_and_moves_nothing_the_second_asks(amina):
    browser, wallet, category = staff.of_role("Payments operator"), wallet_of(amina), desk.category()
    url = reverse("admin:ledger_account_adjust_wallet", args=[wallet.pk])
    opened = browser.get(url).content.decode()
    assert LOOK in opened and "Ask for it" not in opened
    data = {
        "key": world.key(),
        "reason": REASON,
        "direction": "credit",
        "amount": "20.00",
        "category": category.pk,
    }
    before = staff.fingerprint()
    shown = browser.post(url, data).content.decode()
    assert staff.fingerprint() == before
    assert "Ask for it" in shown and LOOK not in shown
    assert "House · goodwill EUR" in shown and "1,000.00" in shown and "1,020.00" in shown, "before and after"
    seen = {**data, "seen": re.search(r'name="seen" value="(\w{64})"', shown)[1]}
    other = browser.post(url, {**seen, "amount": "30.00"}).content.decode()
    assert "1,030.00" in other and staff.fingerprint() == before, "another amount is shown anew"
    assert "CATEGORY_NOT_FIT" in browser.post(url, {**data, "amount": "501"}).content.decode()
    assert LOOK in browser.post(url, {**data, "amount": ""}).content.decode()
    assert staff.fingerprint() == before
    assert browser.post(url, seen).status_code == 302
    assert Adjustment.objects.get().amount == 20


def test_the_approver_sees_the_journal_lines_and_agrees_to_the_reversal_too(amina):
    row = desk.adjustment(amina)
    whole = staff.browser(staff.superuser())
    shown = whole.get(staff.page(desk.waiting(row))).content.decode()
    assert "House · goodwill EUR" in shown and "20.00" in shown
    desk.approve(row)
    row = Adjustment.objects.get()
    assert "20.00" in dialog(whole, row, "reverse_adjustment") and Adjustment.objects.count() == 1
    act(whole, row, "reverse_adjustment")
    assert Adjustment.objects.latest("id").reverses == row
    assert "ADJUSTMENT_REVERSED" in act(whole, row, "reverse_adjustment")


def test_a_transfer_that_waits_is_shown_with_its_lines_and_called_off(amina):
    desk.watched()
    row = desk.sent(amina, desk.desk.client("Lucas", "Ferreira"))
    whole = staff.browser(staff.superuser())
    assert "25.00" in whole.get(staff.page(desk.waiting(row))).content.decode()
    act(staff.of_role("Auditor"), row, "cancel_transfer")
    assert Transfer.objects.get().state == "waiting"
    act(whole, row, "cancel_transfer")
    assert Transfer.objects.get().state == "cancelled"


def test_rates_are_entered_and_imported_and_what_is_far_off_needs_a_second_look():
    browser = staff.of_role("Payments approver")
    given = {"base": "EUR", "quote": "USD", "mid": "1.0842", "key": world.key()}
    assert (
        "is 1.0842 from now on"
        in browser.post(reverse(RATES + "enter_rate"), given, follow=True).content.decode()
    )
    far = {**given, "mid": "10.842", "key": world.key()}
    assert "RATE_FAR_OFF" in browser.post(reverse(RATES + "enter_rate"), far, follow=True).content.decode()
    assert ExchangeRate.objects.count() == 1
    text = "base;quote;mid;taken_at\nGBP;USD;1.27;2026-11-20T09:00:00Z\nBTC;USD;91250;2026-11-20T09:00:00\n"
    data = {"file": rates_file(text), "key": world.key()}
    assert (
        "2 rates are there"
        in browser.post(reverse(RATES + "import_rates"), data, follow=True).content.decode()
    )
    assert ExchangeRate.objects.count() == 3
    staff.of_role("Auditor").post(reverse(RATES + "enter_rate"), {**given, "key": world.key()})
    assert ExchangeRate.objects.count() == 3


@pytest.mark.parametrize(
    "text",
    ["", "base,quote\nEUR,USD\n", "base,quote,mid\n", "base,quote,mid\nEUR,USD\n", "base,quote,mid\nEUR,USD,1,2,3\n",
     "base,quote,mid,taken_at\nEUR,USD,1.1,yesterday\n", "base,quote,mid\nEUR,USD,=1+1\n", 'base,quote,mid\n"EUR,USD,1\n',
     "base,quote,mid\nEUR,USD,1.1\nEUR,XXX,1\n"],
)  # fmt: skip
def test_a_file_that_is_no_list_of_rates_is_refused_whole(text):
    data = {"file": rates_file(text), "key": world.key()}
    browser = staff.of_role("Payments approver")
    assert browser.post(reverse(RATES + "import_rates"), data).status_code == 200
    assert not ExchangeRate.objects.exists()
