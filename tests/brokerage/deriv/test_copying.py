"""Copy trading, told without any protocol: what is copied, what is not, and how a trader has done."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokerage.deriv.simulator import copying
from brokerage.deriv.simulator.books import Account, Contract, Following
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.events import Booked
from tests.brokerage.deriv.test_engine import NOON, STAKE, make_engine, refused, terms


def open_demo(engine: Engine, name: str, balance: str = "100.00", **fields: Any) -> Account:
    return engine.open_account(name, "USD", Decimal(balance), True, NOON, **fields)


def follow(engine: Engine, copier: Account, trader: Account | None, **filters: Any) -> None:
    trader_id = "" if trader is None else trader.login_id
    copying.follow(engine.store, copier, trader, Following(copier.login_id, trader_id, **filters))


def buy(engine: Engine, account: Account, at: float = NOON + 0.5, **changes: Any) -> Contract:
    return engine.buy(account.login_id, terms(**changes), Decimal("1000.00"), Decimal(1), 77, at)[0]


def test_a_copy_has_the_same_terms_and_price_and_is_the_copier_s_own() -> None:
    engine = make_engine()
    trader, copier = open_demo(engine, "trader"), open_demo(engine, "copier")
    follow(engine, copier, trader)
    engine.drain()
    original = buy(engine, trader)
    (copy,) = engine.open_contracts(copier.login_id)
    assert copy == replace(
        original,
        contract_id=original.contract_id + 1,
        login_id=copier.login_id,
        buy_transaction_id=original.buy_transaction_id + 1,
    )
    told = [event.account.login_id for event in engine.drain() if isinstance(event, Booked)]
    assert told == [trader.login_id, copier.login_id]
    assert engine.account(copier.login_id).balance == Decimal("90.00")
    engine.advance(NOON + 60)
    results = [engine.store.contract(one.contract_id) for one in (original, copy)]
    assert results[0] is not None and results[1] is not None
    assert results[0].status == results[1].status != "open"


@pytest.mark.parametrize(
    ("copied", "filters"),
    [
        (True, {"assets": ("R_10", "R_100")}),
        (False, {"assets": ("R_10",)}),
        (True, {"trade_types": ("CALL",)}),
        (False, {"trade_types": ("PUT",)}),
        (True, {"min_trade_stake": STAKE, "max_trade_stake": STAKE}),
        (False, {"min_trade_stake": Decimal("10.01")}),
        (False, {"max_trade_stake": Decimal("9.99")}),
    ],
)
def test_only_what_the_filters_let_through_is_copied(copied: bool, filters: dict[str, Any]) -> None:
    engine = make_engine()
    trader, copier = open_demo(engine, "trader"), open_demo(engine, "copier")
    follow(engine, copier, trader, **filters)
    buy(engine, trader)
    assert len(engine.open_contracts(copier.login_id)) == int(copied)


def test_a_copier_that_cannot_pay_gets_nothing_and_keeps_nobody_from_buying() -> None:
    engine = make_engine()
    trader, poor, rich = (
        open_demo(engine, "trader"),
        open_demo(engine, "poor", "9.99"),
        open_demo(engine, "rich"),
    )
    for copier in (poor, rich):
        follow(engine, copier, trader)
    buy(engine, trader)
    held = [len(engine.store.contracts(one.login_id)) for one in (trader, poor, rich)]
    assert held == [1, 0, 1]
    assert engine.account(poor.login_id).balance == Decimal("9.99")
    assert len(engine.store.lines(poor.login_id)) == 1


def test_a_refused_purchase_is_copied_by_nobody() -> None:
    engine = make_engine()
    trader, copier = open_demo(engine, "trader", "5.00"), open_demo(engine, "copier")
    follow(engine, copier, trader)
    refused("InsufficientBalance", buy, engine, trader)
    assert engine.store.contracts(copier.login_id) == []


def test_a_copy_is_not_copied_on_even_if_two_copy_each_other() -> None:
    engine = make_engine()
    one, two, three = (open_demo(engine, name) for name in ("one", "two", "three"))
    follow(engine, one, two)
    follow(engine, two, one)
    follow(engine, three, two)
    buy(engine, one)
    assert [len(engine.store.contracts(account.login_id)) for account in (one, two, three)] == [1, 1, 0]
    buy(engine, two)
    assert [len(engine.store.contracts(account.login_id)) for account in (one, two, three)] == [2, 2, 1]


def test_copying_outlives_a_restart_and_ends_when_it_is_stopped() -> None:
    engine = make_engine()
    trader, copier = open_demo(engine, "trader"), open_demo(engine, "copier")
    follow(engine, copier, trader, max_trade_stake=STAKE)
    follow(engine, copier, trader, assets=("R_100",), min_trade_stake=Decimal("0.50"))
    engine.reload()
    expected = Following(copier.login_id, trader.login_id, ("R_100",), (), Decimal("0.50"), None)
    assert engine.store.followings(trader=trader.login_id) == [expected]
    assert engine.store.followings(copier=copier.login_id) == [expected]
    assert engine.store.followings(copier=trader.login_id) == []
    buy(engine, trader)
    for _ in range(2):
        copying.unfollow(engine.store, copier, trader)
    buy(engine, trader)
    assert len(engine.store.contracts(copier.login_id)) == 1
    refused("InvalidToken", copying.unfollow, engine.store, copier, None)


def test_who_cannot_be_copied() -> None:
    engine = make_engine()
    copier, trader = open_demo(engine, "copier"), open_demo(engine, "trader")
    silent = open_demo(engine, "silent", scopes=("trade",))
    real = engine.open_account("real", "USD", STAKE, False, NOON)
    euros = engine.open_account("euros", "EUR", STAKE, True, NOON)
    for code, whom, filters in (
        ("InvalidToken", None, {}),
        ("PermissionDenied", silent, {}),
        ("CopyTradingNotAllowed", copier, {}),
        ("CopyTradingNotAllowed", real, {}),
        ("CopyTradingWrongCurrency", euros, {}),
        ("InvalidSymbol", trader, {"assets": ("R_100", "GOLD")}),
        ("InvalidTradeType", trader, {"trade_types": ("ONETOUCH",)}),
        ("InputValidationFailed", trader, {"min_trade_stake": Decimal(2), "max_trade_stake": Decimal(1)}),
    ):
        refused(code, lambda whom=whom, filters=filters: follow(engine, copier, whom, **filters))
    assert engine.store.followings(copier=copier.login_id) == []


def closed(status: str, paid: str, got: str, bought: int, sold: int) -> Contract:
    return Contract(
        contract_id=1, login_id="CR1", app_id=1, terms=terms(), buy_price=Decimal(paid), payout=Decimal("19.00"),
        commission=Decimal(0), markup=Decimal(0), purchase_time=bought, date_expiry=sold, entry_index=1, exit_index=2,
        buy_transaction_id=1, status=status, sell_price=Decimal(got), sell_time=sold,
    )  # fmt: skip


def test_how_a_trader_has_done_is_counted_from_closed_contracts() -> None:
    noon = int(NOON)  # 21 November 2026
    long_ago = noon - 366 * 86400
    done = copying.performance(
        [
            closed("won", "10.00", "19.00", noon, noon + 4),
            closed("lost", "10.00", "0.00", noon, noon + 5),
            closed("sold", "10.00", "12.50", long_ago, long_ago + 60),
            closed("sold", "10.00", "10.00", long_ago, long_ago + 60),
            closed("cancelled", "10.00", "10.00", noon, noon + 900),
            replace(
                closed("won", "10.00", "0.00", noon, noon), status="open", sell_price=None, sell_time=None
            ),
        ],
        NOON + 10,
    )
    assert done == copying.Performance(
        trades=4,
        average_seconds=32,  # (4 + 5 + 60 + 60) / 4 = 32.25
        average_gain=Decimal("57.50"),  # 90 % and 25 %
        average_loss=Decimal("100.00"),
        profitable=Decimal("50.00"),
        profitable_lately=Decimal("50.00"),
        by_month={"2025-11": Decimal("50.00"), "2026-11": Decimal("50.00")},
        by_year={"2025": Decimal("50.00"), "2026": Decimal("50.00")},
        # 2 of 4 where 4 × 10/19 = 2.1053 are to be expected: 0.1053 / 0.9986 = 0.1054 deviations below
        skill=Decimal("0.4580"),
    )


def test_who_has_not_traded_has_done_nothing() -> None:
    zero = Decimal("0.00")
    done = copying.performance([], NOON)
    assert done == copying.Performance(0, 0, zero, zero, zero, zero, {}, {}, Decimal("0.5000"))
