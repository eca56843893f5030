"""A trade's life, its money and its refusals, through the verbs."""

import dataclasses
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from backoffice.configuration import configuration
from backoffice.errors import InvalidInput, KeyReused, MoveNotAllowed
from backoffice.models import Event
from backoffice.money import InvalidAmount
from brokerage import accounts, placing, trades
from brokerage.models import Instrument, Trade
from ledger.models import Account, Entry, Hold
from ledger.refusals import InsufficientFunds
from tests import world
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def balances(account):
    account.cash.refresh_from_db()
    account.stakes.refresh_from_db()
    return account.cash.posted, account.cash.held, account.stakes.posted


def moved():
    """How much exists that a refusal must not add to."""
    return Entry.objects.count(), Hold.objects.count(), Event.objects.count(), Trade.objects.count()


def test_opening_a_client_opens_a_demo_account_that_waits_for_the_venue():
    opening = world.client()
    account = opening.client.trading_accounts.get()
    assert (account.kind, account.state, account.is_default) == ("demo", "opening", True)
    assert balances(account) == (0, 0, 0)


def test_the_venue_opening_an_account_is_mirrored_once():
    account = world.account()
    assert balances(account) == (Decimal("10000.00"), 0, 0)
    again = accounts.confirm_opened(
        account, login_id=account.login_id, token="other", balance=Decimal("10000"), by=TESTER, at=NOW
    )
    assert balances(again) == (Decimal("10000.00"), 0, 0)
    assert Entry.objects.count() == 1


def test_a_placed_trade_is_queued_with_its_stake_held():
    trade = world.placed()
    assert (trade.state, trade.version) == ("queued", 1)
    assert balances(trade.account) == (10000, 10, 0)


def test_a_won_trade_moves_its_stake_and_its_payout():
    trade = world.opened()
    assert trade.state == "open"
    assert balances(trade.account) == (9990, 0, 10)
    trade = trades.settle(trade, world.outcome("won", "19.53"), by=TESTER, at=NOW)
    assert (trade.state, trade.profit) == ("won", Decimal("9.53"))
    assert balances(trade.account) == (Decimal("10009.53"), 0, 0)


@pytest.mark.parametrize(
    ("state", "proceeds", "cash", "profit"),
    [
        ("lost", "0", "9990.00", "-10.00"),
        ("sold", "8.50", "9998.50", "-1.50"),
        ("refunded", "10.00", "10000.00", "0"),
    ],
)
def test_however_a_contract_ends_the_mirror_has_what_the_venue_paid(state, proceeds, cash, profit):
    trade = trades.settle(world.opened(), world.outcome(state, proceeds), by=TESTER, at=NOW)
    assert (trade.state, trade.profit) == (state, Decimal(profit))
    assert balances(trade.account) == (Decimal(cash), 0, 0)


def test_the_markup_is_booked_in_our_own_book_as_a_share_of_the_payout():
    account = world.account()
    account.markup_rate = Decimal("0.02")
    account.save()
    trade = world.opened(world.placed(account))
    assert trade.markup == Decimal("0.39")  # 19.53 × 0.02 = 0.3906
    income = Account.objects.filter(purpose="markup_income", posted__gt=0).get()
    owed = Account.objects.filter(purpose="markup_receivable", posted__gt=0).get()
    assert (income.book, income.posted) == (owed.book, owed.posted) == ("demo", Decimal("0.39"))


def test_what_is_refunded_earned_no_markup():
    account = world.account()
    account.markup_rate = Decimal("0.02")
    account.save()
    trade = world.opened(world.placed(account))
    told = dataclasses.replace(world.outcome("refunded", "10.00"), markup=Decimal("0.39"))
    assert trades.settle(trade, told, by=TESTER, at=NOW).markup == 0
    posted = Account.objects.filter(purpose__startswith="markup").values_list("posted", flat=True)
    assert list(posted) == [0, 0]


def test_without_a_rate_of_its_own_a_trade_carries_the_registered_markup(monkeypatch):
    monkeypatch.setattr(configuration(), "deriv_app_markup_rate", Decimal("0.01"))
    assert world.opened().markup == Decimal("0.20")  # 19.53 × 0.01 = 0.1953


def test_the_markup_the_venue_tells_at_the_end_is_what_is_booked():
    income = Account.objects.filter(purpose="markup_income")
    trade = world.opened()
    assert (trade.markup, income.filter(posted__gt=0).count()) == (0, 0)
    told = dataclasses.replace(
        world.outcome("lost", "0"), markup=Decimal("0.195"), commission=Decimal("0.23")
    )
    trade = trades.settle(trade, told, by=TESTER, at=NOW)
    assert (trade.markup, trade.commission) == (Decimal("0.20"), Decimal("0.23"))
    assert income.get(posted__gt=0).posted == Decimal("0.20")
    account = world.account()
    account.markup_rate = Decimal("0.02")
    account.save()
    trade = trades.settle(world.opened(world.placed(account)), told, by=TESTER, at=NOW)
    assert (trade.markup, sum(row.posted for row in income)) == (Decimal("0.20"), Decimal("0.40"))


