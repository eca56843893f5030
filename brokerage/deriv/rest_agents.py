"""Payment agents over HTTP, asked as an agent or as a client."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Literal, TypeVar, cast
from urllib.parse import quote, urlencode

from brokerage.deriv import answers
from brokerage.deriv.answers import Fields
from brokerage.deriv.rest_types import (
    AgentCoverage,
    AgentTerms,
    CodeSent,
    Payment,
    PaymentAgent,
    PaymentStatus,
)

T = TypeVar("T")
AGENTS: Final = "/payment-agents/v1"
AGENTS_A_PAGE: Final = 100
STATUSES: Final = ("requested", "pending", "complete", "rejected", "failed")


class Asking(ABC):
    """One request over HTTP and its answer; ``RestClient`` is the one that does it."""

    @abstractmethod
    async def _ask(
        self,
        method: str,
        path: str,
        parse: Callable[[Fields], T],
        sent: dict[str, Any] | None = None,
        *,
        pays: bool = False,
    ) -> T: ...


class AgentCalls(Asking):
    """The part of ``RestClient`` about payment agents. The token needs the scope ``payment``."""

    async def agents(self, currency: str = "USD", country: str | None = None) -> tuple[PaymentAgent, ...]:
        """The active agents for a currency (and a country, as two small letters), the lowest number first."""
        found: dict[int, PaymentAgent] = {}
        asked: dict[str, Any] = {"currency": currency, "per_page": AGENTS_A_PAGE}
        if country is not None:
            asked["country"] = country
        page = 0
        while True:
            page += 1
            query = urlencode({**asked, "page": page})
            rows = await self._ask(
                "GET",
                f"{AGENTS}/agents?{query}",
                lambda body: answers.rows(body, "data", lambda row: _listed(row, currency)),
            )
            # The venue may have a smaller page in mind than we asked for: the end is where nobody new comes.
            known = len(found)
            found |= {agent.agent_id: agent for agent in rows}
            if len(found) == known:
                return tuple(found.values())

    async def agent(self, agent_id: int | Literal["me"]) -> PaymentAgent:
        """One agent, listed or not; ``me`` is the token's owner. Raises ``Refused`` if there is none."""
        return await self._ask(
            "GET", f"{AGENTS}/agents/{agent_id}", lambda body: _agent(answers.obj(body, "data"))
        )

    async def agent_coverage(self) -> AgentCoverage:
        """Which countries and currencies it makes sense to ask for; it may lag behind the list for a while."""

        def coverage(body: Fields) -> AgentCoverage:
            data = answers.obj(body, "data")
            return AgentCoverage(
                answers.texts(data, "available_countries"), answers.texts(data, "available_currencies")
            )

        return await self._ask("GET", f"{AGENTS}/agent-statistics", coverage)

    async def transfer(
        self, to_nickname: str, amount: Decimal, *, request_id: str, currency: str = "USD", notes: str = ""
    ) -> Payment:
        """Move ``amount`` of ``currency`` from the asking agent's wallet to a client's. It is done when this returns.

        The same call again moves nothing and raises ``RequestUsed``: after ``OutcomeUnknown`` it is the way to find
        out, for a transfer cannot be looked up, and if the first was not made, the second is. Raises ``Refused`` for
        what the venue certainly did not do, and ``OutcomeUnknown`` for everything that is no clear refusal.
        """
        sent = {"to_nickname": to_nickname, "amount": _written(amount), "currency": currency}
        sent |= {"request_id": request_id} | ({"notes": notes} if notes else {})
        return await self._ask("POST", f"{AGENTS}/transfer", _payment, {"data": sent}, pays=True)

    async def request_withdrawal_code(
        self, agent_id: int, amount: Decimal, *, currency: str = "USD"
    ) -> CodeSent:
        """Have the venue send the token's owner a code, good for one withdrawal of exactly this.

        The same call again sends another code, and the one before is worth nothing; too soon it raises ``Refused``
        with ``next_request_at`` (venue's clock) in its details.
        """
        sent = {"agent_id": agent_id, "amount": _written(amount), "currency": currency}

        def told(body: Fields) -> CodeSent:
            data = answers.obj(body, "data")
            return CodeSent(answers.whole(data, "expires_at"), answers.whole(data, "next_request_at"))

        return await self._ask("POST", f"{AGENTS}/withdraw/verification_code", told, {"data": sent})

    async def withdraw(
        self,
        agent_id: int,
        amount: Decimal,
        verification_code: str,
        *,
        request_id: str,
        currency: str = "USD",
        notes: str = "",
    ) -> Payment:
        """Take ``amount`` of ``currency`` out of the token owner's wallet for the agent. Pending when this returns.

        ``verification_code`` is a secret. The same call again takes nothing and raises ``RequestUsed``. After
        ``OutcomeUnknown``, which is everything that is no clear refusal, ask ``withdrawal``; do not send it again.
        """
        sent = {"agent_id": agent_id, "amount": _written(amount), "currency": currency}
        sent |= {"verification_code": verification_code, "request_id": request_id}
        sent |= {"notes": notes} if notes else {}
        return await self._ask("POST", f"{AGENTS}/withdraw", _payment, {"data": sent}, pays=True)

    async def withdrawal(self, request_id: str) -> Payment:
        """How a withdrawal stands, for its client or its agent. Raises ``Refused`` if none was accepted by this name."""
        path = f"{AGENTS}/withdraw/{quote(request_id, safe='')}"
        return await self._ask("GET", path, _payment)

    async def nickname(self) -> str:
        """The word by which an agent finds the token's owner. The token needs the scope ``account_manage``."""
        return await self._ask(
            "GET", "/account/v1/nickname", lambda body: answers.text(answers.obj(body, "data"), "nickname")
        )


def _written(amount: Decimal) -> str:
    return format(amount, "f")


def _payment(body: Fields) -> Payment:
    data = answers.obj(body, "data")
    status = answers.text(data, "status")
    if status not in STATUSES:
        raise ValueError("status is unknown")
    return Payment(cast(PaymentStatus, status), answers.maybe(answers.whole, data, "transaction_id"))


def _agent(row: Fields, terms: tuple[AgentTerms, ...] | None = None) -> PaymentAgent:
    return PaymentAgent(
        agent_id=answers.whole(row, "id"),
        name=answers.maybe(answers.text, row, "name"),
        countries=answers.maybe(answers.texts, row, "countries") or (),
        is_listed=answers.maybe(answers.truth, row, "is_listed"),
        terms=answers.rows(row, "currencies", lambda one: _terms(one, answers.text(one, "currency")))
        if terms is None
        else terms,
    )


def _listed(row: Fields, currency: str) -> PaymentAgent:
    """In a list, an agent's terms stand beside its name."""
    return _agent(row, (_terms(row, currency),))


def _terms(row: Fields, currency: str) -> AgentTerms:
    return AgentTerms(
        currency=currency,
        deposit_commission=answers.maybe(answers.amount, row, "deposit_commission"),
        withdrawal_commission=answers.maybe(answers.amount, row, "withdrawal_commission"),
        withdrawal_minimum=answers.maybe(answers.amount_text, row, "withdrawal_minimum"),
        withdrawal_maximum=answers.maybe(answers.amount_text, row, "withdrawal_maximum"),
    )
