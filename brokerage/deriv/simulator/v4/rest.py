"""What generation v4 answers over HTTP: accounts, one-time addresses, demo balances, where a user's move stands, health.

A request is an application's (``Deriv-App-ID``) and a token's holder's (``Authorization``). Whatever account a token
was made for, its holder may see and connect every account of theirs.
"""

import asyncio
import time
import zlib
from decimal import Decimal
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from brokerage.deriv.simulator.books import Account, Refusal
from brokerage.deriv.simulator.conditions import Conditions
from brokerage.deriv.simulator.control import LARGEST_BODY
from brokerage.deriv.simulator.faults import DropConnection, Fault, Faults
from brokerage.deriv.simulator.moves import Moves
from brokerage.deriv.simulator.payments import Payments
from brokerage.deriv.simulator.pulse import Pulse
from brokerage.deriv.simulator.rules import Rules
from brokerage.deriv.simulator.tokens import Tokens
from brokerage.deriv.simulator.v3.limits import Limits
from brokerage.deriv.simulator.v4.agents import FAILURES, Agents
from brokerage.deriv.simulator.v4.asked import Asked, Body, Envelope, Handler, Holder, errors, in_meta
from brokerage.deriv.simulator.v4.bulk import Bulk
from brokerage.deriv.simulator.v4.generation import RATES
from brokerage.deriv.simulator.v4.legacy import Legacy
from brokerage.deriv.simulator.v4.markup import Markup
from brokerage.deriv.simulator.v4.passwords import Passwords
from brokerage.deriv.wire import NotJson, decode, encode

OPTIONS: Final = "/trading/v1/options"
# What v4 calls a permission, and what the venue's books call it.
SCOPES: Final = {
    "trade": "trade",
    "account_manage": "admin",
    "application_read": "admin",
    "payment": "payments",
}
STATUS_OF: Final = {
    "AgentNotFound": 404,
    "RateLimit": 429,
    "AccountNotFound": 404,
    "MigrationNotComplete": 409,
    "InternalServerError": 500,
    **dict.fromkeys(FAILURES, 500),
}


