"""Amounts: exact, never rounded on the way in, rounded by name where they are booked."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.money import (
    ROUNDINGS,
    CurrencyMismatch,
    InvalidAmount,
    Money,
    parse_amount,
    quantum,
    round_amount,
)

EXPONENTS = st.integers(0, 8)
AMOUNTS = st.decimals(-(10**12), 10**12, places=10)


@given(AMOUNTS, EXPONENTS)
def test_an_amount_is_taken_as_it_is_written_or_refused_and_never_rounded(value, exponent):
    try:
        taken = parse_amount(str(value), exponent=exponent)
    except InvalidAmount:
        assert value != round_amount(value, exponent=exponent, mode="half_even")
    else:
        assert taken == value
        assert taken.as_tuple().exponent == -exponent


@pytest.mark.parametrize("text", ["", "ten", "NaN", "Infinity", "1e30", "0.001", "1,000.00"])
def test_what_is_no_amount_of_the_currency_is_refused(text):
    with pytest.raises(InvalidAmount) as refused:
        parse_amount(text, exponent=2, field="stake")
    assert refused.value.field == "stake"


@pytest.mark.parametrize("mode", sorted(ROUNDINGS))
@given(AMOUNTS, EXPONENTS)
def test_every_rounding_is_off_by_less_than_one_step_and_leaves_exact_amounts_alone(mode, value, exponent):
    rounded = round_amount(value, exponent=exponent, mode=mode)
    assert abs(rounded - value) < quantum(exponent)
    assert round_amount(rounded, exponent=exponent, mode=mode) == rounded


@given(AMOUNTS, EXPONENTS)
def test_each_rounding_goes_where_its_name_says(value, exponent):
    def by(mode: str) -> Decimal:
        return round_amount(value, exponent=exponent, mode=mode)

    assert by("floor") <= value <= by("ceiling")
    assert abs(by("down")) <= abs(value)
    assert abs(by("half_up") - value) <= quantum(exponent) / 2
    assert abs(by("half_even") - value) <= quantum(exponent) / 2


def test_currencies_are_never_mixed():
    with pytest.raises(CurrencyMismatch):
        Money(Decimal(1), "USD") + Money(Decimal(1), "EUR")
    with pytest.raises(CurrencyMismatch):
        assert Money(Decimal(1), "USD") < Money(Decimal(2), "EUR")


def test_a_float_is_never_money():
    with pytest.raises(TypeError):
        Money(0.1, "USD")
