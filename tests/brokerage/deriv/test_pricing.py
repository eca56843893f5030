"""What a contract costs."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokerage.deriv.simulator import pricing

CENTS = st.decimals("0.35", "50000", places=2)
RATES = st.decimals("0.3", "0.9", places=8)


def test_the_published_example() -> None:
    base = Decimal(10) / Decimal("17.20")
    without = pricing.price("stake", Decimal("10.00"), base, Decimal(0), Decimal(0))
    with_markup = pricing.price("stake", Decimal("10.00"), base, Decimal(0), Decimal("0.02"))
    assert (without.payout, with_markup.payout) == (Decimal("17.20"), Decimal("16.63"))


def test_a_rise_fall_contract_wins_a_little_less_often_than_every_other_time() -> None:
    chance = pricing.win_probability("CALL", Decimal(1), 10, Decimal(100), Decimal(100))
    assert chance == Decimal("0.49988767")
    assert pricing.win_probability("PUT", Decimal(1), 10, Decimal(100), Decimal(100)) == 1 - chance


def test_a_standard_contract() -> None:
    price = pricing.price(
        "stake", Decimal("10.00"), Decimal("0.49988767"), Decimal("0.012"), Decimal("0.015")
    )
    assert price == pricing.Price(Decimal("10.00"), Decimal("18.98"), Decimal("0.23"), Decimal("0.28"))


@given(CENTS, RATES, st.decimals("0", "0.03", places=4))
def test_a_stake_buys_the_payout_rounded_half_up_to_the_cent(
    stake: Decimal, rate: Decimal, markup: Decimal
) -> None:
    price = pricing.price("stake", stake, rate, Decimal("0.012"), markup)
    exact = stake / (rate + Decimal("0.012") + markup)
    assert price.ask == stake
    assert -Decimal("0.005") < price.payout - exact <= Decimal("0.005")
    assert price.payout.as_tuple().exponent == -2


@given(CENTS, RATES)
def test_a_payout_costs_its_share_rounded_half_up_to_the_cent(payout: Decimal, rate: Decimal) -> None:
    price = pricing.price("payout", payout, rate, Decimal("0.012"), Decimal(0))
    exact = payout * (rate + Decimal("0.012"))
    assert price.payout == payout
    assert -Decimal("0.005") < price.ask - exact <= Decimal("0.005")


@given(CENTS, st.decimals("0", "1", places=8))
def test_the_venue_never_pays_more_than_fair_value_for_a_running_contract(
    payout: Decimal, chance: Decimal
) -> None:
    bid = pricing.bid(payout, chance, Decimal("0.012"))
    assert 0 <= bid <= payout * chance
    assert bid.as_tuple().exponent == -2
