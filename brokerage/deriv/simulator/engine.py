"""The venue itself: it opens accounts, sells contracts, buys them back and settles them. It knows no protocol.

Every method takes the time (``at``, Unix seconds) from its caller. A change is committed to the store before the
method returns; what happened is then found in ``drain()``, for whoever streams it. One thread only.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from heapq import heappop, heappush
from math import floor

from brokerage.deriv.simulator import copying, pricing, transfers, valuing
from brokerage.deriv.simulator.books import Account, Contract, Ending, Line, Refusal, Terms, login_number
from brokerage.deriv.simulator.catalog import CENT, CURRENCIES, MAX_PAYOUT, MIN_STAKE, SYMBOLS, exchanged
from brokerage.deriv.simulator.events import Booked, Event, Expired
from brokerage.deriv.simulator.prices import Market, Quote
from brokerage.deriv.simulator.rules import Rules, check_markup, check_offered, seconds_of
from brokerage.deriv.simulator.store import Store

logger = logging.getLogger(__name__)

SCOPES = ("read", "trade", "trading_information", "payments", "admin")


class Engine:
    """The venue itself: its accounts and contracts, what it sells, buys back and settles."""

    def __init__(self, store: Store, market: Market, rules: Rules) -> None:
        self.store = store
        self.market = market
        self.rules = rules
        self._events: list[Event] = []
        self._load()

    def _load(self) -> None:
        """Read the books: accounts and open contracts are kept in memory, the rest stays in the store."""
        accounts = self.store.accounts()
        self._accounts = {account.login_id: account for account in accounts}
        self._by_token = {account.token: account.login_id for account in accounts}
        self._by_external = {account.external_id: account.login_id for account in accounts}
        self._of_user: dict[int, list[str]] = {}
        for account in sorted(accounts, key=lambda account: login_number(account.login_id)):
            self._of_user.setdefault(account.user_id, []).append(account.login_id)
        self._endings = self.store.endings()
        self._open: dict[str, dict[int, Contract]] = {account.login_id: {} for account in accounts}
        self._due: list[tuple[float, int, str]] = []
        contract_id, transaction_id, last_login = self.store.highest()
        self._last_contract = max(contract_id, 260_000_000)
        self._last_transaction = max(transaction_id, 510_000_000)
        self._last_login = max(last_login, 9_000_000)
        for stored in self.store.open_contracts():
            contract = valuing.rescheduled(self.market, stored)
            self._open[contract.login_id][contract.contract_id] = contract
            self._schedule(contract)

    def reload(self) -> None:
        """Forget what is in memory and read the books from their file, as after a restart."""
        self._events.clear()
        self._load()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Everything inside is committed together. If it fails, nothing happened: memory is read again."""
        told = len(self._events)
        try:
            with self.store.batch():
                yield
        except BaseException:
            del self._events[told:]
            self._load()
            raise

    def drain(self) -> list[Event]:
        """What has happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    # ── accounts ─────────────────────────────────────────────────────────────────────────────────────

    def open_account(
        self,
        external_id: str,
        currency: str,
        balance: Decimal,
        is_demo: bool,
        at: float,
        scopes: tuple[str, ...] = SCOPES,
        user_id: int | None = None,
    ) -> Account:
        """The account of ``external_id``; opened with ``balance`` as its first line if there is none yet.

        With the ``user_id`` of another account it belongs to the same person, without one to a new person.
        """
        if known := self._by_external.get(external_id):
            account = self._accounts[known]
            whose = account.user_id if user_id is None else user_id
            if (account.currency, account.is_demo, account.user_id) != (currency, is_demo, whose):
                raise Refusal(
                    "AccountExists", "This account exists in another currency or kind, or is another's."
                )
            return account
        if user_id is not None and user_id not in self._of_user:
            raise Refusal("InvalidUser", "There is no such user.")
        if currency not in CURRENCIES:
            raise Refusal("InvalidCurrency", "Accounts are not kept in this currency.")
        if balance < 0 or balance != balance.quantize(CENT):
            raise Refusal("InvalidBalance", "The balance is not negative and has at most two decimals.")
        number = self._last_login + 1
        account = Account(
            login_id=f"{'VRTC' if is_demo else 'CR'}{number}",
            external_id=external_id,
            # 32 characters: the longest token that copy_start can name
            token=secrets.token_urlsafe(24),
            user_id=number if user_id is None else user_id,
            currency=currency,
            balance=Decimal("0.00"),
            is_demo=is_demo,
            scopes=scopes,
            opened_at=floor(at),
        )
        with self._change():
            self.store.save_account(account)
            self._last_login = number
            self._open[account.login_id] = {}
            self._of_user.setdefault(account.user_id, []).append(account.login_id)
            self._by_token[account.token] = self._by_external[external_id] = account.login_id
            self._book(account, "virtual_credit" if is_demo else "deposit", balance, at)
        return self._accounts[account.login_id]

    def top_up(self, login_id: str, at: float) -> Line:
        """Bring a demo account back to its first balance. Refused for real accounts and full ones."""
        account = self._accounts[login_id]
        missing = self.rules.top_up_to - account.balance
        if not account.is_demo:
            raise Refusal("TopupVirtualError", "Only a demo account can be topped up.")
        if missing <= 0:
            raise Refusal("TopupVirtualError", "The balance is full already.")
        with self._change():
            return self._book(account, "virtual_credit", missing, at)

    def reset_balance(self, login_id: str, at: float) -> Line | None:
        """Bring a demo account to the balance it is opened with, up or down; ``None`` if it is there already."""
        account = self._accounts[login_id]
        missing = self.rules.top_up_to - account.balance
        if not missing:
            return None
        with self._change():
            return self._book(account, "deposit" if missing > 0 else "withdrawal", missing, at)

    def move_money(self, login_id: str, action: str, amount: Decimal, at: float) -> Line:
        """A deposit or a withdrawal the client makes at the venue. Refused if the balance does not cover it."""
        account = self._accounts[login_id]
        if amount <= 0 or amount != amount.quantize(CENT):
            raise Refusal("InvalidAmount", "The amount is above zero and has at most two decimals.")
        if action == "withdrawal" and amount > account.balance:
            raise Refusal("InsufficientBalance", "The balance does not cover the amount.")
        with self._change():
            return self._book(account, action, amount if action == "deposit" else -amount, at)

    def book_together(
        self, movements: Sequence[tuple[str, str, Decimal]], at: float, write: Callable[[list[Line]], None]
    ) -> None:
        """Book movements (login, action, amount), and what ``write`` keeps of them, in one change."""
        self.advance(at)
        with self._change():
            write([self._book(self._accounts[login], what, amount, at) for login, what, amount in movements])

    @property
    def last_transaction(self) -> int:
        """The number of the last line written."""
        return self._last_transaction

    def knows(self, login_id: str) -> bool:
        """Whether an account goes by this login."""
        return login_id in self._accounts

    def transfer(
        self, login_id: str, to_login_id: str, amount: Decimal, currency: str, at: float
    ) -> tuple[Line, Line]:
        """Move money between two accounts of one user: what leaves the first, what reaches the second.

        ``amount`` is in ``currency``, the first account's; the second gets it exchanged, rounded down to its cents.
        Refused for demo accounts, another user's accounts and what the balance does not cover.
        """
        self.advance(at)
        giver, taker = self._accounts[login_id], self._accounts.get(to_login_id)
        taker = transfers.checked(giver, taker, amount, currency)
        received = exchanged(amount, giver.currency, taker.currency)
        with self._change():
            out = self._book(giver, "transfer", -amount, at)
            return out, self._book(taker, "transfer", received, at)

    def accounts_of(self, user_id: int) -> list[Account]:
        """The user's accounts, the first opened first; none for a stranger."""
        return [self._accounts[login_id] for login_id in self._of_user.get(user_id, ())]

    def account(self, login_id: str) -> Account:
        """Raises ``KeyError`` for a stranger."""
        return self._accounts[login_id]

    def account_of(self, token: str) -> Account | None:
        login_id = self._by_token.get(token)
        return None if login_id is None else self._accounts[login_id]

    # ── trading ──────────────────────────────────────────────────────────────────────────────────────

    def price(self, terms: Terms, markup_percent: Decimal) -> pricing.Price:
        """What the terms cost now. Refused if they are not on offer or break a limit."""
        markup = check_markup(markup_percent)
        check_offered(terms)
        symbol = SYMBOLS[terms.symbol]
        chance = pricing.win_probability(
            terms.contract_type, symbol.volatility, seconds_of(terms), symbol.start, symbol.start
        )
        amount = terms.amount.quantize(CENT)
        price = pricing.price(terms.basis, amount, chance, self.rules.commission, markup)
        if price.ask < MIN_STAKE:
            raise Refusal("StakeLimits", f"The stake is at least {MIN_STAKE}.", {"field": "amount"})
        if price.payout > MAX_PAYOUT:
            raise Refusal("PayoutLimits", f"The payout is at most {MAX_PAYOUT}.", {"field": "amount"})
        return price

    def buy(
        self, login_id: str, terms: Terms, ceiling: Decimal, markup_percent: Decimal, app_id: int, at: float
    ) -> tuple[Contract, Line]:
        """Sell the account a contract at today's price, if that is not above ``ceiling``.

        The entry is the next tick after ``at``; a tick contract ends as many ticks after that as it lasts. Whoever
        copies the account then buys the same for itself, if it can; what it bought is not copied on.
        """
        bought = self._sell_to(login_id, terms, ceiling, markup_percent, app_id, at)
        for copier in copying.copiers_of(self.store, bought[0]):
            try:
                self._sell_to(copier, terms, bought[0].buy_price, markup_percent, app_id, at)
            except Refusal as refusal:
                logger.info("contract %s is not copied by %s: %s", bought[0].contract_id, copier, refusal)
        return bought

    def _sell_to(
        self, login_id: str, terms: Terms, ceiling: Decimal, markup_percent: Decimal, app_id: int, at: float
    ) -> tuple[Contract, Line]:
        self.advance(at)
        account = self._accounts[login_id]
        price = self.price(terms, markup_percent)
        if terms.currency != account.currency:
            raise Refusal(
                "ContractBuyValidationError",
                f"The account is kept in {account.currency}.",
                {"field": "currency"},
            )
        if price.ask > ceiling:
            raise Refusal("PriceMoved", f"The price is now {price.ask}.", {"field": "price"})
        if len(self._open[login_id]) >= self.rules.open_positions:
            raise Refusal("OpenPositionLimitExceeded", "The account holds too many open contracts.")
        if price.ask > account.balance:
            raise Refusal("InsufficientBalance", "The balance does not cover the price.")
        entry = self.market.index_at(terms.symbol, at) + 1
        exit_index = entry + terms.duration if terms.unit == "t" else None
        contract = Contract(
            contract_id=self._last_contract + 1,
            login_id=login_id,
            app_id=app_id,
            terms=terms,
            buy_price=price.ask,
            payout=price.payout,
            commission=price.commission,
            markup=price.markup,
            purchase_time=floor(at),
            date_expiry=floor(at) + seconds_of(terms)
            if exit_index is None
            else self.market.quote(terms.symbol, exit_index).epoch,
            entry_index=entry,
            exit_index=exit_index,
            buy_transaction_id=self._last_transaction + 1,
        )
        with self._change():
            line = self._book(account, "buy", -price.ask, at, contract)
            self._last_contract = contract.contract_id
            self._schedule(contract)
        return contract, line

    def sell(self, login_id: str, contract_id: int, floor_price: Decimal, at: float) -> tuple[Contract, Line]:
        """Buy a running contract back at its bid price, if that is not below ``floor_price``."""
        self.advance(at)
        contract = self.contract(login_id, contract_id)
        if contract is None:
            raise Refusal("NoOpenPosition", "The account has no such contract.")
        if contract.is_sold:
            raise Refusal("ContractAlreadySold", "This contract is over.")
        if problem := self.resale_problem(contract, at):
            raise problem
        bid = self.bid(contract, at)
        if bid < floor_price:
            raise Refusal("PriceMoved", f"The bid price is now {bid}.", {"field": "price"})
        with self._change():
            return self._close(contract, "sold", bid, at)

    def settle_late(self, contract_id: int, seconds: float) -> None:
        """Have a contract wait so much longer between its expiry and its settlement."""
        self._end(contract_id, replace(self._ending(contract_id), late_seconds=seconds))

    def refund(self, contract_id: int) -> None:
        """Have a contract end cancelled, its price returned."""
        self._end(contract_id, replace(self._ending(contract_id), is_refunded=True))

    def _end(self, contract_id: int, ending: Ending) -> None:
        with self._change():
            self.store.save_ending(contract_id, ending)
            self._endings[contract_id] = ending

    def _ending(self, contract_id: int) -> Ending:
        return self._endings.get(contract_id, Ending())

    def advance(self, at: float) -> None:
        """Let time pass: contracts that have reached their end expire, and settle ``settle_delay`` later."""
        if not self._due or self._due[0][0] > at:
            return
        with self._change():
            while self._due and self._due[0][0] <= at:
                _, contract_id, login_id = heappop(self._due)
                contract = self._open[login_id].get(contract_id)
                if contract is None:
                    continue
                if not contract.is_expired:
                    self._expire(contract)
                else:
                    self._settle(contract, at)

    def settle_expired(self, login_id: str, at: float) -> int:
        """Settle the account's contracts that have expired and wait, however long they were to; how many it was."""
        self.advance(at)
        waiting = [contract for contract in self.open_contracts(login_id) if contract.is_expired]
        if waiting:
            with self._change():
                for contract in waiting:
                    self._settle(contract, at)
        return len(waiting)

    def next_due(self) -> float | None:
        """When the next contract expires or settles."""
        return self._due[0][0] if self._due else None

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────

    def contract(self, login_id: str, contract_id: int) -> Contract | None:
        """The account's contract, open or closed."""
        if found := self._open[login_id].get(contract_id):
            return found
        stored = self.store.contract(contract_id)
        return stored if stored is not None and stored.login_id == login_id else None

    def open_contracts(self, login_id: str) -> list[Contract]:
        """Oldest first."""
        return list(self._open[login_id].values())

    def entry(self, contract: Contract, at: float) -> Quote | None:
        """The entry tick, once it has happened."""
        return valuing.entry(self.market, contract, at)

    def resale_problem(self, contract: Contract, at: float) -> Refusal | None:
        """Why the venue would not buy the contract back now; ``None`` if it would."""
        return valuing.resale_problem(self.market, contract, at)

    def bid(self, contract: Contract, at: float) -> Decimal:
        """What the contract is worth to the venue now. Between expiry and settlement: what it will pay."""
        if contract.is_expired and self._ending(contract.contract_id).is_refunded:
            return contract.buy_price
        if contract.is_expired:
            return contract.payout if valuing.has_won(self.market, contract) else Decimal("0.00")
        return valuing.running_bid(self.market, self.rules.commission, contract, at)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────

    def _schedule(self, contract: Contract) -> None:
        end = valuing.end_of(self.market, contract)
        wait = self.rules.settle_delay + self._ending(contract.contract_id).late_seconds
        due = end + wait if contract.is_expired else end
        heappush(self._due, (due, contract.contract_id, contract.login_id))

    def _expire(self, contract: Contract) -> None:
        exit_index = contract.exit_index
        if exit_index is None:
            exit_index = self.market.index_at(contract.terms.symbol, contract.date_expiry)
        expired = replace(contract, is_expired=True, exit_index=exit_index)
        self.store.save_contract(expired)
        self._open[contract.login_id][contract.contract_id] = expired
        self._schedule(expired)
        self._events.append(Expired(expired))

    def _settle(self, contract: Contract, at: float) -> None:
        """The end of an expired contract; only inside ``_change``."""
        if self._ending(contract.contract_id).is_refunded:
            self._close(contract, "cancelled", contract.buy_price, at)
        elif valuing.has_won(self.market, contract):
            self._close(contract, "won", contract.payout, at)
        else:
            self._close(contract, "lost", Decimal("0.00"), at)

    def _close(self, contract: Contract, status: str, amount: Decimal, at: float) -> tuple[Contract, Line]:
        closed = replace(
            contract,
            status=status,
            sell_price=amount,
            sell_time=floor(at),
            sell_transaction_id=self._last_transaction + 1,
            exit_index=contract.exit_index
            if contract.is_expired
            else self.market.index_at(contract.terms.symbol, at),
        )
        return closed, self._book(self._accounts[contract.login_id], "sell", amount, at, closed)

    def _book(
        self, account: Account, action: str, amount: Decimal, at: float, contract: Contract | None = None
    ) -> Line:
        """Write a line, the balance it leaves and the contract it is about; only inside ``_change``."""
        after = replace(account, balance=account.balance + amount)
        line = Line(
            transaction_id=self._last_transaction + 1,
            login_id=account.login_id,
            action=action,
            amount=amount,
            balance_after=after.balance,
            at=floor(at),
            contract_id=None if contract is None else contract.contract_id,
            reference_id=contract.buy_transaction_id if contract and action == "sell" else None,
        )
        self.store.save_account(after)
        self.store.add_line(line)
        self._last_transaction = line.transaction_id
        self._accounts[account.login_id] = after
        if contract is not None:
            self.store.save_contract(contract)
            if contract.is_sold:
                del self._open[account.login_id][contract.contract_id]
                self._endings.pop(contract.contract_id, None)
            else:
                self._open[account.login_id][contract.contract_id] = contract
        self._events.append(Booked(line, after, contract))
        return line
