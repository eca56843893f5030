"""Calls about what an application has earned: the markup in the prices its clients paid.

The application is the one of the connection, and its developer the account the connection is authorized for: the
simulator keeps no register of developers. A contract's markup counts at the time of its purchase, whether it is open
or how it ended, of real accounts only; a cancelled contract does not count, for its whole price was returned, nor does
one without markup.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.books import Account, Contract, Refusal
from brokerage.deriv.simulator.catalog import exchanged
from brokerage.deriv.simulator.store import Direction, MarkupOrder
from brokerage.deriv.simulator.v3.answers import Answer, Request, call
from brokerage.deriv.simulator.v3.fields import Field, list_of, number, one_of, text, whole
from brokerage.deriv.simulator.v3.market_calls import LOGIN

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

MOMENT = Field(
    text(
        r"[0-9]{4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01]) ([01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9]"
        r"|[0-9]{1,10}"
    ),
    True,
)
"""A day and a time, UTC, or Unix seconds."""
SORTED_BY: dict[str, MarkupOrder] = {
    "app_id": "app_id",
    "client_loginid": "login_id",
    "transaction_time": "purchase_time",
}
_sort_fields = list_of(one_of(*SORTED_BY), len(SORTED_BY))


def _distinct_sort_fields(value: Any) -> str | None:
    problem = _sort_fields(value)
    return problem or ("must not repeat itself" if len(set(value)) < len(value) else None)


@call(
    "app_markup_details",
    {
        "app_markup_details": Field(one_of(1), True),
        "date_from": MOMENT,
        "date_to": MOMENT,
        "app_id": Field(whole()),
        "client_loginid": Field(text(r"[A-Za-z]{2,5}[0-9]{2,20}")),
        "description": Field(one_of(0, 1)),
        "limit": Field(number(0, 1000)),
        "offset": Field(whole(0)),
        "sort": Field(one_of("ASC", "DESC")),
        "sort_fields": Field(_distinct_sort_fields),
        "loginid": LOGIN,
    },
    scope="read",
)
def app_markup_details(session: "Session", request: Request, at: float) -> Answer:
    """What clients paid the connection's application, purchase by purchase.

    Each row has everything known of it whether or not a ``description`` is asked for."""
    account = session.account()
    if request.get("app_id", session.app_id) != session.app_id:
        raise Refusal("InvalidAppID", "This connection is for another application.", {"field": "app_id"})
    contracts = session.engine.store.marked_up_contracts(
        session.app_id,
        _moment(request, "date_from"),
        _moment(request, "date_to"),
        request.get("client_loginid"),
        _order(request),
        int(request.get("limit", 1000)),
        request.get("offset", 0),
    )
    rows = [_row(contract, account) for contract in contracts]
    return Answer("app_markup_details", {"app_markup_details": {"transactions": rows}})


@call(
    "app_markup_statistics",
    {
        "app_markup_statistics": Field(one_of(1), True),
        "date_from": MOMENT,
        "date_to": MOMENT,
        "loginid": LOGIN,
    },
    scope="read",
)
def app_markup_statistics(session: "Session", request: Request, at: float) -> Answer:
    """Sums of what ``app_markup_details`` tells one by one, cent for cent."""
    contracts = session.engine.store.marked_up_contracts(
        session.app_id, _moment(request, "date_from"), _moment(request, "date_to")
    )
    rows = [_row(contract, session.account()) for contract in contracts]
    total = sum((row["app_markup_usd"] for row in rows), Decimal("0.00"))
    breakdown = {
        "app_id": session.app_id,
        "app_markup_usd": total,
        "app_markup_value": sum((row["app_markup_value"] for row in rows), Decimal("0.00")),
        "dev_currcode": session.account().currency,
        "transactions_count": len(rows),
    }
    body = {
        "breakdown": [breakdown] if rows else [],
        "total_app_markup_usd": total,
        "total_transactions_count": len(rows),
    }
    return Answer("app_markup_statistics", {"app_markup_statistics": body})


def _row(contract: Contract, developer: Account) -> dict[str, Any]:
    paid_in = contract.terms.currency
    return {
        "app_id": contract.app_id,
        "app_markup": contract.markup,
        "app_markup_usd": exchanged(contract.markup, paid_in, "USD"),
        "app_markup_value": exchanged(contract.markup, paid_in, developer.currency),
        "client_currcode": paid_in,
        "client_loginid": contract.login_id,
        "dev_currcode": developer.currency,
        "dev_loginid": developer.login_id,
        "transaction_id": contract.buy_transaction_id,
        "transaction_time": str(contract.purchase_time),
    }


def _order(request: Request) -> list[tuple[MarkupOrder, Direction]]:
    """By the fields asked for, then by time; only time and what tells equals apart goes downward."""
    direction: Direction = "ASC" if request.get("sort") == "ASC" else "DESC"
    order: list[tuple[MarkupOrder, Direction]] = []
    for name in dict.fromkeys([*request.get("sort_fields", ()), "transaction_time"]):
        order.append((SORTED_BY[name], direction if name == "transaction_time" else "ASC"))
    return [*order, ("contract_id", direction)]


def _moment(request: Request, name: str) -> int:
    value: str = request[name]
    if "-" not in value:
        return int(value)
    try:
        moment = datetime.strptime(value, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise Refusal("InputValidationFailed", "There is no such day.", {name: "is no day"}) from None
    return int(moment.timestamp())
