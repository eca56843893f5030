"""A real simulator process for tests, here and in other packages.

with SimulatorProcess(tmp_path / "venue.sqlite3", speed=20) as venue:
    account = venue.open_account("client-1")
    client = await connect(venue.socket_url, 1234)
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(look: Callable[[], Any], within: float = 10.0, every: float = 0.02) -> Any:
    """The first true value of ``look``. Fails after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(every)
    return found


class SimulatorProcess:
    """One simulator on its own port and data file. ``start`` after ``kill`` goes on with the same books."""

    def __init__(self, data: Path, speed: float = 20, *options: str, seed: int = 7) -> None:
        self.data = data
        self.port = free_port()
        self.options = ["--speed", str(speed), "--seed", str(seed), "--settle-delay", "0.1", *options]
        self.log = data.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/websockets/v3"

    def start(self) -> Self:
        command = [sys.executable, "-m", "brokerage.deriv.simulator", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(self.data), *self.options],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
        eventually(self._answers)
        return self

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log.read_text()
        try:
            return bool(self.control("GET", "health")["status"] == "up")
        except (urllib.error.URLError, ConnectionError):
            return False

    def kill(self) -> None:
        """The hard way: no signal handler runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """The polite way; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def control(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A call of the control interface; its JSON, or ``None``. Raises ``HTTPError`` for a refusal."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/simulator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def open_account(self, external_id: str, **fields: Any) -> dict[str, Any]:
        account = self.control("PUT", f"accounts/{external_id}", fields)
        assert isinstance(account, dict)
        return account

    def books(self, login_id: str) -> dict[str, Any]:
        books = self.control("GET", f"accounts/{login_id}/books")
        assert isinstance(books, dict)
        return books

    def fault(self, fault: str, call: str, login_id: str, **fields: Any) -> None:
        self.control("POST", "faults", {"fault": fault, "call": call, "login_id": login_id, **fields})
