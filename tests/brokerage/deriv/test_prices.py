"""Seeded ticks and when they fall due."""

import itertools
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokerage.deriv.simulator.catalog import SYMBOLS
from brokerage.deriv.simulator.clock import FIRST_MARKET_TIME, Clock
from brokerage.deriv.simulator.prices import Market

NOON = 1_795_262_400.0
FIRST = FIRST_MARKET_TIME // 2


def test_the_same_seed_gives_the_same_ticks_in_any_order() -> None:
    forward, backward = Market(7, Clock.begin(NOON, 1)), Market(7, Clock.begin(NOON, 1))
    indices = range(FIRST, FIRST + 200)
    ahead = {index: forward.quote("R_100", index) for index in indices}
    behind = {index: backward.quote("R_100", index) for index in reversed(indices)}
    assert ahead == behind
    assert ahead[FIRST].price == SYMBOLS["R_100"].start
    assert {str(Market(8, Clock.begin(NOON, 1)).quote("R_100", index).price) for index in indices} != {
        str(quote.price) for quote in ahead.values()
    }


def test_true_cadence_at_speed_one() -> None:
    market = Market(7, Clock.begin(NOON, 1))
    epochs = [quote.epoch for quote in market.quotes("R_100", FIRST, FIRST + 3)]
    assert epochs == [NOON, NOON + 2, NOON + 4, NOON + 6]
    assert [quote.epoch for quote in market.quotes("1HZ100V", 2 * FIRST - 2, 2 * FIRST + 2)] == [
        NOON - 2,
        NOON - 1,
        NOON,
        NOON + 1,
        NOON + 2,
    ]


def test_speed_shortens_the_interval_and_nothing_else() -> None:
    market = Market(7, Clock.begin(NOON, 20))
    assert market.time_of("R_100", FIRST + 10) == NOON + 1
    assert (
        market.quote("R_100", FIRST + 10).price
        == Market(7, Clock.begin(NOON, 1)).quote("R_100", FIRST + 10).price
    )


def test_the_walk_has_the_volatility_it_is_named_for() -> None:
    market = Market(7, Clock.begin(NOON, 1))
    prices = [float(quote.price) for quote in market.quotes("1HZ100V", 2 * FIRST, 2 * FIRST + 20_000)]
    steps = [after / before - 1 for before, after in itertools.pairwise(prices)]
    deviation = (sum(step * step for step in steps) / len(steps)) ** 0.5
    assert 0.97 < deviation / (1 / (365 * 86400) ** 0.5) < 1.03


@given(st.floats(0.01, 1000), st.floats(0, 1e6), st.integers(-1000, 10_000_000), st.sampled_from([1, 2]))
def test_a_tick_is_current_from_its_own_time_on(speed: float, later: float, step: int, interval: int) -> None:
    clock = Clock.begin(NOON, speed).at_speed(NOON + later, 3.0)
    index = FIRST_MARKET_TIME // interval + step
    assert clock.index_at(interval, clock.time_of(interval, index)) >= index
    assert clock.time_of(interval, index) <= clock.time_of(interval, index + 1)
    assert clock.epoch_of(interval, index) <= clock.epoch_of(interval, index + 1)


def test_every_price_has_its_symbol_s_decimals() -> None:
    market = Market(7, Clock.begin(NOON, 1))
    for code, symbol in SYMBOLS.items():
        for quote in market.quotes(code, FIRST, FIRST + 20):
            assert -quote.price.as_tuple().exponent == symbol.decimals  # type: ignore[operator]
            assert quote.price > Decimal(0)
