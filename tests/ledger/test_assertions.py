"""What staff say an account stands at is held against the books, at once and every night."""

from datetime import timedelta

import pytest
from django.db import transaction

from backoffice.errors import InvalidInput, KeyReused, MoveNotAllowed
from backoffice.models import Event
from backoffice.money import InvalidAmount
from ledger import accounts
from ledger.control import assertions, closing
from ledger.models import BalanceAssertion
from tests.ledger.world import BY, NOON, D, World, move, new_key, picture

DAY = NOON.date()
LATER = NOON + timedelta(days=3)


def enter(account, amount, **given):
    return assertions.enter(
        account, **{"on": DAY, "amount": amount, "by": BY, "at": LATER, "key": new_key(), **given}
    )


def names():
    return list(
        Event.objects.filter(subject_type="balance_assertion").order_by("id").values_list("name", flat=True)
    )


def test_a_balance_is_looked_up_at_the_end_of_the_business_date(world: World) -> None:
    ada, ben = world.wallet("ada", funds="1234.50"), world.wallet("ben")
    move(ada, ben, 34, at=NOON + timedelta(days=1))
    assert (accounts.balance_on(ada, day=DAY), accounts.balance_on(ben, day=DAY)) == (D("1234.50"), 0)
    assert accounts.balance_on(ada, day=DAY - timedelta(days=1)) == 0
    assert accounts.balance_on(world.bank(), day=DAY + timedelta(days=1)) == D("1234.50")
    row = enter(ada, "1234.50", source="Bank statement 231")
    assert (row.state, row.found, row.difference) == ("holds", D("1234.50"), 0)


def test_one_that_fails_waits_with_its_difference_until_what_is_missing_is_booked(world: World) -> None:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben", funds=50)
    row = enter(ada, "120")
    assert (row.state, row.difference) == ("fails", 20)
    assert row.why.startswith("The books say something else")
    assert assertions.check_all(by=BY, at=LATER) == 1
    move(ben, ada, 20)
    assert assertions.check_all(by=BY, at=LATER + timedelta(hours=1)) == 0
    row.refresh_from_db()
    assert (row.state, row.changed_at, row.difference) == ("holds", LATER + timedelta(hours=1), 0)
    move(ada, ben, 1)
    assert assertions.check_all(by=BY, at=LATER) == 1
    assert names() == [f"balance_assertion.{what}" for what in ("entered", "held", "failed")]


def test_one_that_fails_is_resolved_with_a_reason_once_and_not_checked_again(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    row, fine = enter(ada, "99"), enter(ada, "100")
    key = new_key()
    for _ in range(2):
        assertions.resolve(row, reason="A typing mistake.", by=BY, at=LATER, key=key)
    assert Event.objects.get(name="balance_assertion.resolved").reason.text == "A typing mistake."
    assert assertions.check_all(by=BY, at=LATER) == 0
    assert assertions.failing("demo", through=DAY) == []
    for wrong in (row, fine):
        with pytest.raises(MoveNotAllowed), transaction.atomic():
            assertions.resolve(wrong, reason="Again.", by=BY, at=LATER, key=new_key())


def test_what_is_asserted_of_a_closed_day_is_not_checked_every_night(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    enter(ada, "100")
    closing.close("demo", DAY, by=BY, at=LATER, key=new_key())
    assertions.check_all(by=BY, at=LATER + timedelta(days=9))
    assert BalanceAssertion.objects.get().checked_at == LATER


def test_the_same_key_is_the_same_assertion_and_good_for_no_other(world: World) -> None:
    ada, key = world.wallet("ada", funds=100), new_key()
    assert enter(ada, "99", key=key) == enter(ada, "99.00", key=key)
    before = (picture(), BalanceAssertion.objects.count())
    with pytest.raises(KeyReused), transaction.atomic():
        enter(ada, "98", key=key)
    assert (picture(), BalanceAssertion.objects.count()) == before == (before[0], 1)


def test_days_to_come_and_amounts_that_are_none_are_refused(world: World) -> None:
    ada = world.wallet("ada", funds=100)
    for wrong, refusal in (
        ({"on": LATER.date() + timedelta(days=1)}, InvalidInput),
        ({"amount": "1.001"}, InvalidAmount),
        ({"amount": "a lot"}, InvalidAmount),
    ):
        with pytest.raises(refusal), transaction.atomic():
            enter(ada, **{"amount": "1", **wrong})
    assert not BalanceAssertion.objects.exists()
    assert enter(world.bank(), "-5").state == "fails", "a bank account may be overdrawn"
