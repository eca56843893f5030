"""Calls that move money between the accounts of one user."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator import transfers
from brokerage.deriv.simulator.books import Account, Refusal
from brokerage.deriv.simulator.v3.answers import Answer, Request, call
from brokerage.deriv.simulator.v3.fields import Field, number, one_of, text
from brokerage.deriv.simulator.v3.market_calls import CURRENCY, LOGIN
from brokerage.deriv.simulator.v3.user_calls import company

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

NAME = "transfer_between_accounts"
WHICH = text(r"\w{1,40}")


@call(
    NAME,
    {
        NAME: Field(one_of(1), True),
        "account_from": Field(WHICH),
        "account_to": Field(WHICH),
        "accounts": Field(one_of("all", "brief")),
        "amount": Field(number(0)),
        "currency": Field(CURRENCY),
        "loginid": LOGIN,
    },
    scope="payments",
)
def transfer_between_accounts(session: "Session", request: Request, at: float) -> Answer:
    """Moves money between a person's real accounts, exchanged; otherwise lists them.

    Money leaves the connection's own account; without both accounts named nothing moves and all are listed."""
    engine, account = session.engine, session.account()
    if "account_from" not in request or "account_to" not in request:
        rows = [_row(one, account) for one in engine.accounts_of(account.user_id)]
        return Answer(NAME, {NAME: 0, "accounts": rows})
    missing = {name: "is missing" for name in ("amount", "currency") if name not in request}
    if missing:
        raise Refusal("InputValidationFailed", f"Check the fields: {', '.join(missing)}.", missing)
    if request["account_from"] != account.login_id:
        raise Refusal("PermissionDenied", "The token is for another account.", {"field": "account_from"})
    amount, to = Decimal(request["amount"]), request["account_to"]
    line, _ = engine.transfer(account.login_id, to, amount, request["currency"], at)
    rows = [_row(engine.account(login_id)) for login_id in (account.login_id, to)]
    body = {
        NAME: 1,
        "accounts": rows,
        "client_to_full_name": "",
        "client_to_loginid": to,
        "transaction_id": line.transaction_id,
    }
    return Answer(NAME, body)


def _row(account: Account, beside: Account | None = None) -> dict[str, Any]:
    """``beside`` is the connection's account: between it and the others money may move, or not."""
    row: dict[str, Any] = {
        "account_category": "trading",
        "account_type": "binary",
        "balance": str(account.balance),
        "currency": account.currency,
        "demo_account": int(account.is_demo),
        "landing_company_short": company(account),
        "loginid": account.login_id,
        "market_type": "all",
        "status": None,
    }
    if beside is not None:
        # the connection's own account is where the money leaves
        own = account.login_id == beside.login_id and not account.is_demo
        row["transfers"] = (
            "withdrawal" if own else "deposit" if transfers.may_transfer(account, beside) else "none"
        )
    return row
