"""The venue's rules, told with times of our choosing and without any protocol."""

from decimal import Decimal

import pytest

from brokerage.deriv.simulator.books import Refusal, Terms
from brokerage.deriv.simulator.clock import Clock
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.events import Booked, Expired
from brokerage.deriv.simulator.prices import Market
from brokerage.deriv.simulator.rules import Rules
from brokerage.deriv.simulator.store import Store

NOON = 1_795_262_400.0
STAKE = Decimal("10.00")


def make_engine(**rules: object) -> Engine:
    return Engine(Store(None), Market(7, Clock.begin(NOON, 1)), Rules(**rules))  # type: ignore[arg-type]


def terms(kind: str = "CALL", duration: int = 1, unit: str = "t", **changes: object) -> Terms:
    fields: dict[str, object] = {
        "contract_type": kind,
        "symbol": "R_100",
        "basis": "stake",
        "amount": STAKE,
        "duration": duration,
        "unit": unit,
        "currency": "USD",
        **changes,
    }
    return Terms(**fields)  # type: ignore[arg-type]


def open_account(engine: Engine, balance: str = "1000.00") -> str:
    login_id = engine.open_account("client", "USD", Decimal(balance), True, NOON).login_id
    engine.drain()
    return login_id


def refused(code: str, action: object, *arguments: object) -> None:
    with pytest.raises(Refusal) as refusal:
        action(*arguments)  # type: ignore[operator]
    assert refusal.value.code == code


def test_entry_is_the_next_tick_and_one_tick_means_entry_plus_one() -> None:
    engine = make_engine()
    login_id = open_account(engine)
    contract, line = engine.buy(login_id, terms(), STAKE, Decimal(0), 1, NOON + 10.5)
    assert contract.purchase_time == NOON + 10
    assert engine.market.quote("R_100", contract.entry_index).epoch == NOON + 12
    assert contract.exit_index == contract.entry_index + 1
    assert contract.date_expiry == NOON + 14
    assert (line.amount, line.balance_after) == (Decimal("-10.00"), Decimal("990.00"))
    assert contract.shortcode == f"CALL_R_100_{contract.payout}_{int(NOON) + 10}_1T_S0P_0"


def test_a_tick_at_the_moment_of_purchase_is_not_the_entry() -> None:
    engine = make_engine()
    contract, _ = engine.buy(open_account(engine), terms(), STAKE, Decimal(0), 1, NOON + 10)
    assert engine.market.quote("R_100", contract.entry_index).epoch == NOON + 12


def test_a_timed_contract_ends_with_the_last_tick_up_to_its_expiry() -> None:
    engine = make_engine(settle_delay=0.0)
    login_id = open_account(engine)
    contract, _ = engine.buy(login_id, terms(duration=15, unit="s"), STAKE, Decimal(0), 1, NOON)
    assert contract.shortcode.endswith(f"_{int(NOON) + 15}_S0P_0")
    engine.advance(NOON + 15)
    settled = engine.contract(login_id, contract.contract_id)
    assert settled is not None and settled.exit_index is not None
    assert engine.market.quote("R_100", settled.exit_index).epoch == NOON + 14


def test_higher_pays_the_call_and_lower_the_put_and_equal_nobody() -> None:
    engine = make_engine(open_positions=1000)
    login_id = open_account(engine, "100000.00")
    seen = set()
    # the coarsest index by its price: it stands still now and then
    for moment in range(0, 1200, 4):
        pair = [
            engine.buy(login_id, terms(kind, symbol="R_10"), STAKE, Decimal(0), 1, NOON + moment)[0]
            for kind in ("CALL", "PUT")
        ]
        engine.advance(NOON + moment + 5)
        engine.advance(NOON + moment + 6)
        entry = engine.market.quote("R_10", pair[0].entry_index).price
        end = engine.market.quote("R_10", pair[0].entry_index + 1).price
        states = [engine.contract(login_id, contract.contract_id) for contract in pair]
        outcome = tuple(state.status for state in states if state)
        expected = ("won", "lost") if end > entry else ("lost", "won") if end < entry else ("lost", "lost")
        assert outcome == expected
        for state in states:
            assert state is not None
            assert state.sell_price == (state.payout if state.status == "won" else Decimal("0.00"))
        seen.add(outcome)
    assert {("won", "lost"), ("lost", "won")} <= seen


