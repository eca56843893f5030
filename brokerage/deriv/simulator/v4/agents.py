"""Payment agents over HTTP, and the nickname by which an agent finds a client.

A ``request_id`` is good for one transfer and one withdrawal of whoever gives it; used again it is refused, whatever the
rest of the request says. The codes of the gateway itself (no token, not its scope, too often) are the same as elsewhere.
"""

import re
import uuid
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request

from brokerage.deriv.simulator.books import Agent, Payment, Refusal
from brokerage.deriv.simulator.nicknames import nickname
from brokerage.deriv.simulator.payments import CURRENCY, Payments
from brokerage.deriv.simulator.v3.limits import Limits
from brokerage.deriv.simulator.v4.asked import Asked, Body, Served, in_metadata, of_agents

_AGENTS: Final = "/payment-agents/v1"
AMOUNT: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,2})?", re.ASCII)
REQUEST_ID: Final = re.compile(r"[\w-]{1,128}", re.ASCII)
CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)
WHOLE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
FAILURES: Final = (
    "ClientIdentityLookupFailed",
    "InternalError",
    "NicknameLookupFailed",
    "OTPValidationFailed",
    "TransferFailed",
    "VerificationCodeRequestFailed",
    "WalletLookupFailed",
    "WithdrawalFailed",
)
"""The venue's own machinery failed: they come with status 500, and only faults make them happen."""
CENT: Final = Decimal("0.01")
USER_IDENTITY: Final = uuid.UUID("7d0f6f3a-8d0b-4b7e-9a57-6a1de8a0c3f5")


class Agents:
    """The handlers about payment agents and nicknames."""

    def __init__(self, payments: Payments, limits: Limits) -> None:
        self._payments, self._limits = payments, limits

    def served(self) -> list[Served]:
        of_payment = (
            ("GET", "agents", "payment_agents", self._list),
            ("GET", "agents/{agent_id}", "payment_agent", self._one),
            ("GET", "agent-statistics", "payment_agent_statistics", self._coverage),
            ("POST", "transfer", "payment_agent_transfer", self._transfer),
            ("POST", "withdraw/verification_code", "verification_code", self._send_code),
            ("POST", "withdraw", "payment_agent_withdraw", self._withdraw),
            ("GET", "withdraw/{request_id}", "payment_agent_withdrawal", self._withdrawal),
        )
        return [
            *(
                Served(method, f"{_AGENTS}/{path}", name, "payment", handler, of_agents)
                for method, path, name, handler in of_payment
            ),
            Served("GET", "/account/v1/nickname", "nickname", "account_manage", self._nickname, in_metadata),
        ]

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────

    def _list(self, asked: Asked) -> tuple[int, Body]:
        """The active agents for a currency, listed or known to the user from a transfer."""
        given = asked.request.query_params
        currency, country = given.get("currency", ""), given.get("country")
        if not currency:
            raise Refusal("InputError", "currency is missing.")
        page, size = _whole(asked.request, "page", 1), _whole(asked.request, "per_page", 25)
        shown = [
            {**_profile(agent), **_offer(agent)}
            for agent in self._payments.agents()
            if currency == CURRENCY
            and (country is None or country in agent.countries)
            and self._payments.is_shown(agent, asked.holder.user_id)
        ]
        return 200, {"data": shown[(page - 1) * size : page * size]}

    def _one(self, asked: Asked) -> tuple[int, Body]:
        """One agent, by number or as ``me``, listed or not."""
        wanted = asked.request.path_params["agent_id"]
        own = self._payments.agent_of(asked.holder.user_id)
        if wanted == "me":
            agent = own
        elif WHOLE.fullmatch(wanted):
            agent = self._payments.agent(int(wanted))
        else:
            raise Refusal("InvalidAgentID", "An agent goes by a number, or me.")
        if agent is None:
            raise Refusal("AgentNotFound", "There is no such agent.")
        data = {**_profile(agent), "urls": [], "currencies": [{"currency": CURRENCY, **_offer(agent)}]}
        if agent == own:
            data["cashier_withdraw"] = True
        return 200, {"data": data}

    def _coverage(self, asked: Asked) -> tuple[int, Body]:
        """The countries and currencies of the active listed agents."""
        agents = [agent for agent in self._payments.agents() if agent.is_active and agent.is_listed]
        countries = sorted({country for agent in agents for country in agent.countries})
        currencies = [CURRENCY] if agents else []
        return 200, {"data": {"available_countries": countries, "available_currencies": currencies}}

    def _nickname(self, asked: Asked) -> tuple[int, Body]:
        """The word by which an agent finds the token's owner."""
        user_id = asked.holder.user_id
        reference = str(uuid.uuid5(USER_IDENTITY, str(user_id)))
        return 200, {"data": {"external_reference_id": reference, "nickname": nickname(user_id)}}

    # ── money ────────────────────────────────────────────────────────────────────────────────────────

    def _transfer(self, asked: Asked) -> tuple[int, Body]:
        """Moves money from the asking agent's wallet to a client's at once."""
        data = _data(asked.body)
        payment = self._payments.transfer(
            asked.holder.user_id,
            _text(data, "to_nickname"),
            _amount(data),
            _text(data, "currency"),
            _request_id(data),
            asked.at,
        )
        return 200, _status(payment)

    def _send_code(self, asked: Asked) -> tuple[int, Body]:
        """Sends the code that a withdrawal must repeat; the control interface shows it."""
        data = _data(asked.body)
        code = self._payments.request_code(
            asked.holder.user_id, _agent_id(data), _amount(data), _text(data, "currency"), asked.at,
            at_any_time=not self._limits.enforced,
        )  # fmt: skip
        told = {"next_request_at": code.next_request_at, "expires_at": code.expires_at}
        return 200, {"data": {"message": "The code was sent.", **told}}

    def _withdraw(self, asked: Asked) -> tuple[int, Body]:
        """Takes money out of the user's wallet for an agent; pending at first."""
        data = _data(asked.body)
        request_id, code = _request_id(data), _text(data, "verification_code")
        if not CODE.fullmatch(code):
            raise Refusal("VerificationCodeFormatInvalid", "verification_code is six digits.")
        payment = self._payments.withdraw(
            asked.holder.user_id, _agent_id(data), _amount(data), _text(data, "currency"), code, request_id, asked.at,
        )  # fmt: skip
        return 200, _status(payment)

    def _withdrawal(self, asked: Asked) -> tuple[int, Body]:
        """How a withdrawal stands, for its client and its agent."""
        self._payments.advance(asked.at)
        wanted = asked.request.path_params["request_id"]
        return 200, _status(self._payments.withdrawal(asked.holder.user_id, wanted))


