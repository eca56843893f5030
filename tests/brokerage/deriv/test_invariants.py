"""Random histories of one venue: after each step its books agree with themselves."""

from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from brokerage.deriv.simulator import copying
from brokerage.deriv.simulator.books import Following, Refusal, Terms
from brokerage.deriv.simulator.clock import Clock
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.prices import Market
from brokerage.deriv.simulator.rules import Rules
from brokerage.deriv.simulator.store import Store

NOON = 1_795_262_400.0
MARKET = Market(3, Clock.begin(NOON, 1))


class Venue(RuleBasedStateMachine):
    accounts = Bundle("accounts")
    contracts = Bundle("contracts")

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(None)
        self.engine = Engine(self.store, MARKET, Rules(open_positions=6))
        self.now = NOON
        self.opened: set[str] = set()

    def teardown(self) -> None:
        self.store.close()

    @rule(target=accounts, name=st.sampled_from("abcd"), cents=st.integers(0, 20_000))
    def open(self, name: str, cents: int) -> str:
        """Two demo accounts, and two real ones that belong to one person."""
        if name != "d":
            return self._open(name, cents, None)
        return self._open(name, cents, self.engine.account(self._open("c", cents, None)).user_id)

    def _open(self, name: str, cents: int, user_id: int | None) -> str:
        balance = Decimal(cents).scaleb(-2)
        account = self.engine.open_account(name, "USD", balance, name in "ab", self.now, user_id=user_id)
        self.opened.add(account.login_id)
        return account.login_id

    @rule(
        target=contracts,
        login_id=accounts,
        kind=st.sampled_from(["CALL", "PUT"]),
        basis=st.sampled_from(["stake", "payout"]),
        amount=st.decimals("0", "120", places=2),
        length=st.sampled_from([(1, "t"), (5, "t"), (10, "t"), (15, "s"), (1, "m"), (0, "t"), (2, "d")]),
        markup=st.decimals("0", "3.5", places=1),
        ceiling=st.decimals("0", "120", places=2),
    )
    def buy(
        self,
        login_id: str,
        kind: str,
        basis: Any,
        amount: Decimal,
        length: Any,
        markup: Decimal,
        ceiling: Decimal,
    ) -> Any:
        before = self.engine.account(login_id).balance
        terms = Terms(kind, "1HZ100V", basis, amount, length[0], length[1], "USD")
        try:
            contract, line = self.engine.buy(login_id, terms, ceiling, markup, 1, self.now)
        except Refusal:
            assert (
                self.engine.account(login_id).balance >= before
            )  # only settlements may have happened meanwhile
            return multiple()
        assert contract.buy_price <= ceiling and line.amount == -contract.buy_price
        return login_id, contract.contract_id

    @rule(target=contracts, held=contracts, floor=st.decimals("0", "20", places=2))
    def sell(self, held: tuple[str, int], floor: Decimal) -> Any:
        try:
            contract, line = self.engine.sell(*held, floor, self.now)
        except Refusal:
            return multiple()
        assert line.amount == contract.sell_price and line.amount >= floor
        return multiple()

    @rule(login_id=accounts)
    def top_up(self, login_id: str) -> None:
        try:
            self.engine.top_up(login_id, self.now)
        except Refusal as refusal:
            assert refusal.code == "TopupVirtualError"

    @rule(copier=accounts, trader=accounts, most=st.none() | st.decimals("0", "120", places=2))
    def follow(self, copier: str, trader: str, most: Decimal | None) -> None:
        following = Following(copier, trader, max_trade_stake=most)
        try:
            copying.follow(self.store, self.engine.account(copier), self.engine.account(trader), following)
        except Refusal as refusal:
            assert refusal.code == "CopyTradingNotAllowed"

    @rule(giver=accounts, taker=accounts, amount=st.decimals("0", "120", places=2))
    def transfer(self, giver: str, taker: str, amount: Decimal) -> None:
        self.engine.advance(self.now)
        before = [self.engine.account(login_id).balance for login_id in (giver, taker)]
        moved = amount
        try:
            self.engine.transfer(giver, taker, amount, "USD", self.now)
        except Refusal:
            moved = Decimal(0)
        after = [self.engine.account(login_id).balance for login_id in (giver, taker)]
        assert after == [before[0] - moved, before[1] + moved]

    @rule(login_id=accounts)
    def settle_expired(self, login_id: str) -> None:
        self.engine.settle_expired(login_id, self.now)
        assert not any(contract.is_expired for contract in self.engine.open_contracts(login_id))

    @rule(seconds=st.floats(0.1, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.engine.advance(self.now)

    @rule()
    def restart(self) -> None:
        """A new engine on the same file knows everything the old one knew."""
        again = Engine(self.store, MARKET, self.engine.rules)
        for login_id in self.opened:
            assert again.account(login_id) == self.engine.account(login_id)
            assert again.open_contracts(login_id) == self.engine.open_contracts(login_id)
        self.engine = again

    @invariant()
    def the_statement_is_the_balance(self) -> None:
        for login_id in self.opened:
            running = Decimal(0)
            lines = self.store.lines(login_id)[::-1]
            for line in lines:
                running += line.amount
                assert line.balance_after == running >= 0
            assert self.engine.account(login_id).balance == running
            assert [line.at for line in lines] == sorted(line.at for line in lines)

    @invariant()
    def each_contract_is_paid_for_once_and_ends_at_most_once(self) -> None:
        for login_id in self.opened:
            lines = self.store.lines(login_id)
            held = {contract.contract_id for contract in self.engine.open_contracts(login_id)}
            for contract in self.store.contracts(login_id):
                mine = [line for line in lines if line.contract_id == contract.contract_id]
                assert [line.amount for line in mine if line.action == "buy"] == [-contract.buy_price]
                ends = [line.amount for line in mine if line.action == "sell"]
                assert ends == ([contract.sell_price] if contract.is_sold else [])
                assert contract.is_sold == (contract.contract_id not in held)


TestVenue = Venue.TestCase
TestVenue.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
