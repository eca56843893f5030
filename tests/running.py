"""The real processes of a deployment, on the test's own database: started, killed and asked like any other."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from backoffice.configuration import ROOT
from tests import world
from tests.edges.api import LOG_IN, PLACE, SIGN_UP

COMMANDS = {
    "web": ["web"],
    "workers": ["rundramatiq", "--processes", "1", "--threads", "6", "--skip-logging", "--path", str(ROOT)],
    "scheduler": ["scheduler"],
    "sequencer": ["sequencer"],
    "streams": ["streams"],
    "simulator": ["deriv_simulator", "--speed", "10", "--no-limits"],
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(true: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """What `true` returns as soon as it is; fails with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        if found := true():
            return found
        assert time.monotonic() < end, f"still not after {seconds:.0f} s: {what}"
        time.sleep(0.05)


class Running:
    """A running deployment. Processes can be killed and started again by name."""

    def __init__(self, folder: Path, database: str) -> None:
        self.database = database
        self.port, self.sim_port = free_port(), free_port()
        self.url, self.sim_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.sim_port}"
        self.logs = folder
        redis_server, _, number = settings.REDIS_URL.rpartition("=" if "db=" in settings.REDIS_URL else "/")
        joint = "=" if "db=" in settings.REDIS_URL else "/"
        before, _, _ = settings.DATABASE_URL.rpartition("/")
        self.environment = {
            **os.environ,
            "DATABASE_URL": f"{before}/{database}",
            # A logical database of its own: the test process's nudges must not reach these workers twice.
            "REDIS_URL": f"{redis_server}{joint}{int(number) + 8}",
            "DATA_DIR": str(folder),
            "SECRET_KEY": settings.SECRET_KEY,
            "FIELD_KEYS": settings.CONFIG.field_keys,
            "PORT": str(self.port),
            "DERIV_SIM_PORT": str(self.sim_port),
            "DEMO_TRADERS": "false",
            "VENUE_TIMEOUT_SECONDS": "3",
            "DJANGO_SETTINGS_MODULE": "backoffice.settings",
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        for name in names:
            with (self.logs / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, str(ROOT / "manage.py"), *COMMANDS[name]],
                    env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip

    def kill(self, name: str) -> None:
        """`kill -9` of the process and its children: nothing is flushed, nothing is given back."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def wait_ready(self) -> None:
        def ready() -> bool:
            try:
                return httpx.get(f"{self.url}/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        until(ready, f"ready; see {self.logs}", 60)

    # ── the venue ───────────────────────────────────────────────────────────────────────────────────────────────

    def fault(self, fault: str, **given: Any) -> None:
        """Have the simulator misbehave, as often as said (once)."""
        answer = httpx.post(f"{self.sim_url}/simulator/faults", json={"fault": fault, "times": 1, **given})
        assert answer.status_code == 201, answer.text

    def books(self, login_id: str) -> dict[str, Any]:
        """The simulator's own books of an account."""
        found: dict[str, Any] = httpx.get(f"{self.sim_url}/simulator/accounts/{login_id}/books").json()
        return found


class LiveApp:
    """A client app that talks to a running deployment over the network."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.access = self.request_id = ""

    def data(self, query: str, **variables: Any) -> Any:
        given = {
            "Authorization": f"Bearer {self.access}" if self.access else "",
            "X-Request-ID": self.request_id,
        }
        headers = {name: value for name, value in given.items() if value}
        answer = httpx.post(
            f"{self.running.url}/graphql/",
            json={"query": query, "variables": variables},
            headers=headers,
            timeout=30,
        ).json()
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    def sign_up(self) -> "LiveApp":
        person = {"email": f"{world.key()}@example.com", "password": world.PASSWORD}
        answer = self.data(SIGN_UP, input={**person, "firstName": "Amina", "lastName": "Odhiambo"})
        self.access = answer["tokens"]["accessToken"]
        return self

    def log_in(self, email: str, password: str) -> "LiveApp":
        self.access = self.data(LOG_IN, email=email, password=password)["tokens"]["accessToken"]
        return self

    def account(self) -> Any:
        (found,) = self.data(
            "{ tradingAccounts { id state loginId balance { amount } available { amount } } }"
        )
        return found

    def wait_for_account(self) -> Any:
        until(lambda: self.account()["state"] == "active", "the demo account is active")
        return self.account()

    def place(self, **given: Any) -> Any:
        return self.try_to_place(**given)["trade"]

    def try_to_place(self, **given: Any) -> Any:
        """The answer, be it a trade or a problem with its code."""
        values = {
            "symbol": "R_100",
            "side": "CALL",
            "stake": "10.00",
            "duration": 2,
            "key": world.key(),
            **given,
        }
        return self.data(PLACE, input=values)

    def trade(self, public_id: str) -> Any:
        return self.data(
            "query($id: ID!) { trade(id: $id) { id state isFinal contractId profit { amount } problemCode } }",
            id=public_id,
        )

    def wait_final(self, public_id: str, seconds: float = 60.0) -> Any:
        until(lambda: self.trade(public_id)["isFinal"], "the trade is final", seconds)
        return self.trade(public_id)


@contextmanager
def own_database(blocker: Any) -> Iterator[str]:
    """A database beside the test's own, with reference data: what a deployment commits is seen by nobody else."""
    present = str(connection.settings_dict["NAME"])
    # pytest-django makes a test database only in a session that has a test marked `django_db`.
    template = present if present.startswith("test_") else "template0"
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    name = f"test_deployment_{worker}_{os.getpid()}"
    with blocker.unblock():
        connection.close()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    if template == "template0":
        with inside(name, blocker):
            call_command("migrate", verbosity=0)
            world.reference()
    yield name
    with blocker.unblock(), connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def inside(name: str, blocker: Any) -> Iterator[None]:
    """Have the test's own connection speak to another database meanwhile."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        with blocker.unblock():
            yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


@contextmanager
def running(folder: Path, blocker: Any) -> Iterator[Running]:
    """All processes of a deployment, on a database of their own."""
    with own_database(blocker) as name:
        with inside(name, blocker):
            call_command("sync_schedule", verbosity=0)
        found = Running(folder, name)
        try:
            found.start(*COMMANDS)
            found.wait_ready()
            yield found
        finally:
            found.stop()


def read_log(folder: Path, name: str) -> list[dict[str, Any]]:
    """The structured lines a process logged."""
    lines = (folder / f"{name}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
