"""Where faults fall: a running deployment on servers of its own, clients that never give up, workers that come back."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dramatiq
import httpx
import redis
from django.db import DatabaseError, connection

from backoffice import embedded
from backoffice.configuration import ROOT
from backoffice.embedded import postgres, processes
from backoffice.embedded import redis as embedded_redis
from brokerage.deriv.opening import GENERATIONS
from brokerage.models import Trade, TradingAccount
from jobs.broker import make_broker
from tests.running import WHOLE, LiveApp, Running, on_own_servers, until

SELL = """mutation($id: ID!, $key: String!) { sellTrade(id: $id, key: $key) {
    ... on TradeAnswer { trade { state } } ... on Problem { code } } }"""
PATIENCE = 120.0
_numbers = itertools.count(1)


@dataclass
class Client:
    """A client app with its account. It asks again, with the same key, until it is answered."""

    app: LiveApp
    draw: random.Random
    login_id: str = ""
    pk: int = 0
    generation: str = "v3"
    placed: list[str] = field(default_factory=list)
    errors: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def insist(self, ask: Callable[[], Any]) -> Any:
        """The first answer that is no failure of ours or of the wire."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return ask()
            except (httpx.HTTPError, AssertionError, ValueError, DatabaseError):
                connection.close()
                self.errors += 1
                assert time.monotonic() < end, "the API did not come back"
                time.sleep(0.3)

    def place(self, **given: Any) -> str:
        """A trade with terms drawn by the seed; most run for ticks, some for seconds."""
        trade_id = self.try_to_place(**given)
        assert trade_id is not None, f"a trade was refused: {dict(self.refused)}"
        return trade_id

    def try_to_place(self, **given: Any) -> str | None:
        """The same, where a refusal is an answer like any other: it is counted, and there is no trade."""
        length: dict[str, Any] = {"duration": self.draw.randrange(1, 6)}
        if self.draw.random() < 0.1:
            length = {"symbol": "1HZ100V", "duration": 15, "durationUnit": "SECONDS"}
        terms = {
            "side": self.draw.choice(["CALL", "PUT"]),
            "stake": f"{self.draw.randrange(100, 99900) / 100:.2f}",
            "key": f"seed-{next(_numbers)}-{self.login_id}",
            **(length if "duration" not in given else {}),
            **given,
        }
        answer = self.insist(lambda: self.app.try_to_place(**terms))
        if (trade := answer.get("trade")) is None:
            self.refused[str(answer["code"])] += 1
            return None
        self.placed.append(str(trade["id"]))
        return self.placed[-1]

    def trade(self, trade_id: str) -> Any:
        return self.insist(lambda: self.app.trade(trade_id))

    def reaches(self, trade_id: str, *states: str) -> bool:
        """Wait until a trade is in one of these states or final; whether it is one of these."""

        def there() -> Any:
            found = self.trade(trade_id)
            return found if found["state"] in states or found["isFinal"] else None

        return until(there, f"{trade_id} is one of {states}", PATIENCE, every=0.5)["state"] in states

    def place_to_sell(self) -> str:
        """A trade that may be sold back now: longer than any fault, and past its contract's first ticks."""
        for _ in range(5):  # what else falls over meanwhile may keep one from being bought
            seconds = self.draw.randrange(18, 30)
            trade_id = self.place(symbol="1HZ100V", duration=seconds, durationUnit="SECONDS")
            if self.reaches(trade_id, "OPEN"):
                time.sleep(2.5)
                return trade_id
        raise AssertionError(f"{self.placed[-5:]} were not bought")

    def sell(self, trade_id: str) -> None:
        key = f"sell-{next(_numbers)}"
        self.insist(lambda: self.app.data(SELL, id=trade_id, key=key))

    def finish(self) -> None:
        """Wait until everything this client placed is final."""
        for trade_id in self.placed:
            until(
                lambda trade_id=trade_id: self.trade(trade_id)["isFinal"],
                f"{trade_id} is final",
                PATIENCE,
                every=1.0,
            )  # type: ignore[misc]


