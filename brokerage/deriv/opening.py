"""Opening a connection, whichever generation of the protocol the account speaks."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from brokerage.deriv import v3, v4
from brokerage.deriv.budgets import Admission
from brokerage.deriv.client import DerivClient
from brokerage.deriv.errors import NotAuthorized, NotSent, Refused
from brokerage.deriv.rest import PUBLIC_SOCKET, RestClient
from brokerage.deriv.settings import Hook, Settings
from brokerage.deriv.types import StatementLine

BUDGETS: Final = {"v3": v3.BUDGETS, "v4": v4.BUDGETS}
GENERATIONS: Final = tuple(BUDGETS)
# The code of a refusal that is this account's alone: the token is good.
ACCOUNT_REFUSED: Final = "ACCOUNT_REFUSED"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the venue answers, and as which applications we ask: each generation registers its own."""

    v3_socket: str
    """``wss://…/websockets/v3``."""
    v3_app_id: int
    rest: str
    """``https://…``, without a path."""
    v4_app_id: str

    @property
    def public_socket(self) -> str:
        """v4's socket for prices, which needs no token."""
        parts = urlsplit(self.rest)
        return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}{PUBLIC_SOCKET}"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Which account to connect, and by which token; neither for the public prices."""

    generation: str
    login_id: str = ""
    token: str = ""
    old_login_id: str = ""
    """The account's login on the old platform, if the venue moved it from there."""
    moved_at: int = 0
    """When it was moved, at the latest, in Unix seconds."""

    @property
    def is_private(self) -> bool:
        return bool(self.token)

    def opens_the_same(self, other: "Credentials") -> bool:
        """Whether a connection opened with the others serves as one opened with these: in v4 tokens come and go."""
        same = (self.generation, self.login_id, self.is_private)
        if same != (other.generation, other.login_id, other.is_private):
            return False
        return self.generation == "v4" or self.token == other.token


async def open_client(
    addresses: Addresses,
    credentials: Credentials,
    *,
    settings: Settings | None = None,
    on_message: Hook | None = None,
    admission: Admission | None = None,
) -> DerivClient:
    """Open a connection that is the account's own from the start. What it asks, ``admission`` lets through and counts.

    Raises ``NotSent`` if there is no connection, ``NotAuthorized`` if the token is not good or does not open the account.
    """
    if credentials.generation == "v3":
        return await _open_v3(addresses, credentials, settings, on_message, admission)
    address = addresses.public_socket
    if credentials.is_private:
        rest = RestClient(
            addresses.rest, addresses.v4_app_id, credentials.token, on_message=on_message, admission=admission
        )
        async with rest:
            # A new one for every connection: the last one is used up.
            try:
                address = await rest.socket_address(credentials.login_id)
            except Refused as found:
                raise NotAuthorized(
                    ACCOUNT_REFUSED, f"The token does not open this account: {found.code}."
                ) from found

    async def older(since: int | None) -> tuple[StatementLine, ...]:
        if since is not None and since >= credentials.moved_at:
            return ()
        async with RestClient(addresses.rest, addresses.v4_app_id, credentials.token) as rest:
            return await rest.legacy_statement(credentials.old_login_id, since)

    was_moved = older if credentials.old_login_id else None
    try:
        return await v4.connect(
            address, older=was_moved, settings=settings, on_message=on_message, admission=admission
        )
    except NotAuthorized as found:
        # The address was too slow on its way, or the venue forgot it: the token is good, another one will do.
        raise NotSent("ADDRESS_REFUSED", "The one-time address was not taken.") from found


async def _open_v3(
    addresses: Addresses,
    credentials: Credentials,
    settings: Settings | None,
    on_message: Hook | None,
    admission: Admission | None,
) -> DerivClient:
    client = await v3.connect(
        addresses.v3_socket,
        addresses.v3_app_id,
        settings=settings,
        on_message=on_message,
        admission=admission,
    )
    try:
        if credentials.is_private:
            whose = await client.authorize(credentials.token)
            if credentials.login_id not in ("", whose.login_id):
                raise NotAuthorized("WrongAccount", "The token is another account's.")
    except BaseException:
        await client.close()
        raise
    return client
