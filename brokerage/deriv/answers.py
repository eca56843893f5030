"""The venue's answers as values. Anything missing or of the wrong kind raises ``ValueError``.

What the protocol generations name or write differently is a ``Dialect``; everything else is read by one function.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

from brokerage.deriv.types import (
    ActiveSymbol,
    Authorization,
    BalanceUpdate,
    CallLimits,
    Candle,
    ContractOffer,
    ContractState,
    ContractStatus,
    MarkupLine,
    PortfolioContract,
    PricePoint,
    ProfitRow,
    Proposal,
    Purchase,
    Sale,
    SiteStatus,
    StatementLine,
    Tick,
    TransactionUpdate,
)
from brokerage.deriv.wire import exact_number

T = TypeVar("T")
Fields = Mapping[str, Any]
DECIMAL: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
STATUSES: Final = ("open", "won", "lost", "sold", "cancelled")

# ── single fields ────────────────────────────────────────────────────────────────────────────────────


def obj(fields: Any, name: str) -> Fields:
    value = fields.get(name) if isinstance(fields, Mapping) else None
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is not an object")
    return value


def rows(fields: Fields, name: str, parse: Callable[[Fields], T]) -> tuple[T, ...]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(row, Mapping) for row in value):
        raise ValueError(f"{name} is not a list of objects")
    return tuple(parse(row) for row in value)


def text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text")
    return value


def whole(fields: Fields, name: str) -> int:
    value = fields.get(name)
    if type(value) is not int:
        raise ValueError(f"{name} is not a whole number")
    return value


def amount(fields: Fields, name: str) -> Decimal:
    value = fields.get(name)
    if isinstance(value, Decimal):
        return value
    if type(value) is int:
        return Decimal(value)
    raise ValueError(f"{name} is not a number")


def flag(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    if type(value) is not int or value not in (0, 1):
        raise ValueError(f"{name} is neither 0 nor 1")
    return value == 1


def truth(fields: Fields, name: str) -> bool:
    """A flag that is written as true or false."""
    value = fields.get(name)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false")
    return value


def maybe(parse: Callable[[Fields, str], T], fields: Fields, name: str) -> T | None:
    """``None`` for a field that is absent or null."""
    return None if fields.get(name) is None else parse(fields, name)


def amount_text(fields: Fields, name: str) -> Decimal:
    """A number written as text, as some prices are."""
    written = text(fields, name)
    if not DECIMAL.fullmatch(written):
        raise ValueError(f"{name} is not a decimal")
    return exact_number(written)


def texts(fields: Fields, name: str) -> tuple[str, ...]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{name} is not a list of texts")
    return tuple(value)


# ── values ───────────────────────────────────────────────────────────────────────────────────────────


def authorization(frame: Fields) -> Authorization:
    body = obj(frame, "authorize")
    return Authorization(
        login_id=text(body, "loginid"),
        user_id=maybe(whole, body, "user_id"),
        currency=text(body, "currency"),
        balance=amount(body, "balance"),
        is_demo=flag(body, "is_virtual"),
        scopes=texts(body, "scopes") if "scopes" in body else (),
    )


def balance(frame: Fields) -> BalanceUpdate:
    body = obj(frame, "balance")
    return BalanceUpdate(text(body, "loginid"), text(body, "currency"), amount(body, "balance"))


def tick(frame: Fields) -> Tick:
    body = obj(frame, "tick")
    return Tick(
        text(body, "symbol"), whole(body, "epoch"), amount(body, "quote"), int(amount(body, "pip_size"))
    )


def history(frame: Fields) -> tuple[PricePoint, ...]:
    body = obj(frame, "history")
    prices, times = body.get("prices"), body.get("times")
    if not isinstance(prices, list) or not isinstance(times, list) or len(prices) != len(times):
        raise ValueError("prices and times do not match")
    points = [{"price": price, "time": time} for price, time in zip(prices, times, strict=True)]
    return tuple(PricePoint(whole(point, "time"), amount(point, "price")) for point in points)


def candles(frame: Fields) -> tuple[Candle, ...]:
    return rows(
        frame,
        "candles",
        lambda row: Candle(
            whole(row, "epoch"),
            amount(row, "open"),
            amount(row, "high"),
            amount(row, "low"),
            amount(row, "close"),
        ),
    )


def offers(frame: Fields) -> tuple[ContractOffer, ...]:
    return rows(
        obj(frame, "contracts_for"),
        "available",
        lambda row: ContractOffer(
            symbol=text(row, "underlying_symbol"),
            contract_type=text(row, "contract_type"),
            expiry_type=text(row, "expiry_type"),
            start_type=maybe(text, row, "start_type"),
            barrier_category=maybe(text, row, "barrier_category"),
            min_duration=text(row, "min_contract_duration"),
            max_duration=text(row, "max_contract_duration"),
            default_stake=maybe(amount, row, "default_stake"),
            min_stake=maybe(amount, row, "min_stake"),
            max_stake=maybe(amount, row, "max_stake"),
        ),
    )


def proposal(frame: Fields) -> Proposal:
    body = obj(frame, "proposal")
    return Proposal(
        id=text(body, "id"),
        ask_price=amount(body, "ask_price"),
        payout=amount(body, "payout"),
        spot=amount(body, "spot"),
        spot_at=whole(body, "spot_time"),
        date_start=whole(body, "date_start"),
        longcode=text(body, "longcode"),
    )


def purchase(frame: Fields) -> Purchase:
    body = obj(frame, "buy")
    return Purchase(
        contract_id=whole(body, "contract_id"),
        transaction_id=whole(body, "transaction_id"),
        buy_price=amount(body, "buy_price"),
        payout=amount(body, "payout"),
        balance_after=amount(body, "balance_after"),
        purchase_time=whole(body, "purchase_time"),
        start_time=whole(body, "start_time"),
        shortcode=text(body, "shortcode"),
        longcode=text(body, "longcode"),
    )


def sale(frame: Fields) -> Sale:
    body = obj(frame, "sell")
    return Sale(
        contract_id=whole(body, "contract_id"),
        transaction_id=whole(body, "transaction_id"),
        reference_id=maybe(whole, body, "reference_id"),
        sold_for=amount(body, "sold_for"),
        balance_after=amount(body, "balance_after"),
    )


def profit_table(frame: Fields) -> tuple[ProfitRow, ...]:
    return rows(
        obj(frame, "profit_table"),
        "transactions",
        lambda row: ProfitRow(
            contract_id=maybe(whole, row, "contract_id"),
            transaction_id=whole(row, "transaction_id"),
            contract_type=maybe(text, row, "contract_type"),
            symbol=maybe(text, row, "underlying_symbol"),
            buy_price=amount(row, "buy_price"),
            sell_price=amount(row, "sell_price"),
            payout=amount(row, "payout"),
            purchase_time=whole(row, "purchase_time"),
            sell_time=maybe(whole, row, "sell_time"),
            app_id=maybe(whole, row, "app_id"),
            shortcode=text(row, "shortcode"),
            longcode=text(row, "longcode"),
        ),
    )


def statement(frame: Fields) -> tuple[StatementLine, ...]:
    return rows(
        obj(frame, "statement"),
        "transactions",
        lambda row: StatementLine(
            transaction_id=whole(row, "transaction_id"),
            action=text(row, "action_type"),
            amount=amount(row, "amount"),
            balance_after=amount(row, "balance_after"),
            at=whole(row, "transaction_time"),
            contract_id=maybe(whole, row, "contract_id"),
            reference_id=maybe(whole, row, "reference_id"),
            payout=maybe(amount, row, "payout"),
            app_id=maybe(whole, row, "app_id"),
            shortcode=maybe(text, row, "shortcode"),
            longcode=maybe(text, row, "longcode"),
        ),
    )


def markup_lines(frame: Fields) -> tuple[MarkupLine, ...]:
    return rows(
        obj(frame, "app_markup_details"),
        "transactions",
        lambda row: MarkupLine(
            transaction_id=whole(row, "transaction_id"),
            login_id=text(row, "client_loginid"),
            amount=amount(row, "app_markup"),
            currency=text(row, "client_currcode"),
        ),
    )


def site_status(frame: Fields) -> SiteStatus:
    body = obj(frame, "website_status")
    limits = obj(body, "api_call_limits")
    status = body.get("site_status", "up")
    if status not in ("up", "down", "updating"):
        raise ValueError("site_status is unknown")
    return SiteStatus(
        status=status,
        limits=CallLimits(
            general_per_minute=int(amount(obj(limits, "max_requestes_general"), "minutely")),
            pricing_per_minute=int(amount(obj(limits, "max_requests_pricing"), "minutely")),
            outcome_per_minute=int(amount(obj(limits, "max_requests_outcome"), "minutely")),
            proposal_streams=int(amount(obj(limits, "max_proposal_subscription"), "max")),
        ),
        message=maybe(text, body, "message"),
    )


# ── what the generations say differently ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one generation of the protocol names a symbol and writes a contract's prices."""

    generation: str
    symbol: str
    """The symbol's field in requests, portfolio and transactions."""
    contract_symbol: str
    """The symbol's field in an open contract."""
    price: Callable[[Fields, str], Decimal]
    """Reads the prices of an open contract, which are numbers or texts."""
    entry: str
    """The entry spot's field in an open contract; its time's has ``_time`` behind it."""
    exit: str
    listed: Callable[[Fields], ActiveSymbol]
    """Reads a symbol of the list of symbols."""

    def active_symbols(self, frame: Fields) -> tuple[ActiveSymbol, ...]:
        return rows(frame, "active_symbols", self.listed)

    def contract_state(self, frame: Fields) -> ContractState | None:
        """``None`` for the empty answer of an account without open contracts."""
        body = obj(frame, "proposal_open_contract")
        if not set(body) - {"id"}:
            return None
        status = text(body, "status")
        if status not in STATUSES:
            raise ValueError("status is unknown")
        transactions, price = obj(body, "transaction_ids"), self.price
        return ContractState(
            contract_id=whole(body, "contract_id"),
            status=cast(ContractStatus, status),
            is_sold=flag(body, "is_sold"),
            is_expired=flag(body, "is_expired"),
            is_valid_to_sell=flag(body, "is_valid_to_sell"),
            contract_type=text(body, "contract_type"),
            symbol=text(body, self.contract_symbol),
            currency=text(body, "currency"),
            buy_price=price(body, "buy_price"),
            bid_price=maybe(price, body, "bid_price"),
            payout=price(body, "payout"),
            sell_price=maybe(price, body, "sell_price"),
            sell_time=maybe(whole, body, "sell_time"),
            purchase_time=whole(body, "purchase_time"),
            date_start=whole(body, "date_start"),
            date_expiry=maybe(whole, body, "date_expiry"),
            entry_spot=maybe(price, body, self.entry),
            entry_spot_at=maybe(whole, body, f"{self.entry}_time"),
            exit_spot=maybe(price, body, self.exit),
            exit_spot_at=maybe(whole, body, f"{self.exit}_time"),
            current_spot=maybe(price, body, "current_spot"),
            current_spot_at=maybe(whole, body, "current_spot_time"),
            profit=maybe(price, body, "profit"),
            buy_transaction_id=whole(transactions, "buy"),
            sell_transaction_id=maybe(whole, transactions, "sell"),
            commission=maybe(price, body, "commission"),
            app_markup_amount=maybe(amount_text, body, "app_markup_amount"),
            shortcode=text(body, "shortcode"),
            longcode=text(body, "longcode"),
        )

    def portfolio(self, frame: Fields) -> tuple[PortfolioContract, ...]:
        return rows(
            obj(frame, "portfolio"),
            "contracts",
            lambda row: PortfolioContract(
                contract_id=whole(row, "contract_id"),
                transaction_id=whole(row, "transaction_id"),
                contract_type=text(row, "contract_type"),
                symbol=text(row, self.symbol),
                currency=text(row, "currency"),
                buy_price=amount(row, "buy_price"),
                payout=amount(row, "payout"),
                purchase_time=whole(row, "purchase_time"),
                date_start=whole(row, "date_start"),
                expiry_time=maybe(whole, row, "expiry_time"),
                app_id=maybe(whole, row, "app_id"),
                shortcode=text(row, "shortcode"),
                longcode=text(row, "longcode"),
            ),
        )

    def transaction(self, frame: Fields) -> TransactionUpdate | None:
        """``None`` for the frame that only confirms the subscription."""
        body = obj(frame, "transaction")
        if not set(body) - {"id"}:
            return None
        return TransactionUpdate(
            transaction_id=whole(body, "transaction_id"),
            action=text(body, "action"),
            amount=amount(body, "amount"),
            balance=amount(body, "balance"),
            currency=text(body, "currency"),
            at=whole(body, "transaction_time"),
            contract_id=maybe(whole, body, "contract_id"),
            symbol=maybe(text, body, self.symbol),
            purchase_time=maybe(whole, body, "purchase_time"),
            date_expiry=maybe(whole, body, "date_expiry"),
        )
