"""The simulator's HTTP interface under ``/simulator/``: accounts, books, faults. For tests, set-up and proofs.

It makes tokens, so it is open only where the server is bound to the machine itself, or to holders of the secret.
"""

import hmac
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from brokerage.deriv.simulator import told
from brokerage.deriv.simulator.books import Account, Line, Refusal, Terms
from brokerage.deriv.simulator.chaos import Chaos
from brokerage.deriv.simulator.conditions import Conditions
from brokerage.deriv.simulator.control_agents import Absent, Act, AgentControl, Served
from brokerage.deriv.simulator.engine import SCOPES
from brokerage.deriv.simulator.faults import Faults
from brokerage.deriv.simulator.moves import Moves
from brokerage.deriv.simulator.payments import Payments
from brokerage.deriv.simulator.pulse import Pulse
from brokerage.deriv.simulator.v3.limits import Limits
from brokerage.deriv.wire import NotJson, decode

LARGEST_BODY = 65_536


class Unacceptable(Exception):
    """A control request that is refused, with its HTTP status."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Control:
    """The routes under `/simulator/`."""

    def __init__(
        self,
        pulse: Pulse,
        faults: Faults,
        limits: Limits,
        conditions: Conditions,
        moves: Moves,
        payments: Payments,
        secret: str | None,
        is_local: bool,
    ) -> None:
        """Without a secret the interface answers only while the server is bound to the machine itself."""
        self._pulse = pulse
        self._engine = pulse.engine
        self._faults = faults
        self._limits, self._conditions, self._moves = limits, conditions, moves
        self._chaos = Chaos(faults, conditions)
        self._secret = secret
        self._is_local = is_local
        self._agents = AgentControl(payments, self._guarded, self.object_of)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/simulator/health", self.health),
            Route("/simulator/accounts/{external_id}", self.put_account, methods=["PUT"]),
            Route("/simulator/accounts/{login_id}/books", self.books),
            Route("/simulator/accounts/{login_id}/activity", self.activity, methods=["POST"]),
            Route("/simulator/accounts/{login_id}/migration", self.migration, methods=["POST"]),
            Route("/simulator/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/simulator/conditions", self.conditions, methods=["GET", "POST", "DELETE"]),
            Route("/simulator/chaos", self.chaos, methods=["GET", "POST", "DELETE"]),
            self._looked_at("/simulator/received", self._received),
            self._looked_at("/simulator/limits", lambda request: dict(self._limits.refused)),
            self._looked_at("/simulator/connections", lambda request: self._conditions.connected.as_json()),
            *self._agents.routes(),
        ]

    async def health(self, request: Request) -> Response:
        clock = self._engine.market.clock
        return JSONResponse(
            {"status": "up", "seed": self._engine.market.seed, "speed": clock.speed, "time": int(time.time())}
        )

    async def put_account(self, request: Request) -> Response:
        try:
            self.guard(request)
            body = await self.object_of(request)
            account = self._open(request.path_params["external_id"], body)
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        self._pulse.flush(time.time())
        return JSONResponse({**told.account(account), "token": account.token})

    def _open(self, external_id: str, body: dict[str, Any]) -> Account:
        known = {"currency", "balance", "is_demo", "scopes", "same_user_as"}
        if unknown := set(body) - known:
            raise Unacceptable(f"an account has no {sorted(unknown)[0]}")
        currency, balance = body.get("currency", "USD"), body.get("balance", "10000.00")
        is_demo, scopes = body.get("is_demo", True), body.get("scopes", list(SCOPES))
        if not isinstance(currency, str) or not isinstance(is_demo, bool):
            raise Unacceptable("currency is a text, is_demo true or false")
        if not isinstance(scopes, list) or not set(map(str, scopes)) <= set(SCOPES):
            raise Unacceptable(f"scopes are some of {', '.join(SCOPES)}")
        try:
            amount = Decimal(balance) if isinstance(balance, str) else None
        except ArithmeticError:
            amount = None
        if amount is None or not amount.is_finite() or not 0 <= amount < 10**15:
            raise Unacceptable("balance is a decimal written as text")
        try:
            exact = amount.quantize(Decimal("0.01")) if amount == round(amount, 2) else amount
            same = body.get("same_user_as")
            user_id = None if same is None else self._engine.account(str(same)).user_id
            return self._engine.open_account(
                external_id, currency, exact, is_demo, time.time(), tuple(scopes), user_id
            )
        except KeyError as error:
            raise Unacceptable("same_user_as names no account") from error
        except Refusal as refusal:
            raise Unacceptable(refusal.message, 409 if refusal.code == "AccountExists" else 422) from refusal

    async def books(self, request: Request) -> Response:
        """What the venue itself has written down, oldest first; amounts as text."""
        try:
            self.guard(request)
            account = self._engine.account(request.path_params["login_id"])
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        except KeyError:
            return JSONResponse({"error": "there is no such account"}, 404)
        lines = self._engine.store.lines(account.login_id)[::-1]
        contracts = self._engine.store.contracts(account.login_id)
        return JSONResponse(
            {
                "account": told.account(account),
                "lines": [told.line(each) for each in lines],
                "contracts": [told.contract(each) for each in contracts],
            }
        )

    async def migration(self, request: Request) -> Response:
        """Where the move of the account's owner from v3 to v4 stands from now on; their accounts' logins afterwards."""
        try:
            self.guard(request)
            body = await self.object_of(request)
            user_id = self._engine.account(request.path_params["login_id"]).user_id
            self._pulse.flush(time.time())
            self._moves.set_status(user_id, str(body.get("status")))
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        except KeyError:
            return JSONResponse({"error": "there is no such account"}, 404)
        except Refusal as refusal:
            return JSONResponse({"error": refusal.message}, 422)
        self._conditions.close_moved()
        moves = {move.was: move.login_id for move in self._moves.of_user(user_id)}
        return JSONResponse({"status": self._moves.status(user_id), "moves": moves}, 201)

    async def activity(self, request: Request) -> Response:
        """What the client does at the venue without us: money in or out, or a purchase by another application."""
        try:
            self.guard(request)
            line = self._act(request.path_params["login_id"], await self.object_of(request))
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        except Refusal as refusal:
            return JSONResponse({"error": refusal.message}, 422)
        self._pulse.flush(time.time())
        return JSONResponse({"transaction_id": line.transaction_id, "contract_id": line.contract_id}, 201)

    def _act(self, login_id: str, body: dict[str, Any]) -> Line:
        try:
            self._engine.account(login_id)
            kind = body["kind"]
            if kind in ("deposit", "withdrawal"):
                return self._engine.move_money(login_id, kind, Decimal(str(body["amount"])), time.time())
            if kind != "buy":
                raise Unacceptable("kind is deposit, withdrawal or buy")
            stake = Decimal(str(body["stake"]))
            terms = Terms(
                contract_type=str(body["contract_type"]), symbol=str(body["symbol"]), basis="stake", amount=stake,
                duration=int(body["duration"]), unit=str(body["duration_unit"]),
                currency=self._engine.account(login_id).currency,
            )  # fmt: skip
        except KeyError as missing:
            problem = Unacceptable(f"{missing.args[0]} is missing")
            if missing.args[0] == login_id:
                problem = Unacceptable("there is no such account", 404)
            raise problem from missing
        except (ArithmeticError, ValueError) as error:
            raise Unacceptable("an amount or a duration makes no sense") from error
        app_id = int(body.get("app_id", 0))
        return self._engine.buy(login_id, terms, stake, Decimal(0), app_id, time.time())[1]

    async def faults(self, request: Request) -> Response:
        """The rules in force."""
        return await self._kept(
            request,
            lambda body: self._faults.add(body).as_json(),
            self._faults.clear,
            lambda: {"faults": [fault.as_json() for fault in self._faults.all()]},
        )

    async def conditions(self, request: Request) -> Response:
        """What holds for the whole venue."""

        def begin(body: dict[str, Any]) -> dict[str, Any]:
            if set(body) - {"condition", "seconds"}:
                raise ValueError("a condition has condition and seconds")
            seconds = body.get("seconds", 5.0)
            given = float(seconds) if isinstance(seconds, Decimal) else seconds
            self._conditions.begin(str(body.get("condition")), given)
            return {"conditions": self._conditions.as_json()}

        return await self._kept(
            request, begin, self._conditions.clear, lambda: {"conditions": self._conditions.as_json()}
        )

    async def chaos(self, request: Request) -> Response:
        """Random misbehavior with a seed."""

        def told() -> dict[str, Any]:
            chaos = self._chaos
            return {"running": chaos.is_running, "seed": chaos.seed, "done": chaos.done}

        def start(body: dict[str, Any]) -> dict[str, Any]:
            self._chaos.start(body)
            return told()

        return await self._kept(request, start, self._chaos.stop, told)

    def _looked_at(self, path: str, told: Callable[[Request], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                self.guard(request)
            except Unacceptable as problem:
                return JSONResponse({"error": problem.message}, problem.status)
            return JSONResponse(told(request))

        return Route(path, endpoint)

    def _received(self, request: Request) -> Any:
        """The calls that arrived lately, oldest first: which, of which account, when."""
        call, login_id = request.query_params.get("call"), request.query_params.get("login_id")
        rows = [
            {"call": name, "login_id": account, "at": at}
            for name, account, at in self._conditions.received
            if call in (None, name) and login_id in (None, account)
        ]
        return {"received": rows}

    async def _kept(
        self,
        request: Request,
        add: Callable[[dict[str, Any]], Any],
        clear: Callable[[], None],
        told: Callable[[], Any],
    ) -> Response:
        """Something with GET to look, POST to add and DELETE to end; a ``ValueError`` is the caller's mistake."""
        try:
            self.guard(request)
            if request.method == "POST":
                return JSONResponse(add(await self.object_of(request)), 201)
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        except ValueError as problem:
            return JSONResponse({"error": str(problem)}, 422)
        if request.method == "DELETE":
            clear()
            return Response(status_code=204)
        return JSONResponse(told())

    def _guarded(self, act: Act) -> Served:
        """About one account, for whoever may; a ``ValueError`` is the caller's mistake."""

        async def endpoint(request: Request) -> Response:
            try:
                self.guard(request)
                if not self._engine.knows(request.path_params["login_id"]):
                    raise Unacceptable("there is no such account", 404)
                account = self._engine.account(request.path_params["login_id"])
                return JSONResponse(await act(account, request))
            except Unacceptable as problem:
                return JSONResponse({"error": problem.message}, problem.status)
            except Absent as problem:
                return JSONResponse({"error": str(problem)}, 404)
            except ValueError as problem:
                return JSONResponse({"error": str(problem)}, 422)

        return endpoint

    def guard(self, request: Request) -> None:
        """Raises ``Unacceptable`` unless this request may use the desk."""
        if self._secret is None:
            if not self._is_local:
                raise Unacceptable("bound to a network: the control interface needs a secret", 403)
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._secret}".encode()):
            raise Unacceptable("the control interface needs its secret", 401)

    async def object_of(self, request: Request) -> dict[str, Any]:
        """The JSON object of the body. Raises ``Unacceptable``."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                raise Unacceptable("the body is too large", 413)
        try:
            value = decode(bytes(body) or b"{}")
        except NotJson as error:
            raise Unacceptable("the body is not JSON", 400) from error
        if not isinstance(value, dict):
            raise Unacceptable("the body is not an object", 400)
        return value
