"""The desk's routes about granted tokens: a user takes them all away, and how long new ones are good."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from brokerage.deriv.simulator.control import Control, Unacceptable
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.tokens import Tokens
from brokerage.deriv.simulator.v3.hub import Hub


class Permissions:
    """The routes under `/simulator/` that concern granted tokens."""

    def __init__(self, control: Control, engine: Engine, tokens: Tokens, hub: Hub) -> None:
        self._control, self._engine, self._tokens, self._hub = control, engine, tokens, hub

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/simulator/accounts/{login_id}/permissions", self.take_away, methods=["DELETE"]),
            Route("/simulator/tokens", self.life, methods=["POST"]),
        ]

    async def take_away(self, request: Request) -> Response:
        """The account's user ends every application's permission; the sockets it had opened are closed."""
        try:
            self._control.guard(request)
            user_id = self._engine.account(request.path_params["login_id"]).user_id
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        except KeyError:
            return JSONResponse({"error": "there is no such account"}, 404)
        self._tokens.end_all(user_id)
        self._hub.close_of({account.login_id for account in self._engine.accounts_of(user_id)})
        return Response(status_code=204)

    async def life(self, request: Request) -> Response:
        """How many seconds access tokens are good that are made from now on."""
        try:
            self._control.guard(request)
            seconds = (await self._control.object_of(request)).get("life_seconds")
        except Unacceptable as problem:
            return JSONResponse({"error": problem.message}, problem.status)
        if type(seconds) is not int or not 1 <= seconds <= 86_400:
            return JSONResponse({"error": "life_seconds is 1 to 86400"}, 422)
        self._tokens.life_seconds = float(seconds)
        return JSONResponse({"life_seconds": seconds}, 201)
