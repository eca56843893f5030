"""Our list beside theirs: what matches, what stands on one side alone, how long, and what is gone again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backoffice.models import Event
from ledger import coins, payments
from ledger.control import reconciliation
from ledger.control.reconciliation import Side, bucket
from ledger.custodian.simulator.addresses import made
from ledger.models import CoinRoute, Payment, Reconciliation, WithdrawalRoute
from tests.ledger import paying
from tests.ledger import payments as desk
from tests.ledger.payments import BY, NOW, D

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def compare(name: str = "custodian", *, at=None) -> Reconciliation:
    (row,) = reconciliation.run(name, by=BY, at=at or timezone.now())
    return row


def waits(counterpart: str = "custodian") -> list[tuple[str, str]]:
    return [(row.side, row.says) for row in reconciliation.standing(counterpart)]


@pytest.fixture
def with_coins(the_custodian):
    """A client whose coin came and is credited, and the balance of the custodian before it, which is other tests'."""
    CoinRoute.objects.create(currency_id="USDT", network="tron", confirmations=1)
    WithdrawalRoute.objects.create(method="crypto", currency_id="USDT", provider="crypto", cool_off_hours=0)
    client = desk.client()
    client.kyc_level = 3
    client.save()
    the_custodian.send(coins.address_for(client, "USDT", by=BY, at=NOW).address, "100")
    the_custodian.mine()
    coins.read(now=timezone.now)
    return client


def pay(client) -> Payment:
    """A payment that the custodian has taken."""
    to = paying.beneficiary(client, method="crypto", currency="USDT", number=made("tron", "elsewhere"), network="tron") \
        if not client.beneficiaries.exists() else client.beneficiaries.get()  # fmt: skip
    row = paying.withdrawal(client, "10", to)
    payment = (row if row.payments.exists() else paying.approve(row)).payments.get()
    return payments.push(payment, now=timezone.now)


def mine_only(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without what other tests left at the custodian they share."""
    return [one for one in found if "no payment of ours has" not in one[1] and "It keeps" not in one[1]]


def test_a_payout_that_both_have_matches_on_its_way_and_afterwards(with_coins, the_custodian):
    row = pay(with_coins)
    before = compare().matched
    assert mine_only(waits()) == []
    the_custodian.mine()
    assert payments.push(row, now=lambda: timezone.now() + timedelta(minutes=2)).state == "confirmed"
    assert (compare().matched, mine_only(waits())) == (before, [])


def test_a_payment_that_the_custodian_never_had_stands_on_our_side_until_it_is_settled(
    with_coins, the_custodian
):
    the_custodian.fault("drop")
    row = pay(with_coins)
    assert row.state == "unknown"
    compare()
    assert mine_only(waits()) == [], "it may be on its way"
    compare(at=timezone.now() + timedelta(minutes=20))
    assert mine_only(waits()) == [(Side.OURS, "Here it is: answer lost. The custodian does not have it.")]
    payments.settle(row, was_paid=False, evidence="Not in its books.", by=BY, at=timezone.now(), key="k")
    compare(at=timezone.now() + timedelta(minutes=30))
    assert mine_only(waits()) == []


def test_a_payout_that_we_gave_back_and_the_custodian_made_stands_on_theirs(with_coins, the_custodian):
    the_custodian.fault("lose_answer")
    row = pay(with_coins)
    payments.settle(
        row, was_paid=False, evidence="Somebody was too quick.", by=BY, at=timezone.now(), key="k"
    )
    compare()
    assert mine_only(waits()) == [(Side.THEIRS, "The custodian paid it; here it is: failed.")]


def test_what_the_custodian_keeps_is_compared_with_our_books(with_coins, the_custodian):
    compare()
    (before,) = [row.amount for row in reconciliation.standing("custodian").filter(name="balance USDT")] or [
        D(0)
    ]
    the_custodian.send(the_custodian.address("a stranger", "USDT", "tron"), "7")
    the_custodian.mine()
    compare()
    assert reconciliation.standing("custodian").get(name="balance USDT").amount == before + 7


def test_a_custodian_that_does_not_answer_leaves_what_was_found_and_says_so(with_coins, the_custodian):
    the_custodian.fault("lose_answer")
    payments.settle(pay(with_coins), was_paid=False, evidence="Too quick.", by=BY, at=timezone.now(), key="k")
    compare()
    before = waits()
    the_custodian.fault("drop", call="list")
    row = compare()
    assert row.problem.startswith("The custodian's answer was lost")
    assert (row.unmatched, waits()) == (len(before), before)


def test_lines_of_a_bank_that_nothing_explains_stand_on_theirs_by_the_day_they_were_booked():
    desk.imported(desk.csv_file("2026-11-20;100.00;who knows;Somebody;", "2026-11-19;-4.00;charge;Bank;"))
    row = compare("banks")
    assert (row.label, row.unmatched) == (desk.bank().name, 2)
    assert [side for side, _ in waits(row.counterpart)] == [Side.THEIRS, Side.THEIRS]
    assert [f"{one.since:%d}" for one in reconciliation.standing(row.counterpart)] == ["19", "20"]


def test_what_waits_for_a_person_is_listed_by_age_and_gone_when_it_is_paid():
    paying.route(provider="manual")
    found = paying.withdrawal(paying.funded())
    payment = (found if found.payments.exists() else paying.approve(found)).payments.get()
    compare("manual")
    assert waits("manual") == [(Side.OURS, "Nobody has taken it on yet.")]
    payment = payments.take_on(payment, by=BY, at=NOW)
    compare("manual")
    assert waits("manual") == [(Side.OURS, "Taken on; nobody has said whether it was paid.")]
    payments.settle(payment, was_paid=True, evidence="The receipt.", by=BY, at=NOW, key="k")
    row = compare("manual")
    assert (row.matched, row.unmatched, waits("manual")) == (1, 0, [])
    told = (
        Event.objects.filter(name__startswith="reconciliation.").order_by("id").values_list("name", flat=True)
    )
    assert list(told) == ["reconciliation.unequal", "reconciliation.equal"]


@pytest.mark.parametrize(
    ("hours", "place"), [(0, 0), (23, 0), (24, 1), (71, 1), (72, 2), (167, 2), (168, 3), (9999, 3)]
)
def test_ages_fall_into_one_of_four(hours, place):
    assert bucket(NOW - timedelta(hours=hours), NOW) == place
