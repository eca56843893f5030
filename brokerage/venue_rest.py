"""What the holder of a token asks v4 over HTTP, from code that is not asynchronous: workers and requests."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from django.conf import settings

from brokerage.deriv.oauth import OAuth
from brokerage.deriv.rest import RestClient
from brokerage.deriv.types import VenueAccount

T = TypeVar("T")


def oauth() -> OAuth:
    """The venue's OAuth2 server, asked as our application."""
    return OAuth(settings.CONFIG.venue_oauth_url, settings.CONFIG.deriv_v4_app_id)


def accounts(token: str) -> tuple[VenueAccount, ...]:
    """Every trading account of the token's owner. :raises VenueError: as `RestClient` says."""
    return _ask(token, lambda rest: rest.accounts())


def create_demo(token: str) -> VenueAccount:
    """Their demo account, opened if there is none yet. :raises VenueError: as `RestClient` says."""
    return _ask(token, lambda rest: rest.create_account(is_demo=True))


def reset_demo_balance(token: str, login_id: str) -> None:
    """Bring a demo account back to the balance it began with. :raises VenueError: as `RestClient` says."""
    _ask(token, lambda rest: rest.reset_demo_balance(login_id))


def _ask(token: str, question: Callable[[RestClient], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with RestClient(settings.CONFIG.venue_rest_url, settings.CONFIG.deriv_v4_app_id, token) as rest:
            return await question(rest)

    return asyncio.run(asked())
