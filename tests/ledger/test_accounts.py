"""Accounts: opened once, closed for good, their balances at any time."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from ledger import accounts, journal
from ledger.models import Account
from ledger.refusals import AccountClosed, AccountDiffers, AccountNotEmpty
from tests.counting import questions
from tests.ledger.world import BY, NOON, D, World, fresh, move, new_key, picture


def test_opening_an_account_twice_answers_with_the_same_account(world: World) -> None:
    first = world.wallet("ada")
    assert world.wallet("ada") == first
    assert Account.objects.count() == 1
    assert (first.posted, first.held, first.version, first.is_closed) == (0, 0, 0, False)


def test_an_existing_account_is_never_answered_for_another_kind_or_client(world: World) -> None:
    wallet = world.wallet("ada")
    world.bank()
    before = picture()
    given = {
        "book": "demo",
        "currency": "USD",
        "purpose": "wallet",
        "owner": ("client", wallet.owner_id),
        "at": NOON,
    }
    with pytest.raises(AccountDiffers):
        accounts.open_account(**given, kind="asset", client_id=wallet.client_id)  # type: ignore[arg-type]
    with pytest.raises(AccountDiffers):
        accounts.open_account(**given, kind="liability", client_id=uuid.uuid4())  # type: ignore[arg-type]
    with pytest.raises(AccountDiffers):
        accounts.house("demo", "USD", "bank", "income")
    assert picture() == before


def test_several_accounts_are_read_by_one_question_in_the_order_asked_for_and_opened_where_missing(
    world: World,
) -> None:
    world.currency()
    wanted = [
        accounts.of_house("demo", "USD", purpose, kind)
        for purpose, kind in (("z_costs", "expense"), ("a_bank", "asset"), ("m_gains", "income"))
    ]
    bank = accounts.house("demo", "USD", "a_bank", "asset")
    opened = accounts.open_all(wanted, at=NOON)
    assert [row.purpose for row in opened] == ["z_costs", "a_bank", "m_gains"]
    assert (opened[1], {row.guarded for row in opened}) == (bank, {False})
    with questions() as asked:
        assert accounts.open_all(wanted[::-1], at=NOON) == opened[::-1]
    assert len(asked) == 1


def test_of_several_accounts_none_is_opened_if_one_is_of_another_kind(world: World) -> None:
    world.currency()
    accounts.house("demo", "USD", "bank", "asset")
    before = picture()
    with pytest.raises(AccountDiffers):
        accounts.open_all(
            [accounts.of_house("demo", "USD", "new", "asset"), accounts.of_house("demo", "USD", "bank", "income")],
            at=NOON,
        )  # fmt: skip
    assert picture() == before and not Account.objects.filter(purpose="new").exists()


def test_a_busy_house_account_is_split_over_its_shards_and_a_quiet_one_is_not(world: World) -> None:
    world.currency()
    shards = {accounts.house("demo", "USD", "markup_income", "income", shard_key=n).shard for n in range(100)}
    assert shards == set(range(accounts.SHARDS["markup_income"]))
    assert {accounts.house("demo", "USD", "bank", "asset", shard_key=n).shard for n in range(20)} == {0}
    again = accounts.house("demo", "USD", "markup_income", "income", shard_key=7)
    assert again == accounts.house("demo", "USD", "markup_income", "income", shard_key=7)


def test_available_is_posted_less_held_counted_once(world: World) -> None:
    wallet = world.wallet(funds=100)
    world.hold(wallet, 30)
    row = Account.objects.with_available().get(pk=wallet.pk)
    assert (row.posted, row.held, row.available, row.available_amount) == (100, 30, 70, 70)


def test_an_empty_account_can_be_closed_and_takes_nothing_more(world: World) -> None:
    wallet, other = world.wallet("ada"), world.wallet("ben", funds=10)
    assert accounts.close(wallet, by=BY, at=NOON).is_closed
    assert accounts.close(wallet, by=BY, at=NOON).is_closed
    before = picture()
    with pytest.raises(AccountClosed):
        move(other, wallet, 1)
    with pytest.raises(AccountClosed):
        world.hold(wallet, 1)
    assert picture() == before


def test_an_account_with_money_or_holds_cannot_be_closed(world: World) -> None:
    wallet = world.wallet(funds=10)
    before = picture()
    with pytest.raises(AccountNotEmpty):
        accounts.close(wallet, by=BY, at=NOON)
    assert picture() == before


def test_the_balance_at_a_past_time_counts_what_was_effective_by_then(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    move(ada, ben, 30, at=NOON + timedelta(hours=2))
    move(ada, ben, 5, at=NOON + timedelta(hours=1))  # recorded later, counts earlier
    assert accounts.balance_at(ada, at=NOON - timedelta(seconds=1)) == 0
    assert accounts.balance_at(ada, at=NOON) == 100
    assert accounts.balance_before(ada, at=NOON) == 0
    assert accounts.balance_at(ada, at=NOON + timedelta(hours=1)) == 95
    assert accounts.balance_at(ada, at=NOON + timedelta(hours=2)) == 65
    assert accounts.balance_at(ben, at=NOON + timedelta(hours=3)) == 35
    assert accounts.balance_at(world.bank(), at=NOON) == 100


def test_the_balance_as_recorded_counts_what_the_database_had_written_by_then(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        written = cursor.fetchone()[0]
    assert accounts.balance_at(ada, at=written, basis="recorded") == 100
    assert accounts.balance_at(ada, at=written - timedelta(microseconds=1), basis="recorded") == 0
    assert accounts.balance_at(ada, at=datetime(2026, 3, 1, tzinfo=UTC), basis="effective") == 0


def test_money_in_one_currency_and_book_has_its_own_account(world: World) -> None:
    here = {
        world.wallet("ada").pk,
        world.wallet("ada", currency="EUR").pk,
        world.wallet("ada", book="real").pk,
    }
    assert len(here) == 3


def test_lines_may_name_an_account_by_its_key(world: World) -> None:
    ada, ben = world.wallet("ada", funds=10), world.wallet("ben")
    lines = [journal.debit(ada.pk, D(4)), journal.credit(ben.pk, D(4))]
    posted = journal.post(kind="transfer", lines=lines, by=BY, at=NOON, key=new_key())
    assert posted.balances[ada.pk] == journal.Balance(D(6), D(0))
    assert (fresh(ada).posted, fresh(ben).posted) == (6, 4)
