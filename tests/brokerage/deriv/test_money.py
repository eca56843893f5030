"""A person's accounts and the money between them, told without any protocol."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokerage.deriv.simulator.books import Account, Refusal
from brokerage.deriv.simulator.catalog import CURRENCIES, exchange_rate, exchanged
from brokerage.deriv.simulator.clock import Clock
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.events import Booked
from brokerage.deriv.simulator.prices import Market
from brokerage.deriv.simulator.rules import Rules
from brokerage.deriv.simulator.store import Store
from tests.brokerage.deriv.test_engine import NOON, STAKE, make_engine, refused, terms


def open_real(engine: Engine, name: str, currency: str = "USD", beside: Account | None = None) -> Account:
    user_id = None if beside is None else beside.user_id
    return engine.open_account(name, currency, Decimal("100.00"), False, NOON, user_id=user_id)


def figures(engine: Engine, *accounts: Account) -> list[str]:
    return [str(engine.account(account.login_id).balance) for account in accounts]


def test_accounts_opened_for_one_user_belong_together_and_others_do_not() -> None:
    engine = make_engine()
    first, stranger = open_real(engine, "first"), open_real(engine, "stranger")
    second = open_real(engine, "second", "EUR", beside=first)
    demo = engine.open_account("demo", "USD", STAKE, True, NOON, user_id=first.user_id)
    assert [account.login_id for account in engine.accounts_of(first.user_id)] == [
        first.login_id,
        second.login_id,
        demo.login_id,
    ]
    assert engine.accounts_of(stranger.user_id) == [stranger]
    assert engine.accounts_of(1) == []
    assert len({account.token for account in (first, stranger, second, demo)}) == 4
    refused("InvalidUser", lambda: engine.open_account("x", "USD", STAKE, True, NOON, user_id=1))
    assert open_real(engine, "second", "EUR", beside=first) == second
    refused("AccountExists", lambda: open_real(engine, "second", "EUR", beside=stranger))


def test_no_number_is_given_twice_after_a_restart() -> None:
    store, market = Store(None), Market(7, Clock.begin(NOON, 1))
    engine = Engine(store, market, Rules())
    first = open_real(engine, "first")
    second = open_real(engine, "second", beside=first)
    engine = Engine(store, market, Rules())
    assert engine.accounts_of(first.user_id) == [first, second]
    third = open_real(engine, "third")
    assert [account.login_id for account in (first, second, third)] == ["CR9000001", "CR9000002", "CR9000003"]
    assert (first.user_id, second.user_id, third.user_id) == (9000001, 9000001, 9000003)


def test_a_file_of_an_older_version_is_opened_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "books.sqlite3"
    store = Store(path)
    account = open_real(Engine(store, Market(7, Clock.begin(NOON, 1)), Rules()), "first")
    # what older versions had not
    store._db.executescript("DROP TABLE followings; DROP INDEX contracts_by_application;")
    store.close()
    store = Store(path)
    assert store.accounts() == [account]
    assert store.followings(trader=account.login_id) == []
    assert store.marked_up_contracts(1, 0, 9_999_999_999) == []
    store.close()


def test_a_transfer_takes_from_one_account_and_gives_the_other_its_worth() -> None:
    engine = make_engine()
    dollars = open_real(engine, "dollars")
    euros = open_real(engine, "euros", "EUR", beside=dollars)
    engine.drain()
    out, into = engine.transfer(dollars.login_id, euros.login_id, Decimal("33.33"), "USD", NOON + 1)
    # 33.33 × 0.922339 = 30.7415…, rounded down
    assert (out.action, out.amount, out.balance_after) == ("transfer", Decimal("-33.33"), Decimal("66.67"))
    assert (into.action, into.amount, into.balance_after) == ("transfer", Decimal("30.74"), Decimal("130.74"))
    assert into.transaction_id == out.transaction_id + 1
    assert [event.line for event in engine.drain() if isinstance(event, Booked)] == [out, into]
    pounds = open_real(engine, "pounds", "USD", beside=dollars)
    engine.transfer(dollars.login_id, pounds.login_id, Decimal("66.67"), "USD", NOON + 2)
    assert figures(engine, dollars, euros, pounds) == ["0.00", "130.74", "166.67"]
    engine.reload()
    assert figures(engine, dollars, euros, pounds) == ["0.00", "130.74", "166.67"]


@pytest.mark.parametrize(
    ("code", "field", "changes"),
    [
        ("InsufficientBalance", "amount", {"amount": "100.01"}),
        ("InsufficientBalance", "amount", {"amount": "1e39"}),
        ("TransferBetweenAccountsError", "amount", {"amount": "0"}),
        ("TransferBetweenAccountsError", "amount", {"amount": "-1"}),
        ("TransferBetweenAccountsError", "amount", {"amount": "0.005"}),
        ("TransferBetweenAccountsError", "amount", {"amount": "0.01", "to": "euros"}),
        ("TransferBetweenAccountsError", "currency", {"currency": "EUR"}),
        ("TransferBetweenAccountsError", "account_to", {"to": "giver"}),
        ("TransferBetweenAccountsError", "account_to", {"to": "stranger"}),
        ("TransferBetweenAccountsError", "account_to", {"to": "nobody"}),
        ("TransferBetweenAccountsError", "account_to", {"to": "demo"}),
        ("TransferBetweenAccountsError", "account_from", {"giver": "demo"}),
    ],
)
def test_what_cannot_be_transferred_moves_nothing(code: str, field: str, changes: dict[str, str]) -> None:
    engine = make_engine()
    giver = open_real(engine, "giver")
    accounts = {
        "giver": giver,
        "taker": open_real(engine, "taker", beside=giver),
        "euros": open_real(engine, "euros", "EUR", beside=giver),
        "stranger": open_real(engine, "stranger"),
        "demo": engine.open_account("demo", "USD", Decimal("100.00"), True, NOON, user_id=giver.user_id),
    }
    before = [engine.account(account.login_id) for account in accounts.values()]
    engine.drain()
    to = accounts.get(changes.get("to", "taker"))
    with pytest.raises(Refusal) as refusal:
        engine.transfer(
            accounts[changes.get("giver", "giver")].login_id,
            "CR1" if to is None else to.login_id,
            Decimal(changes.get("amount", "10.00")),
            changes.get("currency", "USD"),
            NOON + 1,
        )
    assert (refusal.value.code, refusal.value.details) == (code, {"field": field})
    assert [engine.account(account.login_id) for account in accounts.values()] == before
    assert engine.drain() == []


def test_a_transfer_whose_second_half_fails_did_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine()
    giver = open_real(engine, "giver")
    taker = open_real(engine, "taker", beside=giver)
    engine.drain()
    add_line = engine.store.add_line

    def fail(line: object) -> None:
        if line.login_id == taker.login_id:  # type: ignore[attr-defined]
            raise OSError("the disk is full")
        add_line(line)  # type: ignore[arg-type]

    monkeypatch.setattr(engine.store, "add_line", fail)
    with pytest.raises(OSError):
        engine.transfer(giver.login_id, taker.login_id, STAKE, "USD", NOON + 1)
    assert figures(engine, giver, taker) == ["100.00", "100.00"]
    assert engine.drain() == []
    assert len(engine.store.lines(giver.login_id)) == 1


def test_rates_are_to_six_decimals_and_rounded_down() -> None:
    assert str(exchange_rate("USD", "EUR")) == "0.922339"
    assert str(exchange_rate("EUR", "USD")) == "1.084200"
    assert str(exchange_rate("GBP", "AUD")) == "1.925999"
    assert {exchange_rate(code, code) for code in CURRENCIES} == {Decimal(1)}


@given(
    st.decimals("0.00", "1000000000.00", places=2),
    st.lists(st.sampled_from(CURRENCIES), min_size=1, max_size=6),
)
def test_no_tour_of_the_currencies_makes_money(amount: Decimal, tour: list[str]) -> None:
    value, currency = amount, tour[0]
    for code in (*tour[1:], tour[0]):
        value, currency = exchanged(value, currency, code), code
    assert 0 <= value <= amount


def test_what_is_expired_and_waits_is_settled_when_asked_for() -> None:
    engine = make_engine(settle_delay=60.0)
    account = open_real(engine, "client")
    late, _ = engine.buy(account.login_id, terms(), STAKE, Decimal(0), 1, NOON + 0.5)
    engine.settle_late(late.contract_id, 3600.0)
    refunded, _ = engine.buy(account.login_id, terms("PUT"), STAKE, Decimal(0), 1, NOON + 0.5)
    engine.refund(refunded.contract_id)
    running, _ = engine.buy(account.login_id, terms(duration=10), STAKE, Decimal(0), 1, NOON + 0.5)
    assert engine.settle_expired(account.login_id, NOON + 3.9) == 0
    assert engine.settle_expired(account.login_id, NOON + 4.5) == 2
    assert engine.settle_expired(account.login_id, NOON + 4.5) == 0
    states = [
        engine.contract(account.login_id, one.contract_id).status  # type: ignore[union-attr]
        for one in (late, refunded, running)
    ]
    assert states[0] in ("won", "lost") and states[1:] == ["cancelled", "open"]
    engine.advance(NOON + 5000)
    sold = [line.contract_id for line in engine.store.lines(account.login_id, action="sell")]
    assert sorted(sold, key=str) == [late.contract_id, refunded.contract_id, running.contract_id]


def test_a_markup_counts_from_its_purchase_unless_the_price_was_returned() -> None:
    engine = make_engine(settle_delay=0.0)
    account = open_real(engine, "client")
    markup = Decimal(2)

    def bought(app_id: int, at: float, percent: Decimal = markup) -> int:
        return engine.buy(account.login_id, terms(), STAKE, percent, app_id, at)[0].contract_id

    first, second = bought(5, NOON + 0.5), bought(5, NOON + 10.5)
    bought(6, NOON + 10.5)
    bought(5, NOON + 10.5, Decimal(0))
    refunded = bought(5, NOON + 10.5)

    def counted(since: int, until: int) -> list[int]:
        found = engine.store.marked_up_contracts(5, int(NOON) + since, int(NOON) + until)
        assert {contract.markup for contract in found} <= {Decimal("0.38")}  # 2 % of 18.80
        return [contract.contract_id for contract in found]

    assert counted(0, 10) == [first, second, refunded]
    engine.refund(refunded)
    engine.advance(NOON + 60)
    assert counted(0, 10) == [first, second]
    assert counted(1, 10) == [second] and counted(0, 9) == [first] and counted(11, 99) == []
