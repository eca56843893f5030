"""What demo clients do by themselves, so that the console is alive."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from brokerage import demo, funding, trades
from brokerage.models import Funding, TradingAccount
from ledger.bank import suspense
from ledger.control import beancount
from ledger.models import Account, BankLine, Book, ClawBack, Debt, Deposit, Entry
from tests import world
from tests.ledger.bean_check import checked

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis", "the_venue")]


@pytest.fixture(autouse=True)
def people(reference_data, the_venue):
    call_command("load_demo", verbosity=0)


def test_one_demo_client_links_a_real_account_once_and_funds_it():
    account = demo.link_one(at=timezone.now())
    assert (account.kind, account.state, account.markup_rate) == ("real", "active", Decimal("0.01"))
    moved = funding.push(Funding.objects.get(), now=timezone.now)
    assert (moved.state, moved.amount) == ("done", Decimal(150))
    # 500.00 came by bank, less a fee of 1.00, beside the 250.00 it began with.
    assert Account.objects.get(purpose="wallet", client_id=account.client.uuid).posted == Decimal(599)
    assert demo.link_one(at=timezone.now()) is None
    assert TradingAccount.objects.filter(kind="real").count() == 1


def test_nothing_is_linked_at_a_real_venue(settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_url": "wss://venue.invalid"})
    assert demo.link_one(at=timezone.now()) is None
    assert not Funding.objects.exists()


def test_the_demo_shows_payments_in_their_states():
    assert sorted(BankLine.objects.values_list("state", flat=True)) == [
        "matched", "matched", "matched", "suspense", "suspense", "unmatched_out",
    ]  # fmt: skip
    assert sorted(Deposit.objects.values_list("state", flat=True)) == [
        "completed",
        "completed",
        "completed",
        "completed",
        "pending",
    ]
    assert (ClawBack.objects.get().state, Debt.objects.get().state) == ("open", "open")
    line = BankLine.objects.get(text="for my trading account")
    assert [one.words for one, _ in suspense.candidates_of(line)] == ["The amount and the name fit"]
    call_command("load_demo", verbosity=0)
    assert (BankLine.objects.count(), Deposit.objects.count()) == (6, 5)


def test_bean_check_accepts_the_books_of_the_demo_each_whole(tmp_path: Path):
    demo.link_one(at=timezone.now())
    funding.push(Funding.objects.get(), now=timezone.now)
    trades.settle(world.opened(), world.outcome(), by=world.TESTER, at=world.NOW)
    entries = Entry.objects.order_by("business_date")
    first, last = entries[0].business_date, entries.reverse()[0].business_date
    found = {}
    for book in Book:
        text = "".join(beancount.export(book, first, last))
        answer = checked(tmp_path / f"{book}.beancount", text)
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", ""), text
        found[book.value] = text.count("  uuid: ")
    counts = {book.value: Entry.objects.filter(book=book).count() for book in Book}
    assert found == counts and min(counts["real"], counts["real_mirror"], counts["demo_mirror"]) > 0
