"""What the payments desk reads: lists on one line each, what a payment's evidence is, and events in words."""

import re
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from backoffice import events
from backoffice.admin import timeline
from backoffice.models import Event
from compliance.models import Approval
from ledger.bank import claims
from ledger.models import BankLine, WithdrawalRoute
from tests import world
from tests.edges import staff
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.test_claims import line, sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def words(html):
    """What a reader sees of a page, markup and runs of space left out."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_a_paid_withdrawal_shows_what_says_so_each_with_its_page():
    _, payment = sent()
    row = line("100.00", end_to_end=payment.end_to_end_id)
    browser = staff.of_role("Payments operator")
    before = words(browser.get(staff.page(payment.withdrawal)).content.decode())
    assert "Statement line" not in before
    claims.sweep(at=desk.NOW)
    for page in (payment.withdrawal, payment):
        html = browser.get(staff.page(page)).content.decode()
        assert f'href="{staff.page(row)}"' in html and f'href="{staff.page(payment.batch)}"' in html, page
        text = words(html)
        assert "Bank, by file" in text and payment.end_to_end_id in text and "Evidence" in text, page
    html = browser.get(staff.page(payment.withdrawal)).content.decode()
    assert f'href="{staff.page(payment)}"' in html
    assert re.search(rf'href="{staff.page(payment.withdrawal.wallet)}">EUR wallet</a>', html)
    assert "client 0" not in words(html) and str(payment.withdrawal.client.uuid)[-6:] not in html


def test_the_timeline_of_a_withdrawal_says_in_words_what_matters_and_each_thing_once():
    _, payment = sent()
    html = staff.of_role("Payments operator").get(staff.page(payment.withdrawal)).content.decode()
    story = words(html[html.index("c-timeline") :])
    assert "Asked for; the money is held 100.00 EUR · by bank transfer" in story
    assert story.count("100.00 EUR · ") == 1 and "fee 0" not in story and "method" not in story
    assert "was waiting" not in story and "outcome" not in story


def test_an_event_in_words_has_its_money_with_the_currency_and_no_zeros():
    said = timeline.detail(
        {"currency": "EUR", "amount": "100.000000000000000000", "fee": "0", "method": "card", "was": "open"}
    )
    assert said == "100.00 EUR · by card"
    given = {"given": "10.5", "given_currency": "EUR", "got": "11.30", "got_currency": "USD", "currency": ""}
    assert timeline.detail(given) == "given 10.50 EUR · got 11.30 USD"
    assert timeline.detail({"fee": "1.5", "currency": "EUR"}) == "fee 1.50 EUR"
    assert timeline.detail({"may_log_in": False, "found": 0}) == "may log in no"
    assert timeline.detail({"amount": "5.0", "currency": "EUR"}, {"amount": "5.00", "currency": "EUR"}) == ""
    assert timeline.detail({"login": "12345", "currency": "EUR"}) == "login 12345 · currency EUR"


def test_the_log_itself_keeps_showing_every_part_of_an_event():
    event = events.record(
        "withdrawal.requested", subject_type="withdrawal", subject_id=world.client().client.uuid, by=world.TESTER, at=timezone.now(),
        payload={"amount": desk.D("5.00"), "fee": desk.D("0"), "currency": "EUR", "method": "bank"},
    )  # fmt: skip
    text = words(
        staff.browser(staff.superuser()).get(staff.page(Event.objects.get(pk=event.pk))).content.decode()
    )
    assert "Fee 0" in text and "Method bank" in text and "Amount 5.00" in text


def test_the_inbox_says_of_a_withdrawal_what_its_other_columns_do_not():
    client = paying.funded("1000.00")
    paying.policy(2)
    paying.withdrawal(client, "100.00")
    row = Approval.objects.get()
    html = (
        staff.of_role("Payments approver")
        .get(reverse("admin:compliance_approval_changelist"))
        .content.decode()
    )
    cells = [
        words(cell).strip()
        for cell in re.findall(r'<t[dh] class="[^"]*field-[^>]*>(.*?)</t[dh]>', html, re.S)
    ]
    assert "Withdrawal to DE…6199" in cells and row.title not in cells
    assert "0 of 2 agreed time is over" in cells and "100.00 EUR" in cells
    assert f'title="{row.title}"' in html, "the whole of it at a hover"
    paying.beneficiary(client, holder="Somebody Else", number=paying.IBANS[1])
    paying.withdrawal(client, "50.00", to=client.beneficiaries.get(holder="Somebody Else"))
    html = (
        staff.of_role("Payments approver")
        .get(reverse("admin:compliance_approval_changelist"))
        .content.decode()
    )
    assert "Withdrawal to Somebody Else, FR…2606" in words(html)


def test_suspense_says_why_in_a_few_words_and_all_of_it_at_a_hover():
    row = line("75.00", side="CRDT", text="For my account")
    assert row.state == BankLine.State.SUSPENSE
    browser, url = staff.of_role("Payments operator"), reverse("admin:ledger_bankline_changelist")
    html = browser.get(url, {"queue": "suspense"}).content.decode()
    assert f'title="{row.why}">{row.reason}<' in html and "field-state_shown" not in html
    assert "field-state_shown" in browser.get(url).content.decode()


def test_what_was_agreed_to_and_could_not_be_done_says_so_and_is_tried_again_beside_calling_it_off():
    client = paying.funded("1000.00")
    paying.policy(1, hours=5000)
    WithdrawalRoute.objects.update(is_active=True)
    row = paying.withdrawal(client, "100.00")
    WithdrawalRoute.objects.update(is_active=False)
    row = paying.approve(row)
    assert (row.state, paying.waiting(row).state) == ("waiting", "failed")
    approver = staff.of_role("Payments approver")
    page = approver.get(staff.page(row)).content.decode()
    assert "It was agreed to, and could not be done: Nobody pays this out at the moment" in words(page)
    assert "try-subject-again" in page and "Cancel a withdrawal" in page
    assert "try-subject-again" not in staff.of_role("Payments operator").get(staff.page(row)).content.decode()
    inbox = reverse("admin:compliance_approval_changelist")
    assert "Withdrawal to DE…6199" in words(approver.get(inbox, {"queue": "failed"}).content.decode())
    url = reverse("admin:ledger_withdrawal_try_subject_again", args=[row.pk])
    dialog = approver.get(url).content.decode()
    assert "100.00" in dialog and "Balance before" in dialog, "what it does is shown first"
    said = approver.post(url, {"key": world.key()}, follow=True).content.decode()
    assert "Nobody pays this out at the moment" in words(said) and "NO_PROVIDER" in said
    assert paying.waiting(row).state == "failed"
    WithdrawalRoute.objects.update(is_active=True)
    said = approver.post(url, {"key": world.key()}, follow=True).content.decode()
    assert "Agreed to, and done." in said
    row.refresh_from_db()
    assert (row.state, paying.waiting(row).state, row.payments.count()) == ("approved", "applied", 1)
    assert "APPROVAL_OVER" in approver.post(url, {"key": world.key()}).content.decode()
    assert "try-subject-again" not in approver.get(staff.page(row)).content.decode()
