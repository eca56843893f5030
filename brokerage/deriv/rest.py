"""What generation v4 answers over HTTP: whose accounts there are, and one-time addresses of sockets.

A client asks for one holder of a token; nothing is repeated by itself. Texts that come from the venue are never
shown to clients, and tokens never appear in an error.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx

from brokerage.deriv import answers
from brokerage.deriv.answers import Fields
from brokerage.deriv.budgets import Admission, admitted
from brokerage.deriv.errors import (
    PAYMENT_REFUSED,
    RATE_LIMIT,
    AnswerTimeout,
    ConnectionLost,
    MalformedAnswer,
    NotAuthorized,
    NotSent,
    OutcomeUnknown,
    Refused,
    RequestUsed,
    RetryLater,
    VenueError,
)
from brokerage.deriv.rest_agents import AgentCalls
from brokerage.deriv.rest_applications import ApplicationCalls
from brokerage.deriv.settings import Hook
from brokerage.deriv.types import Migration, StatementLine, VenueAccount
from brokerage.deriv.wire import NotJson, decode, encode, redact

T = TypeVar("T")
OPTIONS: Final = "/trading/v1/options"
PUBLIC_SOCKET: Final = f"{OPTIONS}/ws/public"
TIMEOUT_SECONDS: Final = 10.0
LARGEST_BODY: Final = 1024 * 1024
PAGE: Final = 999
MIGRATIONS: Final = ("complete", "pending", "failed", "not_applicable")


class RestClient(AgentCalls, ApplicationCalls):
    """Asks as the holder of one token. ``base`` is the venue's address without a path.

    Every method raises a ``VenueError`` and nothing else for what the venue or the network does: ``NotSent`` if
    nothing left this machine, ``NotAuthorized`` if the token is not good or may not do this, ``OutcomeUnknown`` if
    something was to be changed and nobody knows whether it was.
    """

    def __init__(
        self,
        base: str,
        app_id: str,
        token: str,
        *,
        on_message: Hook | None = None,
        timeout: float = TIMEOUT_SECONDS,
        admission: Admission | None = None,
    ) -> None:
        self._on_message, self._admission, self._timeout = on_message, admission, timeout
        self._http = httpx.AsyncClient(
            base_url=base,
            headers={"Deriv-App-ID": app_id, "Authorization": f"Bearer {token}"},
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Never raises."""
        await asyncio.shield(self._http.aclose())

    # ── accounts ─────────────────────────────────────────────────────────────────────────────────────

    async def accounts(self) -> tuple[VenueAccount, ...]:
        """Every trading account of the token's owner, real and demo."""
        return await self._ask(
            "GET", f"{OPTIONS}/accounts", lambda body: answers.rows(body, "data", _account)
        )

    async def create_account(self, *, is_demo: bool, currency: str = "USD") -> VenueAccount:
        """Open an account, or the one there is already of this kind: asked again, the venue answers the same."""

        def created(body: Fields) -> VenueAccount:
            # The one there was comes as an object, a new one as a list of one.
            if isinstance(body.get("data"), list):
                (account,) = answers.rows(body, "data", _account)
                return account
            return _account(answers.obj(body, "data"))

        wanted = {"currency": currency, "group": "row", "account_type": "demo" if is_demo else "real"}
        return await self._ask("POST", f"{OPTIONS}/accounts", created, wanted)

    async def reset_demo_balance(self, login_id: str) -> None:
        """Bring a demo account back to the balance it began with. Raises ``Refused`` for a real one."""
        path = f"{OPTIONS}/accounts/{quote(login_id, safe='')}/reset-demo-balance"
        await self._ask("POST", path, lambda body: None)

    async def socket_address(self, login_id: str) -> str:
        """The address of a socket of this account. It opens once, within 120 seconds; it is a secret until then."""

        def address(body: Fields) -> str:
            url = answers.text(answers.obj(body, "data"), "url")
            if urlsplit(url).scheme not in ("ws", "wss"):
                raise ValueError("the address is not one of a socket")
            return url

        return await self._ask("POST", f"{OPTIONS}/accounts/{quote(login_id, safe='')}/otp", address)

    async def migration(self) -> Migration:
        """Whether the token's owner was moved from generation v3 to v4."""

        def status(body: Fields) -> Migration:
            said = answers.text(body, "status")
            if said not in MIGRATIONS:
                raise ValueError("status is unknown")
            return said  # type: ignore[return-value]  # checked the line before

        return await self._ask("GET", f"{OPTIONS}/legacy/migration-status", status)

    async def legacy_logins(self) -> tuple[str, ...]:
        """The logins the token's owner had on the old platform. Raises ``Refused`` while a move is under way."""
        return await self._ask(
            "GET", f"{OPTIONS}/legacy/accounts", lambda body: tuple(answers.obj(body, "loginids"))
        )

    async def legacy_statement(self, login_id: str, since: int | None = None) -> tuple[StatementLine, ...]:
        """Everything that moved the account on the old platform, under its login there, newest first, from ``since``.

        Rows that moved nothing (they have no amount) are left out.
        """
        found: list[StatementLine | None] = []
        while True:
            asked = {"loginid": login_id, "limit": PAGE, "offset": len(found)}
            query = urlencode(asked if since is None else {**asked, "date_from": since})
            page = await self._ask(
                "GET",
                f"{OPTIONS}/legacy/statement?{query}",
                lambda body: answers.rows(body, "transactions", _legacy_line),
            )
            found += page
            if len(page) < PAGE:
                return tuple(line for line in found if line is not None)

    # ── one exchange ─────────────────────────────────────────────────────────────────────────────────

    async def _ask(
        self,
        method: str,
        path: str,
        parse: Callable[[Fields], T],
        sent: dict[str, Any] | None = None,
        *,
        pays: bool = False,
    ) -> T:
        """``pays``: it moves money, so only what is known to be a refusal is one."""
        async with admitted(self._admission, path.partition("?")[0].rpartition("/")[2], self._timeout):
            return await self._exchange(method, path, parse, sent, pays)

    async def _exchange(
        self, method: str, path: str, parse: Callable[[Fields], T], sent: dict[str, Any] | None, pays: bool
    ) -> T:
        bare, _, query = path.partition("?")
        what = f"{method} {bare}"
        if self._on_message is not None:
            asked = {"query": dict(parse_qsl(query))} if query else {}
            self._on_message("out", {what: redact(sent or {}), **asked})
        content = None if sent is None else encode(sent)
        headers = {} if sent is None else {"Content-Type": "application/json"}
        try:
            async with self._http.stream(method, path, content=content, headers=headers) as answer:
                body = await _read(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as found:
            raise NotSent("NotConnected", f"no connection for {what}: {type(found).__name__}") from found
        except httpx.TimeoutException as found:
            raise AnswerTimeout("Timeout", f"no answer to {what} in time") from found
        except httpx.HTTPError as found:
            raise ConnectionLost("ConnectionLost", f"the connection broke at {what}") from found
        found_body = _object(body, what)
        if self._on_message is not None:
            self._on_message("in", {what: redact(found_body), "status": answer.status_code})
        if answer.is_error:
            raise _refusal(answer.status_code, found_body, what, acts=method != "GET", pays=pays)
        try:
            return parse(found_body)
        except ValueError as found:
            raise MalformedAnswer("MalformedAnswer", f"{what}: {found}") from found


async def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise httpx.RemoteProtocolError("the answer is too large")
    return bytes(body)


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        body = decode(text or b"{}")
    except NotJson:
        body = None
    if not isinstance(body, dict):
        raise MalformedAnswer("MalformedAnswer", f"{what}: the answer is not a JSON object")
    return body


def _refusal(status: int, body: Fields, what: str, *, acts: bool, pays: bool) -> VenueError:
    """The error for an answer that is none: its status says what it means, its code is for people."""
    said = body.get("errors")
    first = said[0] if isinstance(said, list) and said and isinstance(said[0], dict) else {}
    detail = first.get("detail")
    told = {name: text for name, text in first.items() if isinstance(text, str)}
    if isinstance(detail, dict) and isinstance(detail.get("message"), str):
        told["message"] = detail["message"]
    code, message, field = told.get("code", f"HTTP{status}"), told.get("message", what), told.get("field")
    if status in (401, 403):
        return NotAuthorized(code, message, field=field)
    if status == 429:
        return RetryLater(RATE_LIMIT, message, field=field)
    if status >= 500:
        # Its own machinery failed, perhaps after it had acted.
        return (OutcomeUnknown if acts else RetryLater)(code, message, field=field)
    if pays and code == "RequestIDUsed":
        return RequestUsed(code, message, field=field)
    if pays and code not in PAYMENT_REFUSED:
        return OutcomeUnknown(code, message, field=field)
    return Refused(code, message, detail if isinstance(detail, dict) else None, field)


def _account(row: Fields) -> VenueAccount:
    kind, status = answers.text(row, "account_type"), answers.text(row, "status")
    if kind not in ("demo", "real") or status not in ("active", "inactive"):
        raise ValueError("account_type or status is unknown")
    return VenueAccount(
        login_id=answers.text(row, "account_id"),
        currency=answers.text(row, "currency"),
        balance=answers.amount(row, "balance"),
        is_demo=kind == "demo",
        is_active=status == "active",
    )


def _legacy_line(row: Fields) -> StatementLine | None:
    amount, after = (answers.maybe(answers.amount_text, row, name) for name in ("amount", "balance_after"))
    at = answers.maybe(answers.whole, row, "transaction_time")
    if amount is None or after is None or at is None:
        return None
    return StatementLine(
        transaction_id=answers.whole(row, "transaction_id"),
        action=answers.text(row, "action_type"),
        amount=amount,
        balance_after=after,
        at=at,
        contract_id=answers.maybe(answers.whole, row, "contract_id"),
        reference_id=None,
        payout=None,
        app_id=answers.maybe(answers.whole, row, "app_id"),
        shortcode=answers.maybe(answers.text, row, "shortcode"),
        longcode=None,
    )
