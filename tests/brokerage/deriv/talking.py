"""A bare socket for tests: it speaks text, so that tests see the wire and not our client."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.brokerage.deriv.running import SimulatorProcess
from tests.brokerage.deriv.schemas import Recorder

TERMS = {
    "contract_type": "CALL",
    "symbol": "1HZ100V",
    "basis": "stake",
    "amount": 10,
    "duration": 1,
    "duration_unit": "t",
    "currency": "USD",
}
TIMED = {**TERMS, "duration": 60, "duration_unit": "s"}


class Wire:
    """Every frame is checked against its schema, in both directions."""

    def __init__(self, socket: ClientConnection, generation: str = "v3") -> None:
        self.socket = socket
        self.recorder = Recorder(generation)
        self.frames: list[dict[str, Any]] = []
        self._numbers = 0

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            text = await self.socket.recv()
        frame = json.loads(text)
        self.recorder.received(frame)
        self.frames.append(frame)
        return dict(frame)

    async def until(self, fits: Any) -> dict[str, Any]:
        """Read on until a frame fits."""
        while not fits(frame := await self.read()):
            pass
        return frame

    async def ask(self, request: dict[str, Any], *, valid: bool = True) -> dict[str, Any]:
        """The answer to a request; ``valid=False`` for one that the schema forbids."""
        self._numbers += 1
        number = request.get("req_id", self._numbers)
        request = {**request, "req_id": number}
        if valid:
            self.recorder.sent(request)
        await self.socket.send(json.dumps(request))
        return await self.until(lambda frame: frame.get("req_id") == number)

    async def refusal(self, request: dict[str, Any], *, valid: bool = True) -> str:
        """The error code of the answer, and nothing but an error."""
        answer = await self.ask(request, valid=valid)
        assert set(answer) <= {"echo_req", "msg_type", "req_id", "passthrough", "error"}
        return str(answer["error"]["code"])


@contextlib.asynccontextmanager
async def talk(
    venue: SimulatorProcess, account: dict[str, Any] | None = None, app_id: int = 1234
) -> AsyncIterator[Wire]:
    async with connect(f"{venue.socket_url}?app_id={app_id}", proxy=None) as socket:
        wire = Wire(socket)
        if account is not None:
            assert (await wire.ask({"authorize": account["token"]}))["authorize"]["loginid"] == account[
                "login_id"
            ]
        yield wire


def one_time_address(venue: SimulatorProcess, account: dict[str, Any], app_id: str = "1234") -> str:
    """Where a v4 socket of the account opens, once."""
    answer = httpx.post(
        f"http://127.0.0.1:{venue.port}/trading/v1/options/accounts/{account['login_id']}/otp",
        headers={"Deriv-App-ID": app_id, "Authorization": f"Bearer {account['token']}"},
    )
    return str(answer.json()["data"]["url"])


@contextlib.asynccontextmanager
async def talk_v4(venue: SimulatorProcess, account: dict[str, Any] | None = None) -> AsyncIterator[Wire]:
    address = f"ws://127.0.0.1:{venue.port}/trading/v1/options/ws/public"
    if account is not None:
        address = one_time_address(venue, account)
    async with connect(address, proxy=None) as socket:
        yield Wire(socket, "v4")
