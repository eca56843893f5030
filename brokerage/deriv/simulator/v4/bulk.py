"""One contract bought for many accounts, each with its owner's token.

The application's registered markup is in every price. What the contract is to be is looked at where it is bought: terms
that are not on offer are each account's own refusal, not the request's. There is no ceiling: each buys at the price of
its moment.
"""

from decimal import Decimal
from typing import Any, Final

from brokerage.deriv.simulator.books import Refusal
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.v3.fields import problems
from brokerage.deriv.simulator.v3.trading_calls import terms_of
from brokerage.deriv.simulator.v4.asked import Asked, Body, Served, in_meta
from brokerage.deriv.simulator.v4.calls import TERMS, as_v3

MOST_ACCOUNTS: Final = 100
LONGEST: Final = {"token": 512, "account_id": 64}
NO_CEILING: Final = Decimal("Infinity")
_PATH: Final = "/trading/v1/options/contracts/bulk-purchase"


class Bulk:
    """The handlers of bulk purchases, one for real accounts and one for demo accounts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def served(self) -> list[Served]:
        return [
            Served("POST", f"{_PATH}/{kind}", f"bulk_purchase_{kind}", None, handler, in_meta)
            for kind, handler in (("real", self._real), ("demo", self._demo))
        ]

    def _real(self, asked: Asked) -> tuple[int, Body]:
        """Buys a contract for many real accounts, each with its own token; each buys or is refused by itself."""
        return self._purchase(asked, is_demo=False)

    def _demo(self, asked: Asked) -> tuple[int, Body]:
        """The same for demo accounts."""
        return self._purchase(asked, is_demo=True)

    def _purchase(self, asked: Asked, *, is_demo: bool) -> tuple[int, Body]:
        parameters, pairs = _checked(asked.body)
        found = [self._problem(pair, is_demo) for pair in pairs]
        if all(found):
            rows = [
                {
                    "status": 400,
                    "code": problem.code,
                    "message": problem.message,
                    "field": f"accounts.{number}.{(problem.details or {})['field']}",
                }
                for number, problem in enumerate(found)
                if problem is not None
            ]
            return 400, {"errors": rows}
        rows = [
            self._bought(pair["account_id"], parameters, asked) if problem is None else _failed(pair, problem)
            for pair, problem in zip(pairs, found, strict=True)
        ]
        return 200, {"data": {"transactions": rows}}

    def _problem(self, pair: dict[str, str], is_demo: bool) -> Refusal | None:
        """Why this token cannot buy for this account; ``None`` if it can."""
        holder = self._engine.account_of(pair["token"])
        if holder is None:
            return Refusal("Unauthorized", "The token is not valid.", {"field": "token"})
        if "trade" not in holder.scopes:
            return Refusal("AccessDenied", "The token lacks the scope trade.", {"field": "token"})
        for account in self._engine.accounts_of(holder.user_id):
            if account.login_id == pair["account_id"]:
                if account.is_demo == is_demo:
                    return None
                kind = "demo" if account.is_demo else "real"
                return Refusal("ValidationError", f"This is a {kind} account.", {"field": "account_id"})
        return Refusal("AccountNotFound", "The token's owner has no such account.", {"field": "account_id"})

    def _bought(self, login_id: str, parameters: dict[str, Any], asked: Asked) -> Body:
        try:
            if found := problems(parameters, TERMS, "contract_parameters."):
                raise Refusal("InputValidationFailed", f"Check the fields: {', '.join(found)}.")
            markup = self._engine.rules.markup(asked.app_id)
            contract, line = self._engine.buy(
                login_id, terms_of(as_v3(parameters)), NO_CEILING, markup, asked.app_id, asked.at
            )
        except Refusal as refusal:
            return _failed({"account_id": login_id}, refusal)
        return {
            "account_id": login_id,
            "contract_id": contract.contract_id,
            "buy_price": contract.buy_price,
            "transaction_id": line.transaction_id,
        }


def _failed(pair: dict[str, str], problem: Refusal) -> Body:
    return {
        "account_id": pair["account_id"],
        "error": {"code": problem.code, "message": problem.message},
    }


def _checked(body: Body) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The contract's parameters and the pairs. Raises ``Refusal``."""
    parameters, pairs = body.get("contract_parameters"), body.get("accounts")
    if not isinstance(parameters, dict):
        raise _invalid("contract_parameters is an object.", "contract_parameters")
    if not isinstance(pairs, list) or not 1 <= len(pairs) <= MOST_ACCOUNTS:
        raise _invalid(f"accounts is a list of 1 to {MOST_ACCOUNTS}.", "accounts")
    for number, pair in enumerate(pairs):
        if not isinstance(pair, dict) or set(pair) != set(LONGEST):
            raise _invalid("An account is a token and an account_id.", f"accounts.{number}")
        for name, longest in LONGEST.items():
            if not isinstance(pair[name], str) or not 1 <= len(pair[name]) <= longest:
                raise _invalid(f"{name} is a text of 1 to {longest}.", f"accounts.{number}.{name}")
    return parameters, pairs


def _invalid(message: str, field: str) -> Refusal:
    return Refusal("ValidationError", message, {"field": field})
