"""Exchange arithmetic: exact, rounded once, never in the client's favor."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from ledger.exchange import exchanged, shown

D = Decimal
exponents = st.integers(0, 8)
mids = st.decimals("0.0000000001", "9999999999", places=10, allow_nan=False).map(Fraction)
spreads = st.integers(0, 9999)
leasts = st.decimals(0, 1000, places=2)


@st.composite
def amounts(draw, exponent):
    return Decimal(draw(st.integers(1, 10**15))).scaleb(-exponent)


def test_what_is_got_is_the_mid_rate_less_the_spread_rounded_down():
    made = exchanged(D("100.00"), mid=Fraction("0.91287"), spread_bps=50, exponent=2)
    assert (made.worth, made.got, made.spread, made.rate) == (
        D("91.28"),
        D("90.83"),
        D("0.45"),
        D("0.9083000000"),
    )
    assert shown(1 / Fraction("1.1")) == D("0.9090909090")


def test_the_spread_is_at_least_what_was_set_and_leaves_nothing_of_too_little():
    made = exchanged(D("10.00"), mid=Fraction(1), spread_bps=0, least=D("0.25"), exponent=2)
    assert (made.got, made.spread) == (D("9.75"), D("0.25"))
    assert exchanged(D("0.20"), mid=Fraction(1), spread_bps=0, least=D("0.25"), exponent=2).got == 0
    assert exchanged(D("1"), mid=Fraction(1, 1000), spread_bps=0, exponent=2).got == 0


def test_a_currency_of_eight_decimals_and_one_of_none_are_exchanged_alike():
    assert exchanged(D("0.00000001"), mid=Fraction(15_000_000), spread_bps=0, exponent=0).got == 0
    assert exchanged(D("1000"), mid=Fraction(1, 15_000_000), spread_bps=0, exponent=8).got == D("0.00006666")


@given(st.data(), exponents, exponents, mids, spreads, leasts)
def test_nobody_gets_more_than_the_exact_amount_and_nothing_is_lost(
    data, mine, other, mid, spread_bps, least
):
    amount = data.draw(amounts(mine))
    made = exchanged(amount, mid=mid, spread_bps=spread_bps, least=least, exponent=other)
    exact = Fraction(amount) * mid
    assert 0 <= made.got <= made.worth <= exact
    assert made.got + made.spread == made.worth and made.spread >= 0
    assert exact - Fraction(made.worth) < Fraction(1, 10**other)
    assert Fraction(made.got) <= max(exact * (10_000 - spread_bps) / 10_000, 0)
    assert made.got == 0 or exact - Fraction(made.got) >= Fraction(least)
    assert -made.got.as_tuple().exponent == other == -made.spread.as_tuple().exponent
    assert Fraction(made.rate) * Fraction(amount) <= made.got


@given(st.data(), exponents, exponents, mids, spreads, spreads)
def test_there_and_back_nobody_gains(data, mine, other, mid, there, back):
    amount = data.draw(amounts(mine))
    made = exchanged(amount, mid=mid, spread_bps=there, exponent=other)
    assume(made.got > 0)
    assert exchanged(made.got, mid=1 / mid, spread_bps=back, exponent=mine).got <= amount