def test_an_equal_exit_loses_both() -> None:
    engine = make_engine(settle_delay=0.0)
    login_id = open_account(engine)
    market, code = engine.market, "R_10"
    start = market.index_at(code, NOON)
    flat = next(
        index
        for index in range(start + 1, start + 200_000)
        if market.quote(code, index).price == market.quote(code, index + 1).price
    )
    at = market.time_of(code, flat) - 1
    ids = [
        engine.buy(login_id, terms(kind, symbol=code), STAKE, Decimal(0), 1, at)[0].contract_id
        for kind in ("CALL", "PUT")
    ]
    engine.advance(at + 10)
    states = [engine.contract(login_id, number) for number in ids]
    assert [state.status for state in states if state] == ["lost", "lost"]


def test_expired_is_not_settled() -> None:
    engine = make_engine(settle_delay=0.5)
    login_id = open_account(engine)
    contract, _ = engine.buy(login_id, terms(), STAKE, Decimal(0), 1, NOON + 0.5)
    engine.drain()
    engine.advance(NOON + 4.2)
    (event,) = engine.drain()
    assert isinstance(event, Expired)
    assert (event.contract.is_expired, event.contract.is_sold, event.contract.status) == (True, False, "open")
    refused("ResaleNotOffered", engine.sell, login_id, contract.contract_id, Decimal(0), NOON + 4.3)
    engine.advance(NOON + 4.6)
    (event,) = engine.drain()
    assert isinstance(event, Booked) and event.contract is not None
    assert event.contract.is_sold and event.contract.status in ("won", "lost")
    assert event.line.reference_id == contract.buy_transaction_id


def test_what_a_contract_is_to_end_like_is_kept_in_the_books() -> None:
    engine = make_engine(settle_delay=0.5)
    login_id = open_account(engine)
    late, _ = engine.buy(login_id, terms(), STAKE, Decimal(0), 1, NOON + 0.5)
    refunded, _ = engine.buy(login_id, terms(), STAKE, Decimal(0), 1, NOON + 0.6)
    engine.settle_late(late.contract_id, 3.0)
    engine.refund(refunded.contract_id)
    again = Engine(engine.store, engine.market, engine.rules)  # as after the death of the process
    again.advance(NOON + 4.6)
    assert [contract.contract_id for contract in again.open_contracts(login_id)] == [late.contract_id]
    found = again.contract(login_id, refunded.contract_id)
    assert found is not None and (found.status, found.sell_price) == ("cancelled", STAKE)
    again.advance(NOON + 7.6)
    assert again.open_contracts(login_id) == []


def test_a_sale_pays_the_bid_once() -> None:
    engine = make_engine()
    login_id = open_account(engine)
    contract, _ = engine.buy(login_id, terms(duration=60, unit="s"), STAKE, Decimal(0), 1, NOON + 0.5)
    number = contract.contract_id
    refused("InvalidSellContractProposal", engine.sell, login_id, number, Decimal(0), NOON + 1)
    refused("SellAtEntryTick", engine.sell, login_id, number, Decimal(0), NOON + 2.5)
    bid = engine.bid(contract, NOON + 6)
    refused("PriceMoved", engine.sell, login_id, number, bid + 1, NOON + 6)
    assert engine.account(login_id).balance == Decimal("990.00")
    sold, line = engine.sell(login_id, number, bid, NOON + 6)
    assert (sold.status, sold.sell_price, line.amount) == ("sold", bid, bid)
    refused("ContractAlreadySold", engine.sell, login_id, number, Decimal(0), NOON + 7)
    engine.advance(NOON + 100)
    assert engine.account(login_id).balance == Decimal("990.00") + bid
    refused("NoOpenPosition", engine.sell, login_id, 1, Decimal(0), NOON + 100)


