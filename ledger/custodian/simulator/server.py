"""The simulator on one port: plain HTTP in threads, so that a connection can be cut at any moment, and a block every so often."""

import hmac
import json
import logging
import signal
import socket
import sqlite3
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ledger.custodian.simulator.api import Api, Dropped
from ledger.custodian.simulator.books import Books
from ledger.custodian.simulator.faults import Faults

logger = logging.getLogger(__name__)

LARGEST_BODY = 65_536


class CannotStart(Exception):
    """A reason not to start, in one sentence."""


@dataclass(frozen=True, slots=True)
class Options:
    """``data`` is the books' file (``None``: in memory). A block every ``block_seconds``; 0: only when the desk says so.

    Without ``remembers`` an id that is sent again is paid again. A ``token`` is asked for on every call of customers.
    """

    host: str = "127.0.0.1"
    port: int = 8766
    data: Path | None = None
    block_seconds: float = 3.0
    remembers: bool = True
    token: str = ""


class Handler(BaseHTTPRequestHandler):
    """One request, one connection."""

    server: "Server"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: they name addresses."""

    def _serve(self) -> None:
        try:
            status, told = self._answer()
        except Dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = json.dumps(told).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            logger.info("nobody waited for the answer")

    def _answer(self) -> tuple[int, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BODY:
            return 413, {"code": "TOO_LARGE", "message": "that is too large"}
        raw = self.rfile.read(length)
        wanted = f"Bearer {self.server.token}"
        given = self.headers.get("Authorization", "")
        is_known = not self.server.token or hmac.compare_digest(wanted.encode(), given.encode())
        if self.path.startswith("/v1/") and not is_known:
            return 401, {"code": "UNAUTHORIZED", "message": "the token is not right"}
        try:
            body = json.loads(raw) if raw else {}
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return 400, {"code": "BAD_REQUEST", "message": "that is no JSON object"}
        return self.server.api.answer(self.command, self.path, body)


class Server(ThreadingHTTPServer):
    """The socket, with what its handlers need."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, options: Options, api: Api) -> None:
        self.api, self.token = api, options.token
        try:
            super().__init__((options.host, options.port), Handler)
        except OSError as found:
            raise CannotStart(
                f"port {options.port} on {options.host} cannot be used: {found.strerror}"
            ) from found


def run(options: Options) -> None:
    """Bind and serve until SIGTERM or SIGINT. Raises ``CannotStart``."""
    try:
        books = Books(options.data, remembers=options.remembers)
    except (OSError, sqlite3.Error) as found:
        raise CannotStart(f"the books {options.data} cannot be opened: {found}") from found
    server, ended = Server(options, Api(books, Faults())), threading.Event()

    def stop(number: int, frame: object) -> None:
        ended.set()
        threading.Thread(target=server.shutdown, daemon=True).start()

    def beat() -> None:
        while not ended.wait(options.block_seconds):
            books.mine()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if options.block_seconds > 0:
        threading.Thread(target=beat, daemon=True).start()
    logger.info("custodian simulator listens on %s:%s", options.host, options.port)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        ended.set()
        server.server_close()
        books.close()
    logger.info("custodian simulator stopped")
