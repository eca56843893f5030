"""What the control interface tells of accounts, lines and contracts: amounts as text."""

from typing import Any

from brokerage.deriv.simulator.books import Account, Contract, Line


def account(account: Account) -> dict[str, Any]:
    """An account without its token."""
    return {
        "login_id": account.login_id,
        "external_id": account.external_id,
        "currency": account.currency,
        "balance": str(account.balance),
        "is_demo": account.is_demo,
    }


def line(line: Line) -> dict[str, Any]:
    """A movement of the balance."""
    return {
        "transaction_id": line.transaction_id,
        "action": line.action,
        "amount": str(line.amount),
        "balance_after": str(line.balance_after),
        "at": line.at,
        "contract_id": line.contract_id,
        "reference_id": line.reference_id,
    }


def contract(contract: Contract) -> dict[str, Any]:
    """A contract, with what only the venue knows of it."""
    return {
        "contract_id": contract.contract_id,
        "contract_type": contract.terms.contract_type,
        "symbol": contract.terms.symbol,
        "status": contract.status,
        "is_expired": contract.is_expired,
        "buy_price": str(contract.buy_price),
        "payout": str(contract.payout),
        "commission": str(contract.commission),
        "markup": str(contract.markup),
        "sell_price": None if contract.sell_price is None else str(contract.sell_price),
        "purchase_time": contract.purchase_time,
        "sell_time": contract.sell_time,
        "date_expiry": contract.date_expiry,
        "entry_index": contract.entry_index,
        "exit_index": contract.exit_index,
        "app_id": contract.app_id,
        "shortcode": contract.shortcode,
    }
