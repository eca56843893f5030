"""The simulator on one port: both generations and the control interface, over one engine and one data file."""

import asyncio
import contextlib
import logging
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from brokerage.deriv.simulator.clock import Clock
from brokerage.deriv.simulator.conditions import Conditions
from brokerage.deriv.simulator.control import Control
from brokerage.deriv.simulator.engine import Engine
from brokerage.deriv.simulator.faults import Faults
from brokerage.deriv.simulator.moves import Moves
from brokerage.deriv.simulator.oauth import OAuth
from brokerage.deriv.simulator.payments import Payments
from brokerage.deriv.simulator.permissions import Permissions
from brokerage.deriv.simulator.prices import Market
from brokerage.deriv.simulator.pulse import Pulse
from brokerage.deriv.simulator.rules import Rules
from brokerage.deriv.simulator.store import Store
from brokerage.deriv.simulator.tokens import Tokens
from brokerage.deriv.simulator.v3.generation import V3
from brokerage.deriv.simulator.v3.hub import Hub
from brokerage.deriv.simulator.v3.limits import Limits
from brokerage.deriv.simulator.v4.generation import V4
from brokerage.deriv.simulator.v4.passwords import Passwords
from brokerage.deriv.simulator.v4.rest import OPTIONS, Rest

logger = logging.getLogger(__name__)

LARGEST_FRAME = 256 * 1024
"""Bytes; a larger message closes the connection with code 1009."""
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


class CannotStart(Exception):
    """A reason not to start, in one sentence."""


@dataclass(frozen=True, slots=True)
class Options:
    """``data`` is the books' file (``None``: in memory). ``seed`` ``None`` takes the file's, or 1 for a new file."""

    host: str = "127.0.0.1"
    port: int = 8765
    data: Path | None = None
    seed: int | None = None
    speed: float = 1.0
    limits: bool = True
    control_secret: str | None = None
    idle_seconds: float = 120.0
    rules: Rules = field(default_factory=Rules)


def open_engine(options: Options, at: float) -> Engine:
    """The venue on its data file. Raises ``CannotStart`` if the file is in use, unusable or of another seed."""
    try:
        store = Store(options.data)
    except BlockingIOError as error:
        raise CannotStart(f"another simulator keeps its books in {options.data}") from error
    except (OSError, sqlite3.Error) as error:
        raise CannotStart(f"the books {options.data} cannot be opened: {error}") from error
    stored = store.meta("seed")
    seed = int(stored) if stored is not None else 1 if options.seed is None else options.seed
    if options.seed is not None and seed != options.seed:
        store.close()
        raise CannotStart(f"the data file was made with seed {seed}, not {options.seed}")
    stretches = store.stretches()
    known = Clock(stretches) if stretches else None
    clock = known.at_speed(at, options.speed) if known else Clock.begin(at, options.speed)
    with store.batch():
        store.set_meta("seed", str(seed))
        for stretch in clock.stretches[len(stretches) :]:
            store.add_stretch(stretch)
    return Engine(store, Market(seed, clock), options.rules)


def application(engine: Engine, options: Options) -> Starlette:
    """The simulator as an ASGI application: the protocol's socket and the control interface."""
    pulse, faults = Pulse(engine), Faults()
    conditions = Conditions(engine.reload)
    limits, passwords = Limits(options.limits), Passwords()
    moves, payments = Moves(engine), Payments(engine)
    pulse.clocks.append(payments.advance)
    hub = Hub(pulse, faults, limits, conditions, moves, options.idle_seconds)
    pulse.listeners.append(hub)
    tokens, is_local = Tokens(engine.store), options.host in LOCAL_HOSTS
    control = Control(pulse, faults, limits, conditions, moves, payments, options.control_secret, is_local)
    permissions = Permissions(control, engine, tokens, hub)
    oauth = OAuth(pulse, faults, tokens, options.control_secret, is_local)

    async def v3(websocket: WebSocket) -> None:
        app_id = websocket.query_params.get("app_id", "")
        if not (app_id.isascii() and app_id.isdigit() and 0 < len(app_id) <= 10):
            error = {"code": "InvalidAppID", "message": "The address needs a valid app_id."}
            await websocket.send_denial_response(JSONResponse({"error": error}, 401))
            return
        await hub.serve(websocket, V3, int(app_id))

    async def v4(websocket: WebSocket) -> None:
        opened = passwords.use(websocket.query_params.get("otp", ""), time.time())
        kind = websocket.path_params["kind"]
        if opened is None or engine.account(opened.login_id).is_demo != (kind == "demo"):
            error = {
                "status": 401,
                "code": "InvalidOTP",
                "message": "The address is used, too old, or false.",
            }
            await websocket.send_denial_response(JSONResponse({"errors": [error]}, 401))
            return
        await hub.serve(websocket, V4, opened.app_id, opened.login_id)

    async def v4_public(websocket: WebSocket) -> None:
        await hub.serve(websocket, V4, 0)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        pulse.beat(time.time())
        beating = asyncio.create_task(pulse.run())
        try:
            yield
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    rest = Rest(pulse, faults, limits, conditions, passwords, moves, options.rules, tokens, payments)
    sockets = [
        WebSocketRoute("/websockets/v3", v3),
        WebSocketRoute(f"{OPTIONS}/ws/public", v4_public),
        WebSocketRoute(f"{OPTIONS}/ws/{{kind}}", v4),
    ]
    desk = [*control.routes(), *permissions.routes()]
    return Starlette(routes=[*sockets, *rest.routes(), *oauth.routes(), *desk], lifespan=lifespan)


class Server(uvicorn.Server):
    """Signals end it in peace: open sockets are closed and the exit code is 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """Raises ``CannotStart`` if the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise CannotStart(f"port {port} on {host} cannot be used: {error.strerror}") from error
    return bound


async def serve(options: Options, bound: socket.socket) -> None:
    """Serve on a bound socket until a signal (SIGTERM, SIGINT) or cancellation ends it; closes the socket."""
    engine = open_engine(options, time.time())
    server = Server(
        uvicorn.Config(
            application(engine, options),
            ws="websockets-sansio",
            ws_max_size=LARGEST_FRAME,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
    )

    def stop() -> None:
        server.should_exit = True

    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # only in the main thread
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
    logger.info("simulator listens on %s at speed %s", bound.getsockname()[:2], options.speed)
    try:
        await server.serve(sockets=[bound])
    finally:
        bound.close()
        engine.store.close()
    logger.info("simulator stopped")


def run(options: Options) -> None:
    """Bind and serve. Raises ``CannotStart``."""
    bound = bind(options.host, options.port)
    asyncio.run(serve(options, bound))
