"""How the simulated venue behaves: what an operator sets, and what it refuses to sell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from brokerage.deriv.simulator.books import Refusal, Terms
from brokerage.deriv.simulator.catalog import (
    CENT,
    CURRENCIES,
    LONGEST_SECONDS,
    MIN_STAKE,
    SHORTEST_SECONDS,
    SYMBOLS,
    TICKS_OFFERED,
    UNIT_SECONDS,
)

MAX_MARKUP_PERCENT = Decimal(3)
LARGEST_AMOUNT = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class Rules:
    """``commission`` is a fraction of the payout, markups are percentages of it, times are in seconds."""

    commission: Decimal = Decimal("0.012")
    default_markup: Decimal = Decimal(0)
    """The markup in percent an application without an entry of its own in ``markups`` has registered."""
    markups: Mapping[int, Decimal] = field(default_factory=dict)
    settle_delay: float = 0.5
    """How long a contract stays expired and unsettled."""
    withdrawal_delay: float = 2.0
    """How long a withdrawal through a payment agent stays pending."""
    open_positions: int = 100
    top_up_to: Decimal = Decimal("10000.00")

    def markup(self, app_id: int) -> Decimal:
        """The application's registered markup, in percent of the payout."""
        return self.markups.get(app_id, self.default_markup)


def seconds_of(terms: Terms) -> int:
    """How long the contract runs at true speed, nominally."""
    if terms.unit == "t":
        return terms.duration * SYMBOLS[terms.symbol].interval
    return terms.duration * UNIT_SECONDS[terms.unit]


def check_offered(terms: Terms) -> None:
    """Refuse what is not on offer: symbol, type, duration, currency, digits. Limits on amounts come later."""
    if terms.symbol not in SYMBOLS:
        raise Refusal("InvalidSymbol", f"There is no symbol {terms.symbol}.", {"field": "symbol"})
    if terms.contract_type not in ("CALL", "PUT"):
        raise Refusal(
            "OfferingsValidationError", "This contract type is not on offer.", {"field": "contract_type"}
        )
    if terms.currency not in CURRENCIES:
        raise Refusal(
            "OfferingsValidationError", "Contracts are not sold in this currency.", {"field": "currency"}
        )
    offered = (
        terms.duration in TICKS_OFFERED
        if terms.unit == "t"
        else SHORTEST_SECONDS <= seconds_of(terms) <= LONGEST_SECONDS
    )
    if not offered:
        raise Refusal("OfferingsValidationError", "This duration is not on offer.", {"field": "duration"})
    if terms.amount > LARGEST_AMOUNT:
        raise Refusal("PayoutLimits", "The amount is too large.", {"field": "amount"})
    if terms.amount != terms.amount.quantize(CENT):
        raise Refusal(
            "ContractBuyValidationError", "An amount has at most two decimals.", {"field": "amount"}
        )
    if terms.amount < MIN_STAKE and terms.basis == "stake":
        raise Refusal("StakeLimits", f"The stake is at least {MIN_STAKE}.", {"field": "amount"})


def check_markup(percent: Decimal) -> Decimal:
    """The percentage as a fraction; refused outside 0 to 3 percent."""
    if not 0 <= percent <= MAX_MARKUP_PERCENT:
        raise Refusal(
            "InputValidationFailed",
            "The markup is between 0 and 3 percent.",
            {"app_markup_percentage": "is between 0 and 3"},
        )
    return percent / 100
