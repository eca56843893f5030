"""Opening a socket at the venue."""

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from brokerage.deriv.budgets import Admission
from brokerage.deriv.connection import Connection
from brokerage.deriv.errors import NotAuthorized, NotSent
from brokerage.deriv.settings import Hook, Settings


async def open_connection(
    url: str, settings: Settings, on_message: Hook | None = None, admission: Admission | None = None
) -> Connection:
    """Connect. Raises ``NotAuthorized`` if the venue turns the application away, else ``NotSent``."""
    try:
        socket = await connect(
            url,
            open_timeout=settings.connect_timeout,
            ping_interval=None,  # the protocol's own ping also proves that the venue behind the proxy is alive
            max_size=settings.max_frame,
            compression=None,
            proxy=settings.proxy,
        )
    except InvalidStatus as error:
        if error.response.status_code in (401, 403):
            raise NotAuthorized("InvalidAppID", "the venue does not accept this application") from error
        raise NotSent("NotConnected", f"the venue answered {error.response.status_code}") from error
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise NotSent("NotConnected", f"no connection: {type(error).__name__}") from error
    return Connection(socket, settings, on_message, admission)
