"""Calls that trade: prices, purchases, sales, contracts."""

import uuid
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
    number,
    one_of,
    problems,
    text,
    whole,
)
from brokerage.deriv.simulator.v3.market_calls import (
    CONTRACT_TYPE,
    CURRENCY,
    EPOCH,
    LOGIN,
    STREAM_ID,
    SUBSCRIBE,
    WORD,
)
from brokerage.deriv.simulator.v3.streams import (
    ContractStream,
    ProposalStream,
    Stream,
)

if TYPE_CHECKING:
    from brokerage.deriv.simulator.v3.session import Session

BARRIER = text(r"[+-]?[0-9]{1,12}(\.[0-9]{0,6})?")

TERMS = {
    "contract_type": Field(CONTRACT_TYPE, True),
    "currency": Field(CURRENCY, True),
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
    "proposal",
    {"proposal": Field(one_of(1), True), **TERMS, "subscribe": SUBSCRIBE, "loginid": LOGIN},
    group="pricing",
)
def proposal(session: "Session", request: Request, at: float) -> Answer:
    """A price; can be followed and bought once."""
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
    """Buys a proposal, or what the parameters say."""
    account = session.account()
    registered = session.engine.rules.markup(session.app_id)
    if request["buy"] == "1":
        terms, markup = _parameters(request, registered)
    else:
        terms, markup = quoted_terms(session, request["buy"], at), registered
    contract, line = session.engine.buy(
        account.login_id, terms, Decimal(request["price"]), markup, session.app_id, at
    )
    session.proposals.pop(request["buy"], None)
    session.streams.pop(request["buy"], None)
    body = {"balance_after": line.balance_after, **receipt(contract)}
    stream: Stream | None = None
    if request.get("subscribe"):
        stream = session.subscribe(ContractStream(session, account.login_id, contract.contract_id))
    return Answer("buy", {"buy": body}, stream)


def quoted_terms(session: "Session", proposal_id: str, at: float) -> Terms:
    """What the proposal offers. Raises ``Refusal`` if it is unknown, used up or too old."""
    quoted = session.proposals.get(proposal_id)
    streamed = proposal_id in session.streams
    if quoted is None or (not streamed and at - quoted.at > session.PROPOSAL_LIFE):
        raise Refusal("InvalidContractProposal", "There is no such proposal, or it is used or too old.")
    return quoted.terms


def receipt(contract: Contract) -> dict[str, Any]:
    """A purchase as it is confirmed to the buyer."""
    return {
        "buy_price": contract.buy_price,
        "contract_id": contract.contract_id,
        "longcode": frames.longcode(contract),
        "payout": contract.payout,
        "purchase_time": contract.purchase_time,
        "shortcode": contract.shortcode,
        "start_time": contract.purchase_time,
        "transaction_id": contract.buy_transaction_id,
    }


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
    """Sells a running contract back."""
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
    """One contract's state, or all open ones'; can be followed."""
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