class Unauthorized(Exception):
    """Nobody knows who asks, or what they ask for is not theirs: the status says which."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Rest:
    """The routes of v4's HTTP interface."""

    def __init__(
        self,
        pulse: Pulse,
        faults: Faults,
        limits: Limits,
        conditions: Conditions,
        passwords: Passwords,
        moves: Moves,
        rules: Rules,
        tokens: Tokens,
        payments: Payments,
    ) -> None:
        self._pulse, self._engine = pulse, pulse.engine
        self._faults, self._limits, self._conditions = faults, limits, conditions
        self._passwords, self._rules, self._tokens = passwords, rules, tokens
        self._legacy = Legacy(self._engine, moves)
        self._others = [
            *Bulk(self._engine).served(),
            *Markup(self._engine).served(),
            *Agents(payments, limits).served(),
        ]

    def routes(self) -> list[BaseRoute]:
        one = f"{OPTIONS}/accounts/{{account_id}}"
        return [
            Route("/v1/health", self._health),
            self._route("GET", f"{OPTIONS}/accounts", "accounts", "trade", self._accounts),
            self._route("POST", f"{OPTIONS}/accounts", "create_account", "account_manage", self._create),
            self._route("POST", f"{one}/otp", "otp", "trade", self._otp),
            self._route(
                "POST", f"{one}/reset-demo-balance", "reset_demo_balance", "trade", self._reset_balance
            ),
            *(
                self._route("GET", f"{OPTIONS}/legacy/{path}", name, "trade", handler)
                for path, (name, handler) in self._legacy.handlers().items()
            ),
            *(
                self._route(one.method, one.path, one.name, one.scope, one.handler, one.envelope)
                for one in self._others
            ),
        ]

    # ── one exchange ─────────────────────────────────────────────────────────────────────────────────

    def _route(
        self,
        method: str,
        path: str,
        name: str,
        scope: str | None,
        handler: Handler,
        envelope: Envelope = in_meta,
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            begun = time.time()
            status, body = await self._exchange(request, name, scope, handler)
            body = envelope(body, request.url.path, method, time.time() - begun)
            fault = body.pop("", None)
            if fault is not None:
                return await badly(fault, status, body)
            return Response(encode(body), status, media_type="application/json")

        endpoint.__doc__ = handler.__doc__
        return Route(path, endpoint, methods=[method], name=name)

    async def _exchange(
        self, request: Request, name: str, scope: str | None, handler: Handler
    ) -> tuple[int, Body]:
        at = time.time()
        if self._conditions.holds("restart"):
            return 503, errors(503, "ServiceUnavailable", "The venue is away.")
        fault: Fault | None = None
        try:
            holder, app_id = self._who(request, scope, at)
            login_id = request.path_params.get("account_id")
            if holder is not None:
                login_id = holder.login_id or login_id
            self._conditions.received.append((name, login_id, at))
            counted = f"application {app_id}" if holder is None else f"user {holder.user_id}"
            self._limits.check(counted, "general", RATES["general"], at)
            fault = self._faults.take(name, login_id)
            if fault is not None:
                await fault.before()
            status, body = handler(Asked(request, holder, app_id, await _json(request), at))
            if fault is not None:
                fault.done(body, self._engine)
                body = {**body, "": fault}
        except Unauthorized as problem:
            return problem.status, errors(problem.status, problem.code, problem.message)
        except Refusal as refusal:
            status = STATUS_OF.get(refusal.code, 400)
            refused = errors(status, refusal.code, refusal.message)
            refused["errors"][0] |= refusal.details or {}
            return status, refused
        except DropConnection:
            return 502, errors(502, "BadGateway", "The venue broke off.")
        finally:
            self._pulse.flush(at)
        return status, body

    def _who(self, request: Request, scope: str | None, at: float) -> tuple[Holder | None, int]:
        """Whom the token speaks for, and the application; nobody where no ``scope`` is needed."""
        app_id = request.headers.get("deriv-app-id", "")
        if not (app_id.isascii() and app_id.isalnum() and len(app_id) <= 32):
            raise Unauthorized(401, "InvalidAppID", "Deriv-App-ID names no application.")
        if scope is None:
            return None, application_number(app_id)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        holder = self._holder(token, at) if kind == "Bearer" else None
        if holder is None:
            raise Unauthorized(401, "InvalidToken", "The token is not valid.")
        if scope not in holder.scopes:
            raise Unauthorized(403, "PermissionDenied", f"The token lacks the scope {scope}.")
        return holder, application_number(app_id)

    def _holder(self, token: str, at: float) -> Holder | None:
        """Whom a token speaks for: an account's own, or one that an application was granted."""
        if account := self._engine.account_of(token):
            scopes = tuple(name for name, known in SCOPES.items() if known in account.scopes)
            return Holder(account.user_id, scopes, account.login_id)
        if held := self._tokens.held(token, at):
            return Holder(held.user_id, held.scopes, None)
        return None

    def _theirs(self, asked: Asked) -> Account:
        """The account of the path, which is the token's holder's."""
        wanted = asked.request.path_params["account_id"]
        for account in self._engine.accounts_of(asked.holder.user_id):
            if account.login_id == wanted:
                return account
        raise Refusal("AccountNotFound", "The token's owner has no such account.")

    # ── the requests ─────────────────────────────────────────────────────────────────────────────────

    async def _health(self, request: Request) -> Response:
        """Whether the venue is up, in a word."""
        if self._conditions.holds("restart"):
            return PlainTextResponse("DOWN", 503)
        return PlainTextResponse("OK")

    def _accounts(self, asked: Asked) -> tuple[int, Body]:
        """All accounts of the token's owner."""
        return 200, {"data": [_row(account) for account in self._engine.accounts_of(asked.holder.user_id)]}

    def _create(self, asked: Asked) -> tuple[int, Body]:
        """Opens a real or demo account, or answers the one there is of this kind."""
        body = asked.body
        if set(body) != {"currency", "group", "account_type"} or body["group"] != "row":
            raise Refusal("ValidationError", "Give currency, group and account_type, and nothing else.")
        if body["currency"] != "USD" or body["account_type"] not in ("demo", "real"):
            raise Refusal("ValidationError", "Accounts are demo or real, and kept in USD.")
        is_demo = body["account_type"] == "demo"
        for account in self._engine.accounts_of(asked.holder.user_id):
            if (account.is_demo, account.currency) == (is_demo, "USD"):
                return 200, {"data": _row(account)}
        opened = self._engine.open_account(
            f"{asked.holder.user_id}-{body['account_type']}",
            "USD",
            self._rules.top_up_to if is_demo else Decimal("0.00"),
            is_demo,
            asked.at,
            user_id=asked.holder.user_id,
        )
        return 201, {"data": [_row(opened)]}

    def _otp(self, asked: Asked) -> tuple[int, Body]:
        """The address of a socket of this account; it opens once, within two minutes."""
        account = self._theirs(asked)
        word = self._passwords.give(account.login_id, asked.app_id, asked.at)
        url = asked.request.url
        scheme = "wss" if url.scheme == "https" else "ws"
        kind = "demo" if account.is_demo else "real"
        return 200, {"data": {"url": f"{scheme}://{url.netloc}{OPTIONS}/ws/{kind}?otp={word}"}}

    def _reset_balance(self, asked: Asked) -> tuple[int, Body]:
        """Brings a demo account back to the balance it began with."""
        account = self._theirs(asked)
        if not account.is_demo:
            raise Refusal("NotDemo", "Only a demo account's balance can be reset.")
        self._engine.reset_balance(account.login_id, asked.at)
        after = _row(self._engine.account(account.login_id))
        del after["group"]
        return 200, {"data": after}


def application_number(app_id: str) -> int:
    """The number an application stands in the books with: its id, or one made of it."""
    return int(app_id) if app_id.isdigit() and len(app_id) <= 10 else zlib.crc32(app_id.encode())


def _row(account: Account) -> Body:
    return {
        "account_id": account.login_id,
        "balance": account.balance,
        "currency": account.currency,
        "group": "row",
        "status": "active",
        "account_type": "demo" if account.is_demo else "real",
    }


async def _json(request: Request) -> Body:
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > LARGEST_BODY:
            raise Refusal("ValidationError", "The body is too large.")
    try:
        body = decode(bytes(text) or b"{}")
    except NotJson:
        body = None
    if not isinstance(body, dict):
        raise Refusal("ValidationError", "The body is not a JSON object.")
    return body


class _Answer:
    """The answer as a fault delivers it: late, twice (which HTTP cannot), or not at all."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.seconds = 0.0

    def put(self, text: str) -> None:
        self.text = text

    def later(self, seconds: float, text: str) -> None:
        self.seconds, self.text = seconds, text

    behind = later


async def badly(fault: Fault, status: int, body: Body) -> Response:
    """The answer as a fault has it arrive."""
    answer = _Answer()
    fault.deliver(encode(body), answer)
    await asyncio.sleep(answer.seconds)
    if answer.text is None:
        lost = errors(504, "GatewayTimeout", "The answer was lost.")
        return Response(encode(lost), 504, media_type="application/json")
    return Response(answer.text, status, media_type="application/json")
