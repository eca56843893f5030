"""What the holder of a token asks v4 over HTTP, from code that is not asynchronous: workers and requests."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import TypeVar

from django.conf import settings

from brokerage.deriv.errors import Refused
from brokerage.deriv.oauth import OAuth
from brokerage.deriv.rest import RestClient
from brokerage.deriv.rest_types import MarkupSums
from brokerage.deriv.types import Migration, VenueAccount

T = TypeVar("T")


def oauth() -> OAuth:
    """The venue's OAuth2 server, asked as our application."""
    return OAuth(settings.CONFIG.venue_oauth_url, settings.CONFIG.deriv_v4_app_id)


def accounts(token: str) -> tuple[VenueAccount, ...]:
    """Every trading account of the token's owner. :raises VenueError: as `RestClient` says."""
    return ask(token, lambda rest: rest.accounts())


def create_demo(token: str) -> VenueAccount:
    """Their demo account, opened if there is none yet. :raises VenueError: as `RestClient` says."""
    return ask(token, lambda rest: rest.create_account(is_demo=True))


def reset_demo_balance(token: str, login_id: str) -> None:
    """Bring a demo account back to the balance it began with. :raises VenueError: as `RestClient` says."""
    ask(token, lambda rest: rest.reset_demo_balance(login_id))


def migration(token: str) -> tuple[Migration, tuple[VenueAccount, ...]]:
    """Where the move of the token's owner to v4 stands, and if it is complete, their accounts there.

    :raises VenueError: as `RestClient` says.
    """

    async def both(rest: RestClient) -> tuple[Migration, tuple[VenueAccount, ...]]:
        status = await rest.migration()
        return status, await rest.accounts() if status == "complete" else ()

    return ask(token, both)


def old_logins(token: str) -> tuple[str, ...]:
    """The logins the token's owner had on the old platform; none where they had none, or are still being moved.

    :raises VenueError: as `RestClient` says.
    """
    try:
        return ask(token, lambda rest: rest.legacy_logins())
    except Refused:
        return ()


def markup(token: str, since_on: date, until_on: date) -> MarkupSums | None:
    """What our application earned from one day to another, both included; None for nothing.

    :raises VenueError: as `RestClient` says.
    """
    found = ask(token, lambda rest: rest.markup_statistics(since_on, until_on))
    return dict(found.applications).get(settings.CONFIG.deriv_v4_app_id)


def ask(token: str, question: Callable[[RestClient], Awaitable[T]]) -> T:
    """Ask one thing as the holder of a token. :raises VenueError: as `RestClient` says."""

    async def asked() -> T:
        async with RestClient(settings.CONFIG.venue_rest_url, settings.CONFIG.deriv_v4_app_id, token) as rest:
            return await question(rest)

    return asyncio.run(asked())
