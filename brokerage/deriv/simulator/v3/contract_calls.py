"""Calls about contracts beside buying and selling one: for many accounts, after expiry, and what is not on offer."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.books import Refusal, Terms
from brokerage.deriv.simulator.v3.answers import Answer, Request, call
from brokerage.deriv.simulator.v3.fields import (
    Field,
    any_object,
    either,
    list_of,
    number,
    one_of,
    problems,
    text,
    whole,
)
from brokerage.deriv.simulator.v3.market_calls import LOGIN, STREAM_ID
from brokerage.deriv.simulator.v3.trading_calls import TERMS, quoted_terms, receipt, terms_of

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

MANY = "buy_contract_for_multiple_accounts"
MOST_TOKENS = 100
_SHARED = (
    "contract_type",
    "currency",
    "symbol",
    "amount",
    "basis",
    "duration_unit",
    "date_start",
    "date_expiry",
    "barrier",
    "barrier2",
    "multiplier",
    "selected_tick",
)
PARAMETERS = {
    **{name: TERMS[name] for name in _SHARED},
    "duration": Field(whole(0, 3600)),
    "app_markup_percentage": Field(number()),
}


def _null_or_number(value: Any) -> str | None:
    return None if value is None else number()(value)


LIMIT_ORDER = {"stop_loss": Field(_null_or_number), "take_profit": Field(_null_or_number)}


@call(
    MANY,
    {
        MANY: Field(either(STREAM_ID, one_of("1")), True),
        "price": Field(number(0), True),
        "tokens": Field(list_of(text(r"[\w\s-]{1,128}"), 1000), True),
        "parameters": Field(any_object),
        "loginid": LOGIN,
    },
    scope="trade",
)
def buy_contract_for_multiple_accounts(session: "Session", request: Request, at: float) -> Answer:
    """Buys for every token's account; each buys or is refused by itself.

    A token named twice buys twice.
    A proposal is used up as soon as one account has bought it.
    """
    if len(request["tokens"]) > MOST_TOKENS:
        raise Refusal("TooManyTokens", f"At most {MOST_TOKENS} tokens at once.", {"field": "tokens"})
    terms, markup = _wanted(session, request, at)
    price = Decimal(request["price"])
    result = [_bought(session, token, terms, price, markup, at) for token in request["tokens"]]
    if any("contract_id" in row for row in result):
        session.proposals.pop(request[MANY], None)
        session.streams.pop(request[MANY], None)
    return Answer(MANY, {MANY: {"result": result}})


def _wanted(session: "Session", request: Request, at: float) -> tuple[Terms, Decimal]:
    """The terms and the markup in percent. Raises ``Refusal``."""
    registered = session.engine.rules.markup(session.app_id)
    if request[MANY] != "1":
        return quoted_terms(session, request[MANY], at), registered
    if "parameters" not in request:
        raise Refusal("InputValidationFailed", "Check the fields: parameters.", {"parameters": "is missing"})
    if found := problems(request["parameters"], PARAMETERS, "parameters."):
        raise Refusal("InputValidationFailed", f"Check the fields: {', '.join(found)}.", found)
    parameters = dict(request["parameters"])
    markup = Decimal(parameters.pop("app_markup_percentage", registered))
    return terms_of(parameters), markup


def _bought(
    session: "Session", token: str, terms: Terms, price: Decimal, markup: Decimal, at: float
) -> dict[str, Any]:
    account = session.engine.account_of(token)
    try:
        if account is None:
            raise Refusal("InvalidToken", "The token is not valid.")
        if "trade" not in account.scopes:
            raise Refusal("PermissionDenied", "The token lacks the scope trade.")
        contract, _ = session.engine.buy(account.login_id, terms, price, markup, session.app_id, at)
    except Refusal as refusal:
        return {"code": refusal.code, "message_to_client": refusal.message, "token": token}
    return {**receipt(contract), "token": token}


@call("sell_expired", {"sell_expired": Field(one_of(1), True), "loginid": LOGIN}, scope="trade")
def sell_expired(session: "Session", request: Request, at: float) -> Answer:
    """Settles what has expired and waits; answers how many."""
    count = session.engine.settle_expired(session.account().login_id, at)
    return Answer("sell_expired", {"sell_expired": {"count": count}})


@call("cancel", {"cancel": Field(whole(), True), "loginid": LOGIN}, scope="trade")
def cancel(session: "Session", request: Request, at: float) -> Answer:
    """Always refused: only contracts sold with a right to cancel have one, and none is on offer."""
    _check_open(session, request["cancel"], at)
    raise Refusal("CancelFailed", "This contract was sold without a right to cancel it.")


@call(
    "contract_update",
    {
        "contract_update": Field(one_of(1), True),
        "contract_id": Field(whole(), True),
        "limit_order": Field(any_object, True),
        "loginid": LOGIN,
    },
    scope="trade",
)
def contract_update(session: "Session", request: Request, at: float) -> Answer:
    """Always refused: a rise or fall contract has no stop loss and no take profit."""
    if found := problems(request["limit_order"], LIMIT_ORDER, "limit_order."):
        raise Refusal("InputValidationFailed", f"Check the fields: {', '.join(found)}.", found)
    _check_open(session, request["contract_id"], at)
    raise Refusal("ContractUpdateNotAllowed", "Contracts of this type are not changed after the purchase.")


def _check_open(session: "Session", contract_id: int, at: float) -> None:
    """Raises ``Refusal`` unless the contract is the account's and open."""
    session.engine.advance(at)
    contract = session.engine.contract(session.account().login_id, contract_id)
    if contract is None:
        raise Refusal("ContractNotFound", "The account has no such contract.", {"field": "contract_id"})
    if contract.is_sold:
        raise Refusal("ContractAlreadySold", "This contract is over.")
