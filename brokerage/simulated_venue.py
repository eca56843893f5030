"""The simulated venue's own desk, over HTTP: it opens demo accounts, and misbehaves on demand. Demo mode only."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.db import transaction

from backoffice import events, keys
from backoffice.errors import DomainError, InvalidInput
from backoffice.who import By
from brokerage.deriv.errors import NotSent
from brokerage.deriv.simulator.conditions import Conditions
from brokerage.deriv.simulator.faults import Fault

TIMEOUT_SECONDS: Final = 10.0
# What the events are about: there is one simulated venue.
VENUE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "simulated-venue")
FAULTS: Final = tuple(Fault.kinds)
CONDITIONS: Final = Conditions.KINDS
RANDOM: Final = "random"


class NotSimulated(DomainError):
    """The venue is a real one, which nobody has misbehave."""

    code = "NOT_SIMULATED"


class VenueAway(DomainError):
    """The simulated venue does not answer; nothing was changed."""

    code = "VENUE_AWAY"


@dataclass(frozen=True, slots=True)
class Misbehavior:
    """What is in force at the simulated venue: rules, conditions, and the random sequence."""

    rules: list[dict[str, Any]] = field(default_factory=list)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    chaos: dict[str, Any] = field(default_factory=dict)


def is_simulated() -> bool:
    """Whether this deployment trades at the simulator: in demo mode, with no address of Deriv's set."""
    return bool(settings.CONFIG.demo and settings.CONFIG.is_simulated)


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """One request to the desk.

    :raises NotSent: if it cannot be reached.
    """
    venue = urlsplit(settings.CONFIG.venue_url)
    scheme = "https" if venue.scheme == "wss" else "http"
    try:
        return httpx.request(
            method, f"{scheme}://{venue.netloc}/simulator/{path}", json=body, timeout=TIMEOUT_SECONDS
        )
    except httpx.HTTPError as found:
        raise NotSent("NO_CONNECTION", f"The venue cannot be reached: {type(found).__name__}.") from found


def owner_token() -> str:
    """A token of whom our applications are registered to at the simulator. Asked again, the same.

    :raises NotSent: if the desk cannot be reached.
    """
    answer = ask("PUT", "accounts/application-owner", {"is_demo": False, "balance": "0.00"})
    return str(answer.json()["token"])


def agent() -> tuple[int, str]:
    """The payment agent that we are at the simulator, its number and token; made with money if there is none yet.

    :raises NotSent: if the desk cannot be reached.
    """
    account = ask("PUT", "accounts/payment-agent", {"is_demo": False, "balance": "1000000.00"}).json()
    made = ask("PUT", f"accounts/{account['login_id']}/agent", {"name": "This deployment"}).json()
    return int(made["agent_id"]), str(account["token"])


def misbehavior() -> Misbehavior:
    """What is in force now.

    :raises NotSimulated: if the venue is a real one. :raises VenueAway: if it does not answer.
    """
    return Misbehavior(
        rules=[rule for rule in _told("faults")["faults"] if rule["times"] > 0],
        conditions=_told("conditions")["conditions"],
        chaos=_told("chaos"),
    )


def misbehave(
    kind: str, *, login_id: str = "", times: int = 1, seconds: float = 3.0, code: str = "", seed: int = 1,
    by: By, at: datetime, key: str, reason: str,
) -> None:  # fmt: skip
    """Have the simulated venue misbehave: a rule for one account or all, a condition of the whole venue, or at random.

    A rule applies so many `times`; a condition lasts `seconds`, and random faults last ten minutes, one every
    `seconds`. The same key again changes nothing. The event is recorded once the venue has taken it.

    :raises NotSimulated: if the venue is a real one. :raises VenueAway: if it does not answer.
    :raises InvalidInput: if the kind is none, or the venue takes no such rule.
    """
    if kind in CONDITIONS:
        path, body = "conditions", {"condition": kind, "seconds": seconds}
    elif kind == RANDOM:
        path, body = "chaos", {"seed": seed, "every_seconds": seconds}
    elif kind in FAULTS:
        body = {"fault": kind, "times": times, "seconds": seconds}
        body |= {name: value for name, value in (("login_id", login_id), ("code", code)) if value}
        path = "faults"
    else:
        raise InvalidInput("There is no such misbehavior.", field="kind")
    _change("POST", path, body, "venue.misbehaves", {"kind": kind, "seed": seed if kind == RANDOM else None},
            by=by, at=at, key=key, reason=reason)  # fmt: skip


def behave(*, by: By, at: datetime, key: str, reason: str) -> None:
    """End everything that is in force, random faults included.

    :raises NotSimulated: if the venue is a real one. :raises VenueAway: if it does not answer.
    """
    for path in ("chaos", "conditions"):
        _answered("DELETE", path)
    _change("DELETE", "faults", None, "venue.behaves", {}, by=by, at=at, key=key, reason=reason)


def _change(
    method: str, path: str, body: dict[str, Any] | None, event: str, payload: events.Payload, *,
    by: By, at: datetime, key: str, reason: str,
) -> None:  # fmt: skip
    with transaction.atomic():
        is_known = keys.is_claimed(by=by, verb=event, key=key)
        keys.claim(by=by, verb=event, key=key, content=f"{path}|{body}", at=at)
        if is_known:
            return
        _answered(method, path, body)
        events.record(
            event,
            subject_type="venue",
            subject_id=VENUE,
            by=by,
            at=at,
            key=key,
            payload=payload,
            reason=reason,
        )


def _told(path: str) -> dict[str, Any]:
    found: dict[str, Any] = _answered("GET", path).json()
    return found


def _answered(method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    if not is_simulated():
        raise NotSimulated("The venue is a real one; nobody has it misbehave.")
    try:
        answer = ask(method, path, body)
    except NotSent as found:
        raise VenueAway("The simulated venue does not answer; nothing was changed.") from found
    if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        raise InvalidInput(str(answer.json()["error"]).capitalize() + ".", field="kind")
    if answer.is_error:
        raise VenueAway(f"The simulated venue answered {answer.status_code}; nothing was changed.")
    return answer
