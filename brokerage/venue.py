"""Asking the venue: actors and the API put a question to `streams` through Redis, with a deadline.

`streams` owns the only connection of each account. A question is taken off its list before it is answered, so
it is sent at most once; after its deadline nobody sends it any more. Deadlines are by the clock of Redis, the
one clock that every process shares.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

import redis

from backoffice.cache import redis_client
from backoffice.configuration import Configuration
from backoffice.logs import correlation
from brokerage.deriv import errors
from brokerage.deriv.errors import AnswerTimeout, NotSent, OutcomeUnknown, VenueError
from brokerage.deriv.opening import Addresses
from brokerage.deriv.serial import from_json, to_json
from brokerage.deriv.types import (
    ActiveSymbol,
    ContractOffer,
    ContractState,
    ContractTerms,
    PortfolioContract,
    ProfitRow,
    Proposal,
    Purchase,
    Sale,
    StatementLine,
)

PUBLIC: Final = "public"
# How much longer than the deadline the asker listens: an answer under way when time was up is still an answer.
LISTEN_SECONDS: Final = 1.0
T = TypeVar("T")


def addresses_of(config: Configuration) -> Addresses:
    """Where this deployment's venue answers, in both generations."""
    return Addresses(
        v3_socket=config.venue_url,
        v3_app_id=config.deriv_app_id,
        rest=config.venue_rest_url,
        v4_app_id=config.deriv_v4_app_id,
    )


def list_name(link: str) -> str:
    """The Redis list of questions to one link (an account's primary key, or `public`)."""
    return f"venue:asked:{link}"


def reply_name(question: str) -> str:
    """The Redis list on which the answer to one question arrives."""
    return f"venue:answered:{question}"


def deadline_in(seconds: float) -> float:
    """An instant this many seconds ahead, by the clock of Redis (epoch seconds).

    :raises NotSent: if Redis cannot be reached.
    """
    try:
        return _now(redis_client()) + seconds
    except redis.RedisError as found:
        raise NotSent("REDIS", f"Redis cannot be reached: {type(found).__name__}.") from found


def _now(client: "redis.Redis") -> float:
    seconds, micros = client.time()
    return float(seconds) + float(micros) / 1e6


def ask(link: str, call: str, arguments: Mapping[str, Any], *, deadline: float) -> Any:
    """Put one question to the link and wait for its answer, at most until the deadline and a moment.

    `deadline` comes from `deadline_in`; `streams` sends nothing after it, however late the question arrives.

    :raises NotSent: if nobody took the question, so that the venue certainly never saw it.
    :raises OutcomeUnknown: if it was taken and no answer came, or Redis failed meanwhile.
    :raises VenueError: what the venue answered, by class (see `brokerage.deriv.errors`).
    """
    question = uuid.uuid4().hex
    client = redis_client()
    pushed = False
    try:
        text = json.dumps(
            {
                "id": question,
                "call": call,
                "arguments": arguments,
                "deadline": deadline,
                "correlation": correlation.get(),
            }
        )
        pushed = True
        with client.pipeline(transaction=True) as pipe:
            pipe.rpush(list_name(link), text)
            pipe.expire(list_name(link), 120)
            pipe.execute()
        answer = _listen(client, question, deadline + LISTEN_SECONDS)
        if answer is None:
            # Taking the question back proves that nobody has it: the list hands out each question once.
            if client.lrem(list_name(link), 1, text):
                raise NotSent("NO_CONNECTION", "No connection to the venue is open for this account.")
            raise AnswerTimeout("NO_ANSWER", "The venue did not answer in time.")
    except redis.RedisError as found:
        if pushed:
            raise OutcomeUnknown("REDIS", f"Redis failed while waiting: {type(found).__name__}.") from found
        raise NotSent("REDIS", f"Redis cannot be reached: {type(found).__name__}.") from found
    if "error" in answer:
        raise _error(answer["error"])
    return answer["result"]


def _listen(client: "redis.Redis", question: str, until: float) -> dict[str, Any] | None:
    while (left := until - _now(client)) > 0:
        found: Any = client.blpop([reply_name(question)], timeout=max(min(left, 3.0), 0.05))
        if found is not None:
            answer: dict[str, Any] = json.loads(found[1])
            return answer
    return None


