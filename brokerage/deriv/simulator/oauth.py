"""The simulator's sign-in and its OAuth2 endpoints: authorization code with PKCE, refresh tokens that are used once.

Whoever opens the page may sign in as any user of this venue, so it is open only where the control interface is: on the
machine itself, or to holders of its secret.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from brokerage.deriv.simulator.books import Refusal
from brokerage.deriv.simulator.control import LARGEST_BODY
from brokerage.deriv.simulator.faults import DropConnection, Faults
from brokerage.deriv.simulator.pulse import Pulse
from brokerage.deriv.simulator.sign_in_page import page, sorry
from brokerage.deriv.simulator.tokens import Pair, Tokens
from brokerage.deriv.simulator.v4.rest import SCOPES, badly

CODE_SECONDS: Final = 60.0
FIRST_REAL_BALANCE: Final = Decimal("500.00")

Fields = Mapping[str, str]


class Unacceptable(Exception):
    """A request that is refused with one of OAuth's own words."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error, self.message = error, message


@dataclass(frozen=True, slots=True)
class Code:
    """What an authorization code stands for."""

    user_id: int
    client_id: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...]
    made_at: float


class OAuth:
    """The routes under `/oauth2/`."""

    def __init__(
        self, pulse: Pulse, faults: Faults, tokens: Tokens, secret: str | None, is_local: bool
    ) -> None:
        self._pulse, self._engine, self._faults, self._tokens = pulse, pulse.engine, faults, tokens
        self._secret, self._is_local = secret, is_local
        self._codes: dict[str, Code] = {}

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/oauth2/authorize", self._show, methods=["GET"]),
            Route("/oauth2/authorize", self._decide, methods=["POST"]),
            Route("/oauth2/token", self._token, methods=["POST"]),
            Route("/oauth2/revoke", self._revoke, methods=["POST"]),
        ]

    # ── the page ─────────────────────────────────────────────────────────────────────────────────────

    async def _show(self, request: Request) -> Response:
        """The page on which a person says which user they are, and whether the application may act for them."""
        asked = dict(request.query_params)
        if problem := self._stranger(asked):
            return HTMLResponse(sorry(problem), 400)
        try:
            scopes = _wanted(asked)
        except Unacceptable as found:
            return _back(asked, error=found.error, error_description=found.message)
        return HTMLResponse(page(asked, scopes, needs_secret=self._secret is not None), headers=_NO_STORE)

    async def _decide(self, request: Request) -> Response:
        """Sends the person back to the application, with a code or with their no."""
        pairs = await _form(request)
        asked = dict(pairs)
        if problem := self._stranger(asked):
            return HTMLResponse(sorry(problem), 400)
        if self._secret is not None and not hmac.compare_digest(
            asked.get("secret", "").encode(), self._secret.encode()
        ):
            return HTMLResponse(sorry("The secret is not the simulator's."), 403)
        try:
            allowed = _wanted(asked)
        except Unacceptable as found:
            return _back(asked, error=found.error, error_description=found.message)
        if asked.get("decision") != "approve":
            return _back(asked, error="access_denied", error_description="The user said no.")
        ticked = {value for name, value in pairs if name == "allow"}
        at = time.time()
        try:
            user_id = self._user(asked, at)
        except Refusal as found:
            return HTMLResponse(
                page(asked, allowed, needs_secret=self._secret is not None, problem=found.message),
                422,
                headers=_NO_STORE,
            )
        self._pulse.flush(at)
        code = secrets.token_urlsafe(24)
        scopes = tuple(scope for scope in allowed if scope in ticked)
        self._codes[code] = Code(
            user_id, asked["client_id"], asked["redirect_uri"], asked["code_challenge"], scopes, at
        )
        return _back(asked, code=code)

    def _stranger(self, asked: Fields) -> str | None:
        """Why nobody can be sent back: then the page says what is wrong, and nothing leaves for the address."""
        if self._secret is None and not self._is_local:
            return "The simulator is bound to a network, and nobody may sign in without its secret."
        client_id, address = asked.get("client_id", ""), urlsplit(asked.get("redirect_uri", ""))
        if not (client_id.isascii() and client_id.isalnum() and len(client_id) <= 32):
            return "The application (client_id) is not known."
        if address.scheme not in ("http", "https") or not address.netloc or address.fragment:
            return "The address to return to (redirect_uri) makes no sense."
        return None

    def _user(self, asked: Fields, at: float) -> int:
        """Who signs in: the holder of a log-in, or a new user with an account of each kind."""
        if asked.get("who") == "login":
            try:
                return self._engine.account(asked.get("login_id", "").strip().upper()).user_id
            except KeyError:
                raise Refusal("UnknownLogin", "There is no account with this log-in id.") from None
        name = f"signed-in-{secrets.token_hex(8)}"
        demo = self._engine.open_account(f"{name}-demo", "USD", self._engine.rules.top_up_to, True, at)
        self._engine.open_account(f"{name}-real", "USD", FIRST_REAL_BALANCE, False, at, user_id=demo.user_id)
        return demo.user_id

    # ── tokens ───────────────────────────────────────────────────────────────────────────────────────

    async def _token(self, request: Request) -> Response:
        """Gives tokens for a code, or new ones for a refresh token; both are good once."""
        given = dict(await _form(request))
        at = time.time()
        fault = self._faults.take("oauth_token", None)
        try:
            if fault is not None:
                await fault.before()
            body = self._granted(given, at)
        except Unacceptable as found:
            return JSONResponse({"error": found.error, "error_description": found.message}, 400)
        except Refusal as found:
            return JSONResponse({"error": found.code, "error_description": found.message}, 503)
        except DropConnection:
            return JSONResponse({"error": "server_error"}, 502)
        if fault is not None:
            return await badly(fault, 200, body)
        return JSONResponse(body, headers=_NO_STORE)

    def _granted(self, given: Fields, at: float) -> dict[str, Any]:
        client_id = given.get("client_id", "")
        match given.get("grant_type"):
            case "authorization_code":
                return _shown(self._exchanged(given, client_id, at))
            case "refresh_token":
                pair = self._tokens.renew(given.get("refresh_token", ""), client_id, at)
                if pair is None:
                    raise Unacceptable("invalid_grant", "The refresh token is used, ended or false.")
                return _shown(pair)
        raise Unacceptable("unsupported_grant_type", "grant_type is authorization_code or refresh_token.")

    def _exchanged(self, given: Fields, client_id: str, at: float) -> Pair:
        code = self._codes.pop(given.get("code", ""), None)
        if code is None or at - code.made_at > CODE_SECONDS:
            raise Unacceptable("invalid_grant", "The code is used, too old or false.")
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        same = (code.client_id, code.redirect_uri) == (client_id, given.get("redirect_uri"))
        if not same or not hmac.compare_digest(challenge.encode(), code.challenge.encode()):
            raise Unacceptable("invalid_grant", "The code was given to somebody else.")
        return self._tokens.grant(code.user_id, client_id, code.scopes, at)

    async def _revoke(self, request: Request) -> Response:
        """Ends a token and what was made with it."""
        given = dict(await _form(request))
        self._tokens.end(given.get("token", ""), given.get("client_id", ""))
        return JSONResponse({})  # the same for a token nobody knows


