"""Calls about the person behind an account: all their accounts, and what is known of them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.books import Account
from brokerage.deriv.simulator.catalog import exchanged
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.events import Booked, Event
from brokerage.deriv.simulator.v3 import frames
from brokerage.deriv.simulator.v3.answers import Answer, Request, call
from brokerage.deriv.simulator.v3.fields import Field, one_of
from brokerage.deriv.simulator.v3.market_calls import LOGIN
from brokerage.deriv.simulator.v3.streams import BalanceStream, Body

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session


def company(account: Account) -> str:
    return "virtual" if account.is_demo else "svg"


def account_row(account: Account) -> dict[str, Any]:
    return {
        "account_category": "trading",
        "account_type": "binary",
        "broker": account.login_id.rstrip("0123456789"),
        "created_at": account.opened_at,
        "currency": account.currency,
        "is_disabled": 0,
        "is_virtual": int(account.is_demo),
        "landing_company_name": company(account),
        "linked_to": [],
        "loginid": account.login_id,
    }


def email(engine: Engine, account: Account) -> str:
    """One per person: it is made of the account they opened first."""
    return f"{engine.accounts_of(account.user_id)[0].login_id.lower()}@simulator.invalid"


def all_balances(engine: Engine, account: Account) -> dict[str, Any]:
    """Every account of the account's user, and totals of real and demo money in this account's currency."""
    accounts = engine.accounts_of(account.user_id)
    worth = {one.login_id: exchanged(one.balance, one.currency, account.currency) for one in accounts}
    rows = {
        one.login_id: {
            "balance": one.balance,
            "converted_amount": worth[one.login_id],
            "currency": one.currency,
            "demo_account": int(one.is_demo),
            "status": 1,
            "type": "deriv",
        }
        for one in accounts
    }
    total = {}
    for name, is_demo in (("deriv", False), ("deriv_demo", True)):
        amounts = [worth[one.login_id] for one in accounts if one.is_demo == is_demo]
        total[name] = {"amount": sum(amounts, Decimal("0.00")), "currency": account.currency}
    return {"accounts": rows, "total": total}


class AllBalancesStream(BalanceStream):
    """The balance of whichever account of the user has changed, with all the others beside it."""

    def happened(self, event: Event, at: float) -> Iterator[Body]:
        engine = self.session.engine
        own = engine.account(self.login_id)
        if isinstance(event, Booked) and event.account.user_id == own.user_id:
            yield {"balance": frames.balance(event.account, self.id) | all_balances(engine, own)}


@call("account_list", {"account_list": Field(one_of(1), True)}, scope="read")
def account_list(session: "Session", request: Request, at: float) -> Answer:
    """All accounts of the person."""
    accounts = session.engine.accounts_of(session.account().user_id)
    return Answer("account_list", {"account_list": [account_row(account) for account in accounts]})


@call("get_settings", {"get_settings": Field(one_of(1), True), "loginid": LOGIN}, scope="read")
def get_settings(session: "Session", request: Request, at: float) -> Answer:
    """What is known of the person: an address for mail, made up.

    The venue asks its clients for nothing but an account: names and addresses are empty."""
    account = session.account()
    real = any(not one.is_demo for one in session.engine.accounts_of(account.user_id))
    body: dict[str, Any] = {
        "country": None,
        "country_code": None,
        "email": email(session.engine, account),
        "email_consent": 0,
        "feature_flag": {"wallet": 0},
        "has_secret_answer": 0,
        "immutable_fields": [],
        "preferred_language": "EN",
        "residence": None,
        "trading_hub": 0,
        "user_hash": None,
    }
    if real:
        body |= {"first_name": "", "last_name": "", "date_of_birth": None, "phone": None}
    if not account.is_demo:
        body |= {"allow_copiers": int("read" in account.scopes), "is_authenticated_payment_agent": 0}
    return Answer("get_settings", {"get_settings": body})
