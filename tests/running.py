"""The real processes of a deployment, on the test's own database: started, killed and asked like any other."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dj_database_url
import httpx
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from backoffice import embedded
from backoffice.configuration import ROOT
from tests import world
from tests.edges.api import LOG_IN, PLACE, SIGN_UP

if TYPE_CHECKING:
    from tests.faults.pooler import Pooler

NO_LIMITS = "--no-limits"
COMMANDS = {
    "web": ["web"],
    "workers": ["rundramatiq", "--processes", "1", "--threads", "6", "--skip-logging", "--path", str(ROOT)],
    "scheduler": ["scheduler"],
    "sequencer": ["sequencer"],
    "streams": ["streams"],
    "simulator": ["deriv_simulator", "--speed", "10", NO_LIMITS],
    # One that forgets ids at once: only we keep a payment from being made twice.
    "custodian": ["custodian_simulator", "--block-seconds", "0.5", "--forgets"],
}
WHOLE = tuple(name for name in COMMANDS if name != "custodian")  # what most tests start

_databases = itertools.count(1)
# One for all, since making one costs more than most questions; no connection is kept, since processes are killed.
HTTP = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(true: Callable[[], Any], what: str, seconds: float = 30.0, every: float = 0.05) -> Any:
    """What `true` returns as soon as it is; fails with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        if found := true():
            return found
        assert time.monotonic() < end, f"still not after {seconds:.0f} s: {what}"
        time.sleep(every)


