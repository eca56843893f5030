"""The engine's values as v3 writes them."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from brokerage.deriv.simulator.books import Account, Contract, Line
from brokerage.deriv.simulator.catalog import DEFAULT_STAKE, MAX_PAYOUT, MIN_STAKE, SYMBOLS, Symbol
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.prices import Quote

Frame = dict[str, Any]

_MARKET = {
    "market": "synthetic_index",
    "market_display_name": "Derived",
    "submarket": "random_index",
    "submarket_display_name": "Continuous Indices",
    "subgroup": "synthetics",
    "subgroup_display_name": "Synthetics",
}
_UNITS = {"t": "tick", "s": "second", "m": "minute", "h": "hour", "d": "day"}


def active_symbol(symbol: Symbol, spot: Quote) -> Frame:
    return {
        **_MARKET,
        "symbol": symbol.code,
        "symbol_type": "stockindex",
        "display_name": symbol.name,
        "display_order": symbol.order,
        "pip": symbol.pip,
        "exchange_is_open": 1,
        "is_trading_suspended": 0,
        "allow_forward_starting": 0,
        "spot": spot.price,
        "spot_time": str(spot.epoch),
    }


def offers(symbol: Symbol) -> list[Frame]:
    """The kinds of contract on a symbol: rise and fall, by ticks and by time."""
    return [
        {
            "barrier_category": "euro_atm",
            "barriers": 0,
            "contract_category": "callput",
            "contract_category_display": "Up/Down",
            "contract_display": "Higher" if contract_type == "CALL" else "Lower",
            "contract_type": contract_type,
            "default_stake": DEFAULT_STAKE,
            "min_stake": MIN_STAKE,
            "max_stake": MAX_PAYOUT,
            "exchange_name": "RANDOM",
            "expiry_type": expiry_type,
            "market": _MARKET["market"],
            "submarket": _MARKET["submarket"],
            "min_contract_duration": shortest,
            "max_contract_duration": longest,
            "sentiment": "up" if contract_type == "CALL" else "down",
            "start_type": "spot",
            "underlying_symbol": symbol.code,
        }
        for contract_type in ("CALL", "PUT")
        for expiry_type, shortest, longest in (("tick", "1t", "10t"), ("intraday", "15s", "1d"))
    ]


def tick(quote: Quote, stream_id: str | None) -> Frame:
    symbol = SYMBOLS[quote.symbol]
    frame: Frame = {
        "symbol": quote.symbol,
        "epoch": quote.epoch,
        "quote": quote.price,
        "bid": quote.price - symbol.pip,
        "ask": quote.price + symbol.pip,
        "pip_size": symbol.decimals,
    }
    return frame if stream_id is None else {**frame, "id": stream_id}


def longcode(contract: Contract) -> str:
    """The contract in a sentence."""
    terms = contract.terms
    side = "above" if terms.contract_type == "CALL" else "below"
    unit = _UNITS[terms.unit] + ("" if terms.duration == 1 else "s")
    after = "after the entry tick" if terms.unit == "t" else "after the start"
    return (
        f"Pays {contract.payout} {terms.currency} if {SYMBOLS[terms.symbol].name} is strictly {side} "
        f"its entry spot {terms.duration} {unit} {after}."
    )


def contract_state(engine: Engine, contract: Contract, at: float, account_number: int) -> Frame:
    """A contract as ``proposal_open_contract`` shows it."""
    terms, symbol = contract.terms, SYMBOLS[contract.terms.symbol]
    entry = engine.entry(contract, at)
    settled_at = at if contract.sell_time is None else min(at, float(contract.sell_time) + 1)
    current = engine.market.last(symbol.code, settled_at)
    value = engine.bid(contract, at) if contract.sell_price is None else contract.sell_price
    profit = value - contract.buy_price
    frame: Frame = {
        "account_id": account_number,
        "app_markup_amount": str(contract.markup),
        "barrier_count": 1,
        "bid_price": value,
        "buy_price": contract.buy_price,
        "commission": contract.commission,
        "contract_id": contract.contract_id,
        "contract_type": terms.contract_type,
        "currency": terms.currency,
        "current_spot": current.price,
        "current_spot_display_value": str(current.price),
        "current_spot_time": current.epoch,
        "date_expiry": contract.date_expiry,
        "date_settlement": contract.date_expiry,
        "date_start": contract.purchase_time,
        "display_name": symbol.name,
        "expiry_time": contract.date_expiry,
        "is_expired": int(contract.is_expired or contract.status in ("won", "lost")),
        "is_forward_starting": 0,
        "is_intraday": 1,
        "is_path_dependent": 0,
        "is_settleable": int(contract.is_expired and not contract.is_sold),
        "is_sold": int(contract.is_sold),
        "is_valid_to_cancel": 0,
        "is_valid_to_sell": 0,
        "longcode": longcode(contract),
        "payout": contract.payout,
        "profit": profit,
        "profit_percentage": (100 * profit / contract.buy_price).quantize(Decimal("0.01"), ROUND_HALF_UP),
        "purchase_time": contract.purchase_time,
        "shortcode": contract.shortcode,
        "status": contract.status,
        "transaction_ids": {"buy": contract.buy_transaction_id},
        "underlying": symbol.code,
    }
    if entry is not None:
        frame |= {
            "barrier": str(entry.price),
            "entry_spot": entry.price,
            "entry_spot_display_value": str(entry.price),
            "entry_tick": entry.price,
            "entry_tick_display_value": str(entry.price),
            "entry_tick_time": entry.epoch,
        }
    if terms.unit == "t":
        frame |= _tick_progress(engine, contract, at)
    if contract.is_sold:
        frame |= {"sell_price": value, "sell_time": contract.sell_time}
        frame["transaction_ids"] = {
            "buy": contract.buy_transaction_id,
            "sell": contract.sell_transaction_id,
        }
    elif problem := engine.resale_problem(contract, at):
        frame |= {"validation_error": problem.message, "validation_error_code": problem.code}
    else:
        frame["is_valid_to_sell"] = 1
    if contract.exit_index is not None and (contract.is_expired or contract.is_sold):
        end = engine.market.quote(symbol.code, contract.exit_index)
        name = "sell_spot" if contract.status == "sold" else "exit_tick"
        frame |= {name: end.price, f"{name}_display_value": str(end.price), f"{name}_time": end.epoch}
    return frame


def _tick_progress(engine: Engine, contract: Contract, at: float) -> Frame:
    symbol = contract.terms.symbol
    last = min(engine.market.index_at(symbol, at), contract.exit_index or 0)
    passed = [
        {"epoch": quote.epoch, "tick": quote.price, "tick_display_value": str(quote.price)}
        for quote in engine.market.quotes(symbol, contract.entry_index, last)
    ]
    return {
        "tick_count": contract.terms.duration,
        "tick_passed": max(len(passed) - 1, 0),
        "tick_stream": passed,
    }


def portfolio_row(contract: Contract) -> Frame:
    return {
        "app_id": contract.app_id,
        "buy_price": contract.buy_price,
        "contract_id": contract.contract_id,
        "contract_type": contract.terms.contract_type,
        "currency": contract.terms.currency,
        "date_start": contract.purchase_time,
        "expiry_time": contract.date_expiry,
        "longcode": longcode(contract),
        "payout": contract.payout,
        "purchase_time": contract.purchase_time,
        "shortcode": contract.shortcode,
        "symbol": contract.terms.symbol,
        "transaction_id": contract.buy_transaction_id,
    }


def profit_row(contract: Contract, described: bool) -> Frame:
    row: Frame = {
        "app_id": contract.app_id,
        "buy_price": contract.buy_price,
        "contract_id": contract.contract_id,
        "contract_type": contract.terms.contract_type,
        "duration_type": {"t": "tick", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[
            contract.terms.unit
        ],
        "payout": contract.payout,
        "purchase_time": contract.purchase_time,
        "sell_price": contract.sell_price,
        "sell_time": contract.sell_time,
        "transaction_id": contract.buy_transaction_id,
        "underlying_symbol": contract.terms.symbol,
    }
    return {**row, "longcode": longcode(contract), "shortcode": contract.shortcode} if described else row


def statement_row(line: Line, contract: Contract | None, described: bool) -> Frame:
    row: Frame = {
        "action_type": line.action,
        "amount": line.amount,
        "app_id": contract and contract.app_id,
        "balance_after": line.balance_after,
        "contract_id": line.contract_id,
        "payout": contract and contract.payout,
        "reference_id": line.reference_id,
        "transaction_id": line.transaction_id,
        "transaction_time": line.at,
    }
    if contract is not None and line.action == "sell":
        row["purchase_time"] = contract.purchase_time
    if described:
        row["shortcode"] = contract and contract.shortcode
        row["longcode"] = longcode(contract) if contract else "The balance was credited."
    return row


def transaction(line: Line, account: Account, contract: Contract | None, stream_id: str) -> Frame:
    frame: Frame = {
        "id": stream_id,
        "action": line.action,
        "amount": line.amount,
        "balance": line.balance_after,
        "currency": account.currency,
        "transaction_id": line.transaction_id,
        "transaction_time": line.at,
    }
    if contract is not None:
        frame |= {
            "contract_id": contract.contract_id,
            "date_expiry": contract.date_expiry,
            "display_name": SYMBOLS[contract.terms.symbol].name,
            "longcode": longcode(contract),
            "purchase_time": contract.purchase_time,
            "symbol": contract.terms.symbol,
        }
    return frame


def balance(account: Account, stream_id: str | None = None) -> Frame:
    frame: Frame = {
        "balance": account.balance,
        "currency": account.currency,
        "loginid": account.login_id,
    }
    return frame if stream_id is None else {**frame, "id": stream_id}
