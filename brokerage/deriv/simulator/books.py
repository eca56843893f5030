"""What the venue's books hold: accounts, contracts and statement lines. Immutable; changes are new values."""

import string
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal


class Refusal(Exception):
    """The venue says no; nothing has changed. ``code`` and ``details`` go out on the wire as they are."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details


def login_number(login_id: str) -> int:
    """The number in a login, without the letters before it."""
    return int(login_id.lstrip(string.ascii_uppercase))


@dataclass(frozen=True, slots=True)
class Account:
    """A client's account at the simulated venue, with its token and balance."""

    login_id: str
    external_id: str
    token: str
    user_id: int
    currency: str
    balance: Decimal
    is_demo: bool
    scopes: tuple[str, ...]
    opened_at: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be priced; ``duration`` in ``unit``: t(icks), s, m, h, d."""

    contract_type: str
    symbol: str
    basis: Literal["stake", "payout"]
    amount: Decimal
    duration: int
    unit: str
    currency: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract sold to an account.

    ``entry_index`` and ``exit_index`` number the ticks that decide it; a timed contract learns its exit index at
    expiry, so that a change of the simulator's speed moves no promise. Times are whole Unix seconds.
    """

    contract_id: int
    login_id: str
    app_id: int
    terms: Terms
    buy_price: Decimal
    payout: Decimal
    commission: Decimal
    markup: Decimal
    purchase_time: int
    date_expiry: int
    entry_index: int
    exit_index: int | None
    buy_transaction_id: int
    status: str = "open"
    is_expired: bool = False
    sell_price: Decimal | None = None
    sell_time: int | None = None
    sell_transaction_id: int | None = None

    @property
    def is_sold(self) -> bool:
        return self.status != "open"

    @property
    def shortcode(self) -> str:
        terms = self.terms
        end = f"{terms.duration}T" if terms.unit == "t" else str(self.date_expiry)
        return f"{terms.contract_type}_{terms.symbol}_{self.payout}_{self.purchase_time}_{end}_S0P_0"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a contract ends: so long after it is due, or cancelled with its price returned."""

    late_seconds: float = 0.0
    is_refunded: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """An account was moved to generation v4: its login now and before, and the last transaction before."""

    login_id: str
    was: str
    last_transaction: int


@dataclass(frozen=True, slots=True)
class Following:
    """One account copies another's purchases. Empty ``assets`` or ``trade_types`` mean all; stakes without end, any."""

    copier: str
    trader: str
    assets: tuple[str, ...] = ()
    trade_types: tuple[str, ...] = ()
    min_trade_stake: Decimal | None = None
    max_trade_stake: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """A user through whom others pay in and out. What agent and client settle between them, the venue does not see.

    Commissions are in percent and only shown; a minimum and a maximum are of one withdrawal, in USD. ``rejects`` has the
    agent turn down every withdrawal.
    """

    agent_id: int
    user_id: int
    created_at: int
    name: str
    countries: tuple[str, ...]
    is_active: bool = True
    is_listed: bool = True
    rejects: bool = False
    deposit_commission: Decimal | None = None
    withdrawal_commission: Decimal | None = None
    withdrawal_minimum: Decimal | None = None
    withdrawal_maximum: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that moves through an agent: a transfer to a client, done at once, or a client's withdrawal.

    ``caller`` and ``client`` are users. ``amount`` in USD. ``due``: when a pending one is decided, Unix seconds.
    """

    payment_id: int
    kind: Literal["transfer", "withdrawal"]
    caller: int
    client: int
    agent_id: int
    request_id: str | None
    amount: Decimal
    status: str
    due: float
    transaction_id: int = 0


@dataclass(frozen=True, slots=True)
class VerificationCode:
    """What a user must repeat to withdraw this much through this agent. ``wrong`` counts the failed tries."""

    user_id: int
    agent_id: int
    amount: Decimal
    code: str
    next_request_at: int
    expires_at: int
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One movement of an account's balance, with the balance it left. ``at`` in whole Unix seconds."""

    transaction_id: int
    login_id: str
    action: str
    amount: Decimal
    balance_after: Decimal
    at: int
    contract_id: int | None = None
    reference_id: int | None = None