class Stage:
    """The deployment, and what can be done to it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.generations: Sequence[str] = GENERATIONS
        self.redis: Any = redis.Redis.from_url(running.urls["REDIS_URL"], decode_responses=True)
        self._broker = make_broker(running.urls["REDIS_URL"], [])
        self.crashes = Path(running.environment["CRASHES"])
        self._lock = threading.Lock()  # one restart at a time, whoever asks

    def client(self, seed: int) -> Client:
        """A client with an active account; which generation it speaks, the seed decides."""
        app = LiveApp(self.running)
        found = Client(app, random.Random(seed))
        found.generation = random.Random(f"generation {seed}").choice(self.generations)
        found.insist(app.sign_up)
        until(lambda: found.insist(app.account)["state"] == "active", "the demo account is active", PATIENCE)
        found.login_id = found.insist(app.account)["loginId"]
        accounts = TradingAccount.objects.filter(login_id=found.login_id)
        found.pk = found.insist(lambda: accounts.values_list("pk", flat=True).get())
        self.speak(found, found.generation)
        return found

    def speak(self, client: Client, generation: str) -> None:
        """Have a client's account speak this generation from now on; `streams` connects anew."""
        client.insist(lambda: TradingAccount.objects.filter(pk=client.pk).update(generation=generation))
        connection.close()

    def migrate(self, client: Client) -> None:
        """The venue moves a client who speaks v3 to v4: v3 is closed to them, and the account has another login."""
        answer = self.running.control(f"accounts/{client.login_id}/migration", {"status": "complete"})
        client.login_id = answer["moves"][client.login_id]

    def fault(self, client: Client, fault: str, **given: Any) -> None:
        self.running.fault(fault, login_id=client.login_id, **given)

    def arm(self, client: Client, step: str) -> None:
        """Have the worker that comes to this step of this client's trade die there."""
        (self.crashes / f"{step}.{client.pk}").touch()

    def not_fallen(self, client: Client) -> list[str]:
        """What was set for this client and has not happened: a run of which this is not empty proves nothing."""
        armed = [path.name.partition(".")[0] for path in self.crashes.glob(f"*.{client.pk}")]
        return [*self.running.untouched_faults(client.login_id), *armed]

    def has_fallen(self, client: Client, step: str, trade_id: str, *, sells: bool) -> bool:
        """Wait until a worker died at an armed step or the trade is final; whether one died.

        With `sells`, a sale is asked for, and again where it was refused on the way, as a person would.
        """
        sold_at = 0.0
        while (crash := self.crashes / f"{step}.{client.pk}").exists():
            if client.trade(trade_id)["isFinal"]:
                break
            if sells and time.monotonic() - sold_at > 5:
                client.sell(trade_id)
                sold_at = time.monotonic()
            time.sleep(0.5)
        return not crash.exists()

    def send_again(self, actor: str, *args: Any) -> None:
        """The message of a job once more, as a queue that delivers twice would."""
        message: dramatiq.Message[Any] = dramatiq.Message(actor.partition(".")[0], actor, args, {}, {})
        self._broker.declare_queue(message.queue_name)
        self._broker.enqueue(message)

    def restart(self, name: str) -> None:
        with self._lock:
            self.running.kill(name)
            self.running.start(name)

    def bring_back(self, name: str) -> None:
        """What the supervisor does in a real deployment: what died by itself is started again."""
        with self._lock:
            if self.running.has_ended(name):
                self.running.start(name)

    def restart_redis(self) -> None:
        """Killed, and started again on what it had written."""
        assert self.running.servers is not None
        with self._lock:
            pid = processes.read_pid(embedded_redis._pid_file(self.running.servers))
            assert pid is not None
            processes.end(pid, processes.signal.SIGKILL, seconds=10)
            embedded.start(self.running.servers)

    def restart_postgresql(self) -> None:
        """Every session cut and no checkpoint, as when the machine goes down; then crash recovery."""
        assert self.running.servers is not None
        with self._lock:
            pid = processes.read_pid(postgres._data(self.running.servers) / "postmaster.pid")
            assert pid is not None
            processes.end(pid, processes.signal.SIGQUIT, seconds=30)
            embedded.start(self.running.servers)
        connection.close()


def _keep_workers(stage: Stage, ended: threading.Event) -> None:
    while not ended.wait(0.1):
        stage.bring_back("workers")


@contextmanager
def stage(
    folder: Path, blocker: Any, *, limits: bool = False, names: Sequence[str] = WHOLE
) -> Iterator[Stage]:
    """A deployment on its own servers, whose workers crash where they are told to, and come back."""
    crashes = folder / "crashes"
    crashes.mkdir(parents=True)
    ended = threading.Event()
    with on_own_servers(folder, blocker, crashes=crashes, limits=limits, names=names) as running:
        found = Stage(running)
        keeper = threading.Thread(target=_keep_workers, args=(found, ended), daemon=True)
        keeper.start()
        try:
            yield found
        finally:
            ended.set()
            keeper.join(5)


def trade_of(client: Client, trade_id: str) -> int:
    """A trade's primary key, for messages of jobs."""
    try:
        return int(Trade.objects.values_list("pk", flat=True).get(uuid=trade_id))
    finally:
        connection.close()


def worker_command() -> list[str]:
    """The workers as `rundramatiq` runs them, but with the module that crashes them, which loads the actors."""
    options = ["--path", str(ROOT), "--processes", "1", "--threads", "8", "--skip-logging"]
    return [
        "-m",
        "dramatiq",
        *options,
        "django_dramatiq.setup",
        "tests.faults.crashing",
        "tests.faults.crashing_payments",
        "tests.faults.unguarded",
    ]
