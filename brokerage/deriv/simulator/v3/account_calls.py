"""Calls about an account: whose it is, what it holds, what moved."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from brokerage.deriv.simulator.books import Refusal
from brokerage.deriv.simulator.v3 import frames, user_calls
from brokerage.deriv.simulator.v3.answers import Answer, Request, call
from brokerage.deriv.simulator.v3.fields import Field, either, list_of, number, one_of, text, whole
from brokerage.deriv.simulator.v3.market_calls import CONTRACT_TYPE, EPOCH, LOGIN
from brokerage.deriv.simulator.v3.streams import (
    BalanceStream,
    ContractStream,
    ProposalStream,
    Stream,
    TransactionStream,
)

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

TOKEN = text(r"[A-Za-z0-9_-]{1,128}")
DATE = text(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,10}")
"""A day, or Unix seconds."""


@call(
    "authorize",
    {
        "authorize": Field(TOKEN, True),
        "add_to_login_history": Field(one_of(0, 1)),
        "tokens": Field(list_of(TOKEN, 25)),
    },
)
def authorize(session: "Session", request: Request, at: float) -> Answer:
    """Opens one account for the connection; lists the person's others."""
    account = session.engine.account_of(request["authorize"])
    if account is None or session.moves.is_moved(account.user_id):
        raise Refusal("InvalidToken", "The token is not valid.")
    if session.login_id != account.login_id:
        _leave(session)
    session.belong_to(account.login_id)
    accounts = session.engine.accounts_of(account.user_id)
    body = {
        "account_list": [{**user_calls.account_row(one), "currency_type": "fiat"} for one in accounts],
        "balance": account.balance,
        "country": "",
        "currency": account.currency,
        "email": user_calls.email(session.engine, account),
        "fullname": "",
        "is_virtual": int(account.is_demo),
        "landing_company_fullname": "Simulated",
        "landing_company_name": user_calls.company(account),
        "linked_to": [],
        "local_currencies": {},
        "loginid": account.login_id,
        "preferred_language": "EN",
        "scopes": list(account.scopes),
        "upgradeable_landing_companies": [],
        "user_id": account.user_id,
    }
    return Answer("authorize", {"authorize": body})


@call("logout", {"logout": Field(one_of(1), True), "loginid": LOGIN})
def logout(session: "Session", request: Request, at: float) -> Answer:
    """Leaves the account; its streams end."""
    _leave(session)
    return Answer("logout", {"logout": 1})


def _leave(session: "Session") -> None:
    """Streams and proposals of an account end when another takes over the connection."""
    session.belong_to(None)
    session.proposals.clear()
    private = (BalanceStream, ContractStream, TransactionStream, ProposalStream)
    for stream in [stream for stream in session.streams.values() if isinstance(stream, private)]:
        del session.streams[stream.id]


@call(
    "balance",
    {
        "balance": Field(one_of(1), True),
        "account": Field(either(one_of("current", "all"), LOGIN.check)),
        "subscribe": Field(one_of(0, 1)),
        "loginid": LOGIN,
    },
    scope="read",
)
def balance(session: "Session", request: Request, at: float) -> Answer:
    """Of this account, or of all the person's with totals; can be followed."""
    account = session.account()
    if request.get("account", "current") not in ("current", "all", account.login_id):
        raise Refusal("PermissionDenied", "The token is for another account.", {"field": "account"})
    everything = request.get("account") == "all"
    stream: Stream | None = None
    if request.get("subscribe"):
        kind = user_calls.AllBalancesStream if everything else BalanceStream
        stream = session.subscribe(kind(session, account.login_id))
    body = frames.balance(account, stream.id if stream else None)
    if everything:
        body |= user_calls.all_balances(session.engine, account)
    return Answer("balance", {"balance": body}, stream)


