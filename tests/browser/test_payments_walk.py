"""The console in a real browser: a bank statement is uploaded, looked at and imported, and suspense is resolved."""

import re

import pytest

from ledger.models import BankLine
from tests import world
from tests.browser.conftest import picture
from tests.browser.test_console_walk import log_in
from tests.ledger import payments
from tests.ledger.payments import D
from tests.ledger.statements import Entry as Line
from tests.ledger.statements import statement

pytestmark = [pytest.mark.processes, pytest.mark.browser]
REASON = "The client sent a receipt."


def test_a_statement_is_imported_and_suspense_resolved(page, deployment, tmp_path):
    from playwright.sync_api import expect

    amina, house = payments.client(), payments.bank()
    mine, unnamed = payments.deposit(amina, "100.00"), payments.deposit(amina, "71.40")
    before = payments.in_wallet(amina)
    file = tmp_path / "statement.xml"
    file.write_bytes(
        statement(
            Line(
                amount="100.00", text=f"deposit {mine.reference}", who="Amina Odhiambo", bank_id=world.key()
            ),
            Line(amount="71.40", text="for my account", who="Odhiambo Amina", bank_id=world.key()),
            Line(amount="8.40", side="DBIT", text="Charges", bank_id=world.key()),
            iban=house.iban,
        )
    )
    log_in(page, deployment, "Payments operator")
    page.get_by_role("link", name=re.compile("Bank statements")).first.click()
    page.get_by_role("link", name="Upload a statement").click()
    page.locator("#dialog select[name=bank_account]").select_option(label=house.name)
    page.locator("#dialog input[type=file]").set_input_files(str(file))
    picture(page, "console-statement-upload")
    page.get_by_role("button", name="Upload and look at it").click()
    expect(page.get_by_text("Nothing is booked yet: look at what each line would do.")).to_be_visible()
    expect(page.get_by_text(f"Credited by its reference {mine.reference}")).to_be_visible()
    picture(page, "console-statement-preview")
    page.get_by_role("link", name=re.compile("Import$")).first.click()
    expect(page.get_by_text("In our books after").last).to_be_visible()
    picture(page, "console-statement-import")
    page.get_by_role("button", name=f"Import into {house.name}").click()
    expect(page.get_by_text("Imported: 3 of 3 lines were new and are booked.")).to_be_visible()
    line = BankLine.objects.get(bank_account=house, state="suspense")
    page.get_by_role("link", name=re.compile("Suspense")).first.click()
    picture(page, "console-suspense")
    page.goto(f"{deployment.url}/admin/ledger/bankline/{line.pk}/change/")
    expect(page.get_by_text("The amount and the name fit").first).to_be_visible()
    picture(page, "console-suspense-line")
    page.get_by_role("link", name=re.compile("Assign to a deposit")).first.click()
    expect(page.get_by_text("Balance before")).to_be_visible()
    page.get_by_label("Reason").fill(REASON)
    picture(page, "console-suspense-assign")
    page.get_by_role("button", name="Assign and credit").click()
    expect(page.get_by_text(f"Credited: Deposit {unnamed.reference}.")).to_be_visible()
    assert payments.in_wallet(amina) - before == D("171.40")
