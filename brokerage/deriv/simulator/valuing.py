"""What a contract the venue has sold is worth, whether it would buy it back, and how it ends."""

from dataclasses import replace
from decimal import Decimal

from brokerage.deriv.simulator import pricing
from brokerage.deriv.simulator.books import Contract, Refusal
from brokerage.deriv.simulator.catalog import SYMBOLS
from brokerage.deriv.simulator.prices import Market, Quote


def entry(market: Market, contract: Contract, at: float) -> Quote | None:
    """The entry tick, once it has happened."""
    if market.index_at(contract.terms.symbol, at) < contract.entry_index:
        return None
    return market.quote(contract.terms.symbol, contract.entry_index)


def resale_problem(market: Market, contract: Contract, at: float) -> Refusal | None:
    """Why the venue would not buy the contract back now; ``None`` if it would."""
    last = market.index_at(contract.terms.symbol, at)
    if contract.terms.unit == "t":
        return Refusal("ResaleNotOffered", "Contracts that last a number of ticks are not bought back.")
    if contract.is_expired or at >= contract.date_expiry:
        return Refusal("ResaleNotOffered", "The contract has expired.")
    if last < contract.entry_index:
        return Refusal("InvalidSellContractProposal", "The contract waits for its entry tick.")
    if last == contract.entry_index:
        return Refusal("SellAtEntryTick", "The contract is at its entry tick; wait for the next one.")
    return None


def running_bid(market: Market, commission: Decimal, contract: Contract, at: float) -> Decimal:
    """What a contract that has not expired is worth to the venue now, rounded down to the cent."""
    symbol = SYMBOLS[contract.terms.symbol]
    spot = market.last(symbol.code, at)
    start = entry(market, contract, at) or spot
    if contract.exit_index is None:
        seconds = (contract.date_expiry - at) * market.clock.speed
    else:
        seconds = (contract.exit_index - max(spot.index, contract.entry_index)) * symbol.interval
    chance = pricing.win_probability(
        contract.terms.contract_type, symbol.volatility, seconds, spot.price, start.price
    )
    return pricing.bid(contract.payout, chance, commission)


def has_won(market: Market, contract: Contract) -> bool:
    """Whether an expired contract ends strictly beyond its entry, on its own side."""
    assert contract.exit_index is not None, "an expired contract has its exit tick"
    symbol = contract.terms.symbol
    start = market.quote(symbol, contract.entry_index).price
    end = market.quote(symbol, contract.exit_index).price
    return end > start if contract.terms.contract_type == "CALL" else end < start


def rescheduled(market: Market, contract: Contract) -> Contract:
    """The contract as of now: one that lasts ticks ends with its exit tick, whose time depends on the speed."""
    if contract.terms.unit != "t" or contract.exit_index is None:
        return contract
    end = market.quote(contract.terms.symbol, contract.exit_index).epoch
    return replace(contract, date_expiry=end)


def end_of(market: Market, contract: Contract) -> float:
    """When the contract expires: its exit tick's time, which depends on the simulator's speed, or its own."""
    if contract.exit_index is None or contract.terms.unit != "t":
        return float(contract.date_expiry)
    return market.time_of(contract.terms.symbol, contract.exit_index)
