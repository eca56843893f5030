"""Control of the books in the console: closing, asserting, checking, reading and downloading what the books say."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from backoffice.models import Access, Event
from compliance.models import Client, Desk
from ledger import accounts, journal
from ledger import payments as payments_out
from ledger.control import closing
from ledger.models import Account, BalanceAssertion, Closing, InvariantRun
from ledger.wallets import wallet
from tests import world
from tests.edges import staff
from tests.edges.test_admin_actions import REASON
from tests.ledger import paying, payments, statements

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
NOW = datetime.now(UTC)
YESTERDAY = NOW.date() - timedelta(days=1)


@pytest.fixture
def client():
    """A client with 100.50 in a wallet since the day before yesterday."""
    found = world.client().client
    deposit(found, "100.50", NOW - timedelta(days=2))
    return found


def deposit(client: Client, amount: str, at: datetime) -> Account:
    ours = wallet(client.uuid, "USD", at=at)
    lines = [
        journal.debit(accounts.house("real", "USD", "bank", "asset"), Decimal(amount)),
        journal.credit(ours, Decimal(amount)),
    ]
    journal.post(kind="deposit", lines=lines, by=world.TESTER, at=at, key=world.key(), subject=("client", client.uuid),
                 client_id=client.uuid, reference="=R", narration="By bank")  # fmt: skip
    return ours


def plain(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def url(name: str, **given: object) -> str:
    return reverse(f"admin:ledger_{name}") + "?" + "&".join(f"{key}={value}" for key, value in given.items())


def test_a_day_is_closed_from_its_list_and_reopened_by_who_proved_themselves(client):
    browser = staff.of_role("Administrator", elevated=True)
    dialog = reverse("admin:ledger_closing_close_a_day")
    assert "Debits equal credits" in plain(browser.get(dialog))
    said = {"book": "real", "business_date": f"{YESTERDAY}", "key": world.key()}
    for _ in range(2):
        answer = browser.post(dialog, said, follow=True)
        assert "is closed, with 1 entries." in plain(answer)
    row = Closing.objects.get()
    assert f"{YESTERDAY}" in plain(browser.get(staff.page(row)))
    again = browser.post(dialog, {**said, "key": world.key()})
    assert "DAY_ALREADY_CLOSED" in plain(again) and Closing.objects.count() == 1
    reopen = reverse("admin:ledger_closing_reopen_day", args=[row.pk])
    careless = staff.of_role("Administrator")
    assert "Reopen it" not in plain(careless.get(reopen)), "they prove themselves first"
    browser.post(reopen, {"key": world.key(), "reason": REASON})
    row.refresh_from_db()
    assert not row.stands and REASON in plain(browser.get(staff.page(row)))


def test_a_bank_s_figure_is_held_against_the_books_and_the_difference_waits(client):
    bank = accounts.house("real", "USD", "bank", "asset")
    browser = staff.of_role("Payments approver")
    dialog = reverse("admin:ledger_account_assert_balance", args=[bank.pk])
    assert "100.50 USD now, by the books" in plain(browser.get(dialog))
    said = {"on": f"{YESTERDAY}", "amount": "90.00", "source": "Bank statement 231", "key": world.key()}
    answer = browser.post(dialog, said, follow=True)
    assert "The books say 100.50 USD. It waits under Asserted balances." in plain(answer)
    row = BalanceAssertion.objects.get()
    assert (row.state, row.entered_by, row.source) == ("fails", row.entered_by, "Bank statement 231")
    officer = staff.of_role("Compliance officer")
    listed = plain(officer.get(reverse("admin:ledger_balanceassertion_changelist")))
    assert "House · bank USD" in listed and "−10.50 USD" in listed
    assert "Balances that are not as asserted" in plain(officer.get(reverse("admin:index")))
    resolve = reverse("admin:ledger_balanceassertion_resolve_assertion", args=[row.pk])
    assert browser.post(resolve, {"key": world.key(), "reason": REASON}).status_code == 403
    officer.post(resolve, {"key": world.key(), "reason": REASON})
    row.refresh_from_db()
    assert row.state == "resolved" and f"“{REASON}”" in plain(officer.get(staff.page(row)))


def test_invariants_are_checked_from_their_page_and_a_broken_one_is_on_home(client):
    browser = staff.of_role("Administrator")
    page = reverse("admin:ledger_invariantrun_changelist")
    assert "None was checked yet" in plain(browser.get(page))
    answer = browser.post(
        reverse("admin:ledger_invariantrun_check_all_now"), {"key": world.key()}, follow=True
    )
    text = plain(answer)
    assert "What we owe clients in real money is at our banks" in text
    assert not InvariantRun.objects.filter(found__gt=0).exclude(invariant="nothing_stuck").exists()
    cost = accounts.house("real", "USD", "bank_costs", "expense")
    lines = [
        journal.debit(cost, Decimal(1)),
        journal.credit(accounts.house("real", "USD", "bank", "asset"), Decimal(1)),
    ]
    journal.post(kind="costs", lines=lines, by=world.TESTER, at=NOW, key=world.key())
    row = InvariantRun.objects.filter(invariant="client_money_covered").latest("id")
    check = reverse("admin:ledger_invariantrun_check_now", args=[row.pk])
    assert "Checked: 1 breaks it." in plain(browser.post(check, {"key": world.key()}, follow=True))
    row = InvariantRun.objects.filter(invariant="client_money_covered").latest("id")
    assert "Clients are owed 100.5 USD, and 99.5 is at banks." in plain(browser.get(staff.page(row)))
    assert "Not so: What we owe clients in real money" in plain(browser.get(reverse("admin:index")))


def test_reports_add_up_on_their_pages_and_are_downloaded_with_an_event(client):
    deposit(client, "9.50", NOW)
    reader, browser = staff.of_role("Auditor"), staff.of_role("Administrator")
    then = url("balance_sheet", book="real", last=YESTERDAY)
    assert "100.50 USD" in plain(reader.get(then)) and "Assets equal claims" in plain(reader.get(then))
    assert "110.00 USD" in plain(reader.get(url("trial_balance", book="real")))
    assert "Clients’ money is at banks" in plain(reader.get(url("client_money")))
    assert reader.get(url("income", book="nonsense", first="x", last="99999-01-01")).status_code == 200
    said = {"report": "client_money", "book": "real", "first": f"{YESTERDAY}", "last": f"{YESTERDAY}"}
    before = Event.objects.exclude(name="staff.logged_in").count()
    assert reader.post(reverse("admin:ledger_export"), said).status_code == 403
    assert browser.get(reverse("admin:ledger_export")).status_code == 405
    assert browser.post(reverse("admin:ledger_export"), {"report": "nonsense"}).status_code == 403
    assert Event.objects.exclude(name="staff.logged_in").count() == before
    file = browser.post(reverse("admin:ledger_export"), said)
    assert file["Content-Disposition"] == f'attachment; filename="client-money-real-{YESTERDAY}.csv"'
    assert file.content.decode().split("\r\n")[1:4] == [
        "USD,At banks,,100.5",
        "USD,Owed to clients,,100.5",
        "USD,Difference,,0",
    ]
    assert Event.objects.get(name="books.exported").payload["report"] == "client_money"


def test_the_entries_are_downloaded_for_beancount_but_not_by_a_desk(client):
    user = world.staff("Administrator")
    browser = staff.browser(user)
    said = {
        "report": "beancount",
        "book": "real",
        "first": f"{NOW.date() - timedelta(days=9)}",
        "last": f"{NOW.date()}",
    }
    file = browser.post(reverse("admin:ledger_export"), said)
    text = b"".join(file.streaming_content).decode()
    assert text.count("  uuid:") == 1 and "100.50 ~ 0 USD" in text
    Desk.objects.create(name="A desk").staff.add(user)
    assert browser.post(reverse("admin:ledger_export"), said).status_code == 403


def test_a_statement_is_read_downloaded_and_compared_and_the_reader_is_written_down(client):
    browser = staff.of_role("Support")
    ask = {
        "client": client.uuid,
        "first": NOW.date() - timedelta(days=3),
        "last": NOW.date() - timedelta(days=2),
    }
    text = plain(browser.get(url("client_statement", **ask)))
    (proof,) = re.findall(r"\b[0-9a-f]{64}\b", text)
    assert "Deposit" in text and "100.50 USD" in text
    assert "The same content" in plain(browser.get(url("client_statement", **ask, proof=proof)))
    assert browser.get(url("client_statement", **ask, **{"as": "pdf"})).content.startswith(b"%PDF")
    rows = browser.get(url("client_statement", **ask, **{"as": "csv"})).content.decode()
    assert "'=R" in rows and proof in rows
    deposit(client, "1.00", NOW - timedelta(days=2))
    late = plain(browser.get(url("client_statement", **ask, proof=proof)))
    assert "Another content: 2 of its lines were booked after the period had ended" in late
    assert Access.objects.filter(client_id=client.uuid, what="record").exists()
    assert "statement" in plain(browser.get(staff.page(client) + "?tab=2")).lower()
    assert "PERIOD" not in text and "INVALID_INPUT" in plain(
        browser.get(url("client_statement", client=client.uuid, first="2026-02-02", last="2026-01-01"))
    )


def test_a_balance_is_explained_from_the_figure_to_who_caused_it_and_costs_the_same_however_long(client):
    browser = staff.of_role("Auditor")
    ours = wallet(client.uuid, "USD", at=NOW)
    record = browser.get(staff.page(ours)).content.decode()
    explain = url("explain", account=ours.pk)
    assert f'href="{explain}"'.replace("&", "&amp;") in record

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert browser.get(explain).status_code == 200
        return len(seen)

    queries()
    before = queries()
    text = plain(browser.get(explain))
    assert "By bank" in text and client.name in text and "100.50 USD" in text
    for _ in range(25):
        deposit(client, "1.00", NOW)
    assert queries() == before <= 12
    first = browser.get(explain).content.decode()
    (rest,) = re.findall(r'href="([^"]+before=\d+)"', first)
    assert "By bank" in plain(browser.get(rest.replace("&amp;", "&")))
    assert first.count("c-time") == 20


def test_pages_of_the_books_ask_as_much_however_much_was_posted():
    paying.nothing_is_odd()
    paying.policy(1)
    sam = paying.funded("1000.00")

    def more(many: int) -> None:
        for _ in range(many):
            row = payments.deposit(sam, "100.00")
            payments.imported(
                statements.statement(
                    statements.Entry(amount="100.00", text=row.reference), number=row.reference
                )
            )
            paying.withdrawal(sam, "5.00")
            paid = paying.approve(paying.withdrawal(sam, "6.00")).payments.get()
            for _ in range(2):  # handed over, and asked about
                payments_out.push(paid, now=lambda: NOW)
            deposit(sam, "1.00", NOW)

    paying.beneficiary(sam)
    paying.wire()
    more(2)
    closing.close("real", world.NOW.date(), by=world.TESTER, at=NOW, key=world.key())
    ours, bank = wallet(sam.uuid, "EUR", at=NOW), payments.ours(payments.bank())
    pages = [
        staff.page(ours),
        staff.page(bank),
        staff.page(sam),
        url("entry_changelist"),
        url("account_changelist"),
    ]
    pages += [url("explain", account=ours.pk), url("explain", account=bank.pk), url("client_money")]
    pages += [url("trial_balance", book="real"), url("trial_balance", book="real", last=world.NOW.date())]
    pages += [url("withdrawal_changelist"), reverse("admin:compliance_approval_changelist")]
    browser = staff.of_role("Administrator")

    def queries(page: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert browser.get(page).status_code == 200, page
        return len(seen)

    for page in pages:
        queries(page)
    before = {page: queries(page) for page in pages}
    more(4)
    assert {page: queries(page) for page in pages} == before
    # One question more for each kind of thing that is named: here clients, banks and trading accounts; explaining a
    # deposit asks for it, for what its collector told and for its line, a withdrawal for its payment and who agreed.
    explained = {url("explain", account=account.pk): 19 for account in (ours, bank)}
    most = {url("account_changelist"): 13} | explained
    assert {page: many for page, many in before.items() if many > most.get(page, 12)} == {}


def test_a_trade_s_entries_say_what_happened_and_what_the_venue_said():
    trade = world.opened(contract_id=4711)
    browser = staff.of_role("Dealing desk")
    browser.get(url("explain", account=trade.account.cash_id))
    with CaptureQueriesContext(connection) as seen:
        text = plain(browser.get(url("explain", account=trade.account.cash_id)))
    assert len(seen) <= 12
    assert "Contract: 4711" in text and "Bought at the venue · Tester" in text


def test_another_desk_s_accounts_and_clients_are_not_explained_or_stated(client):
    ours = wallet(client.uuid, "USD", at=NOW)
    user = world.staff("Support")
    Desk.objects.create(name="Elsewhere").staff.add(user)
    browser = staff.browser(user)
    for page in (url("explain", account=ours.pk), url("client_statement", client=client.uuid)):
        assert browser.get(page).status_code == 404
    assert browser.get(url("explain", account="1 OR 1")).status_code == 404
    bank = accounts.house("real", "USD", "bank", "asset")
    text = plain(browser.get(url("explain", account=bank.pk)))
    assert "By bank" not in text and "Nothing is posted here yet" in text


def test_days_that_wait_to_be_closed_are_on_home(client):
    closing.close("real", NOW.date() - timedelta(days=3), by=world.TESTER, at=NOW, key=world.key())
    text = plain(staff.of_role("Administrator").get(reverse("admin:index")))
    assert re.search(r"Days to close: real book 2 The last closed day is", text)
