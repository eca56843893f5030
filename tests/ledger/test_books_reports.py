"""Balance sheet, income, client money and the export: each adds up, and nothing is left out."""

import io
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command

from ledger import accounts, journal
from ledger.control import beancount, client_money, totals
from ledger.control.balance_sheet import balance_sheet, income
from ledger.models import Account
from tests.ledger.bean_check import checked
from tests.ledger.world import BY, NOON, D, World, move, new_key

DAY = NOON.date()


def post(debited: Account, credited: Account, amount: str, *, at=NOON, **given) -> None:
    lines = [journal.debit(debited, D(amount)), journal.credit(credited, D(amount))]
    journal.post(lines=lines, by=BY, at=at, key=new_key(), **{"kind": "entry", **given})


@pytest.fixture
def books(world: World) -> World:
    """A deposit of 100.50 for Ada, a fee of 2, bank costs of 0.75 the day after, and 20 that nobody claims."""
    ada = world.wallet("ada", funds="100.50", book="real")
    world.wallet("ada", funds="7", book="real", currency="EUR")
    house = {
        name: accounts.house("real", "USD", name, kind)
        for name, kind in (
            ("deposit_fees", "income"),
            ("bank_costs", "expense"),
            ("suspense", "liability"),
            ("gold", "asset"),
        )
    }
    bank = world.bank(book="real")
    post(ada, house["deposit_fees"], "2", narration='A "fee"\n\\ of =1+1', reference="R-1")
    post(house["bank_costs"], bank, "0.75", at=NOON + timedelta(days=1))
    post(bank, house["suspense"], "20", at=NOON + timedelta(days=1))
    post(house["gold"], bank, "5", at=NOON + timedelta(days=2))
    return world


def at(day: date) -> totals.Totals:
    return totals.at_end_of("real", day, today=DAY + timedelta(days=30))


def test_a_balance_sheet_has_equal_sides_and_the_result_on_the_side_of_claims(books: World) -> None:
    euro, dollar = balance_sheet(at(DAY + timedelta(days=2)))
    assert (euro.currency, euro.total_assets, euro.total_claims) == ("EUR", 7, 7)
    assert {item.group.purpose: item.amount for item in dollar.assets} == {"bank": D("114.75"), "gold": 5}
    assert {item.group.purpose: item.amount for item in dollar.liabilities} == {
        "suspense": 20,
        "wallet": D("98.50"),
    }
    assert (dollar.equity, dollar.result) == ((), D("1.25"))
    assert dollar.total_assets == dollar.total_claims == D("119.75")


def test_income_is_what_was_earned_and_spent_within_the_period(books: World) -> None:
    today = DAY + timedelta(days=30)
    (first,) = [one for one in income(totals.within("real", DAY, DAY, today=today)) if one.currency == "USD"]
    assert [(item.group.purpose, item.amount) for item in first.earned] == [("deposit_fees", 2)]
    assert (first.spent, first.result) == ((), 2)
    later = DAY + timedelta(days=1)
    (second,) = income(totals.within("real", later, later, today=today))
    assert (second.earned, second.result) == ((), D("-0.75"))
    assert all(
        not one.earned and not one.spent
        for one in income(totals.within("real", later + timedelta(days=1), today, today=today))
    )


def test_client_money_is_explained_to_the_last_line_and_unknown_purposes_stand_under_their_own_name(
    books: World,
) -> None:
    euro, dollar = client_money.report(at(DAY + timedelta(days=2)))
    assert (euro.owed, euro.at_banks, euro.difference, euro.lines) == (7, 7, 0, ())
    assert (dollar.owed, dollar.at_banks, dollar.difference) == (D("98.50"), D("114.75"), D("16.25"))
    assert {line.words: line.amount for line in dollar.lines} == {
        "Arrived, and not yet known whose": 20,
        "Fees of deposits, not yet moved to our own bank account": 2,
        "Bank costs": D("-0.75"),
        "Gold": -5,
    }
    assert (euro.unexplained, dollar.unexplained) == (0, 0)


def text(book: str = "real", first: date = DAY, last: date = DAY + timedelta(days=1)) -> str:
    return "".join(beancount.export(book, first, last))


def test_the_export_says_each_entry_with_its_id_and_ends_with_what_our_books_say(books: World) -> None:
    said = text()
    assert f"{DAY - timedelta(days=1)} open Assets:Bank:House-0:USD USD\n" in said
    assert f'{DAY} * "A \\"fee\\" \\\\ of =1+1"\n  uuid: "' in said and '  reference: "R-1"\n' in said
    assert "  Income:Deposit-fees:House-0:USD  -2.00 USD\n" in said
    assert f"{DAY + timedelta(days=2)} balance Assets:Bank:House-0:USD  119.75 ~ 0 USD\n" in said
    assert f"balance Liabilities:Wallet:Client-{books.owners['ada']}:USD  -98.50 ~ 0 USD\n" in said
    assert beancount.count("real", DAY, DAY + timedelta(days=1)) == said.count("  uuid:") == 5


def test_bean_check_accepts_the_export_of_any_period_and_finds_what_was_changed(
    books: World, tmp_path: Path
) -> None:
    ada = books.wallet("ada", funds=100)
    books.currency("1INCH", 18)
    move(ada, books.wallet("ben"), "0.01")
    books.wallet("ada", funds="0.000000000000000001", currency="1INCH")
    later = DAY + timedelta(days=1)
    for book, first, last in (("real", later, later + timedelta(days=9)), ("demo", DAY, DAY)):
        answer = checked(tmp_path / "books.beancount", text(book, first, last))
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", ""), text(book, first, last)
    wrong = checked(tmp_path / "books.beancount", text().replace("119.75 ~", "119.76 ~"))
    assert wrong.returncode == 1 and "Balance failed" in wrong.stderr


def test_the_command_writes_the_export_into_a_file(books: World, tmp_path: Path) -> None:
    out, path = io.StringIO(), tmp_path / "books.beancount"
    call_command(
        "export_books",
        "--book",
        "real",
        "--from",
        f"{DAY}",
        "--to",
        f"{DAY}",
        "--output",
        str(path),
        stdout=out,
    )
    assert path.read_text() == text(last=DAY)
    assert out.getvalue().strip().endswith("3 entries.")