class Running:
    """A running deployment. Processes can be killed and started again by name."""

    def __init__(self, folder: Path, database: dict[str, Any], urls: dict[str, str]) -> None:
        """`database` is what the test's own connection is to be told to see the same one; `urls` its servers'."""
        self.database, self.urls = database, urls
        self.commands = {name: [str(ROOT / "manage.py"), *command] for name, command in COMMANDS.items()}
        self.port, self.sim_port, self.custodian_port = free_port(), free_port(), free_port()
        self.ports = {"web": self.port}  # of each web process
        self.names: Sequence[str] = WHOLE  # what a whole deployment starts
        self.url, self.sim_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.sim_port}"
        self.logs = folder
        self.environment = {
            **os.environ,
            **urls,
            "DATA_DIR": str(folder),
            "SECRET_KEY": settings.SECRET_KEY,
            "FIELD_KEYS": settings.CONFIG.field_keys,
            "PORT": str(self.port),
            "DERIV_SIM_PORT": str(self.sim_port),
            "CUSTODIAN_SIM_PORT": str(self.custodian_port),
            "CUSTODIAN_TIMEOUT_SECONDS": "2",
            "DEMO_TRADERS": "false",
            "RATE_LIMITS": "off",  # many clients call from this one address
            "SOCKETS_PER_ADDRESS": "6000",
            "SOCKETS_PER_USER": "6000",
            "VENUE_TIMEOUT_SECONDS": "3",
            "DJANGO_SETTINGS_MODULE": "backoffice.settings",
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.servers: Path | None = None  # the folder of servers of its own
        self.pooler: Pooler | None = None  # what stands between it and its database

    def start(self, *names: str) -> None:
        """Start processes by name; `streams-2` is one more of the kind `streams`, `web-2` has a port of its own."""
        for name in names:
            environment = dict(self.environment)
            if (kind := name.partition("-")[0]) == "web":
                environment["PORT"] = str(self.ports.setdefault(name, free_port()))
            with (self.logs / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, *self.commands[kind]],
                    env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip

    def kill(self, name: str) -> None:
        """`kill -9` of the process and its children: nothing is flushed, nothing is given back."""
        process = self._processes.pop(name)
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @property
    def origins(self) -> list[str]:
        """Where each web process answers."""
        return [f"http://127.0.0.1:{port}" for port in self.ports.values()]

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def pause(self, name: str, paused: bool) -> None:
        """Have a process stand still, or go on."""
        with suppress(ProcessLookupError):
            os.killpg(self._processes[name].pid, signal.SIGSTOP if paused else signal.SIGCONT)

    def has_ended(self, name: str) -> bool:
        """Whether a process that was started is gone, by itself."""
        process = self._processes.get(name)
        return process is not None and process.poll() is not None

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._processes.clear()

    def go_on(self) -> None:
        """Start what was stopped, if all of it was."""
        if not self._processes:
            self.start(*self.names)
            self.wait_ready()

    def wait_ready(self) -> None:
        if "web" not in self.names:
            return  # nobody is there to ask

        def ready() -> bool:
            try:
                return all(HTTP.get(f"{one}/health/ready").status_code == 200 for one in self.origins)
            except httpx.TransportError:
                return False

        until(ready, f"ready; see {self.logs}", 60)

    # ── the venue ───────────────────────────────────────────────────────────────────────────────────────────────

    def fault(self, fault: str, **given: Any) -> None:
        """Have the simulator misbehave, as often as said (once)."""
        self.control("faults", {"fault": fault, "times": 1, **given})

    def behave(self) -> None:
        """Have the simulator forget every fault and condition."""
        for path in ("faults", "conditions"):
            self._simulator("DELETE", path)

    def condition(self, condition: str, seconds: float) -> None:
        """Have the whole venue misbehave for a while."""
        self.control("conditions", {"condition": condition, "seconds": seconds})

    def untouched_faults(self, login_id: str) -> list[str]:
        """The faults set for an account that no call and no frame has met yet."""
        rows = self._simulator("GET", "faults").json()["faults"]
        return [str(row["fault"]) for row in rows if row["login_id"] == login_id and not row["hits"]]

    def control(self, path: str, body: dict[str, Any]) -> Any:
        """Have the simulator's desk make something so; what it answers."""
        answer = self._simulator("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def _simulator(self, method: str, path: str, **given: Any) -> httpx.Response:
        """What the simulator's desk answers, as soon as it is there: another fault may just have killed it."""

        def ask() -> httpx.Response | None:
            try:
                return HTTP.request(method, f"{self.sim_url}/simulator/{path}", **given)
            except httpx.TransportError:
                return None

        found: httpx.Response = until(ask, "the simulator answers", every=0.2)
        return found

    def received(self, call: str, login_id: str) -> list[dict[str, Any]]:
        """The calls of an account that arrived at the simulator, oldest first."""
        answer = self._simulator("GET", "received", params={"call": call, "login_id": login_id})
        rows: list[dict[str, Any]] = answer.json()["received"]
        return rows

    def refused_for_rate(self) -> dict[str, int]:
        """How many requests the simulator refused as one too many, by group."""
        found: dict[str, int] = self._simulator("GET", "limits").json()
        return found

    def connections(self) -> dict[str, dict[str, int]]:
        """How many connections each account has at the simulator now, and had at most at the same time."""
        found: dict[str, dict[str, int]] = self._simulator("GET", "connections").json()
        return found

    def books(self, login_id: str) -> dict[str, Any]:
        """The simulator's own books of an account."""
        found: dict[str, Any] = self._simulator("GET", f"accounts/{login_id}/books").json()
        return found


class LiveApp:
    """A client app that talks to a running deployment over the network."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.access = self.request_id = self.email = ""

    def data(self, query: str, **variables: Any) -> Any:
        given = {
            "Authorization": f"Bearer {self.access}" if self.access else "",
            "X-Request-ID": self.request_id,
        }
        headers = {name: value for name, value in given.items() if value}
        answer = HTTP.post(
            f"{self.running.url}/graphql/",
            json={"query": query, "variables": variables},
            headers=headers,
            timeout=30,
        ).json()
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value

    def sign_up(self) -> "LiveApp":
        self.email = f"{world.key()}@example.com"
        person = {"email": self.email, "password": world.PASSWORD}
        return self._enter(SIGN_UP, input={**person, "firstName": "Amina", "lastName": "Odhiambo"})

    def log_in(self, email: str, password: str) -> "LiveApp":
        return self._enter(LOG_IN, email=email, password=password)

    def _enter(self, query: str, **variables: Any) -> "LiveApp":
        """As an app does it: where too many others are let in at the moment, it comes back a little later."""

        def tokens() -> Any:
            answer = self.data(query, **variables)
            assert "tokens" in answer or answer["code"] == "TOO_MANY_REQUESTS", answer
            return answer.get("tokens")

        self.access = until(tokens, "the service lets the app in", every=0.5)["accessToken"]
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
    name = f"test_deployment_{worker}_{os.getpid()}_{next(_databases)}"
    with blocker.unblock():
        connection.close()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    with inside({"NAME": name}, blocker):
        if template == "template0":
            call_command("migrate", verbosity=0)
        world.reference()  # a test that commits may have left the template empty
    yield name
    with blocker.unblock(), connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def inside(database: dict[str, Any], blocker: Any) -> Iterator[None]:
    """Have the test's own connections speak to another database meanwhile, perhaps of another server."""
    before = {name: connection.settings_dict.get(name) for name in database}
    connection.close()
    connection.settings_dict.update(database)
    try:
        with blocker.unblock():
            yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


@contextmanager
def running(folder: Path, blocker: Any) -> Iterator[Running]:
    """All processes of a deployment, on a database of their own."""
    with own_database(blocker) as name:
        before, _, _ = settings.DATABASE_URL.rpartition("/")
        joint = "=" if "db=" in settings.REDIS_URL else "/"
        redis_server, _, number = settings.REDIS_URL.rpartition(joint)
        urls = {
            "DATABASE_URL": f"{before}/{name}",
            # A logical database of its own: the test process's nudges must not reach these workers twice.
            "REDIS_URL": f"{redis_server}{joint}{int(number) + 8}",
        }
        with _all_running(Running(folder, {"NAME": name}, urls), blocker) as found:
            yield found


@contextmanager
def on_own_servers(
    folder: Path,
    blocker: Any,
    crashes: Path | None = None,
    *,
    limits: bool = False,
    names: Sequence[str] = WHOLE,
    speed: float = 10,
    pooled: bool = False,
) -> Iterator[Running]:
    """All processes of a deployment, on a PostgreSQL and a Redis of their own that may be killed.

    With a folder for `crashes`, the workers die at the steps that are armed there (`tests/faults/crashing.py`). With
    `limits` the simulator enforces how often it may be asked; it ticks `speed` times as fast as the venue. `names` are the
    processes, several of a kind if wanted; `pooled`, they reach the database through PgBouncer, as the test does not.
    """
    data_dir = Path(tempfile.mkdtemp(prefix="nexus-faults-"))
    data_dir.chmod(0o711)
    embedded.start(data_dir, dies_with_us=True)
    try:
        urls = {
            "DATABASE_URL": embedded.database_url(data_dir),
            "REDIS_URL": f"{embedded.redis_url(data_dir).partition('?')[0]}?db=0",
        }
        database: dict[str, Any] = dict(dj_database_url.parse(urls["DATABASE_URL"]))
        known = ("NAME", "USER", "PASSWORD", "HOST", "PORT")
        found = Running(folder, {name: database[name] for name in known}, urls)
        found.servers = data_dir
        found.names = names
        found.commands["simulator"][found.commands["simulator"].index("--speed") + 1] = str(speed)
        if limits:
            found.commands["simulator"].remove(NO_LIMITS)
        if crashes is not None:
            from tests.faults.stage import worker_command

            found.environment["CRASHES"] = str(crashes)
            found.commands["workers"] = worker_command()
        with inside(found.database, blocker):
            call_command("migrate", verbosity=0)
            world.reference()
        with ExitStack() as around:
            if pooled:
                from tests.faults.pooler import through_pooler

                around.enter_context(through_pooler(found, blocker))
            around.enter_context(_all_running(found, blocker))
            yield found
    finally:
        embedded.stop(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


@contextmanager
def _all_running(found: Running, blocker: Any) -> Iterator[Running]:
    with inside(found.database, blocker):
        call_command("sync_schedule", verbosity=0)
    try:
        found.start(*found.names)
        found.wait_ready()
        yield found
    finally:
        found.stop()


def read_log(folder: Path, name: str) -> list[dict[str, Any]]:
    """The structured lines a process logged."""
    lines = (folder / f"{name}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