def test_tick_contracts_are_not_bought_back() -> None:
    engine = make_engine()
    login_id = open_account(engine)
    contract, _ = engine.buy(login_id, terms(duration=5), STAKE, Decimal(0), 1, NOON)
    refused("ResaleNotOffered", engine.sell, login_id, contract.contract_id, Decimal(0), NOON + 4)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("InvalidSymbol", {"symbol": "R_9"}),
        ("OfferingsValidationError", {"contract_type": "ONETOUCH"}),
        ("OfferingsValidationError", {"duration": 11}),
        ("OfferingsValidationError", {"duration": 0}),
        ("OfferingsValidationError", {"duration": 14, "unit": "s"}),
        ("OfferingsValidationError", {"duration": 25, "unit": "h"}),
        ("OfferingsValidationError", {"currency": "XYZ"}),
        ("ContractBuyValidationError", {"amount": Decimal("10.001")}),
        ("ContractBuyValidationError", {"currency": "EUR"}),
        ("StakeLimits", {"amount": Decimal("0.34")}),
        ("StakeLimits", {"amount": Decimal("0.34"), "basis": "payout"}),
        ("PayoutLimits", {"amount": Decimal("50000.01"), "basis": "payout"}),
        ("InsufficientBalance", {"amount": Decimal("1000.01")}),
        ("PriceMoved", {"amount": Decimal("900.00"), "ceiling": Decimal("899.99")}),
    ],
)
def test_what_is_refused_changes_nothing(code: str, changes: dict[str, object]) -> None:
    engine = make_engine()
    login_id = open_account(engine)
    fields = dict(changes)
    ceiling = fields.pop("ceiling", Decimal(100_000))
    refused(code, engine.buy, login_id, terms(**fields), ceiling, Decimal(0), 1, NOON)  # type: ignore[arg-type]
    assert engine.account(login_id).balance == Decimal("1000.00")
    assert engine.open_contracts(login_id) == [] and engine.drain() == []
    assert len(engine.store.lines(login_id)) == 1


@pytest.mark.parametrize("markup", [Decimal("-0.01"), Decimal("3.01")])
def test_a_markup_is_between_0_and_3_percent(markup: Decimal) -> None:
    engine = make_engine()
    refused("InputValidationFailed", engine.price, terms(), markup)


def test_the_number_of_open_contracts_is_limited() -> None:
    engine = make_engine(open_positions=2)
    login_id = open_account(engine)
    for _ in range(2):
        engine.buy(login_id, terms(duration=5), STAKE, Decimal(0), 1, NOON)
    refused("OpenPositionLimitExceeded", engine.buy, login_id, terms(), STAKE, Decimal(0), 1, NOON)


def test_an_account_is_opened_once() -> None:
    engine = make_engine()
    first = engine.open_account("same", "USD", Decimal("50.00"), True, NOON)
    again = engine.open_account("same", "USD", Decimal("70.00"), True, NOON + 5)
    assert again == first
    assert [line.amount for line in engine.store.lines(first.login_id)] == [Decimal("50.00")]
    refused("AccountExists", engine.open_account, "same", "EUR", Decimal(0), True, NOON)


def test_a_top_up_fills_a_demo_account() -> None:
    engine = make_engine()
    login_id = open_account(engine, "12.34")
    assert engine.top_up(login_id, NOON).amount == Decimal("9987.66")
    refused("TopupVirtualError", engine.top_up, login_id, NOON)
    real = engine.open_account("real", "USD", Decimal("1.00"), False, NOON)
    assert real.login_id.startswith("CR")
    refused("TopupVirtualError", engine.top_up, real.login_id, NOON)


def test_a_failed_write_changes_nothing_in_memory() -> None:
    engine = make_engine()
    login_id = open_account(engine)
    engine.store._db.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON contracts BEGIN SELECT RAISE(FAIL, 'disk'); END"
    )
    with pytest.raises(Exception, match="disk"):
        engine.buy(login_id, terms(), STAKE, Decimal(0), 1, NOON)
    engine.store._db.execute("DROP TRIGGER full")
    assert engine.account(login_id).balance == Decimal("1000.00")
    assert len(engine.store.lines(login_id)) == 1
    engine.buy(login_id, terms(), STAKE, Decimal(0), 1, NOON)
    assert engine.account(login_id).balance == Decimal("990.00")