@call(
    "portfolio",
    {"portfolio": Field(one_of(1), True), "contract_type": Field(list_of(CONTRACT_TYPE)), "loginid": LOGIN},
    scope="read",
    group="outcome",
)
def portfolio(session: "Session", request: Request, at: float) -> Answer:
    """Open contracts."""
    session.engine.advance(at)
    wanted = request.get("contract_type") or ["CALL", "PUT"]
    rows = [
        frames.portfolio_row(contract)
        for contract in session.engine.open_contracts(session.account().login_id)
        if contract.terms.contract_type in wanted
    ]
    return Answer("portfolio", {"portfolio": {"contracts": rows}})


@call(
    "profit_table",
    {
        "profit_table": Field(one_of(1), True),
        "contract_type": Field(list_of(CONTRACT_TYPE)),
        "date_from": Field(DATE),
        "date_to": Field(DATE),
        "description": Field(one_of(0, 1)),
        "limit": Field(number(0, 500)),
        "offset": Field(whole(0)),
        "sort": Field(one_of("ASC", "DESC")),
        "loginid": LOGIN,
    },
    scope="read",
    group="outcome",
)
def profit_table(session: "Session", request: Request, at: float) -> Answer:
    """Closed contracts."""
    session.engine.advance(at)
    contracts = session.engine.store.closed_contracts(
        session.account().login_id,
        _moment(request, "date_from", 0),
        _moment(request, "date_to", 86399),
        tuple(request.get("contract_type", ())),
        int(request.get("limit", 50)),
        request.get("offset", 0),
        request.get("sort") == "ASC",
        session.forgotten(),
    )
    rows = [frames.profit_row(contract, request.get("description") == 1) for contract in contracts]
    return Answer("profit_table", {"profit_table": {"count": len(rows), "transactions": rows}})


def _moment(request: Request, name: str, past_midnight: int) -> int | None:
    """Unix seconds; a day means so many seconds past its midnight, UTC."""
    value = request.get(name)
    if value is None:
        return None
    if "-" not in value:
        return int(value)
    year, month, day = (int(part) for part in value.split("-"))
    try:
        midnight = datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        raise Refusal("InputValidationFailed", "There is no such day.", {name: "is no day"}) from None
    return int(midnight.timestamp()) + past_midnight


@call(
    "statement",
    {
        "statement": Field(one_of(1), True),
        "action_type": Field(text(r"[a-z_]{3,20}")),
        "date_from": Field(EPOCH),
        "date_to": Field(EPOCH),
        "description": Field(one_of(0, 1)),
        "limit": Field(number(0, 999)),
        "offset": Field(whole(0)),
        "loginid": LOGIN,
    },
    scope="read",
    group="outcome",
)
def statement(session: "Session", request: Request, at: float) -> Answer:
    """The account's lines."""
    session.engine.advance(at)
    login_id = session.account().login_id
    # v4 asks by the four names that it shows.
    is_v3, wanted = session.generation.name == "v3", request.get("action_type")
    lines = session.engine.store.lines(
        login_id,
        request.get("date_from"),
        request.get("date_to"),
        wanted if is_v3 else None,
        int(request.get("limit", 100)),
        request.get("offset", 0),
        kind=None if is_v3 else wanted,
        after=session.forgotten(),
    )
    rows = [
        frames.statement_row(
            line,
            session.engine.contract(login_id, line.contract_id) if line.contract_id else None,
            request.get("description") == 1,
        )
        for line in lines
    ]
    return Answer("statement", {"statement": {"count": len(rows), "transactions": rows}})


@call(
    "transaction",
    {"transaction": Field(one_of(1), True), "subscribe": Field(one_of(1), True), "loginid": LOGIN},
    scope="read",
)
def transaction(session: "Session", request: Request, at: float) -> Answer:
    """Follows the account's lines."""
    stream = session.subscribe(TransactionStream(session, session.account().login_id))
    return Answer("transaction", {"transaction": {"id": stream.id}}, stream)


@call("topup_virtual", {"topup_virtual": Field(one_of(1), True), "loginid": LOGIN}, scope="trade")
def topup_virtual(session: "Session", request: Request, at: float) -> Answer:
    """Fills a demo account up again."""
    account = session.account()
    line = session.engine.top_up(account.login_id, at)
    body = {"amount": line.amount, "currency": account.currency}
    return Answer("topup_virtual", {"topup_virtual": body})
