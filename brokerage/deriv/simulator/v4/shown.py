"""The handlers' answers as v4 writes them: other names, contracts' prices as texts, nothing of applications."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

Body = dict[str, Any]

MOVES: Final = ("buy", "sell", "deposit", "withdrawal")


def shown(msg_type: str, body: Body) -> Body:
    """A body for the wire; errors and what both generations write alike pass as they are."""
    write = _WRITERS.get(msg_type)
    if write is None or msg_type not in body:
        return body
    return {**body, msg_type: write(body[msg_type])}


def _renamed(row: Body, names: dict[str, str | None]) -> Body:
    """Fields under their new names; those whose name is ``None`` are left out."""
    return {known: value for name, value in row.items() if (known := names.get(name, name)) is not None}


def _active_symbols(rows: list[Body]) -> list[Body]:
    return [
        {
            "underlying_symbol": row["symbol"],
            "underlying_symbol_name": row["display_name"],
            "underlying_symbol_type": row["symbol_type"],
            "pip_size": row["pip"],
            "trade_count": 0,
            **{
                name: row[name]
                for name in ("market", "submarket", "subgroup", "exchange_is_open", "is_trading_suspended")
            },
        }
        for row in rows
    ]


_OFFER: Final = (
    "barriers", "contract_category", "contract_type", "default_stake", "expiry_type", "market",
    "max_contract_duration", "max_stake", "min_contract_duration", "min_stake", "sentiment", "submarket",
    "underlying_symbol",
)  # fmt: skip


def _contracts_for(body: Body) -> Body:
    rows = [{name: row[name] for name in _OFFER} for row in body["available"]]
    return {"available": rows, "hit_count": body["hit_count"]}


def _proposal(body: Body) -> Body:
    return _renamed(body, {"display_value": None})


_PRICES: Final = (
    "bid_price", "buy_price", "commission", "current_spot", "entry_spot", "exit_spot", "payout", "profit", "sell_price",
)  # fmt: skip
_CONTRACT: Final[dict[str, str | None]] = {
    "underlying": "underlying_symbol",
    # v3 has the entry spot under two names.
    "entry_spot": None, "entry_spot_display_value": None, "entry_tick_display_value": None,
    "entry_tick": "entry_spot", "entry_tick_time": "entry_spot_time",
    "exit_tick": "exit_spot", "exit_tick_time": "exit_spot_time", "exit_tick_display_value": None,
    "sell_spot": None, "sell_spot_time": None, "sell_spot_display_value": None,
    "current_spot_display_value": None, "display_name": None, "is_forward_starting": None,
}  # fmt: skip


def _contract(body: Body) -> Body:
    named = _renamed(body, _CONTRACT)
    return named | {name: format(named[name], "f") for name in _PRICES if name in named}


def _contract_rows(body: Body) -> Body:
    rows = "contracts" if "contracts" in body else "transactions"
    names = {"symbol": "underlying_symbol", "app_id": None}
    return {**body, rows: [_with_move(_renamed(row, names), "action_type") for row in body[rows]]}


def _transaction(body: Body) -> Body:
    return _with_move(_renamed(body, {"symbol": "underlying_symbol", "display_name": None}), "action")


def _with_move(row: Body, name: str) -> Body:
    """v4 knows four kinds of movement: any other is money in or out."""
    if name in row and row[name] not in MOVES:
        return {**row, name: moved(row["amount"])}
    return row


def moved(amount: Decimal) -> str:
    """What a movement that is no trade is called."""
    return "deposit" if amount >= 0 else "withdrawal"


def _trading_times(body: Body) -> Body:
    names: dict[str, str | None] = {"symbol": "underlying_symbol"}
    return {
        "markets": [
            {
                **market,
                "submarkets": [
                    {**submarket, "symbols": [_renamed(row, names) for row in submarket["symbols"]]}
                    for submarket in market["submarkets"]
                ],
            }
            for market in body["markets"]
        ]
    }


def _balance(body: Body) -> Body:
    return _renamed(body, {"accounts": None})


_WRITERS: Final[dict[str, Callable[[Any], Any]]] = {
    "active_symbols": _active_symbols,
    "contracts_for": _contracts_for,
    "proposal": _proposal,
    "proposal_open_contract": _contract,
    "portfolio": _contract_rows,
    "profit_table": _contract_rows,
    "statement": _contract_rows,
    "transaction": _transaction,
    "balance": _balance,
    "trading_times": _trading_times,
}
