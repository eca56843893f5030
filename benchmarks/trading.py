"""Trading: trades a second with all our bookkeeping, and from placed to open, beside a bare loop of Deriv's own client.

A deployment's processes run (workers with six threads, streams, sequencer) against the simulator with its limits off.
Ours: trades of one account are placed by the verb the API calls, eight of them under way at most; each is priced,
bought, booked in the ledger and told as it always is. From placed to open: one after the other. Beside it Deriv's own
Python client asks for a price and buys on one connection, one after the other, on the same simulator, and keeps nothing.
The contracts last a quarter of an hour, so that none ends meanwhile. The two take turns, each with a new account.

Where the time of a trade goes, by processor time and samples in November 2026: workers 55 ms (23 of them with Python's lock: two
fifths buying, two fifths the venue's line of the purchase, most of both in Django building and reading its queries),
PostgreSQL 22, whoever places it 18, streams 13, sequencer 7. The rest of the workers' time was not taken apart. All of it shares the processors of one machine here, while the bare client does one thing only; and
the trades of one account wait for each other, because the line of each is laid under the account's lock. What was found and
mended: each purchase used to wake every queued trade of the account, which asked for prices in vain; each step read
eight tables to lock one row; and the planner tried every order of nine tables, 11 ms of a read's 15. Next would be: the
venue's lines of an account taken in together (one lock for several), and a step of a trade (its row, its event, its entries) as
one call to the database, as the ledger does it.

Not said: what the way to Deriv and back would add to both, twice for each trade.
"""

import json
import statistics
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from benchmarks import Figure
from benchmarks.ground import ROOT, Ground, say

UNDER_WAY: Final = 8
# The venue lets an account hold a hundred contracts at once; each turn has an account of its own.
TRADES: Final = 80
ROUNDS: Final = 3
SCRIPT: Final = Path(__file__).parent / "deriv_script.py"
REQUIREMENTS: Final = ROOT / "tests" / "brokerage" / "deriv" / "official_client_requirements.txt"


def run(ground: Ground) -> list[Figure]:
    python = ground.environment_of("deriv", _requirements())
    with _deployment(ground) as running, _opened() as seen:
        accounts = [_account(running) for _ in range(ROUNDS + 2)]
        for account in accounts:
            _trade(account, seen, count=3)
        bare: list[float] = []
        bare_took: list[float] = []
        ours: list[float] = []
        took: list[float] = []
        for turn, account in enumerate(accounts[:ROUNDS]):
            if python is not None:
                answer = _bare(running, python, turn, ground.count(TRADES))
                bare.append(answer["rate"])
                bare_took += answer["took"]
            ours.append(_rate(account, seen, ground.count(TRADES)))
            say(f"  {ours[-1]:.1f} trades a second, bare client {bare[-1] if bare else 0:.1f}")
        for account in accounts[ROUNDS:]:
            took += _trade(account, seen, count=ground.count(TRADES))
    beside: dict[str, Any] = {}
    if bare:
        beside = {
            "reference": "bare `python-deriv-api`",
            "reference_value": statistics.median(bare),
            "goal": 0.6,
        }
    return [
        Figure(
            "trades bought and booked",
            statistics.median(ours),
            "trades/s",
            note=f"medians of {ROUNDS} turns",
            **beside,
        ),
        _percentile(50, took, bare_took),
        _percentile(99, took, bare_took),
    ]


def _percentile(part: int, took: list[float], bare: list[float]) -> Figure:
    def at(values: list[float]) -> float:
        return statistics.quantiles(values, n=100, method="inclusive")[part - 1]

    return Figure(f"placed to open, p{part}", at(took), "ms", "bare price and purchase", at(bare) if bare else None,
                  note=f"{len(took)} trades")  # fmt: skip


def _requirements() -> str:
    return " ".join(
        line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")
    )


