"""Trial balance, statement and accounting text."""

from datetime import timedelta

from ledger import journal, reports
from ledger.control import totals
from ledger.models import Entry
from ledger.text import entry_text
from tests.books import balances_text, books_text
from tests.ledger.world import BY, NOON, D, World, move, new_key


def test_the_trial_balance_has_equal_sides_in_each_currency_now_and_then(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben", funds=50)
    world.wallet("ada", funds=7, currency="EUR")
    world.wallet("ada", funds=1000, book="real")
    move(ada, ben, 30, at=NOON + timedelta(days=1))
    row = reports.TrialBalanceRow
    expected = [
        row("EUR", "asset", "bank", "", 1, D(7), D(0)),
        row("EUR", "liability", "wallet", "client", 1, D(0), D(7)),
        row("USD", "asset", "bank", "", 1, D(150), D(0)),
        row("USD", "liability", "wallet", "client", 2, D(0), D(150)),
    ]
    assert reports.trial_balance("demo") == expected
    then = totals.at_end_of("demo", NOON.date(), today=NOON.date())
    assert reports.trial_balance("demo", then) == expected
    before = reports.trial_balance("demo", totals.from_now("demo", NOON.date() - timedelta(days=1)))
    assert {(r.debit, r.credit) for r in before} == {(0, 0)}
    for found in (None, then):
        rows = [r for r in reports.trial_balance("demo", found) if r.currency == "USD"]
        assert sum(r.debit for r in rows) == sum(r.credit for r in rows) == 150


def test_a_statement_runs_from_opening_to_closing_in_the_order_in_which_things_counted(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    move(ada, ben, 30, at=NOON + timedelta(hours=2), reference="second")
    move(ada, ben, 5, at=NOON + timedelta(hours=1), reference="first")
    move(ben, ada, 1, at=NOON + timedelta(hours=3), reference="not in the period")
    period = (NOON + timedelta(hours=1), NOON + timedelta(hours=3))
    statement = reports.statement(ada, period)
    assert (statement.opening, statement.closing) == (100, 65)
    assert [(x.reference, x.side, x.amount, x.balance) for x in statement.lines] == [
        ("first", "debit", 5, 95),
        ("second", "debit", 30, 65),
    ]
    assert reports.statement(ada, (NOON, NOON)).lines == ()


def test_an_entry_reads_as_accounting_text(world: World) -> None:
    ada, ben = world.wallet("ada", funds="1234.50"), world.wallet("ben")
    entry = Entry.objects.get(pk=move(ada, ben, "1000", reference="T-1").entry_id)
    text = entry_text(entry, name=lambda account: f"wallet {account.pk - ada.pk}")
    names = sorted({0, ben.pk - ada.pk})
    assert text == (
        "2026-03-02 12:00:00  transfer  T-1\n"
        f"    wallet {names[0]}  1,000.00\n"
        f"    wallet {names[1]}            1,000.00"
    )


def test_the_books_read_as_a_story(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    lines = [
        journal.debit(ada, D("10.00")),
        journal.credit(ben, D("9.70")),
        journal.credit(world.wallet("fees", kind="income"), D("0.30")),
    ]
    journal.post(kind="payment", lines=lines, by=BY, at=NOON, key=new_key(), narration="a coffee")
    world.hold(ben, 4)
    names = {owner: name for name, owner in world.owners.items()}
    assert books_text(book="demo", names=names) == (
        "2026-03-02 12:00:00  deposit\n"
        "    house bank USD   100.00\n"
        "    ada wallet USD           100.00\n"
        "\n"
        "2026-03-02 12:00:00  payment  a coffee\n"
        "    ada wallet USD    10.00\n"
        "    ben wallet USD             9.70\n"
        "    fees wallet USD            0.30"
    )
    assert sorted(balances_text(book="demo", names=names).split("\n")) == [
        "ada wallet: 90.00 USD",
        "ben wallet: 9.70 USD (held 4.00)",
        "fees wallet: 0.30 USD",
        "house bank: 100.00 USD",
    ]
