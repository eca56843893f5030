"""What the venue says and is told, as values that know no protocol generation.

Every amount and price is a ``Decimal`` exactly as the venue wrote it. Every ``*_at``, ``*_time``, ``date_*``
is a Unix time in whole seconds on **the venue's** clock. Nothing here is rounded or computed by us.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

ContractType = Literal["CALL", "PUT"]
"""CALL wins if the exit spot is strictly above the entry spot, PUT if strictly below; equal loses both."""
Basis = Literal["stake", "payout"]
DurationUnit = Literal["t", "s", "m", "h", "d"]
"""Ticks, seconds, minutes, hours, days."""
ContractStatus = Literal["open", "won", "lost", "sold", "cancelled"]
Migration = Literal["complete", "pending", "failed", "not_applicable"]
"""Whether the venue has moved a user from generation v3 to v4."""


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """What we ask a price for. ``amount`` is the stake or the payout, as ``basis`` says."""

    contract_type: ContractType
    symbol: str
    basis: Basis
    amount: Decimal
    duration: int
    duration_unit: DurationUnit
    currency: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """Whose connection this is from now on, and what its token may do."""

    login_id: str
    user_id: int | None
    currency: str
    balance: Decimal
    is_demo: bool
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VenueAccount:
    """An account at the venue as its list of accounts shows it."""

    login_id: str
    currency: str
    balance: Decimal
    is_demo: bool
    is_active: bool


@dataclass(frozen=True, slots=True)
class BalanceUpdate:
    """The account's balance, as the venue says it."""

    login_id: str
    currency: str
    balance: Decimal


@dataclass(frozen=True, slots=True)
class Tick:
    """One price of a symbol. ``pip_size`` counts decimal places."""

    symbol: str
    at: int
    quote: Decimal
    pip_size: int


@dataclass(frozen=True, slots=True)
class PricePoint:
    """One past price of a symbol."""

    at: int
    quote: Decimal


@dataclass(frozen=True, slots=True)
class Candle:
    """``at`` is the candle's opening time, a multiple of its length."""

    at: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


@dataclass(frozen=True, slots=True)
class ActiveSymbol:
    """A symbol the venue lists, and whether it can be traded now."""

    symbol: str
    display_name: str
    market: str
    submarket: str
    pip: Decimal
    exchange_is_open: bool
    is_trading_suspended: bool


@dataclass(frozen=True, slots=True)
class ContractOffer:
    """One kind of contract the venue sells on a symbol. Durations are the venue's texts: ``1t``, ``15s``, ``1d``."""

    symbol: str
    contract_type: str
    expiry_type: str
    start_type: str | None
    barrier_category: str | None
    min_duration: str
    max_duration: str
    default_stake: Decimal | None
    min_stake: Decimal | None
    max_stake: Decimal | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A priced offer, not bought. Its ``id`` buys once; a used or old id is refused."""

    id: str
    ask_price: Decimal
    payout: Decimal
    spot: Decimal
    spot_at: int
    date_start: int
    longcode: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """The venue sold us a contract. ``buy_price`` has left the balance."""

    contract_id: int
    transaction_id: int
    buy_price: Decimal
    payout: Decimal
    balance_after: Decimal
    purchase_time: int
    start_time: int
    shortcode: str
    longcode: str


@dataclass(frozen=True, slots=True)
class Sale:
    """The venue bought a contract back before expiry. ``sold_for`` has entered the balance."""

    contract_id: int
    transaction_id: int
    reference_id: int | None
    sold_for: Decimal
    balance_after: Decimal


@dataclass(frozen=True, slots=True)
class ContractState:
    """A contract as the venue sees it now.

    Only ``is_sold`` settles: a contract may be expired and still open. ``profit`` is against ``bid_price`` while
    open, against ``sell_price`` afterwards. ``commission`` and ``app_markup_amount`` are the venue's figures, if
    it shows any.
    """

    contract_id: int
    status: ContractStatus
    is_sold: bool
    is_expired: bool
    is_valid_to_sell: bool
    contract_type: str
    symbol: str
    currency: str
    buy_price: Decimal
    bid_price: Decimal | None
    payout: Decimal
    sell_price: Decimal | None
    sell_time: int | None
    purchase_time: int
    date_start: int
    date_expiry: int | None
    entry_spot: Decimal | None
    entry_spot_at: int | None
    exit_spot: Decimal | None
    exit_spot_at: int | None
    current_spot: Decimal | None
    current_spot_at: int | None
    profit: Decimal | None
    buy_transaction_id: int
    sell_transaction_id: int | None
    commission: Decimal | None
    app_markup_amount: Decimal | None
    shortcode: str
    longcode: str


@dataclass(frozen=True, slots=True)
class PortfolioContract:
    """A contract the account still holds. ``transaction_id`` is its purchase."""

    contract_id: int
    transaction_id: int
    contract_type: str
    symbol: str
    currency: str
    buy_price: Decimal
    payout: Decimal
    purchase_time: int
    date_start: int
    expiry_time: int | None
    app_id: int | None
    shortcode: str
    longcode: str


@dataclass(frozen=True, slots=True)
class ProfitRow:
    """A contract that is over. ``transaction_id`` is its purchase."""

    contract_id: int | None
    transaction_id: int
    contract_type: str | None
    symbol: str | None
    buy_price: Decimal
    sell_price: Decimal
    payout: Decimal
    purchase_time: int
    sell_time: int | None
    app_id: int | None
    shortcode: str
    longcode: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement of the balance: purchases negative, sales and credits positive (0 for a lost contract)."""

    transaction_id: int
    action: str
    amount: Decimal
    balance_after: Decimal
    at: int
    contract_id: int | None
    reference_id: int | None
    payout: Decimal | None
    app_id: int | None
    shortcode: str | None
    longcode: str | None


@dataclass(frozen=True, slots=True)
class TransactionUpdate:
    """A movement of the balance, told as it happens."""

    transaction_id: int
    action: str
    amount: Decimal
    balance: Decimal
    currency: str
    at: int
    contract_id: int | None
    symbol: str | None
    purchase_time: int | None
    date_expiry: int | None


@dataclass(frozen=True, slots=True)
class MarkupLine:
    """What one purchase earned an application, in the client's currency. ``transaction_id`` is the purchase's."""

    transaction_id: int
    login_id: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How many requests a minute the venue takes, by group, and how many price streams at once."""

    general_per_minute: int
    pricing_per_minute: int
    outcome_per_minute: int
    proposal_streams: int


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """``updating`` means that the socket drops within about a minute."""

    status: Literal["up", "down", "updating"]
    limits: CallLimits
    message: str | None