def _status(payment: Payment) -> Body:
    return {"data": {"status": payment.status, "transaction_id": payment.transaction_id}}


def _profile(agent: Agent) -> Body:
    return {
        "id": agent.agent_id,
        "created_at": agent.created_at * 1000,
        "is_listed": agent.is_listed,
        "name": agent.name,
        "information": None,
        "email": None,
        "phone_numbers": None,
        "payment_methods": None,
        "countries": list(agent.countries),
    }


def _offer(agent: Agent) -> Body:
    """Commissions are numbers, in percent; limits are texts, in USD."""
    low, high = agent.withdrawal_minimum, agent.withdrawal_maximum
    return {
        "deposit_commission": agent.deposit_commission,
        "withdrawal_commission": agent.withdrawal_commission,
        "withdrawal_minimum": None if low is None else str(low),
        "withdrawal_maximum": None if high is None else str(high),
    }


# ── fields ───────────────────────────────────────────────────────────────────────────────────────────


def _data(body: Body) -> dict[str, Any]:
    data = body.get("data")
    if not isinstance(data, dict):
        raise Refusal("InputError", "data is an object.")
    if not isinstance(data.get("notes", ""), str):
        raise Refusal("InputError", "notes is a text.")
    return data


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal("InputError", f"{name} is a text.")
    return value


def _amount(data: dict[str, Any]) -> Decimal:
    text = _text(data, "amount")
    amount = Decimal(text).quantize(CENT) if AMOUNT.fullmatch(text) else None
    if not amount:
        raise Refusal("InputError", "amount is above zero, a text with at most two decimals.")
    return amount


def _agent_id(data: dict[str, Any]) -> int:
    value = data.get("agent_id")
    if type(value) is not int:
        raise Refusal("InputError", "agent_id is a whole number.")
    return value


def _request_id(data: dict[str, Any]) -> str | None:
    value = data.get("request_id")
    if value is None:
        return None
    if not isinstance(value, str) or not REQUEST_ID.fullmatch(value):
        raise Refusal(
            "InvalidRequestIDFormat", "request_id is 1 to 128 letters, digits, underscores, hyphens."
        )
    return value


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    number = int(text) if WHOLE.fullmatch(text) else 0
    if number < 1:
        raise Refusal("InputError", f"{name} is a whole number above zero.")
    return number
