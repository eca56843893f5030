"""Calls about an account: prices, purchases, sales, contracts, statements."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from brokerage.deriv.simulator.books import Contract, Refusal, Terms
from brokerage.deriv.simulator.catalog import MAX_PAYOUT, MIN_STAKE
from brokerage.deriv.simulator.rules import seconds_of
from brokerage.deriv.simulator.v3 import frames, limits
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
from brokerage.deriv.simulator.v3.market_calls import CONTRACT_TYPE, EPOCH, LOGIN, STREAM_ID, SUBSCRIBE, WORD
from brokerage.deriv.simulator.v3.streams import (
    BalanceStream,
    ContractStream,
    ProposalStream,
    Stream,
    TransactionStream,
)

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

TOKEN = text(r"[\w-]{1,128}")
BARRIER = text(r"(?=.{1,20}$)[+-]?[0-9]+\.?[0-9]*")
DATE = text(r"[0-9]{4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01])|[0-9]{1,10}")

TERMS = {
    "contract_type": Field(CONTRACT_TYPE, True),
    "currency": Field(text(r"[a-zA-Z0-9]{2,20}"), True),
    "symbol": Field(WORD, True),
    "amount": Field(number(0)),
    "basis": Field(one_of("stake", "payout")),
    "duration": Field(whole(0, 99_999_999)),
    "duration_unit": Field(one_of("t", "s", "m", "h", "d")),
    "date_start": Field(EPOCH),
    "date_expiry": Field(EPOCH),
    "barrier": Field(BARRIER),
    "barrier2": Field(BARRIER),
    "barrier_range": Field(WORD),
    "cancellation": Field(WORD),
    "growth_rate": Field(number()),
    "limit_order": Field(any_object),
    "multiplier": Field(number(0)),
    "payout_per_point": Field(number()),
    "product_type": Field(one_of("basic")),
    "selected_tick": Field(whole()),
    "trade_risk_profile": Field(WORD),
    "trading_period_start": Field(EPOCH),
}
"""Everything a contract may be described with. What only other contract types know is refused as not offered."""
NOT_OFFERED = (
    "date_start",
    "date_expiry",
    "barrier",
    "barrier2",
    "barrier_range",
    "cancellation",
    "growth_rate",
    "limit_order",
    "multiplier",
    "payout_per_point",
    "selected_tick",
    "trade_risk_profile",
    "trading_period_start",
)


def terms_of(fields: dict[str, Any]) -> Terms:
    """The terms in a request. Raises ``Refusal`` for what is missing or not sold here."""
    for name in NOT_OFFERED:
        if name in fields:
            raise Refusal("OfferingsValidationError", f"{name} is not on offer.", {"field": name})
    for name in ("amount", "basis", "duration"):
        if name not in fields:
            raise Refusal("InputValidationFailed", f"Check the fields: {name}.", {name: "is missing"})
    return Terms(
        contract_type=fields["contract_type"],
        symbol=fields["symbol"],
        basis=fields["basis"],
        amount=Decimal(fields["amount"]),
        duration=fields["duration"],
        unit=fields.get("duration_unit", "s"),
        currency=fields["currency"],
    )


def proposal_body(session: "Session", terms: Terms, proposal_id: str, at: float) -> dict[str, Any]:
    engine = session.engine
    price = engine.price(terms, engine.rules.markup(session.app_id))
    spot = engine.market.last(terms.symbol, at)
    shown = Contract(
        0, "", session.app_id, terms, price.ask, price.payout, price.commission, price.markup, 0, 0, 0, 0, 0
    )
    return {
        "id": proposal_id,
        "ask_price": price.ask,
        "display_value": str(price.ask),
        "payout": price.payout,
        "commission": price.commission,
        "contract_details": {"app_markup_amount": str(price.markup)},
        "validation_params": {
            "payout": {"max": str(MAX_PAYOUT)},
            "stake": {"min": str(MIN_STAKE), "max": str(MAX_PAYOUT)},
        },
        "date_start": int(at),
        "date_expiry": int(at) + seconds_of(terms),
        "longcode": frames.longcode(shown),
        "spot": spot.price,
        "spot_time": spot.epoch,
    }


@call(
    "authorize",
    {
        "authorize": Field(TOKEN, True),
        "add_to_login_history": Field(one_of(0, 1)),
        "tokens": Field(list_of(TOKEN, 25)),
    },
)
def authorize(session: "Session", request: Request, at: float) -> Answer:
    account = session.engine.account_of(request["authorize"])
    if account is None:
        raise Refusal("InvalidToken", "The token is not valid.")
    if session.login_id != account.login_id:
        _leave(session)
    session.login_id = account.login_id
    company = "virtual" if account.is_demo else "svg"
    body = {
        "account_list": [
            {
                "account_category": "trading",
                "account_type": "binary",
                "broker": account.login_id.rstrip("0123456789"),
                "created_at": account.opened_at,
                "currency": account.currency,
                "currency_type": "fiat",
                "is_disabled": 0,
                "is_virtual": int(account.is_demo),
                "landing_company_name": company,
                "linked_to": [],
                "loginid": account.login_id,
            }
        ],
        "balance": account.balance,
        "country": "",
        "currency": account.currency,
        "email": f"{account.login_id.lower()}@simulator.invalid",
        "fullname": "",
        "is_virtual": int(account.is_demo),
        "landing_company_fullname": "Simulated",
        "landing_company_name": company,
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
    _leave(session)
    return Answer("logout", {"logout": 1})


def _leave(session: "Session") -> None:
    """Streams and proposals of an account end when another takes over the connection."""
    session.login_id = None
    session.proposals.clear()
    private = (BalanceStream, ContractStream, TransactionStream, ProposalStream)
    for stream in [stream for stream in session.streams.values() if isinstance(stream, private)]:
        del session.streams[stream.id]


@call(
    "balance",
    {
        "balance": Field(one_of(1), True),
        "account": Field(either(one_of("current", "all"), text(r"[A-Z]{2,4}[0-9]{1,10}"))),
        "subscribe": Field(one_of(0, 1)),
        "loginid": LOGIN,
    },
    scope="read",
)
def balance(session: "Session", request: Request, at: float) -> Answer:
    account = session.account()
    if request.get("account", "current") not in ("current", "all", account.login_id):
        raise Refusal("PermissionDenied", "The token is for another account.", {"field": "account"})
    stream: Stream | None = None
    if request.get("subscribe"):
        stream = session.subscribe(BalanceStream(session, account.login_id))
    body = frames.balance(account, stream.id if stream else None)
    if request.get("account") == "all":
        body["accounts"] = {
            account.login_id: {
                "balance": account.balance,
                "converted_amount": account.balance,
                "currency": account.currency,
                "demo_account": int(account.is_demo),
                "status": 1,
                "type": "deriv",
            }
        }
    return Answer("balance", {"balance": body}, stream)


@call(
    "proposal",
    {"proposal": Field(one_of(1), True), **TERMS, "subscribe": SUBSCRIBE, "loginid": LOGIN},
    group="pricing",
)
def proposal(session: "Session", request: Request, at: float) -> Answer:
    terms = terms_of(request)
    if session.login_id and terms.currency != session.account().currency:
        problem = f"The account is kept in {session.account().currency}."
        raise Refusal("ContractBuyValidationError", problem, {"field": "currency"})
    if not request.get("subscribe"):
        return Answer("proposal", {"proposal": session.priced(terms, str(uuid.uuid4()), at)})
    stream = ProposalStream(session, terms)
    body = session.priced(terms, stream.id, at)
    running = sum(isinstance(known, ProposalStream) for known in session.streams.values())
    if session.limits.enforced and running >= limits.PROPOSAL_STREAMS:
        raise Refusal("RateLimit", "Too many proposal streams at once.")
    return Answer("proposal", {"proposal": body}, session.subscribe(stream))


@call(
    "buy",
    {
        "buy": Field(either(STREAM_ID, one_of("1")), True),
        "price": Field(number(0), True),
        "parameters": Field(any_object),
        "subscribe": SUBSCRIBE,
        "loginid": LOGIN,
    },
    scope="trade",
)
def buy(session: "Session", request: Request, at: float) -> Answer:
    account = session.account()
    registered = session.engine.rules.markup(session.app_id)
    if request["buy"] == "1":
        terms, markup = _parameters(request, registered)
    else:
        quoted = session.proposals.get(request["buy"])
        streamed = request["buy"] in session.streams
        if quoted is None or (not streamed and at - quoted.at > session.PROPOSAL_LIFE):
            raise Refusal("InvalidContractProposal", "There is no such proposal, or it is used or too old.")
        terms, markup = quoted.terms, registered
    contract, line = session.engine.buy(
        account.login_id, terms, Decimal(request["price"]), markup, session.app_id, at
    )
    session.proposals.pop(request["buy"], None)
    session.streams.pop(request["buy"], None)
    body = {
        "balance_after": line.balance_after,
        "buy_price": contract.buy_price,
        "contract_id": contract.contract_id,
        "longcode": frames.longcode(contract),
        "payout": contract.payout,
        "purchase_time": contract.purchase_time,
        "shortcode": contract.shortcode,
        "start_time": contract.purchase_time,
        "transaction_id": line.transaction_id,
    }
    stream: Stream | None = None
    if request.get("subscribe"):
        stream = session.subscribe(ContractStream(session, account.login_id, contract.contract_id))
    return Answer("buy", {"buy": body}, stream)


def _parameters(request: Request, registered: Decimal) -> tuple[Terms, Decimal]:
    if "parameters" not in request:
        raise Refusal("InputValidationFailed", "Check the fields: parameters.", {"parameters": "is missing"})
    fields = {**TERMS, "app_markup_percentage": Field(number())}
    if found := problems(request["parameters"], fields, "parameters."):
        raise Refusal("InputValidationFailed", f"Check the fields: {', '.join(found)}.", found)
    parameters = dict(request["parameters"])
    markup = Decimal(parameters.pop("app_markup_percentage", registered))
    return terms_of(parameters), markup


@call(
    "sell",
    {"sell": Field(whole(), True), "price": Field(number(0), True), "loginid": LOGIN},
    scope="trade",
)
def sell(session: "Session", request: Request, at: float) -> Answer:
    account = session.account()
    price = Decimal(request["price"])
    contract, line = session.engine.sell(account.login_id, request["sell"], price, at)
    body = {
        "balance_after": line.balance_after,
        "contract_id": contract.contract_id,
        "reference_id": contract.buy_transaction_id,
        "sold_for": contract.sell_price,
        "transaction_id": line.transaction_id,
    }
    return Answer("sell", {"sell": body})


@call(
    "proposal_open_contract",
    {
        "proposal_open_contract": Field(one_of(1), True),
        "contract_id": Field(whole()),
        "subscribe": SUBSCRIBE,
        "loginid": LOGIN,
    },
    scope="read",
    group="pricing",
)
def proposal_open_contract(session: "Session", request: Request, at: float) -> Answer:
    account, engine = session.account(), session.engine
    engine.advance(at)
    contract_id = request.get("contract_id")
    if contract_id is None:
        contracts = engine.open_contracts(account.login_id)
    else:
        found = engine.contract(account.login_id, contract_id)
        if found is None:
            raise Refusal("NoOpenPosition", "The account has no such contract.", {"field": "contract_id"})
        contracts = [found]
    stream = ContractStream(session, account.login_id, contract_id)
    subscribed = bool(request.get("subscribe")) and not (contract_id is not None and contracts[0].is_sold)
    if subscribed:
        session.subscribe(stream)
    name = "proposal_open_contract"
    answers = []
    for contract in contracts:
        state = frames.contract_state(engine, contract, at, account.user_id)
        if subscribed:
            state["id"] = stream.id
        answers.append(Answer(name, {name: state}, stream if subscribed else None))
    if not answers:
        return Answer(name, {name: {}}, stream if subscribed else None)
    answers[0].more = answers[1:]
    return answers[0]


@call(
    "portfolio",
    {"portfolio": Field(one_of(1), True), "contract_type": Field(list_of(CONTRACT_TYPE)), "loginid": LOGIN},
    scope="read",
    group="outcome",
)
def portfolio(session: "Session", request: Request, at: float) -> Answer:
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
    session.engine.advance(at)
    contracts = session.engine.store.closed_contracts(
        session.account().login_id,
        _moment(request.get("date_from"), 0),
        _moment(request.get("date_to"), 86399),
        tuple(request.get("contract_type", ())),
        int(request.get("limit", 50)),
        request.get("offset", 0),
        request.get("sort") == "ASC",
    )
    rows = [frames.profit_row(contract, request.get("description") == 1) for contract in contracts]
    return Answer("profit_table", {"profit_table": {"count": len(rows), "transactions": rows}})


def _moment(value: str | None, end_of_day: int) -> int | None:
    if value is None:
        return None
    if "-" not in value:
        return int(value)
    try:
        day = datetime(*(int(part) for part in value.split("-")), tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        raise Refusal("InputValidationFailed", "There is no such day.", {"date_from": "is no date"}) from None
    return int(day.timestamp()) + end_of_day


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
    session.engine.advance(at)
    login_id = session.account().login_id
    lines = session.engine.store.lines(
        login_id,
        request.get("date_from"),
        request.get("date_to"),
        request.get("action_type"),
        int(request.get("limit", 100)),
        request.get("offset", 0),
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
    stream = session.subscribe(TransactionStream(session, session.account().login_id))
    return Answer("transaction", {"transaction": {"id": stream.id}}, stream)


@call("topup_virtual", {"topup_virtual": Field(one_of(1), True), "loginid": LOGIN}, scope="trade")
def topup_virtual(session: "Session", request: Request, at: float) -> Answer:
    account = session.account()
    line = session.engine.top_up(account.login_id, at)
    body = {"amount": line.amount, "currency": account.currency}
    return Answer("topup_virtual", {"topup_virtual": body})