def test_a_trade_settled_twice_pays_once():
    trade = world.opened()
    trades.settle(trade, world.outcome("won", "19.53"), by=TESTER, at=NOW)
    before = moved()
    again = trades.settle(trade, world.outcome("lost", "0"), by=TESTER, at=NOW)
    assert (again.state, moved()) == ("won", before)


def test_the_same_key_is_one_trade_and_other_content_is_refused():
    account = world.account()
    first = world.placed(account, key="k")
    before = moved()
    assert world.placed(account, key="k").pk == first.pk
    with pytest.raises(KeyReused):
        world.placed(account, key="k", stake="11.00")
    assert moved() == before


def test_a_second_purchase_with_the_key_of_an_uncertain_one_is_the_uncertain_one():
    account = world.account()
    first = world.submitting(world.placed(account, key="k"))
    trades.mark_uncertain(first, code="NO_ANSWER", message="", by=TESTER, at=NOW)
    before = moved()
    again = world.placed(account, key="k")
    assert (again.pk, again.state, moved()) == (first.pk, "uncertain", before)


@pytest.mark.parametrize(
    ("given", "refusal", "field"),
    [
        ({"symbol": "R_7"}, placing.UnknownInstrument, "symbol"),
        ({"stake": "0.34"}, placing.StakeOutOfRange, "stake"),
        ({"stake": "2000.01"}, placing.StakeOutOfRange, "stake"),
        ({"stake": "1.001"}, InvalidAmount, "stake"),
        ({"stake": "-1"}, placing.StakeOutOfRange, "stake"),
        ({"stake": "NaN"}, InvalidAmount, "stake"),
        ({"stake": "ten"}, InvalidAmount, "stake"),
        ({"duration": 0}, placing.DurationNotOffered, "duration"),
        ({"duration": 11}, placing.DurationNotOffered, "duration"),
        ({"duration_unit": "y"}, InvalidInput, "duration_unit"),
        ({"side": "UP"}, InvalidInput, "side"),
        ({"key": "with space"}, InvalidInput, "key"),
    ],
)
def test_a_request_that_cannot_be_taken_names_its_field_and_leaves_nothing(given, refusal, field):
    account = world.account()
    before = moved()
    with pytest.raises(refusal) as found:
        world.placed(account, **given)
    assert (found.value.field, moved()) == (field, before)


def test_a_suspended_instrument_is_not_offered():
    account = world.account()
    Instrument.objects.filter(symbol="R_100").update(is_suspended=True)
    with pytest.raises(placing.UnknownInstrument):
        world.placed(account)


def test_stakes_held_for_other_trades_cannot_be_staked_again():
    account = world.account(balance="15.00")
    world.placed(account, stake="10.00")
    before = moved()
    with pytest.raises(InsufficientFunds):
        world.placed(account, stake="5.01")
    assert moved() == before


def test_an_account_the_venue_has_not_opened_cannot_trade():
    account = world.client().client.trading_accounts.get()
    with pytest.raises(accounts.AccountNotReady):
        world.placed(account)


@pytest.mark.parametrize("end", [trades.record_refused, trades.deny])
def test_a_trade_that_is_not_bought_frees_its_stake(end):
    trade = end(world.submitting(), code="StakeLimits", message="Too small.", by=TESTER, at=NOW)
    assert trade.is_final and trade.problem_code == "StakeLimits"
    assert balances(trade.account) == (10000, 0, 0)


def test_a_queued_trade_can_be_withdrawn_and_a_sent_one_cannot():
    trade = world.placed()
    placing.withdraw(trade, by=TESTER, at=NOW, key=world.key())
    assert placing.withdraw(trade, by=TESTER, at=NOW, key=world.key()).state == "withdrawn"
    assert balances(trade.account) == (10000, 0, 0)
    with pytest.raises(placing.NotQueued):
        placing.withdraw(world.submitting(), by=TESTER, at=NOW, key=world.key())


def test_an_uncertain_trade_keeps_its_stake_held_until_it_is_found_or_never_placed():
    trade = trades.mark_uncertain(world.submitting(), code="NO_ANSWER", message="", by=TESTER, at=NOW)
    assert balances(trade.account) == (10000, 10, 0)
    trade = trades.mark_never_placed(trade, by=TESTER, at=NOW)
    assert balances(trade.account) == (10000, 0, 0)
    with pytest.raises(MoveNotAllowed):
        trades.record_bought(trade, world.bought(), by=TESTER, at=NOW)


