"""The arithmetic of a rise/fall trade: the markup is the one amount that is rounded, half a cent up."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokerage.pricing import markup_amount, payout_with, profit

CENTS = st.decimals("0.01", "1000000", places=2)
RATES = st.decimals("0", "0.03", places=6)


@given(CENTS, RATES)
def test_the_markup_is_whole_cents_and_at_most_half_a_cent_from_the_exact_share(payout, rate):
    markup = markup_amount(payout, rate, exponent=2)
    assert markup == markup.quantize(Decimal("0.01"))
    assert abs(markup - payout * rate) <= Decimal("0.005")


@given(st.integers(0, 10**6))
def test_exactly_half_a_cent_of_markup_is_rounded_up(whole):
    exact = Decimal(whole) / 100 + Decimal("0.005")
    assert markup_amount(exact * 100, Decimal("0.01"), exponent=2) == exact + Decimal("0.005")


@given(CENTS)
def test_without_a_rate_of_ours_no_markup_is_reckoned(payout):
    assert markup_amount(payout, None, exponent=2) == 0
    assert markup_amount(payout, Decimal(0), exponent=2) == 0


@given(CENTS, CENTS)
def test_a_profit_is_what_came_back_less_what_was_paid_to_the_last_digit(paid, received):
    assert paid + profit(paid, received) == received


@given(CENTS, st.integers(1, 98), st.integers(0, 30), st.integers(0, 30))
def test_with_another_markup_a_stake_pays_what_the_venue_would_offer(stake, percent, registered, wanted):
    chance, registered, wanted = (
        Decimal(n) / scale for n, scale in ((percent, 100), (registered, 1000), (wanted, 1000))
    )
    offered = stake / (chance + registered)
    exact = stake / (chance + wanted)
    found = payout_with(stake, offered, registered=registered, wanted=wanted, exponent=2)
    assert found == found.quantize(Decimal("0.01"))
    assert abs(found - exact) <= Decimal("0.0051")
