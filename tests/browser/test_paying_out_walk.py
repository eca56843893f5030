"""The console in a real browser: two withdrawals agreed to at once with their lines shown, a file for the bank, and its statement."""

import re

import pytest
from django.utils import timezone

from ledger.models import PaymentBatch, WithdrawalRoute
from tests import world
from tests.browser.conftest import picture
from tests.browser.test_console_walk import log_in
from tests.ledger import paying, payments
from tests.ledger.payments import D
from tests.ledger.statements import Entry as Line
from tests.ledger.statements import statement
from tests.running import until

pytestmark = [pytest.mark.processes, pytest.mark.browser]


def test_two_withdrawals_are_agreed_to_filed_and_seen_on_the_statement(page, deployment, tmp_path):
    from playwright.sync_api import expect

    paying.nothing_is_odd()
    paying.policy(1)
    house = payments.bank()
    WithdrawalRoute.objects.filter(method="bank", currency="EUR").update(is_active=False)
    paying.WithdrawalRoute.objects.create(method="bank", currency_id="EUR", provider="bank_file", bank_account=house, least=D("5.00"),
                                          cool_off_hours=0)  # fmt: skip
    amina, ben = paying.funded("900.00"), paying.funded("500.00", first_name="Ben")
    now = timezone.now()
    rows = [paying.withdrawal(amina, "250.00", at=now), paying.withdrawal(ben, "120.00", at=now)]
    log_in(page, deployment, "Payments approver")

    page.goto(f"{deployment.url}/admin/compliance/approval/?queue=unassigned")
    expect(page.get_by_text("250.00").first).to_be_visible()
    picture(page, "console-inbox-withdrawals")
    page.get_by_role("link", name="Approve several").first.click()
    expect(page.get_by_role("button", name="Approve those chosen")).to_be_visible()
    page.locator("#dialog details summary").first.click()
    expect(page.get_by_text("Balance before").first).to_be_visible()
    picture(page, "console-approve-withdrawals")
    page.get_by_role("button", name="Approve those chosen").click()
    expect(page.get_by_text("2 agreed to.")).to_be_visible()
    picture(page, "console-approved-withdrawals")

    batch = PaymentBatch.objects.get(state="open", bank_account=house)
    url = f"{deployment.url}/admin/ledger/paymentbatch/{batch.pk}/change/"
    page.goto(url)
    page.get_by_role("link", name=re.compile("Seal a batch")).first.click()
    expect(page.get_by_text("370.00").first).to_be_visible()
    page.get_by_role("button", name="Seal it and write the file").click()
    expect(page.get_by_text("Sealed. The file is ready within moments").first).to_be_visible()
    until(
        lambda: PaymentBatch.objects.get(pk=batch.pk).state == "sealed", "a worker has written the file", 30
    )
    page.goto(url)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file").click()
    file = download.value.path().read_text()
    assert download.value.suggested_filename == f"{batch.message_id}.xml" and "<NbOfTxs>2</NbOfTxs>" in file
    assert "<CtrlSum>370.00</CtrlSum>" in file
    picture(page, "console-batch")
    page.get_by_role("link", name=re.compile("Mark a batch as sent")).first.click()
    page.get_by_role("button", name="It was taken to the bank").click()
    expect(page.get_by_text("With the bank.").first).to_be_visible()

    path = tmp_path / "statement.xml"
    path.write_bytes(
        statement(
            *[
                Line(amount=f"{row.amount:.2f}", side="DBIT", bank_id=world.key(), end_to_end=row.payments.get().end_to_end_id)
                for row in rows
            ],
            opening="5000.00", number=world.key(), iban=house.iban,
        )
    )  # fmt: skip
    page.goto(f"{deployment.url}/admin/ledger/bankstatement/")
    page.get_by_role("link", name="Upload a statement").first.click()
    page.locator("#dialog select[name=bank_account]").select_option(label=house.name)
    page.locator("#dialog input[type=file]").set_input_files(str(path))
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_text(f"Payment of {rows[0].reference}").first).to_be_visible()
    picture(page, "console-statement-of-payments")
    page.get_by_role("link", name=re.compile("Import$")).first.click()
    page.get_by_role("button", name=f"Import into {house.name}").click()
    expect(page.get_by_text("Imported: 2 of 2 lines were new and are booked.")).to_be_visible()
    until(lambda: PaymentBatch.objects.get(pk=batch.pk).state == "closed", "the payments are confirmed", 30)
    page.goto(url)
    picture(page, "console-batch-closed")
    page.goto(f"{deployment.url}/admin/ledger/withdrawal/{rows[0].pk}/change/")
    expect(page.get_by_text("Paid").first).to_be_visible()
    picture(page, "console-withdrawal-paid")
    assert {row.payments.get().state for row in rows} == {"confirmed"}
    assert payments.in_wallet(amina) == D(650)
