"""What the database refuses by itself, asked in raw SQL around the verbs."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from backoffice.models import Currency
from ledger import accounts, holds
from ledger.models import Account, Entry, Hold, Posting
from tests.ledger.world import BY, NOON, D, World, fresh, move, new_key, picture

ENTRY = """INSERT INTO ledger_entry (uuid, book, kind, reference, narration, key, content_hash, by, effective_at,
        recorded_at, business_date, subject_type)
    VALUES (gen_random_uuid(), %(book)s, 'raw', '', '', gen_random_uuid()::text, 'x', 'raw', now(),
        {recorded}, current_date, '') RETURNING id"""
POSTING = "INSERT INTO ledger_posting (entry_id, account_id, currency_id, line, side, amount, balance_after)"
BOTH = f"""WITH e AS ({ENTRY.format(recorded="now()")})
    {POSTING} SELECT e.id, l.* FROM e, (VALUES {{lines}}) l (account, currency, line, side, amount, after)"""


def sql(text: str, **params: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(text, {"book": "demo", **params})


@contextmanager
def refused(because: str) -> Iterator[None]:
    """The statement fails for this reason, and nothing has changed."""
    before = picture()
    with pytest.raises(IntegrityError, match=because), transaction.atomic():
        yield
    assert picture() == before


def write(*lines: tuple[Account | int, str, int, str, str, str], book: str = "demo") -> None:
    """An entry with these lines in one statement: account, currency, line, side, amount, balance after."""
    values = ", ".join(
        f"({getattr(a, 'pk', a)}, '{c}', {n}, '{side}', {amount}::numeric, {after}::numeric)"
        for a, c, n, side, amount, after in lines
    )
    sql(BOTH.format(lines=values), book=book)


@pytest.fixture
def ada(world: World) -> Account:
    return world.wallet("ada", funds=100)


@pytest.fixture
def ben(world: World) -> Account:
    return world.wallet("ben")


def test_a_balanced_entry_written_by_hand_moves_the_balances_too(ada: Account, ben: Account) -> None:
    write((ada, "USD", 1, "debit", "7", "93"), (ben, "USD", 2, "credit", "7", "7"))
    assert (fresh(ada).posted, fresh(ben).posted) == (93, 7)


def test_an_entry_that_does_not_sum_to_zero_is_refused(ada: Account, ben: Account) -> None:
    with refused("does not sum to zero"):
        write((ada, "USD", 1, "debit", "7", "93"), (ben, "USD", 2, "credit", "6.99", "6.99"))


def test_an_entry_that_sums_to_zero_only_across_currencies_is_refused(world: World, ada: Account) -> None:
    euros = world.wallet("ada", currency="EUR")
    with refused("does not sum to zero"):
        write((ada, "USD", 1, "debit", "7", "93"), (euros, "EUR", 2, "credit", "7", "7"))


def test_an_entry_across_books_is_refused(world: World, ada: Account) -> None:
    real = world.wallet("ada", book="real")
    with refused("another book"):
        write((ada, "USD", 1, "debit", "7", "93"), (real, "USD", 2, "credit", "7", "7"))


def test_a_posting_in_another_currency_than_its_account_is_refused(
    ada: Account, ben: Account, world: World
) -> None:
    world.currency("EUR")
    with refused("another book or currency"):
        write((ada, "EUR", 1, "debit", "7", "93"), (ben, "EUR", 2, "credit", "7", "7"))


def test_a_posting_to_no_account_is_refused(ada: Account) -> None:
    with refused("another book or currency|foreign key"):
        write((ada, "USD", 1, "debit", "7", "93"), (2**40, "USD", 2, "credit", "7", "7"))


def test_a_posting_to_no_entry_is_refused(ada: Account, ben: Account) -> None:
    lines = (
        f"(%(entry)s, {ada.pk}, 'USD', 1, 'debit', 7, 93), (%(entry)s, {ben.pk}, 'USD', 2, 'credit', 7, 7)"
    )
    with refused("another book or currency"):
        sql(f"{POSTING} VALUES {lines}", entry=2**40)


def test_every_account_of_a_statement_is_held_to_its_own_last_line(ada: Account, ben: Account) -> None:
    with refused("balance after of account"):
        write(
            (ada, "USD", 1, "debit", "7", "93"),
            (ben, "USD", 2, "credit", "7", "7"),
            (ada, "USD", 3, "debit", "1", "93"),
            (ben, "USD", 4, "credit", "1", "8"),
        )
    write(
        (ada, "USD", 1, "debit", "7", "93"),
        (ben, "USD", 2, "credit", "7", "7"),
        (ada, "USD", 3, "debit", "1", "92"),
        (ben, "USD", 4, "credit", "1", "8"),
    )
    assert (fresh(ada).posted, fresh(ben).posted) == (92, 8)


def test_a_stated_balance_that_is_not_true_is_refused(ada: Account, ben: Account) -> None:
    with refused("balance after of account"):
        write((ada, "USD", 1, "debit", "7", "93"), (ben, "USD", 2, "credit", "7", "8"))


def test_an_overdrawn_guarded_account_is_refused(ada: Account, ben: Account) -> None:
    with refused("account_covers_holds"):
        write((ada, "USD", 1, "debit", "101", "-1"), (ben, "USD", 2, "credit", "101", "101"))


def test_a_guarded_account_below_its_holds_is_refused(world: World, ada: Account, ben: Account) -> None:
    world.hold(ada, 60)
    with refused("account_covers_holds"):
        write((ada, "USD", 1, "debit", "41", "59"), (ben, "USD", 2, "credit", "41", "41"))


def test_an_amount_of_zero_or_less_and_a_third_side_are_refused(ada: Account, ben: Account) -> None:
    for amount in ("0", "-1"):
        with refused("posting_amount_positive"):
            write((ada, "USD", 1, "debit", amount, "100"), (ben, "USD", 2, "credit", amount, "0"))
    with refused("posting_side_known"):
        write((ada, "USD", 1, "left", "1", "100"), (ben, "USD", 2, "right", "1", "0"))


def test_an_entry_without_postings_is_refused(ada: Account) -> None:
    with refused("in one statement with its postings"):
        sql(ENTRY.format(recorded="now()"))


def test_an_entry_recorded_at_another_time_than_now_is_refused(ada: Account) -> None:
    with refused("database's own clock"):
        sql(ENTRY.format(recorded="now() - interval '1 day'"))


def test_nothing_is_added_to_an_entry_that_stands(ada: Account, ben: Account) -> None:
    entry = move(ada, ben, 1).entry_id
    add = f"{POSTING} VALUES ({entry}, {ada.pk}, 'USD', %(one)s, 'debit', 1, 98), ({entry}, {ben.pk}, 'USD', %(two)s, 'credit', 1, 2)"
    with refused("written once"):
        sql(add, one=3, two=4)
    with refused("posting_line_once"):
        sql(add, one=1, two=2)


def test_lines_begin_with_one(ada: Account, ben: Account) -> None:
    with refused("with its postings|with lines from 1"):
        write((ada, "USD", 2, "debit", "1", "99"), (ben, "USD", 3, "credit", "1", "1"))


CHANGES = {
    "posting amount": "UPDATE ledger_posting SET amount = amount + 1",
    "posting account": "UPDATE ledger_posting SET account_id = account_id",
    "posting deleted": "DELETE FROM ledger_posting",
    "postings truncated": "TRUNCATE ledger_posting",
    "entry narration": "UPDATE ledger_entry SET narration = 'nicer'",
    "entry deleted": "DELETE FROM ledger_entry",
    "everything truncated": "TRUNCATE ledger_account, ledger_entry, ledger_posting, ledger_hold CASCADE",
    "balance edited": "UPDATE ledger_account SET posted = posted + 1 WHERE purpose = 'wallet'",
    "held edited": "UPDATE ledger_account SET held = held + 1 WHERE purpose = 'wallet'",
    "version edited": "UPDATE ledger_account SET version = 0 WHERE version > 0",
    "account deleted": "DELETE FROM ledger_account",
    "account's book": "UPDATE ledger_account SET book = 'real'",
    "account's currency": "UPDATE ledger_account SET currency_id = 'EUR'",
    "account's kind": "UPDATE ledger_account SET kind = 'asset' WHERE purpose = 'wallet'",
    "account's purpose": "UPDATE ledger_account SET purpose = 'other'",
    "account's owner": "UPDATE ledger_account SET owner_id = gen_random_uuid() WHERE purpose = 'wallet'",
    "account's client": "UPDATE ledger_account SET client_id = NULL WHERE purpose = 'wallet'",
    "account's guard": "UPDATE ledger_account SET guarded = NOT guarded",
    "account closed with money on it": "UPDATE ledger_account SET is_closed = true WHERE posted > 0",
    "hold's amount": "UPDATE ledger_hold SET amount = 1",
    "hold's amount while resolving": "UPDATE ledger_hold SET amount = 1, state = 'released', resolved_at = now()",
    "hold's account": "UPDATE ledger_hold SET account_id = account_id + 1, state = 'released', resolved_at = now()",
    "hold's expiry": "UPDATE ledger_hold SET expires_at = now()",
    "hold deleted": "DELETE FROM ledger_hold",
    "holds truncated": "TRUNCATE ledger_hold CASCADE",
    "hold in no known state": "UPDATE ledger_hold SET state = 'lost', resolved_at = now()",
    "hold captured by no entry": "UPDATE ledger_hold SET state = 'captured', captured_amount = 1, resolved_at = now()",
    "hold transferred to nothing": "UPDATE ledger_hold SET state = 'transferred', resolved_at = now()",
    "hold released at no time": "UPDATE ledger_hold SET state = 'released'",
    "currency losing decimals": "UPDATE backoffice_currency SET exponent = 1 WHERE code = 'USD'",
}


@pytest.mark.parametrize("what", CHANGES)
def test_history_cannot_be_edited(world: World, what: str) -> None:
    world.currency("EUR")
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    world.hold(ada, 10)
    move(ada, ben, 5)
    # PostgreSQL does not truncate a table that still has deferred checks to do in this transaction.
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    with refused("ledger:|append-only|account_closed_is_empty|hold_"):
        sql(CHANGES[what])


OUTCOMES: dict[str, Callable[[Hold, Account], object]] = {
    "released": lambda hold, _: holds.release(hold, by=BY, at=NOON),
    "transferred": lambda hold, _: holds.transfer(hold, by=BY, at=NOON, key=new_key()),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("then", ["released", "held", "expired"])
def test_a_resolved_hold_is_never_resolved_again_nor_reopened(world: World, outcome: str, then: str) -> None:
    ada = world.wallet("ada", funds=100)
    hold = world.hold(ada, 10)
    OUTCOMES[outcome](hold, ada)
    resolved = "NULL" if then == "held" else "now()"
    with refused("resolved once"):
        sql(
            f"UPDATE ledger_hold SET state = '{then}', resolved_at = {resolved}, transferred_to_id = NULL"
            f" WHERE id = {hold.pk}"
        )


def test_a_hold_is_not_born_resolved_and_moves_what_is_held_whoever_writes_it(ada: Account) -> None:
    insert = f"""INSERT INTO ledger_hold (uuid, account_id, amount, purpose, key, content_hash, state, captured_amount,
            placed_at, resolved_at, by, resolved_by, subject_type)
        VALUES (gen_random_uuid(), {ada.pk}, %(amount)s, 'x', gen_random_uuid()::text, 'x', %(state)s, 0, now(),
            %(resolved)s, 'raw', '', '')"""
    with refused("begins held"):
        sql(insert, amount=1, state="released", resolved=NOON)
    with refused("account_covers_holds"):
        sql(insert, amount=101, state="held", resolved=None)
    with refused("hold_amount_positive"):
        sql(insert, amount=0, state="held", resolved=None)
    sql(insert, amount=40, state="held", resolved=None)
    assert fresh(ada).held == 40


def test_an_account_does_not_open_with_money_on_it(world: World) -> None:
    world.currency()
    insert = """INSERT INTO ledger_account (uuid, book, currency_id, kind, purpose, owner_type, owner_id, shard, guarded,
            posted, held, is_closed, version, opened_at)
        VALUES (gen_random_uuid(), 'demo', 'USD', 'liability', 'gift', %(type)s, %(owner)s, %(shard)s, false,
            %(posted)s, 0, false, 0, now())"""
    fine: dict[str, object] = {"type": "", "owner": None, "shard": 0, "posted": 0}
    with refused("opens empty"):
        sql(insert, **{**fine, "posted": 100})
    with refused("has an owner"):
        sql(insert, **{**fine, "type": "client"})
    with refused("has an owner"):
        sql(insert, **{**fine, "owner": uuid.uuid4()})
    with refused("has shards only"):
        sql(insert, **{**fine, "type": "client", "owner": uuid.uuid4(), "shard": 1})
    with refused("known book"):
        sql(insert.replace("'demo'", "'other'"), **fine)
    with refused("known kind"):
        sql(insert.replace("'liability'", "'other'"), **fine)
    sql(insert, **fine)
    with refused("account_once"):  # house accounts have no owner: null equals null here
        sql(insert, **fine)


def test_a_closed_account_stays_closed_and_takes_nothing(world: World, ada: Account) -> None:
    closed = accounts.close(world.wallet("eve"), by=BY, at=NOON)
    with refused("account_closed_is_empty"):
        write((ada, "USD", 1, "debit", "7", "93"), (closed, "USD", 2, "credit", "7", "7"))
    with refused("closed one stays closed"):
        sql(f"UPDATE ledger_account SET is_closed = false WHERE id = {closed.pk}")


def test_a_key_stands_for_one_entry_and_an_entry_is_reversed_once(ada: Account, ben: Account) -> None:
    entry = move(ada, ben, 1, key="k").entry_id
    columns = "uuid, book, kind, reference, narration, key, content_hash, by, effective_at, recorded_at, business_date, subject_type"
    again = f"INSERT INTO ledger_entry ({columns}, reverses_id) SELECT gen_random_uuid(), book, kind, reference, narration, {{key}}, content_hash, by, effective_at, now(), business_date, subject_type, {{reverses}} FROM ledger_entry WHERE id = {entry}"
    with refused("entry_key_once"):
        sql(again.format(key="key", reverses="NULL"))
    with refused("reverses_id"):
        sql(
            again.format(key="'x'", reverses=entry)
            + " UNION ALL "
            + again[again.index("SELECT") :].format(key="'y'", reverses=entry)
        )


def test_records_of_money_are_protected_from_deletion_through_the_orm(world: World, ada: Account) -> None:
    world.hold(ada, 1)
    for protected in (Currency.objects.get(code="USD"), ada, Entry.objects.latest("id")):
        with pytest.raises(ProtectedError):
            protected.delete()
    for model in (Posting, Hold):
        with refused("append-only|not deleted"):
            model.objects.all().delete()
    assert fresh(ada).held == D(1)
