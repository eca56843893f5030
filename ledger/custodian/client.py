"""What is said to the custodian over HTTP, and the four ways in which a call ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import quote

import httpx
from django.conf import settings

from ledger.providers.port import AnswerLost, NotSent, Refused

PAGE: Final = 200
# A word of the custodian's that means: not now. What it says no to in other words stays a no.
NOT_NOW: Final = frozenset({"INSUFFICIENT_FUNDS", "UNAVAILABLE", "NO_SUCH_CALL"})
_NOBODY_LISTENS: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout in the custodian's books."""

    number: int
    id: str
    currency: str
    amount: Decimal
    txid: str
    state: str
    code: str


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to coins that somebody sent: seen (`pending`), in a block (`mined`), or `dropped`."""

    number: int
    txid: str
    output: int
    address: str
    currency: str
    network: str
    amount: Decimal
    state: str
    height: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of changes, whether there is more, and how high each chain was then."""

    rows: tuple[Change, ...]
    is_last: bool
    heights: dict[str, int]


def is_there() -> bool:
    """Whether this deployment has a custodian at all."""
    return bool(settings.CONFIG.custodian_address)


def address(customer: str, currency: str, network: str) -> str:
    """Where this customer's coins come in; asked again, the same. :raises NotSent, AnswerLost, Refused:"""
    body = {"customer": customer, "currency": currency, "network": network}
    return str(_read(_call("POST", "addresses", body), "address"))


def pay(public_id: str, *, currency: str, network: str, address: str, amount: str) -> Payout:
    """Have coins paid out under an id of ours. :raises NotSent, AnswerLost, Refused:"""
    body = {"id": public_id, "currency": currency, "network": network, "address": address, "amount": amount}
    return _payout(_call("POST", "payouts", body))


def payout(public_id: str) -> Payout | None:
    """What became of a payout; None if the custodian does not know it. :raises NotSent, AnswerLost:"""
    try:
        return _payout(_call("GET", f"payouts/{quote(public_id)}"))
    except Refused as found:
        if found.code == "NOT_KNOWN":
            return None
        raise AnswerLost(found.code, found.message) from found


def payouts() -> Iterator[Payout]:
    """Every payout it took, oldest first. :raises NotSent, AnswerLost, Refused: at any page."""
    after = 0
    while rows := _read(_call("GET", f"payouts?after={after}&limit={PAGE}"), "payouts"):
        for row in rows:
            yield (found := _payout(row))
            after = found.number


def changes(after: int) -> Changes:
    """What happened to coins after a change. :raises NotSent, AnswerLost, Refused:"""
    told = _call("GET", f"changes?after={after}&limit={PAGE}")
    try:
        rows = tuple(
            Change(
                number=int(row["change"]), txid=str(row["txid"]), output=int(row["output"]), address=str(row["address"]),
                currency=str(row["currency"]), network=str(row["network"]), amount=Decimal(row["amount"]),
                state=str(row["state"]), height=row["height"],
            )
            for row in told["changes"]
        )  # fmt: skip
        return Changes(
            rows, not told["more"], {str(name): int(height) for name, height in told["heights"].items()}
        )
    except (KeyError, TypeError, ValueError, InvalidOperation, AttributeError) as found:
        raise AnswerLost("BAD_ANSWER", f"The custodian's answer cannot be read: {found!r}.") from found


def balances() -> dict[str, Decimal]:
    """What it keeps for us, by currency. :raises NotSent, AnswerLost, Refused:"""
    return {str(currency): Decimal(amount) for currency, amount in _call("GET", "balances").items()}


def _call(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer of a call that was done. Only what certainly did nothing is *not sent*; an error of the server's is not."""
    config = settings.CONFIG
    if not config.custodian_address:
        raise NotSent("NO_CUSTODIAN", "This deployment has no custodian: see CUSTODIAN_URL.")
    try:
        answer = httpx.request(
            method, f"{config.custodian_address}/v1/{path}", json=body, timeout=config.custodian_timeout_seconds,
            headers={"Authorization": f"Bearer {config.custodian_token}"} if config.custodian_token else {},
            trust_env=False,
        )  # fmt: skip
    except _NOBODY_LISTENS as found:
        raise NotSent("NO_CONNECTION", "The custodian cannot be reached; nothing has left.") from found
    except httpx.HTTPError as found:
        raise AnswerLost("NO_ANSWER", f"The custodian's answer was lost: {type(found).__name__}.") from found
    if answer.is_server_error:
        # It may have been done before the error, whatever the error says.
        raise AnswerLost("SERVER_ERROR", f"The custodian answered {answer.status_code}.")
    try:
        told = answer.json()
    except ValueError as found:
        raise AnswerLost("BAD_ANSWER", "The custodian's answer cannot be read.") from found
    if not isinstance(told, dict):
        raise AnswerLost("BAD_ANSWER", "The custodian's answer cannot be read.")
    if answer.is_success:
        return told
    code, message = str(told.get("code", answer.status_code))[:64], str(told.get("message", ""))[:200]
    if answer.status_code in (401, 403, 429) or code in NOT_NOW:
        raise NotSent(code, f"The custodian does not do it now: {message}.")
    if code == "ID_USED":
        raise AnswerLost(code, "The custodian knows another payout under this id.")
    raise Refused(code, f"The custodian says no: {message}.")


def _read(told: dict[str, Any], name: str) -> Any:
    try:
        return told[name]
    except KeyError as found:
        raise AnswerLost("BAD_ANSWER", "The custodian's answer cannot be read.") from found


def _payout(row: dict[str, Any]) -> Payout:
    try:
        return Payout(
            number=int(row["number"]), id=str(row["id"]), currency=str(row["currency"]), amount=Decimal(row["amount"]),
            txid=str(row["txid"]), state=str(row["state"]), code=str(row["code"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, InvalidOperation) as found:
        raise AnswerLost("BAD_ANSWER", f"The custodian's answer cannot be read: {found!r}.") from found
