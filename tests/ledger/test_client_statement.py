"""A client's statement: opening to closing, in the client's words, with a hash that proves the content."""

import hashlib
import re
from datetime import UTC, date, datetime, timedelta

import pytest

from backoffice.errors import InvalidInput
from ledger import client_statement as statements
from ledger import journal
from ledger.models import Account, Entry
from ledger.statement_pdf import as_pdf
from tests import world as people
from tests.ledger.world import BY, D, World, new_key

pytestmark = pytest.mark.usefixtures("reference_data")
NOON = datetime(2020, 3, 2, 12, tzinfo=UTC)
MARCH = (date(2020, 3, 1), date(2020, 3, 31))


@pytest.fixture
def client(world: World):
    return people.client(first_name="Łucja", last_name="=Odhiambo").client


def wallet(world, client):
    from ledger import wallets

    return wallets.wallet(client.uuid, "USD", at=NOON)


def book(
    world: World, account: Account, amount: int, *, kind: str = "deposit", at=NOON, reference: str = ""
) -> Entry:
    bank = world.bank(book="real")
    lines = [journal.debit(bank, D(amount)), journal.credit(account, D(amount))]
    if amount < 0:
        lines = [journal.debit(account, D(-amount)), journal.credit(bank, D(-amount))]
    posted = journal.post(kind=kind, lines=lines, by=BY, at=at, key=new_key(), reference=reference)
    return Entry.objects.get(pk=posted.entry_id)


def test_it_runs_from_opening_to_closing_in_the_client_s_words(world: World, client) -> None:
    account = wallet(world, client)
    book(world, account, 100, at=NOON - timedelta(days=30))
    book(world, account, -30, kind="withdrawal", at=NOON + timedelta(hours=2), reference="W-1")
    book(world, account, 5, kind="odd_thing", at=NOON + timedelta(hours=1))
    book(world, account, 7, at=NOON + timedelta(days=40))
    made = statements.client_statement(client, "USD", MARCH)
    assert (made.opening, made.closing) == (D("100.00"), D("75.00"))
    assert [(line.words, line.reference, f"{line.amount}", f"{line.balance}") for line in made.lines] == [
        ("Odd thing", "", "5.00", "105.00"),
        ("Withdrawal", "W-1", "-30.00", "75.00"),
    ]


def test_the_same_period_has_the_same_hash_until_something_is_booked_late_which_is_named(
    world: World, client
) -> None:
    account = wallet(world, client)
    book(world, account, 100)
    first = statements.client_statement(client, "USD", MARCH)
    assert statements.client_statement(client, "USD", MARCH) == first
    book(world, account, 7, at=NOON + timedelta(days=40))
    assert statements.client_statement(client, "USD", MARCH).is_as_proved(first.sha256)
    late = book(world, account, 1, at=NOON + timedelta(days=1))
    again = statements.client_statement(client, "USD", MARCH)
    assert not again.is_as_proved(first.sha256)
    # The database's clock is past the period: everything here was recorded after it.
    assert late.uuid in {line.entry for line in again.late}
    assert hashlib.sha256().digest_size * 2 == len(first.sha256)


def test_a_client_without_a_wallet_has_an_empty_one_and_none_is_opened(world: World, client) -> None:
    before = Account.objects.count()
    made = statements.client_statement(client, "USD", MARCH)
    assert (made.opening, made.lines, made.closing) == (0, (), 0)
    assert Account.objects.count() == before


def test_what_makes_no_statement_is_refused(world: World, client) -> None:
    account = wallet(world, client)
    for _ in range(3):
        book(world, account, 1)
    with pytest.raises(InvalidInput):
        statements.client_statement(client, "USD", MARCH[::-1])
    with pytest.raises(InvalidInput):
        statements.client_statement(client, "XXX", MARCH)
    with pytest.raises(statements.PeriodTooLong):
        statements.client_statement(client, "USD", MARCH, at_most=2)
    assert len(statements.client_statement(client, "USD", MARCH, at_most=3).lines) == 3


def test_as_csv_it_opens_in_a_spreadsheet_without_running_anything(world: World, client) -> None:
    account = wallet(world, client)
    book(world, account, 100, reference="=HYPERLINK(1)")
    book(world, account, -30, kind="withdrawal", reference="@sum")
    made = statements.client_statement(client, "USD", MARCH)
    assert statements.as_csv(made).split("\r\n") == [
        "When (UTC),What,Reference,Amount USD,Balance",
        "2020-03-01,Opening balance,,,0.00",
        "2020-03-02T12:00:00+00:00,Deposit,'=HYPERLINK(1),100.00,100.00",
        "2020-03-02T12:00:00+00:00,Withdrawal,'@sum,-30.00,70.00",
        "2020-03-31,Closing balance,,,70.00",
        f",SHA-256,{made.sha256},,",
        "",
    ]


def test_as_pdf_it_has_numbered_pages_and_is_the_same_each_time(world: World, client) -> None:
    account = wallet(world, client)
    drafts = [
        journal.Draft(
            kind="deposit", lines=[journal.debit(world.bank(book="real"), D(1)), journal.credit(account, D(1))],
            at=NOON + timedelta(minutes=number), key=new_key(), reference=f"a very long reference of the bank {number}",
        )
        for number in range(120)
    ]  # fmt: skip
    journal.post_many(drafts, by=BY)
    made = statements.client_statement(client, "USD", MARCH)
    pdf = as_pdf(made)
    assert pdf.startswith(b"%PDF-") and pdf == as_pdf(made)
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 4
    assert len(as_pdf(statements.client_statement(client, "EUR", MARCH))) > 1000
