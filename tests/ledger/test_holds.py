"""Holds: money set aside, used up or given free, resolved once."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from backoffice.errors import KeyReused
from backoffice.models import Event
from backoffice.money import InvalidAmount
from ledger import accounts, holds, journal
from ledger.models import Account, Entry, Hold
from ledger.refusals import AccountClosed, HoldResolved, InsufficientFunds, MixedBooks, UnknownAccount
from tests.ledger.world import BY, NOON, D, World, fresh, move, new_key, picture

LATER = NOON + timedelta(minutes=1)


def capture(hold: Hold, to: Account, amount: str | int | None = None, **more: Any) -> journal.Posted:
    taken = hold.amount if amount is None else D(amount)
    given = {"kind": "stake", "by": BY, "at": LATER, "key": new_key(), **more}
    return holds.capture(
        hold, lines=[journal.credit(to, taken)], amount=None if amount is None else taken, **given
    )


def test_a_hold_sets_money_aside_and_answers_with_what_is_left(world: World) -> None:
    ada, trade = world.wallet("ada", funds=100), uuid.uuid4()
    result = holds.place(
        account=ada,
        amount=D(30),
        purpose="stake",
        by=BY,
        at=NOON,
        key="k",
        expires_at=LATER,
        subject=("trade", trade),
        client_id=ada.client_id,
    )
    assert (result.replayed, result.balance) == (False, journal.Balance(D(100), D(30)))
    stored = Hold.objects.get(key="k")
    assert result.hold == stored
    for field in Hold._meta.concrete_fields:
        assert getattr(result.hold, field.attname) == getattr(stored, field.attname), field.name
    assert (stored.state, stored.amount, stored.expires_at, stored.subject_id) == ("held", 30, LATER, trade)
    assert list(Hold.objects.about("trade", trade)) == [stored]
    event = Event.objects.get(name="hold.placed")
    assert (event.subject_id, event.client_id, event.key) == (stored.uuid, ada.client_id, "k")
    assert event.payload == {
        "amount": "30.00",
        "currency": "USD",
        "account": str(ada.uuid),
        "purpose": "stake",
    }


def test_more_than_is_available_cannot_be_held(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    world.hold(ada, 60)
    before = picture()
    with pytest.raises(InsufficientFunds):
        world.hold(ada, "40.01")
    assert picture() == before
    world.hold(ada, 40)
    assert fresh(ada).available == 0


def test_a_mirror_account_has_no_overdraft_guard_but_holds_only_what_is_there(world: World) -> None:
    mirror = world.wallet("ada", funds=10, book="demo_mirror", guarded=False)
    with pytest.raises(InsufficientFunds):
        world.hold(mirror, 11)
    world.hold(mirror, 10)
    outside = accounts.house("demo_mirror", "USD", "outside", "asset")
    lines = [journal.debit(mirror, D(4)), journal.credit(outside, D(4))]
    posted = journal.post(kind="outside", lines=lines, by=BY, at=NOON, key=new_key())
    assert posted.balances[mirror.pk] == journal.Balance(D(6), D(10))


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "1e20"])
def test_an_amount_that_cannot_be_held_is_refused(world: World, amount: str) -> None:
    ada = world.wallet("ada", funds=100)
    before = picture()
    with pytest.raises(InvalidAmount):
        world.hold(ada, amount)
    assert picture() == before


def test_nothing_is_held_on_a_closed_or_unknown_account(world: World) -> None:
    closed = accounts.close(world.wallet("ada"), by=BY, at=NOON)
    before = picture()
    with pytest.raises(AccountClosed):
        world.hold(closed, 1)
    with pytest.raises(UnknownAccount):
        holds.place(account=2**40, amount=D(1), purpose="stake", by=BY, at=NOON, key=new_key())
    assert picture() == before


def test_the_same_key_places_one_hold(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    first = world.hold(ada, 60, key="k")
    before = picture()
    again = holds.place(account=ada, amount=D("60.00"), purpose="stake", by=BY, at=LATER, key="k")
    assert (again.hold, again.replayed, again.balance.held) == (first, True, 60)
    with pytest.raises(KeyReused):
        world.hold(ada, 61, key="k")
    with pytest.raises(KeyReused):
        world.hold(ada, 60, key="k", purpose="withdrawal")
    assert picture() == before


def test_capture_posts_the_held_money_and_frees_the_rest(world: World) -> None:
    ada, stakes = world.wallet("ada", funds=100), world.wallet("stakes")
    hold = world.hold(ada, 30, subject=("trade", uuid.uuid4()), client_id=ada.client_id)
    posted = capture(hold, stakes, 20, key="c")
    assert posted.balances == {
        ada.pk: journal.Balance(D(80), D(0)),
        stakes.pk: journal.Balance(D(20), D(0)),
    }
    hold = Hold.objects.get(pk=hold.pk)
    entry = Entry.objects.get(pk=posted.entry_id)
    assert (hold.state, hold.captured_amount, hold.captured_by, hold.resolved_at) == (
        "captured",
        20,
        entry,
        LATER,
    )
    assert (entry.subject_id, entry.client_id) == (hold.subject_id, ada.client_id)
    first_line = entry.postings.get(line=1)
    assert (first_line.account, first_line.side, first_line.amount) == (ada, "debit", 20)
    event = Event.objects.get(name="hold.captured")
    assert event.subject_id == hold.uuid
    assert event.payload == {
        "amount": "30.00",
        "captured": "20.00",
        "account": str(ada.uuid),
        "currency": "USD",
        "entry": str(entry.uuid),
    }


def test_everything_on_an_account_can_be_held_and_captured(world: World) -> None:
    ada, stakes = world.wallet("ada", funds=100), world.wallet("stakes")
    assert capture(world.hold(ada, 100), stakes).balances[ada.pk] == journal.Balance(D(0), D(0))


def test_capture_from_an_asset_credits_it(world: World) -> None:
    cash = world.wallet("till", kind="asset", guarded=False)
    owner = world.wallet("ada")
    journal.post(
        kind="x",
        lines=[journal.debit(cash, D(5)), journal.credit(owner, D(5))],
        by=BY,
        at=NOON,
        key=new_key(),
    )
    hold = world.hold(cash, 5)
    posted = holds.capture(hold, lines=[journal.debit(owner, D(5))], kind="x", by=BY, at=LATER, key=new_key())
    assert (posted.balances[cash.pk].posted, posted.balances[owner.pk].posted) == (0, 0)


def test_more_than_the_hold_cannot_be_captured(world: World) -> None:
    ada, stakes = world.wallet("ada", funds=100), world.wallet("stakes")
    hold = world.hold(ada, 30)
    before = picture()
    with pytest.raises(InvalidAmount):
        capture(hold, stakes, "30.01")
    assert picture() == before


def test_the_same_capture_twice_is_once_and_another_is_refused(world: World) -> None:
    ada, stakes = world.wallet("ada", funds=100), world.wallet("stakes")
    hold = world.hold(ada, 30)
    first = capture(hold, stakes, 20, key="c")
    before = picture()
    again = capture(hold, stakes, 20, key="c")
    assert (again.replayed, again.entry_id) == (True, first.entry_id)
    with pytest.raises(KeyReused):
        capture(hold, stakes, 21, key="c")
    with pytest.raises(HoldResolved):
        capture(hold, stakes, 20)
    with pytest.raises(HoldResolved):
        holds.release(hold, by=BY, at=LATER)
    with pytest.raises(HoldResolved):
        holds.transfer(hold, by=BY, at=LATER, key=new_key())
    assert picture() == before


def test_a_dry_capture_answers_the_same_and_leaves_the_hold_open(world: World) -> None:
    ada, stakes = world.wallet("ada", funds=100), world.wallet("stakes")
    hold = world.hold(ada, 30)
    before = picture()
    dry = capture(hold, stakes, 20, dry_run=True)
    assert picture() == before
    assert dry.balances == capture(hold, stakes, 20).balances


def test_one_entry_may_use_up_several_holds_but_none_twice(world: World) -> None:
    ada, ben, stakes = world.wallet("ada", funds=10), world.wallet("ben", funds=10), world.wallet("stakes")
    one, two = world.hold(ada, 10), world.hold(ben, 10)
    lines = [journal.debit(ada, D(10)), journal.debit(ben, D(10)), journal.credit(stakes, D(20))]
    before = picture()
    with pytest.raises(HoldResolved):
        journal.post(
            kind="x", lines=lines, captures=[(one, D(5)), (one, D(5))], by=BY, at=LATER, key=new_key()
        )
    assert picture() == before
    posted = journal.post(
        kind="x", lines=lines, captures=[(one, D(10)), (two, D(10))], by=BY, at=LATER, key=new_key()
    )
    assert posted.balances[stakes.pk].posted == 20
    assert set(Hold.objects.values_list("state", flat=True)) == {"captured"}


def test_release_gives_the_money_free_once(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    hold = world.hold(ada, 30)
    result = holds.release(hold, by=BY, at=LATER)
    assert (result.hold.state, result.hold.resolved_at, result.replayed) == ("released", LATER, False)
    assert result.balance == journal.Balance(D(100), D(0))
    before = picture()
    again = holds.release(hold, by=BY, at=LATER + timedelta(hours=1))
    assert (again.hold.state, again.hold.resolved_at, again.replayed) == ("released", LATER, True)
    with pytest.raises(HoldResolved):
        capture(hold, world.wallet("ada"))
    assert picture() == before


def test_holds_expire_when_their_time_has_come_oldest_first(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    second = world.hold(ada, 1, expires_at=NOON + timedelta(minutes=2))
    first = world.hold(ada, 2, expires_at=NOON + timedelta(minutes=1))
    world.hold(ada, 4, expires_at=NOON + timedelta(minutes=9))
    world.hold(ada, 8)
    assert holds.expire_due(NOON) == 0
    assert holds.expire_due(NOON + timedelta(minutes=2), limit=1) == 1
    assert Hold.objects.get(pk=first.pk).state == "expired"
    assert holds.expire_due(NOON + timedelta(minutes=2)) == 1
    assert Hold.objects.get(pk=second.pk).state == "expired"
    assert holds.expire_due(NOON + timedelta(minutes=2)) == 0
    assert fresh(ada).held == 12
    assert Event.objects.filter(name="hold.expired").count() == 2
    with pytest.raises(HoldResolved):
        holds.release(first, by=BY, at=LATER)


def test_a_hold_passes_to_another_and_the_money_is_never_free(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    hold = world.hold(ada, 100, subject=("order", uuid.uuid4()), client_id=ada.client_id)
    result = holds.transfer(hold, purpose="margin", amount=D(80), by=BY, at=LATER, key="t")
    assert result.balance == journal.Balance(D(100), D(80))
    assert (result.hold.purpose, result.hold.amount, result.hold.subject_id) == (
        "margin",
        80,
        hold.subject_id,
    )
    assert result.hold.client_id == ada.client_id
    old = Hold.objects.get(pk=hold.pk)
    assert (old.state, old.transferred_to) == ("transferred", result.hold)
    event = Event.objects.get(name="hold.transferred")
    assert (event.subject_id, event.payload["transferred_to"]) == (old.uuid, str(result.hold.uuid))
    before = picture()
    assert holds.transfer(hold, purpose="margin", amount=D(80), by=BY, at=LATER, key="t").replayed
    with pytest.raises(KeyReused):
        holds.transfer(hold, purpose="margin", amount=D(81), by=BY, at=LATER, key="t")
    with pytest.raises(HoldResolved):
        holds.transfer(hold, purpose="margin", amount=D(80), by=BY, at=LATER, key="u")
    assert picture() == before


def test_a_larger_hold_needs_only_the_difference(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    hold = world.hold(ada, 90)
    before = picture()
    with pytest.raises(InsufficientFunds):
        holds.transfer(hold, amount=D("100.01"), by=BY, at=LATER, key=new_key())
    assert picture() == before
    assert holds.transfer(hold, amount=D(100), by=BY, at=LATER, key=new_key()).balance.available == 0


def test_a_hold_passes_to_another_account_only_if_the_money_is_there_in_the_same_book_and_currency(
    world: World,
) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben", funds=5)
    hold = world.hold(ada, 5)
    before = picture()
    with pytest.raises(InsufficientFunds):
        holds.transfer(hold, to_account=ben, amount=D(6), by=BY, at=LATER, key=new_key())
    for other in (world.wallet("ada", funds=9, currency="EUR"), world.wallet("ada", funds=9, book="real")):
        with pytest.raises(MixedBooks):
            holds.transfer(hold, to_account=other, by=BY, at=LATER, key=new_key())
    assert picture()["ledger_hold"] == before["ledger_hold"]
    result = holds.transfer(hold, to_account=ben, by=BY, at=LATER, key=new_key())
    assert (result.balance.held, fresh(ada).held) == (5, 0)


def test_each_verb_is_one_round_trip(world: World, django_assert_num_queries: Any) -> None:
    ada, stakes = world.wallet("ada", funds=100), world.wallet("stakes")
    with django_assert_num_queries(1):
        hold = world.hold(ada, 30)
    loaded = Hold.objects.get(pk=hold.pk)
    with django_assert_num_queries(1):
        capture(loaded, stakes)
    hold = world.hold(ada, 30)
    with django_assert_num_queries(1):
        hold = holds.transfer(hold, by=BY, at=LATER, key=new_key()).hold
    with django_assert_num_queries(1):
        holds.release(hold, by=BY, at=LATER)
    with django_assert_num_queries(1):
        holds.expire_due(LATER)


def test_a_hold_outlives_what_else_happens_on_the_account(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    hold = world.hold(ada, 30)
    move(ada, ben, 70)
    assert capture(hold, ben).balances[ben.pk].posted == 100