def _error(error: Mapping[str, Any]) -> VenueError:
    kind = getattr(errors, str(error.get("class")), OutcomeUnknown)
    if not (isinstance(kind, type) and issubclass(kind, VenueError)):
        kind = OutcomeUnknown
    return kind(str(error.get("code")), str(error.get("message", "")), field=error.get("field"))


# ── the questions ───────────────────────────────────────────────────────────────────────────────────────────────


def proposal(link: str, terms: ContractTerms, *, deadline: float) -> Proposal:
    """A priced offer; buying its id is possible once, and for a short while."""
    return from_json(Proposal, ask(link, "proposal", {"terms": to_json(terms)}, deadline=deadline))


@dataclass(frozen=True, slots=True)
class Order:
    """Whose purchase or sale it is and of what, for the order gate's last look before the wire."""

    symbol: str
    client_id: int
    account_id: int

    @property
    def link(self) -> str:
        return str(self.account_id)

    def argument(self) -> dict[str, Any]:
        return {"symbol": self.symbol, "client_id": self.client_id, "account_id": self.account_id}


def buy(order: Order, proposal_id: str, price: Decimal, *, deadline: float) -> Purchase:
    """Buy a proposal for at most `price`. See `ask` for what each error says about whether it was bought.

    :raises Halted: if the order gate let it not through (here and below).
    """
    arguments = {"proposal_id": proposal_id, "price": str(price), "gate": order.argument()}
    return from_json(Purchase, ask(order.link, "buy", arguments, deadline=deadline))


def buy_with_terms(
    order: Order, terms: ContractTerms, price: Decimal, markup_rate: Decimal, *, deadline: float
) -> Purchase:
    """Buy by terms for at most `price`, with a markup of our own (0.02 is 2 %) in place of the application's."""
    arguments = {"terms": to_json(terms), "price": str(price), "markup_percentage": str(markup_rate * 100),
                 "gate": order.argument()}  # fmt: skip
    return from_json(Purchase, ask(order.link, "buy_with_terms", arguments, deadline=deadline))


def sell(order: Order, contract_id: int, *, deadline: float) -> Sale:
    """Sell a contract back at the venue's price."""
    arguments = {"contract_id": contract_id, "gate": order.argument()}
    return from_json(Sale, ask(order.link, "sell", arguments, deadline=deadline))


def contract(link: str, contract_id: int, *, deadline: float) -> ContractState:
    """A contract as the venue sees it now."""
    answer = ask(link, "contract", {"contract_id": contract_id}, deadline=deadline)
    return from_json(ContractState, answer)


def portfolio(link: str, *, deadline: float) -> list[PortfolioContract]:
    """Contracts the account still holds."""
    return _each(PortfolioContract, ask(link, "portfolio", {}, deadline=deadline))


def profit_table(link: str, since: int, *, deadline: float) -> list[ProfitRow]:
    """Contracts that ended, bought at or after `since` (epoch seconds, the venue's clock)."""
    return _each(ProfitRow, ask(link, "profit_table", {"since": since}, deadline=deadline))


def statement(link: str, since: int | None = None, *, deadline: float) -> list[StatementLine]:
    """Every movement of the venue's balance, newest first, all pages."""
    return _each(StatementLine, ask(link, "statement", {"since": since}, deadline=deadline))


def reset_demo_balance(link: str, *, deadline: float) -> None:
    """Have a v3 demo account's balance brought back to where it began; one that is full already is `Refused`."""
    ask(link, "reset_demo_balance", {}, deadline=deadline)


def active_symbols(*, deadline: float) -> list[ActiveSymbol]:
    """What the venue lists, asked over the public link."""
    return _each(ActiveSymbol, ask(PUBLIC, "active_symbols", {}, deadline=deadline))


def contracts_for(symbol: str, *, deadline: float) -> list[ContractOffer]:
    """The contracts the venue offers on one symbol, asked over the public link."""
    return _each(ContractOffer, ask(PUBLIC, "contracts_for", {"symbol": symbol}, deadline=deadline))


def _each(kind: type[T], rows: list[Any]) -> list[T]:
    return [from_json(kind, row) for row in rows]