def test_a_contract_is_claimed_by_one_trade():
    account = world.account()
    first = world.opened(world.placed(account), contract_id=77)
    second = world.submitting(world.placed(account, stake="11.00"))
    with pytest.raises(trades.ContractClaimed):
        trades.record_bought(second, world.bought(77), by=TESTER, at=NOW)
    second.refresh_from_db()
    assert (first.contract_id, second.state) == (77, "submitting")


def test_two_identical_purchases_of_one_account_are_never_in_flight_together():
    account = world.account()
    first, second = world.placed(account), world.placed(account)
    world.submitting(first)
    with pytest.raises(trades.IdenticalInFlight):
        world.submitting(second)
    second.refresh_from_db()
    assert second.state == "queued"


def test_only_an_open_trade_can_be_sold():
    with pytest.raises(placing.NotOpen):
        placing.request_sale(world.placed(), by=TESTER, at=NOW, key=world.key())
    trade = placing.request_sale(world.opened(), by=TESTER, at=NOW, key=world.key())
    version = trade.version
    assert placing.request_sale(trade, by=TESTER, at=NOW, key=world.key()).version == version


def reach(state):
    """A trade in this state, through verbs."""
    match state:
        case "queued":
            return world.placed()
        case "submitting":
            return world.submitting()
        case "uncertain":
            return trades.mark_uncertain(world.submitting(), code="x", message="", by=TESTER, at=NOW)
        case "open":
            return world.opened()
        case "won" | "lost" | "sold" | "refunded":
            return trades.settle(world.opened(), world.outcome(state, "0"), by=TESTER, at=NOW)
        case "denied":
            return trades.deny(world.placed(), code="x", message="", by=TESTER, at=NOW)
        case "rejected":
            return trades.record_refused(world.placed(), code="x", message="", by=TESTER, at=NOW)
        case "withdrawn":
            return placing.withdraw(world.placed(), by=TESTER, at=NOW, key=world.key())
        case "never_placed":
            return trades.mark_never_placed(reach("uncertain"), by=TESTER, at=NOW)


MOVERS = {
    "submitting": lambda trade: world.submitting(trade),
    "queued": lambda trade: trades.requeue(trade, code="x", message="", by=TESTER, at=NOW),
    "uncertain": lambda trade: trades.mark_uncertain(trade, code="x", message="", by=TESTER, at=NOW),
    "open": lambda trade: trades.record_bought(trade, world.bought(), by=TESTER, at=NOW),
    "won": lambda trade: trades.settle(trade, world.outcome(), by=TESTER, at=NOW),
    "denied": lambda trade: trades.deny(trade, code="x", message="", by=TESTER, at=NOW),
    "rejected": lambda trade: trades.record_refused(trade, code="x", message="", by=TESTER, at=NOW),
    "withdrawn": lambda trade: placing.withdraw(trade, by=TESTER, at=NOW, key=world.key()),
    "never_placed": lambda trade: trades.mark_never_placed(trade, by=TESTER, at=NOW),
}


@pytest.mark.parametrize("state", Trade.State.values)
def test_a_move_that_the_table_does_not_have_is_refused_and_moves_nothing(state):
    trade = reach(state)
    for target, move in MOVERS.items():
        if target in Trade.MOVES[state] or target == state or {target, state} <= Trade.SETTLED:
            continue
        before = moved()
        with pytest.raises((MoveNotAllowed, placing.NotQueued)):
            move(trade)
        assert moved() == before, f"{state} → {target}"


@pytest.mark.parametrize("state", Trade.State.values)
def test_every_state_says_why_it_is_where_it_is(state):
    assert reach(state).why.endswith(".")


def test_every_change_of_a_trade_is_an_event_with_its_version():
    trade = trades.settle(world.opened(), world.outcome(), by=TESTER, at=NOW)
    found = Event.objects.about("trade", trade.uuid).values_list("name", "subject_version")
    assert list(found) == [
        ("trade.placed", 1), ("trade.submitted", 2), ("trade.opened", 3), ("trade.won", 4),
    ]  # fmt: skip


def test_the_database_refuses_a_settled_trade_without_an_outcome_and_an_unbought_one_with_a_contract():
    trade = world.opened()
    for change in ({"state": "won"}, {"state": "denied"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Trade.objects.filter(pk=trade.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        Trade.objects.filter(pk=trade.pk).update(stake=0)


def test_what_is_stuck_is_past_the_patience_of_its_state():
    trade = world.placed()
    assert trade not in Trade.objects.stuck(NOW + timedelta(seconds=60))
    assert trade in Trade.objects.stuck(NOW + timedelta(seconds=61))