@contextmanager
def _deployment(ground: Ground) -> Iterator[Any]:
    """The processes that trade, on the servers of this benchmark."""
    from django.conf import settings

    from tests.running import Running

    running = Running(ground.folder, {}, {"DATABASE_URL": ground.database_url, "REDIS_URL": ground.redis_url})
    running.commands["simulator"] = [
        str(ROOT / "manage.py"),
        "deriv_simulator",
        "--speed",
        "1",
        "--no-limits",
    ]
    running.environment["LOG_LEVEL"] = "INFO"
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": running.sim_port})
    running.start("simulator", "streams", "workers", "sequencer")
    try:
        yield running
    finally:
        running.stop()


def _account(running: Any) -> Any:
    """A demo account, opened at the simulator and connected."""
    from django.utils import timezone

    from brokerage import demo_accounts
    from brokerage.models import TradingAccount
    from tests import world
    from tests.running import until

    running.connections()  # the simulator answers
    opening = world.client()
    made = TradingAccount.objects.get(client=opening.client)
    found = demo_accounts.open_at_venue(made, now=timezone.now)
    until(lambda: running.connections().get(found.login_id, {}).get("now"), "the account is connected")
    return TradingAccount.objects.select_related("client", "currency", "cash", "grant").get(pk=found.pk)


@contextmanager
def _opened() -> Iterator[Callable[[uuid.UUID], float]]:
    """Waits for a trade to be open; answers when that was told, by this process's clock."""
    from backoffice.cache import redis_client
    from brokerage.models import Trade

    told: dict[str, float] = {}
    news, over = threading.Condition(), threading.Event()
    listening = redis_client().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    listening.subscribe("live:trades")

    def listen() -> None:
        while not over.is_set():
            message = listening.get_message(timeout=0.2)
            if message is None:
                continue
            at, said = time.perf_counter(), json.loads(message["data"])
            if said["version"] >= 3:  # placed and submitted come before
                with news:
                    told.setdefault(said["trade"], at)
                    news.notify_all()

    thread = threading.Thread(target=listen)
    thread.start()

    def wait(trade: uuid.UUID) -> float:
        with news:
            if not news.wait_for(lambda: str(trade) in told, timeout=60):
                raise TimeoutError("a trade was not bought")
            at = told.pop(str(trade))
        assert Trade.objects.get(uuid=trade).state == Trade.State.OPEN
        return at

    yield wait
    over.set()
    thread.join()
    listening.close()


def _place(account: Any, number: int) -> Any:
    from backoffice.who import By
    from brokerage import placing

    return placing.place(
        account=account, symbol="R_100", side="CALL" if number % 2 else "PUT",
        stake=Decimal(100 + number % 300) / 100, duration=15, duration_unit="m",
        by=By.system("bench"), at=datetime.now(UTC), key=uuid.uuid4().hex,
    )  # fmt: skip


def _trade(account: Any, seen: Callable[[uuid.UUID], float], *, count: int) -> list[float]:
    """Milliseconds from placing a trade until it is told to be open, one trade after the other."""
    found = []
    for number in range(count):
        begun = time.perf_counter()
        trade = _place(account, number)
        found.append((seen(trade.uuid) - begun) * 1000)
    return found


def _rate(account: Any, seen: Callable[[uuid.UUID], float], count: int) -> float:
    """Trades a second from placed to open, so many under way at once."""
    begun = time.perf_counter()
    waiting: list[uuid.UUID] = []
    for number in range(count):
        if len(waiting) == UNDER_WAY:
            seen(waiting.pop(0))
        waiting.append(_place(account, number).uuid)
    for trade in waiting:
        seen(trade)
    return count / (time.perf_counter() - begun)


def _bare(running: Any, python: list[str], turn: int, count: int) -> Any:
    """What Deriv's own client reaches with an account of its own."""
    account = running._simulator("PUT", f"accounts/bench-{turn}", json={"currency": "USD", "balance": "1000000", "is_demo": True}).json()  # fmt: skip
    given = {"endpoint": running.sim_url.replace("http", "ws"),
             "token": account["token"], "count": count}  # fmt: skip
    done = subprocess.run(
        [*python, str(SCRIPT), json.dumps(given)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-600:])
    return json.loads(done.stdout)
