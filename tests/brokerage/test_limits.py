"""Trade limits: for everyone, a client, an instrument; what is counted, and which of several applies."""

from datetime import timedelta
from decimal import Decimal

import pytest

from backoffice.errors import InvalidInput, KeyReused
from backoffice.models import Currency, Event
from backoffice.money import InvalidAmount
from brokerage import limits, placing
from brokerage.limits import ExposureLimit, Maxima, StakeLimit, TradeRateLimit
from brokerage.models import Instrument, Trade, TradeLimit
from ledger.models import Account
from tests import world
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


@pytest.fixture
def account():
    return world.account()


def limit(account, *, client=None, symbol="", key="", reason="A test.", **maxima):
    return limits.change(
        client, Instrument.objects.get(symbol=symbol) if symbol else None, account.currency, Maxima(**maxima),
        by=TESTER, at=NOW, key=key or world.key(), reason=reason,
    )  # fmt: skip


def test_the_most_for_one_trade_may_be_staked_and_not_a_cent_more(account):
    limit(account, stake="25.00")
    world.placed(account, stake="25.00")
    with pytest.raises(StakeLimit, match=r"A stake is 25\.00 USD at most\.") as refused:
        world.placed(account, stake="25.01")
    assert (refused.value.code, refused.value.field) == ("STAKE_LIMIT", "stake")
    assert Trade.objects.count() == 1 and Account.objects.get(pk=account.cash_id).held == 25


def test_what_is_at_stake_is_counted_until_a_trade_is_final(account):
    limit(account, open_stake="30.00")
    first = world.placed(account, stake="10.00")
    world.opened(world.placed(account, stake="20.00"))
    with pytest.raises(ExposureLimit, match=r"At most 30\.00 USD may be at stake at once; 30\.00 is now\."):
        world.placed(account, stake="0.50")
    placing.withdraw(first, by=TESTER, at=NOW, key=world.key())
    world.placed(account, stake="10.00")
    with pytest.raises(ExposureLimit):
        world.placed(account, stake="0.50")


def test_trades_are_counted_over_the_last_sixty_seconds(account):
    limit(account, per_minute=2)
    world.placed(account)
    world.placed(account, at=NOW + timedelta(seconds=30), side="PUT")
    with pytest.raises(TradeRateLimit, match="At most 2 trades a minute") as refused:
        world.placed(account, at=NOW + timedelta(seconds=59), stake="11.00")
    assert refused.value.field is None
    world.placed(account, at=NOW + timedelta(seconds=60), stake="11.00")


def test_a_limit_on_an_instrument_leaves_the_others_alone_and_both_kinds_apply(account):
    limit(account, symbol="R_100", stake="5.00", open_stake="8.00")
    limit(account, open_stake="20.00")
    with pytest.raises(StakeLimit, match=r"on Volatility 100 Index is 5\.00 USD"):
        world.placed(account, stake="6.00")
    world.placed(account, stake="5.00")
    with pytest.raises(ExposureLimit, match=r"at stake on Volatility 100 Index at once; 5\.00 is now"):
        world.placed(account, stake="4.00")
    world.placed(account, symbol="R_50", stake="15.00")
    with pytest.raises(ExposureLimit, match=r"At most 20\.00 USD may be at stake at once; 20\.00 is now"):
        world.placed(account, symbol="R_50", stake="1.00")


def test_a_clients_own_limit_takes_the_place_of_everyones_and_gives_it_back_when_lifted(account):
    limit(account, stake="5.00")
    limit(account, client=account.client, stake="50.00")
    world.placed(account, stake="50.00")
    with pytest.raises(StakeLimit):
        world.placed(world.account(), stake="6.00")
    limit(account, client=account.client)
    with pytest.raises(StakeLimit, match=r"5\.00"):
        world.placed(account, stake="6.00")


def test_each_client_and_each_currency_is_counted_alone(account):
    limit(account, open_stake="10.00")
    world.placed(account)
    world.placed(world.account())
    other = Currency.objects.exclude(pk=account.currency_id).first()
    limits.change(None, None, other, Maxima(stake="1"), by=TESTER, at=NOW, key=world.key(), reason="Other.")
    with pytest.raises(ExposureLimit):
        world.placed(account)


def test_the_same_key_returns_the_trade_that_filled_the_limit(account):
    limit(account, per_minute=1)
    first = world.placed(account, key="once")
    assert world.placed(account, key="once") == first


def test_a_change_is_an_event_with_its_reason_and_the_same_again_is_none(account):
    row = limit(account, symbol="R_100", stake="5.00", per_minute=9, key="set", reason="Thin book.")
    limit(account, symbol="R_100", stake="5.00", per_minute=9, key="set")
    limit(account, symbol="R_100", stake="5.00", per_minute=9)
    event = Event.objects.get(name="trade_limit.changed")
    assert event.payload == {
        "symbol": "R_100", "currency": "USD", "stake_before": None, "stake_after": "5.00",
        "open_stake_before": None, "open_stake_after": None, "per_minute_before": None, "per_minute_after": 9,
    }  # fmt: skip
    assert (row.reason, row.changed_by, TradeLimit.objects.count()) == ("Thin book.", TESTER.name, 1)
    assert row.history.count() == 1


@pytest.mark.parametrize(
    ("maxima", "field"),
    [({"stake": "0"}, "max_stake"), ({"open_stake": "-1"}, "max_open_stake"), ({"per_minute": 0}, "max_per_minute"),
     ({"per_minute": 10_001}, "max_per_minute"), ({"stake": "1", "reason": " "}, "reason")],
)  # fmt: skip
def test_bad_limits_are_refused_by_name(account, maxima, field):
    with pytest.raises(InvalidInput) as refused:
        limit(account, **maxima)
    assert refused.value.field == field and not TradeLimit.objects.exists()


def test_more_decimals_than_the_currency_has_are_refused_and_a_key_is_for_one_change(account):
    with pytest.raises(InvalidAmount, match="decimals"):
        limit(account, stake="1.005")
    limit(account, stake="1.00", key="k")
    with pytest.raises(KeyReused):
        limit(account, stake="2.00", key="k")
    assert TradeLimit.objects.get().max_stake == Decimal("1.00")


def test_without_a_limit_that_counts_nothing_is_counted_or_locked(account, django_assert_num_queries):
    instrument = Instrument.objects.get(symbol="R_100")
    limit(account, stake="100.00")
    with django_assert_num_queries(1):
        limits.check(account, instrument, Decimal("10.00"), at=NOW)
    limit(account, open_stake="100.00")
    with django_assert_num_queries(3):  # the limits, the client's lock, the client's trades
        limits.check(account, instrument, Decimal("10.00"), at=NOW)
