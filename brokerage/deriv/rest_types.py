"""What the venue says over HTTP about payment agents, applications and bulk purchases, as values.

As in ``types``: every amount is a ``Decimal`` exactly as the venue wrote it, every ``*_at`` a Unix time in whole seconds on
**the venue's** clock, and nothing is rounded or computed by us.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

PaymentStatus = Literal["requested", "pending", "complete", "rejected", "failed"]
"""Only the last three are final. A rejected or failed withdrawal is back in the client's wallet."""


@dataclass(frozen=True, slots=True)
class AgentTerms:
    """What an agent asks for in one currency.

    Commissions are in percent of the amount and settled outside the venue; limits are of one withdrawal, in the currency.
    ``None``: there is none.
    """

    currency: str
    deposit_commission: Decimal | None
    withdrawal_commission: Decimal | None
    withdrawal_minimum: Decimal | None
    withdrawal_maximum: Decimal | None


@dataclass(frozen=True, slots=True)
class PaymentAgent:
    """A user of the venue through whom others pay in and out. ``countries`` are codes of two small letters.

    ``is_listed`` is false for one that is shown only to those who know it; ``None`` if the venue does not say.
    """

    agent_id: int
    name: str | None
    countries: tuple[str, ...]
    is_listed: bool | None
    terms: tuple[AgentTerms, ...]
    """One in a list of agents: for the currency asked for."""


@dataclass(frozen=True, slots=True)
class AgentCoverage:
    """The countries and currencies that at least one active, listed agent serves."""

    countries: tuple[str, ...]
    currencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Payment:
    """Where a transfer or a withdrawal stands. ``transaction_id`` is ``None`` as long as the venue has not given one."""

    status: PaymentStatus
    transaction_id: int | None


@dataclass(frozen=True, slots=True)
class CodeSent:
    """A verification code is on its way to the client: until when it is good, and when another may be asked for."""

    expires_at: int
    next_request_at: int


@dataclass(frozen=True, slots=True)
class MarkupSums:
    """What clients paid one application, or several, over some days, in USD: the venue exchanged and rounded."""

    markup: Decimal
    volume: Decimal
    """The sum of the purchase prices."""
    payout: Decimal
    """The sum of what the contracts could have paid."""
    contracts: int
    clients: int


@dataclass(frozen=True, slots=True)
class MarkupStatistics:
    """The sums of all the caller's applications, and of each by its id."""

    total: MarkupSums
    applications: tuple[tuple[str, MarkupSums], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Buyer:
    """An account to buy for, and its owner's token, which is a secret."""

    login_id: str
    token: str


@dataclass(frozen=True, slots=True)
class BulkPurchase:
    """What became of one account's part in a bulk purchase: a contract, or the code of the venue's refusal.

    ``buy_price`` is in the account's currency and has left its balance.
    """

    login_id: str
    contract_id: int | None = None
    buy_price: Decimal | None = None
    transaction_id: int | None = None
    refusal: str | None = None
