"""The control interface's part about payment agents: who is one, and the code that would have been mailed to a client."""

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from brokerage.deriv.simulator.books import Account, Agent
from brokerage.deriv.simulator.nicknames import nickname
from brokerage.deriv.simulator.payments import RESIDENCE, Payments

Act = Callable[[Account, Request], Awaitable[dict[str, Any]]]
Served = Callable[[Request], Awaitable[Response]]
AMOUNTS: Final = (
    "deposit_commission",
    "withdrawal_commission",
    "withdrawal_minimum",
    "withdrawal_maximum",
)
FLAGS: Final = ("is_active", "is_listed", "rejects")


class Absent(Exception):
    """What was asked for is not there, in one sentence."""


class AgentControl:
    """Two routes under ``/simulator/accounts/{login_id}``."""

    def __init__(
        self,
        payments: Payments,
        guarded: Callable[[Act], Served],
        read: Callable[[Request], Awaitable[dict[str, Any]]],
    ) -> None:
        """``guarded`` lets in whoever may, and finds the account; ``read`` reads a body."""
        self._payments, self._guarded, self._read = payments, guarded, read

    def routes(self) -> list[BaseRoute]:
        one = "/simulator/accounts/{login_id}"
        return [
            Route(f"{one}/agent", self._guarded(self._make_agent), methods=["PUT"]),
            Route(f"{one}/verification-code", self._guarded(self._code)),
        ]

    async def _make_agent(self, account: Account, request: Request) -> dict[str, Any]:
        wallet = self._payments.wallet(account.user_id)
        if wallet is None or wallet.login_id != account.login_id:
            raise ValueError("an agent's account is its user's first real one in USD")
        made = self._payments.make_agent(agent_of(account.user_id, await self._read(request)))
        return {"agent_id": made.agent_id, "nickname": nickname(account.user_id)}

    async def _code(self, account: Account, request: Request) -> dict[str, Any]:
        code = self._payments.code_of(account.user_id)
        if code is None:
            raise Absent("no code waits for being used")
        return {"code": code.code, "expires_at": code.expires_at}


def agent_of(user_id: int, body: dict[str, Any]) -> Agent:
    """The agent a control request describes. Raises ``ValueError`` with a sentence."""
    if unknown := set(body) - {"name", "countries", *AMOUNTS, *FLAGS}:
        raise ValueError(f"an agent has no {sorted(unknown)[0]}")
    name, countries = body.get("name", "Agent"), body.get("countries", [RESIDENCE])
    if not isinstance(name, str):
        raise ValueError("name is a text")
    if not isinstance(countries, list) or not all(
        isinstance(code, str) and len(code) == 2 and code.isascii() and code.islower() for code in countries
    ):
        raise ValueError("countries is a list of codes of two small letters")
    known: dict[str, Any] = {name: body[name] for name in FLAGS if name in body}
    if not all(isinstance(value, bool) for value in known.values()):
        raise ValueError(f"{', '.join(FLAGS)} are true or false")
    known |= {name: _amount(body, name) for name in AMOUNTS if body.get(name) is not None}
    return Agent(0, user_id, int(time.time()), name, tuple(countries), **known)


def _amount(body: dict[str, Any], name: str) -> Decimal:
    try:
        amount = Decimal(body[name]) if isinstance(body[name], str) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or not 0 <= amount < 10**12:
        raise ValueError(f"{name} is a decimal written as text")
    return amount
