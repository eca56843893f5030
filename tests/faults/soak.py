"""Clients trade through the API while a fault falls every few seconds on any process, server or the venue.

The seed decides which fault falls when, and what the clients do. Afterwards nothing goes wrong any more, everything
becomes final, and the same is counted as for single faults.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import httpx
from django.db import connection

from brokerage.models import Trade
from tests.faults.checks import Findings, check, check_books, wait_confirmed
from tests.faults.crashing import STEPS
from tests.faults.stage import Client, Stage
from tests.running import COMMANDS, until

CLIENTS: Final = 4
EVERY_SECONDS: Final = (2.0, 5.0)
STILL_SECONDS: Final = 180.0
ON_ONE_CALL: Final = {
    "drop_before_purchase": {}, "drop_after_purchase": {}, "lose_answer": {"call": "buy"},
    "delay_answer": {"call": "buy", "seconds": 5}, "duplicate": {"call": "buy"}, "rate_limit": {"call": "buy"},
    "wrong_proposal": {}, "late_settlement": {"seconds": 3}, "refund": {},
    "lose_frames": {"call": "transaction"}, "duplicate_frames": {"call": "transaction", "times": 5},
    "reorder_frames": {"call": "proposal_open_contract", "seconds": 1, "times": 5},
}  # fmt: skip
ON_THE_VENUE: Final = {"updating": 2.0, "frozen_feed": 4.0, "restart": 1.5}


@dataclass
class Report:
    """What a soak did and found."""

    seed: int
    on_v4: int = 0
    seconds: float = 0.0
    trades: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    api_errors: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)
    books: list[str] = field(default_factory=list)
    still: float = 0.0

    @property
    def problems(self) -> list[str]:
        return [*self.findings.wrong, *self.books]


class Trader(threading.Thread):
    """A client that places and sells until it is told to stop. It asks again with the same key."""

    def __init__(self, client: Client, stopped: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client, self._stopped = client, stopped
        self.failed = ""

    def run(self) -> None:
        draw = self.client.draw
        try:
            while not self._stopped.is_set():
                stake = f"{draw.randrange(35, 1500) / 100:.2f}"  # small: nobody runs out of money
                if draw.random() < 0.2:
                    self._sell_back(stake)
                else:
                    trade = self.client.try_to_place(stake=stake, duration=draw.randrange(1, 9))
                    if trade is not None and draw.random() < 0.5:
                        self.client.reaches(trade, "OPEN")
                self._stopped.wait(draw.uniform(0, 0.8))
        except Exception as found:  # noqa: BLE001  (a client that gave up is a finding)
            self.failed = f"{self.client.login_id} gave up: {found}"
        finally:
            connection.close()

    def _sell_back(self, stake: str) -> None:
        seconds = self.client.draw.randrange(15, 25)
        trade = self.client.try_to_place(
            stake=stake, symbol="1HZ100V", duration=seconds, durationUnit="SECONDS"
        )
        if trade is not None and self.client.reaches(trade, "OPEN"):
            self._stopped.wait(3)
            self.client.sell(trade)


class Faults:
    """Draws one fault after the other from the seed, and lets it fall."""

    def __init__(self, stage: Stage, seed: int, clients: list[Client]) -> None:
        self.stage, self._draw, self._clients = stage, random.Random(seed), clients
        self.fallen: Counter[str] = Counter()

    def one(self) -> None:
        draw, running = self._draw, self.stage.running
        groups: list[dict[str, Callable[[], Any]]] = [
            {
                **{f"kill {name}": partial(self.stage.restart, name) for name in COMMANDS},
                "restart redis": self.stage.restart_redis,
                "restart postgresql": self.stage.restart_postgresql,
            },
            {f"stop and go on {name}": partial(self._pause, name) for name in COMMANDS},
            {f"venue {name}": partial(running.condition, name, seconds) for name, seconds in ON_THE_VENUE.items()},
            {name: partial(self._on_one, name) for name in ON_ONE_CALL},
            {name: partial(self._arm, name) for name in STEPS},
        ]  # fmt: skip
        # A kind first, so that every process falls often however many ways there are for a call to go wrong.
        name, fall = draw.choice(list(draw.choice(groups).items()))
        self.fallen[name] += 1
        try:
            fall()
        except (httpx.HTTPError, AssertionError):
            return  # the simulator is away just now: a fault upon a fault

    def _on_one(self, name: str) -> None:
        self.stage.fault(self._draw.choice(self._clients), name, **ON_ONE_CALL[name])

    def _arm(self, step: str) -> None:
        self.stage.arm(self._draw.choice(self._clients), step)

    def _pause(self, name: str) -> None:
        """A process that stands still for a while, as on a machine that swaps, longer than a lease at times."""
        self.stage.running.pause(name, True)
        time.sleep(self._draw.uniform(0.5, 6))
        self.stage.running.pause(name, False)


def soak(stage: Stage, seed: int, seconds: float, say: Callable[[str], None]) -> Report:
    """Trade and let faults fall for so long; then wait until everything is final, and check it all."""
    report = Report(seed)
    clients = [stage.client(seed * 1000 + number) for number in range(CLIENTS)]
    stopped = threading.Event()
    traders = [Trader(client, stopped) for client in clients]
    for trader in traders:
        trader.start()
    faults, pauses, begun = Faults(stage, seed, clients), random.Random(-seed), time.monotonic()
    told = 0.0
    while (passed := time.monotonic() - begun) < seconds:
        time.sleep(pauses.uniform(*EVERY_SECONDS))
        faults.one()
        if passed - told > 30:
            told = passed
            say(
                f"{passed:.0f} s: {sum(len(client.placed) for client in clients)} trades, {faults.fallen.total()} faults"
            )
    stopped.set()
    for trader in traders:
        trader.join(STILL_SECONDS)
    report.seconds = time.monotonic() - begun
    _finish(stage, clients, report, say)
    report.findings.stuck += [trader.failed for trader in traders if trader.failed]
    report.on_v4 = sum(client.generation == "v4" for client in clients)
    report.faults, report.api_errors = faults.fallen, sum(client.errors for client in clients)
    report.refused = sum((client.refused for client in clients), Counter())
    return report


def _finish(stage: Stage, clients: list[Client], report: Report, say: Callable[[str], None]) -> None:
    """Nothing goes wrong any more: everything becomes final and confirmed, and is checked."""
    for step in stage.crashes.iterdir():
        step.unlink(missing_ok=True)
    stage.running.behave()
    logins, begun = [client.login_id for client in clients], time.monotonic()
    mine = Trade.objects.filter(account__login_id__in=logins)
    connection.close()
    say("no more faults; waiting until everything is final")
    try:
        until(lambda: not mine.exclude(state__in=Trade.FINAL).exists(), "everything is final", STILL_SECONDS)
        wait_confirmed(logins)
    except AssertionError as found:
        report.books.append(str(found))
    report.still = time.monotonic() - begun
    report.findings = check(stage.running, logins, placed=sum(len(client.placed) for client in clients))
    report.trades = Counter(mine.values_list("state", flat=True))
    report.books += check_books()


def told(report: Report) -> str:
    """The report as text."""
    found = report.findings
    lines = [
        f"soak, seed {report.seed}, {report.seconds:.0f} s, {CLIENTS} clients, {report.on_v4} of them on v4",
        f"trades: {found.trades} ({', '.join(f'{state} {many}' for state, many in sorted(report.trades.items()))})",
        f"faults: {report.faults.total()} of {len(report.faults)} kinds",
        *(f"  {many:3} {name}" for name, many in sorted(report.faults.items())),
        f"refused at once: {', '.join(f'{code} {many}' for code, many in sorted(report.refused.items())) or 'none'}",
        f"API calls that failed and were repeated with the same key: {report.api_errors}",
        f"final and confirmed {report.still:.0f} s after the last fault",
        f"bought twice: {len(found.bought_twice)}   lost: {len(found.lost)}   stuck: {len(found.stuck)}   "
        f"mirror unequal: {len(found.unequal)}   ledger and event chain: {len(report.books)} problems",
        *(f"  {each}" for each in report.problems),
    ]  # fmt: skip
    if report.problems:
        lines.append(f"Replay: make soak SEED={report.seed}")
    return "\n".join(lines)
