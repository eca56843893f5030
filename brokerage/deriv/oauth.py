"""How a user of the venue lets us in: OAuth2's authorization code with PKCE, and refresh tokens that are used once.

Nothing is repeated by itself, and no token, code or verifier appears in an error.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import httpx

from brokerage.deriv import answers
from brokerage.deriv.answers import Fields
from brokerage.deriv.errors import (
    AnswerTimeout,
    ConnectionLost,
    MalformedAnswer,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    Refused,
    RetryLater,
    VenueError,
)
from brokerage.deriv.rest import LARGEST_BODY
from brokerage.deriv.wire import NotJson, decode

SCOPES: Final = ("trade", "account_manage", "payment")
TIMEOUT_SECONDS: Final = 10.0
# What may stand in a header and in a form without changing what it says.
SECRET: Final = re.compile(r"[\x21-\x7e]{8,4096}")


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """What the venue grants: `access` for `expires_in` seconds, `refresh` to renew it once, and for what."""

    access: str
    refresh: str
    expires_in: int
    scopes: tuple[str, ...]


def challenge_of(verifier: str) -> str:
    """What the authorization carries of a verifier that only we know (PKCE, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class OAuth:
    """The venue's OAuth2 server at ``base`` (without a path), asked as our application."""

    base: str
    app_id: str
    timeout: float = TIMEOUT_SECONDS

    def authorization_url(self, *, state: str, verifier: str, redirect_url: str) -> str:
        """Where the user decides; afterwards they come back to ``redirect_url`` with the state and a code."""
        query = {
            "response_type": "code",
            "client_id": self.app_id,
            "redirect_uri": redirect_url,
            "scope": " ".join(SCOPES),
            "state": state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        return f"{self.base}/oauth2/authorize?{urlencode(query)}"

    def exchange(self, *, code: str, verifier: str, redirect_url: str) -> Tokens:
        """The tokens for a code, which is used up by this.

        Raises ``NotAuthorized`` if the code is not good, ``NotSent`` if nothing left this machine, and
        ``OutcomeUnknown`` if the answer was lost: the code may be used up.
        """
        return self._tokens(
            {"grant_type": "authorization_code", "code": code, "code_verifier": verifier,
             "redirect_uri": redirect_url, "client_id": self.app_id},
            before=SCOPES,
        )  # fmt: skip

    def refresh(self, refresh_token: str, *, scopes: tuple[str, ...]) -> Tokens:
        """The next tokens for a refresh token, which is used up by this; ``scopes`` are those it had.

        Raises as ``exchange``.
        """
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.app_id}
        return self._tokens(fields, before=scopes)

    def revoke(self, token: str) -> None:
        """End a token and what was granted with it. The venue says yes to a token it does not know, too.

        Raises a ``VenueError`` if the venue cannot be asked; asking again is safe.
        """
        self._ask("revoke", {"token": token, "client_id": self.app_id})

    def _tokens(self, fields: dict[str, str], *, before: tuple[str, ...]) -> Tokens:
        body = self._ask("token", fields)
        try:
            expires_in = answers.whole(body, "expires_in")
            scopes = answers.maybe(answers.text, body, "scope")
            tokens = Tokens(
                access=answers.text(body, "access_token"),
                refresh=answers.text(body, "refresh_token"),
                expires_in=expires_in,
                scopes=before if scopes is None else tuple(sorted(set(scopes.split()))),
            )
            if not 0 < expires_in <= 366 * 86_400:
                raise ValueError("expires_in is out of range")
            if not (SECRET.fullmatch(tokens.access) and SECRET.fullmatch(tokens.refresh)):
                raise ValueError("a token has signs that no token has")
        except ValueError as found:
            raise MalformedAnswer("MalformedAnswer", f"token: {found}") from None
        return tokens

    def _ask(self, what: str, fields: dict[str, str]) -> dict[str, Any]:
        try:
            address = f"{self.base}/oauth2/{what}"
            with httpx.stream("POST", address, data=fields, timeout=self.timeout, trust_env=False) as answer:
                text = _read(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout) as found:
            raise NotSent("NotConnected", f"no connection for {what}: {type(found).__name__}") from None
        except httpx.TimeoutException:
            raise AnswerTimeout("Timeout", f"no answer to {what} in time") from None
        except httpx.HTTPError:
            raise ConnectionLost("ConnectionLost", f"the connection broke at {what}") from None
        try:
            body = decode(text or b"{}")
        except NotJson:
            body = None
        if not answer.is_success:
            raise _refusal(answer.status_code, body if isinstance(body, dict) else {}, what)
        if not isinstance(body, dict):
            raise MalformedAnswer("MalformedAnswer", f"{what}: the answer is not a JSON object")
        return body


def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise httpx.RemoteProtocolError("the answer is too large")
    return bytes(body)


def _refusal(status: int, body: Fields, what: str) -> VenueError:
    said = body.get("error")
    code = said if isinstance(said, str) and re.fullmatch(r"[A-Za-z_]{1,40}", said) else f"HTTP{status}"
    message = f"the venue refuses {what}"
    if code == "invalid_grant":
        return NotAuthorized(code, message)
    if status in (429, 503):
        return RetryLater(code, message)
    return (OutcomeUnknown if status >= 500 else Refused)(code, message)
