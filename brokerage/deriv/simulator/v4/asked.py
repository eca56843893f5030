"""A request over HTTP, as a handler sees it."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from brokerage.deriv.simulator.books import Account

Body = dict[str, Any]
Handler = Callable[["Asked"], tuple[int, Body]]


class Asked:
    """One request: who asks, with which fields, when."""

    def __init__(self, request: Request, account: Account, app_id: int, body: Body, at: float) -> None:
        self.request, self.account, self.app_id, self.body, self.at = request, account, app_id, body, at
