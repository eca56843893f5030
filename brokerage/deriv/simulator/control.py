"""The simulator's HTTP interface under ``/simulator/``: accounts, books, faults. For tests, set-up and proofs.

It makes tokens, so it is open only where the server is bound to the machine itself, or to holders of the secret.
"""

import hmac
import time
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from brokerage.deriv.simulator.books import Account, Refusal
from brokerage.deriv.simulator.engine import SCOPES
from brokerage.deriv.simulator.faults import Faults
from brokerage.deriv.simulator.pulse import Pulse
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

    def __init__(self, pulse: Pulse, faults: Faults, secret: str | None, is_local: bool) -> None:
        """Without a secret the interface answers only while the server is bound to the machine itself."""
        self._pulse = pulse
        self._engine = pulse.engine
        self._faults = faults
        self._secret = secret
        self._is_local = is_local

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/simulator/health", self.health),
            Route("/simulator/accounts/{external_id}", self.put_account, methods=["PUT"]),
            Route("/simulator/accounts/{login_id}/books", self.books),
            Route("/simulator/faults", self.faults, methods=["GET", "POST", "DELETE"]),
        ]

    async def health(self, request: Request) -> Response:
        clock = self._engine.market.clock
        return JSONResponse(
            {"status": "up", "seed": self._engine.market.seed, "speed": clock.speed, "time": int(time.time())}
        )

    async def put_account(self, request: Request) -> Response:
        try:
            self._guard(request)
            body = await self._object(request)
            account = self._open(request.path_params["external_id"], body)
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        self._pulse.flush(time.time())
        return JSONResponse({**_account(account), "token": account.token})

    def _open(self, external_id: str, body: dict[str, Any]) -> Account:
        known = {"currency", "balance", "is_demo", "scopes"}
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
            return self._engine.open_account(
                external_id, currency, exact, is_demo, time.time(), tuple(scopes)
            )
        except Refusal as refusal:
            raise Unacceptable(refusal.message, 409 if refusal.code == "AccountExists" else 422) from refusal

    async def books(self, request: Request) -> Response:
        """What the venue itself has written down, oldest first; amounts as text."""
        try:
            self._guard(request)
            account = self._engine.account(request.path_params["login_id"])
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        except KeyError:
            return JSONResponse({"error": "there is no such account"}, 404)
        lines = self._engine.store.lines(account.login_id)[::-1]
        contracts = self._engine.store.contracts(account.login_id)
        return JSONResponse(
            {
                "account": _account(account),
                "lines": [
                    {
                        "transaction_id": line.transaction_id,
                        "action": line.action,
                        "amount": str(line.amount),
                        "balance_after": str(line.balance_after),
                        "at": line.at,
                        "contract_id": line.contract_id,
                        "reference_id": line.reference_id,
                    }
                    for line in lines
                ],
                "contracts": [
                    {
                        "contract_id": contract.contract_id,
                        "contract_type": contract.terms.contract_type,
                        "symbol": contract.terms.symbol,
                        "status": contract.status,
                        "is_expired": contract.is_expired,
                        "buy_price": str(contract.buy_price),
                        "payout": str(contract.payout),
                        "commission": str(contract.commission),
                        "markup": str(contract.markup),
                        "sell_price": None if contract.sell_price is None else str(contract.sell_price),
                        "purchase_time": contract.purchase_time,
                        "sell_time": contract.sell_time,
                        "date_expiry": contract.date_expiry,
                        "entry_index": contract.entry_index,
                        "exit_index": contract.exit_index,
                        "app_id": contract.app_id,
                        "shortcode": contract.shortcode,
                    }
                    for contract in contracts
                ],
            }
        )

    async def faults(self, request: Request) -> Response:
        try:
            self._guard(request)
            if request.method == "POST":
                return JSONResponse(self._faults.add(await self._object(request)).as_json(), 201)
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        except ValueError as problem:
            return JSONResponse({"error": str(problem)}, 422)
        if request.method == "DELETE":
            self._faults.clear()
            return Response(status_code=204)
        return JSONResponse({"faults": [fault.as_json() for fault in self._faults.all()]})

    def _guard(self, request: Request) -> None:
        if self._secret is None:
            if not self._is_local:
                raise Unacceptable("bound to a network: the control interface needs a secret", 403)
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._secret}".encode()):
            raise Unacceptable("the control interface needs its secret", 401)

    async def _object(self, request: Request) -> dict[str, Any]:
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


def _account(account: Account) -> dict[str, Any]:
    return {
        "login_id": account.login_id,
        "external_id": account.external_id,
        "currency": account.currency,
        "balance": str(account.balance),
        "is_demo": account.is_demo,
    }