_NO_STORE: Final = {"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}


def _wanted(asked: Fields) -> tuple[str, ...]:
    """The scopes asked for, once everything else about the request makes sense."""
    if asked.get("response_type") != "code":
        raise Unacceptable("unsupported_response_type", "response_type is code.")
    if not asked.get("state"):
        raise Unacceptable("invalid_request", "state is missing.")
    if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
        raise Unacceptable("invalid_request", "code_challenge is missing, or not S256.")
    scopes = tuple(dict.fromkeys(asked.get("scope", "").split()))
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Unacceptable("invalid_scope", f"scope is some of {', '.join(SCOPES)}.")
    return scopes


def _back(asked: Fields, **said: str) -> Response:
    """Send the user back to the application, with what was decided."""
    address = urlsplit(asked["redirect_uri"])
    query = [*parse_qsl(address.query), *said.items(), ("state", asked.get("state", ""))]
    return RedirectResponse(urlunsplit(address._replace(query=urlencode(query))), 303, headers=_NO_STORE)


def _shown(pair: Pair) -> dict[str, Any]:
    return {
        "access_token": pair.access,
        "token_type": "bearer",
        "expires_in": pair.expires_in,
        "refresh_token": pair.refresh,
        "scope": " ".join(pair.held.scopes),
    }


async def _form(request: Request) -> list[tuple[str, str]]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return []
    return parse_qsl(bytes(body).decode("utf-8", "replace"), keep_blank_values=True)
