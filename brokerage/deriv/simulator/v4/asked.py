"""A request over HTTP, as a handler sees it, and the envelopes that answers go out in."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request

Body = dict[str, Any]
Handler = Callable[["Asked"], tuple[int, Body]]
Envelope = Callable[[Body, str, str, float], Body]
"""Takes the answer, the path, the method and the seconds it took."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a token speaks for: a user, what it may do in v4's words, and the account it was made for, if it was for one."""

    user_id: int
    scopes: tuple[str, ...]
    login_id: str | None


class Asked:
    """One request: who asks, with which fields, when."""

    def __init__(self, request: Request, holder: Holder | None, app_id: int, body: Body, at: float) -> None:
        self.request, self._holder, self.app_id, self.body, self.at = request, holder, app_id, body, at

    @property
    def holder(self) -> Holder:
        """Whom the token speaks for. Only for requests that need a token."""
        if self._holder is None:
            raise RuntimeError("this request is answered without a token")
        return self._holder


@dataclass(frozen=True, slots=True)
class Served:
    """One request that is served: ``name`` is what faults know it by, ``scope`` ``None`` needs no token."""

    method: str
    path: str
    name: str
    scope: str | None
    handler: Handler
    envelope: Envelope


def errors(status: int, code: str, message: str) -> Body:
    """An answer that is none."""
    return {"errors": [{"status": status, "code": code, "message": message}]}


def in_meta(body: Body, path: str, method: str, seconds: float) -> Body:
    """With ``meta``, its timing in milliseconds; what has neither data nor errors goes out as it is."""
    if "data" not in body and "errors" not in body:
        return body
    return {**body, "meta": {"endpoint": path, "method": method, "timing": int(seconds * 1000)}}


def in_metadata(body: Body, path: str, method: str, seconds: float) -> Body:
    """With ``metadata``, its timing in seconds; data are empty beside errors, and errors beside data."""
    metadata = {"endpoint": path, "method": method, "timing": Decimal(f"{seconds:.3f}")}
    return {"data": {}, "errors": [], **body, "metadata": metadata}


_NAMED: Final = {"ValidationError": "InputError", "InternalServerError": "InternalError"}


def of_agents(body: Body, path: str, method: str, seconds: float) -> Body:
    """The same for payment agents: what an error says besides its code is its detail."""
    if "errors" in body:
        body = {
            **body,
            "errors": [
                {
                    "status": error["status"],
                    "code": _NAMED.get(error["code"], error["code"]),
                    "detail": {
                        name: value for name, value in error.items() if name in ("message", "next_request_at")
                    },
                }
                for error in body["errors"]
            ],
        }
    return in_metadata(body, path, method, seconds)
