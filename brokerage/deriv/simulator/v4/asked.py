"""A request over HTTP, as a handler sees it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

Body = dict[str, Any]
Handler = Callable[["Asked"], tuple[int, Body]]


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a token speaks for: a user, what it may do in v4's words, and the account it was made for, if it was for one."""

    user_id: int
    scopes: tuple[str, ...]
    login_id: str | None


class Asked:
    """One request: who asks, with which fields, when."""

    def __init__(self, request: Request, holder: Holder, app_id: int, body: Body, at: float) -> None:
        self.request, self.holder, self.app_id, self.body, self.at = request, holder, app_id, body, at
