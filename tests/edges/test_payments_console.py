"""Payments in the console: a statement uploaded, looked at and imported; suspense decided; nothing on the way that should not be."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from compliance.models import Desk
from ledger import batches
from ledger.bank import importing
from ledger.models import BankAccount, BankLine, BankStatement, Deposit, Payment
from tests import world
from tests.edges import staff
from tests.ledger import paying, payments
from tests.ledger.payments import D
from tests.ledger.statements import Entry as Line
from tests.ledger.statements import statement
from tests.ledger.test_pain002 import report

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
REASON = "The client sent a receipt."
UPLOAD = "admin:ledger_bankstatement_upload_statement"


def desk(**given):
    return staff.of_role("Payments operator", **given)


def upload(browser, content, account=None, **given):
    data = {
        "bank_account": (account or payments.bank()).pk, "key": world.key(),
        "file": SimpleUploadedFile("statement.xml", content), **given,
    }  # fmt: skip
    return browser.post(reverse(UPLOAD), data, follow=True)


def act(browser, row, name, **given):
    """Fill the dialog in and press its button; again, where the first press shows what it does."""
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])
    data = {"key": world.key(), "reason": REASON, **given}
    answer = browser.post(url, data, follow=True).content.decode()
    if mark := re.search(r'name="seen" value="(\w{64})"', answer):
        answer = browser.post(url, {**data, "seen": mark[1]}, follow=True).content.decode()
    return answer


def dialog(browser, row, name):
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{name}", args=[row.pk])
    return browser.get(url).content.decode()


def test_a_statement_is_uploaded_looked_at_and_imported():
    browser, row = desk(), payments.deposit(amount="100.00")
    content = statement(
        Line(amount="100.00", text=row.reference), Line(amount="70.00", text='=cmd|"/c calc"!A1', who="&lt;b&gt;Bold&lt;/b&gt;"),
        Line(amount="12.50", side="DBIT"),
    )  # fmt: skip
    answer = upload(browser, content)
    kept = BankStatement.objects.get()
    assert answer.redirect_chain == [(staff.page(kept), 302)]
    page = answer.content.decode()
    for told in ("Nothing is booked yet", "Credited to a deposit", "To suspense", "Money out, not explained yet",
                 f"Credited by its reference {row.reference}", "157.50", "The bank&#x27;s closing balance"):  # fmt: skip
        assert told in page, told
    assert "<b>Bold</b>" not in page and "&lt;b&gt;Bold" in page and "=cmd" in page
    assert BankLine.objects.count() == 0
    assert "In our books after" in dialog(browser, kept, "import_statement")
    assert BankLine.objects.count() == 0
    assert "Imported: 3 of 3 lines were new" in act(browser, kept, "import_statement")
    assert BankLine.objects.count() == 3
    again = upload(browser, content).content.decode()
    assert "imported before" in again and BankLine.objects.count() == 3
    assert "MOVE_NOT_ALLOWED" in dialog(browser, kept, "import_statement")
    act(browser, kept, "import_statement")  # the button pressed twice
    assert BankLine.objects.count() == 3


@pytest.mark.parametrize(
    "content, code",
    [
        (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "FILE_FORBIDDEN"),
        (statement(Line(amount="1.00"), iban="NL91ABNA0417164300"), "OTHER_ACCOUNT"),
        (statement(Line(amount="1.00"))[:-40], "FILE_BROKEN"),
        (b"hello, world", "FILE_UNKNOWN"),
        (statement(Line(amount="1.00"), closing="2.00"), "BALANCES_DIFFER"),
        (b"Date;Amount\n01/02/2026;1.00", "FILE_AMBIGUOUS"),
        (b"x" * (importing.MOST_BYTES + 1), "FILE_TOO_LARGE"),
    ],
)
def test_a_file_that_is_refused_says_why_in_place_and_nothing_is_kept(content, code):
    payments.bank()
    browser = desk()
    before = staff.fingerprint()
    page = upload(browser, content).content.decode()
    assert code in page and "Nothing was changed." in page
    assert staff.fingerprint() == before


def test_an_upload_without_a_file_or_by_get_does_nothing_and_asks_again():
    payments.bank()
    browser = desk()
    before = staff.fingerprint()
    shown = browser.get(reverse(UPLOAD)).content.decode()
    assert 'enctype="multipart/form-data"' in shown
    assert 'class="c-error"' in browser.post(reverse(UPLOAD), {"key": "k"}).content.decode()
    assert staff.fingerprint() == before


def test_rows_that_cannot_be_read_are_shown_and_keep_the_statement_from_being_imported():
    browser = desk()
    page = upload(browser, payments.csv_file("2026-11-20;10.00;x;;", "2026-11-20;ten;y;;")).content.decode()
    assert "“ten” is no amount." in page and "Cannot be read" in page
    assert "ROWS_WRONG" in dialog(browser, BankStatement.objects.get(), "import_statement")
    assert "ROWS_WRONG" in act(browser, BankStatement.objects.get(), "import_statement")
    assert "Nothing of it was booked" in act(browser, BankStatement.objects.get(), "discard_statement")


def in_suspense(**given):
    payments.imported(
        statement(Line(**{"amount": "70.00", "who": "Amina Odhiambo", "iban": "NL91ABNA0417164300", **given}))
    )
    return BankLine.objects.latest("id")


def test_money_in_suspense_is_assigned_in_a_dialog_that_shows_the_lines_first():
    amina, browser = payments.client(), desk()
    payments.fee(fixed=D("1.00"))
    row, line = payments.deposit(amina, "70.00"), in_suspense()
    queue = browser.get(reverse("admin:ledger_bankline_changelist") + "?queue=suspense").content.decode()
    assert staff.page(line) in queue and "It names no deposit" in queue
    page = browser.get(staff.page(line)).content.decode()
    assert "The amount and the name fit" in page and row.reference in page
    assert "NL91…4300" in page and "NL91ABNA0417164300" not in page
    before = staff.fingerprint()
    shown = dialog(browser, line, "assign_to_deposit")
    for told in ("suspense EUR", "wallet EUR", "deposit fees EUR", "Balance before", "69.00", row.reference):
        assert told in shown, told
    assert staff.fingerprint() == before
    assert "The money is in the client&#x27;s wallet" in act(
        browser, line, "assign_to_deposit", deposit=row.reference
    )
    assert payments.in_wallet(amina) == D("69")
    assert "MOVE_NOT_ALLOWED" in act(browser, line, "assign_to_deposit", reference=row.reference)
    assert f"“{REASON}”" in browser.get(staff.page(line)).content.decode()


def test_money_is_assigned_to_a_client_by_a_name_that_only_one_has():
    payments.client("Amina", "Odhiambo")
    payments.client("Amina", "Otieno")
    lucas, browser, line = payments.client("Lucas", "Ferreira"), desk(), in_suspense()
    before = staff.fingerprint()
    for name in ("Amina", "Nobody", "0190a0a0-0000-7000-8000-000000000000"):
        assert "NO_SUCH_OWNER" in act(browser, line, "assign_to_client", client=name)
    for reference in ("", "NX-1", "NX-2222-2222"):
        page = act(browser, line, "assign_to_deposit", reference=reference)
        assert "NO_SUCH_OWNER" in page or 'class="c-error"' in page
    assert staff.fingerprint() == before
    assert "Credited" in act(browser, line, "assign_to_client", client="Lucas Ferreira")
    assert payments.in_wallet(lucas) == D("70")


def test_staff_of_another_desk_cannot_give_money_to_a_client_they_may_not_see():
    row, line = payments.deposit(amount="70.00"), in_suspense()
    user = world.staff("Payments operator")
    Desk.objects.create(name="Elsewhere").staff.add(user)
    browser = staff.browser(user)
    assert row.reference not in browser.get(staff.page(line)).content.decode()
    assert row.reference not in dialog(browser, line, "assign_to_deposit")
    before = staff.fingerprint()
    assert "NO_SUCH_OWNER" in act(browser, line, "assign_to_deposit", reference=row.reference)
    assert "NO_SUCH_OWNER" in act(browser, line, "assign_to_client", client="Amina Odhiambo")
    assert staff.fingerprint() == before


def test_money_is_marked_to_be_sent_back_and_kept_again_and_a_charge_is_booked():
    browser, line, charge = desk(), in_suspense(), in_suspense(amount="12.50", side="DBIT")
    assert "Marked." in act(browser, line, "send_line_back")
    assert "waits in suspense again" in act(browser, line, "keep_line")
    assert "bank fees EUR" in dialog(browser, charge, "book_bank_fee")
    assert "Booked as a fee" in act(browser, charge, "book_bank_fee")
    assert list(BankLine.objects.order_by("id").values_list("state", flat=True)) == ["suspense", "bank_fee"]


def test_a_deposit_is_cancelled_with_a_reason_and_found_by_its_reference_however_it_is_written():
    browser, row = desk(), payments.deposit()
    for term in (row.reference, row.reference.lower().replace("-", " "), row.reference[3:]):
        listed = browser.get(reverse("admin:ledger_deposit_changelist"), {"q": term}).content.decode()
        assert staff.page(row) in listed, term
    assert row.reference in browser.get(reverse("admin:search"), {"s": row.reference}).content.decode()
    assert "Cancelled." in act(browser, row, "cancel_deposit")
    assert Deposit.objects.get().state == "cancelled"


def test_a_bank_account_is_added_only_with_an_iban_that_checks_and_by_staff_who_proved_themselves():
    url = reverse("admin:ledger_bankaccount_add")
    given = {
        "name": "New", "holder": "Nexus", "bank_name": "Bank", "iban": "DE89 3704 0044 0532 0130 00", "number": "", "bic": "COBADEFF",
        "currency": "EUR", "csv_columns": '{"amount": "Betrag"}', "takes_deposits": "on", "is_active": "on",
    }  # fmt: skip
    assert staff.of_role("Administrator").post(url, given).status_code == 200
    browser = staff.of_role("Administrator", elevated=True)
    for wrong in (
        {"iban": "DE88370400440532013000"},
        {"bic": "NO"},
        {"csv_columns": '{"sum": "x"}'},
        {"csv_columns": '{"decimal": ";"}'},
    ):
        assert browser.post(url, {**given, **wrong}).status_code == 200
    assert BankAccount.objects.count() == 0
    assert browser.post(url, given).status_code == 302
    assert (BankAccount.objects.get().iban, BankAccount.objects.get().bic) == (payments.IBAN, "COBADEFF")
    assert desk(elevated=True).get(url).status_code == 403


def test_lists_and_pages_of_payments_stay_within_their_queries():
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    browser, amina = desk(), payments.client()
    for number in range(12):
        payments.deposit(amina, f"{number + 1}.00")
        in_suspense(amount=f"{number + 1}.00", text=str(number))
    pages = [reverse(f"admin:ledger_{name}_changelist") for name in ("deposit", "bankline", "bankstatement")]
    pages += [
        staff.page(Deposit.objects.first()),
        staff.page(BankLine.objects.first()),
        staff.page(BankStatement.objects.first()),
    ]
    for page in pages:
        browser.get(page)
        with CaptureQueriesContext(connection) as asked:
            assert browser.get(page).status_code == 200
        assert len(asked) <= 16, (page, len(asked))


def test_a_file_of_payments_is_downloaded_by_who_may_send_it_and_that_is_written_down():
    from backoffice.models import Access
    from ledger import batches
    from tests.ledger import paying

    client = paying.funded("1000.00")
    paying.nothing_is_odd()
    paying.policy(0)
    batch = paying.withdrawal(client, "100.00").payments.get().batch
    url = reverse("admin:ledger_paymentbatch_file", args=[batch.pk])
    operator = staff.of_role("Payments operator")
    assert operator.get(url).status_code == 404, "it is not sealed yet"
    batches.seal(batch, by=payments.BY, at=payments.NOW)
    batches.write(batch, now=lambda: payments.NOW)
    answer = operator.get(url)
    batch.refresh_from_db()
    assert (answer["Content-Type"], answer.content.decode()) == ("application/xml", batch.file)
    assert answer["Content-Disposition"] == f'attachment; filename="{batch.message_id}.xml"'
    assert Access.objects.filter(
        what="record", subject="ledger.paymentbatch", subject_pk=str(batch.pk), client_id=client.uuid
    ).exists()
    for role in ("Support", "Auditor", "Dealing desk"):
        assert staff.of_role(role).get(url).status_code == 403


def test_a_status_report_shows_what_it_would_post_before_it_does_it():
    client = paying.funded("1000.00")
    paying.nothing_is_odd()
    paying.policy(0)
    paying.withdrawal(client, "10.00")
    payment = Payment.objects.get()
    batches.seal(payment.batch, by=paying.BY, at=paying.NOW)
    batch = batches.write(payment.batch, now=lambda: paying.NOW)
    told = report(batch.message_id, payments=[(payment.end_to_end_id, "RJCT", "AC04", "closed")])
    browser, url = desk(), reverse("admin:ledger_paymentbatch_upload_report")
    shown = browser.post(url, {"key": "k", "file": SimpleUploadedFile("r.xml", told)}).content.decode()
    payment.refresh_from_db()
    assert ("Balance after" in shown, payment.state, payments.in_wallet(client)) == (True, "sending", 990)
    kept = re.search(r'name="kept" value="([^"]+)"', shown)[1]
    for wrong in ({}, {"kept": "!"}, {"kept": "AAAA"}):
        assert "Choose the bank&#x27;s file." in browser.post(url, {"key": "k", **wrong}).content.decode()
    said = browser.post(url, {"key": "k", "kept": kept}, follow=True).content.decode()
    payment.refresh_from_db()
    assert ("1 rejected" in said, payment.state, payments.in_wallet(client)) == (True, "failed", 1000)
