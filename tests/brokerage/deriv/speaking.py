"""The typed client in the generation that a test is told to speak, every message checked against its schema."""

import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

from brokerage.deriv.client import DerivClient
from brokerage.deriv.opening import Addresses, Credentials, open_client
from brokerage.deriv.settings import Hook, Settings
from brokerage.deriv.socket_client import SocketClient
from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.schemas import Recorder

# Set by the fixture `generation`, for tests that hold in both.
SPOKEN: ContextVar[str] = ContextVar("generation", default="v3")


def addresses(venue: SimulatorProcess, app_id: int = 1234) -> Addresses:
    return Addresses(venue.socket_url, app_id, f"http://127.0.0.1:{venue.port}", str(app_id))


async def opened(
    venue: SimulatorProcess,
    account: dict[str, Any] | None = None,
    *,
    app_id: int = 1234,
    settings: Settings | None = None,
    on_message: Hook | None = None,
) -> DerivClient:
    known = account or {"login_id": "", "token": ""}
    credentials = Credentials(SPOKEN.get(), known["login_id"], known["token"])
    return await open_client(addresses(venue, app_id), credentials, settings=settings, on_message=on_message)


@contextlib.asynccontextmanager
async def client_of(
    venue: SimulatorProcess,
    account: dict[str, Any] | None = None,
    app_id: int = 1234,
    timeout: float = 10,
) -> AsyncIterator[DerivClient]:
    """A connection of the account, or nobody's; fails if a message broke its schema."""
    recorder = Recorder(SPOKEN.get())
    client = await opened(
        venue, account, app_id=app_id, settings=Settings(call_timeout=timeout), on_message=recorder.hook
    )
    assert isinstance(client, SocketClient)
    async with client:
        yield client
        assert client.counters.hook_failures == 0, "a frame broke its schema; see the log"
