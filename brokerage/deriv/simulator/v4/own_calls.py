"""Calls of a v4 socket that v3 has not got here."""

from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.books import Refusal
from brokerage.deriv.simulator.catalog import SYMBOLS
from brokerage.deriv.simulator.v3 import frames
from brokerage.deriv.simulator.v3.answers import Answer, Request

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session


def contracts_list(session: "Session", request: Request, at: float) -> Answer:
    """Every category of contract, with its types."""
    categories: dict[str, dict[str, Any]] = {}
    for symbol in SYMBOLS.values():
        for offer in frames.offers(symbol):
            row = categories.setdefault(
                offer["contract_category"],
                {
                    "contract_category": offer["contract_category"],
                    "contract_types": [],
                    "display_name": offer["contract_category_display"],
                },
            )
            if offer["contract_type"] not in row["contract_types"]:
                row["contract_types"].append(offer["contract_type"])
    return Answer("contracts_list", {"contracts_list": list(categories.values())})


def contract_update_history(session: "Session", request: Request, at: float) -> Answer:
    """Always empty: no contract on offer has limits that could have been changed."""
    session.engine.advance(at)
    if session.engine.contract(session.account().login_id, request["contract_id"]) is None:
        raise Refusal("ContractNotFound", "The account has no such contract.", {"field": "contract_id"})
    return Answer("contract_update_history", {"contract_update_history": []})
