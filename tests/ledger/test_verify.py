"""verify_ledger finds what should not be possible, repairs nothing and says so with its exit code."""

import io

import pytest
from django.core.management import call_command
from django.db import connection

from ledger.models import Account
from ledger.verify import CHECKS, verify
from tests.ledger.world import World, move, picture


@pytest.fixture
def busy(world: World) -> Account:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    world.hold(ada, 10)
    move(ada, ben, 5)
    move(ben, ada, 2)
    return ada


def tamper(text: str) -> None:
    """Change rows with the guards switched off, as somebody with the database's own rights could."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("ledger_account", "ledger_entry", "ledger_posting", "ledger_hold"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(text)
        for table in ("ledger_account", "ledger_entry", "ledger_posting", "ledger_hold"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def wrong() -> set[str]:
    return {check.name for check in verify() if check.found}


def test_a_sound_ledger_is_found_sound(busy: Account) -> None:
    out = io.StringIO()
    before = picture()
    call_command("verify_ledger", stdout=out)
    assert "The ledger agrees with its postings." in out.getvalue()
    assert "every balance is the sum of its postings: 6 rows" in out.getvalue()
    assert out.getvalue().count("ok  ") == len(CHECKS)
    assert picture() == before


def test_a_difference_is_printed_and_ends_with_exit_code_one(busy: Account) -> None:
    tamper(f"UPDATE ledger_account SET posted = 98 WHERE id = {busy.pk}")
    out = io.StringIO()
    before = picture()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_ledger", stdout=out)
    assert ended.value.code == 1
    assert f"account {busy.pk}: 98.000000000000000000, not 97.000000000000000000" in out.getvalue()
    assert picture() == before


TAMPERED = {
    "UPDATE ledger_posting SET amount = amount + 1 WHERE id = (SELECT max(id) FROM ledger_posting)": {
        "every entry sums to zero in each currency",
        "every balance is the sum of its postings",
        "every balance after a posting follows from the one before",
    },
    "DELETE FROM ledger_posting WHERE entry_id = (SELECT max(id) FROM ledger_entry)": {
        "every entry has at least two postings",
        "every balance is the sum of its postings",
    },
    "UPDATE ledger_account SET posted = posted + 1 WHERE purpose = 'bank'": {
        "every book sums to zero in each currency",
        "every balance is the sum of its postings",
    },
    "UPDATE ledger_account SET book = 'real' WHERE purpose = 'bank'": {
        "every book sums to zero in each currency",
        "every posting is in its account's book and currency",
    },
    "UPDATE ledger_posting SET balance_after = 1 WHERE id = (SELECT min(id) FROM ledger_posting)": {
        "every balance after a posting follows from the one before"
    },
    "UPDATE ledger_account SET held = 11 WHERE held > 0": {"what is held is the sum of the open holds"},
    "UPDATE ledger_account SET held = 0": {"what is held is the sum of the open holds"},
    "UPDATE ledger_posting SET amount = amount + 0.001, balance_after = balance_after": {
        "every amount has its currency's decimals",
        "every balance is the sum of its postings",
        "every balance after a posting follows from the one before",
    },
    "UPDATE ledger_hold SET state = 'captured', captured_amount = 4, resolved_at = now(), captured_by_id = "
    "(SELECT min(id) FROM ledger_entry), account_id = (SELECT max(id) FROM ledger_account)": {
        "what is held is the sum of the open holds",
        "every captured hold has its entry on its account",
    },
}


@pytest.mark.parametrize("change", TAMPERED)
def test_whatever_was_tampered_with_is_named(busy: Account, change: str) -> None:
    tamper(change)
    assert wrong() == TAMPERED[change]


def test_an_overdrawn_guarded_account_is_named_even_if_its_constraint_is_gone(busy: Account) -> None:
    tamper(
        "ALTER TABLE ledger_account DROP CONSTRAINT account_covers_holds;"
        f"UPDATE ledger_account SET posted = 3 WHERE id = {busy.pk}"
    )
    assert "no guarded account is below zero or below its holds" in wrong()


def test_many_differences_are_counted_and_some_of_them_shown(busy: Account) -> None:
    tamper("UPDATE ledger_posting SET balance_after = balance_after + 1000 + id * id")
    (check,) = [check for check in verify(limit=2) if check.found]
    assert (check.found, len(check.differences)) == (6, 2)
