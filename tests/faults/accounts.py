"""Many accounts on one `streams` process, on two, and on one again after the other was killed.

The simulator says how many connections each account had and what it refused as too often; its limits are enforced.
"""

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection
from django.test import override_settings
from django.utils import timezone

from brokerage import connections, placing
from brokerage.models import Trade, TradingAccount
from brokerage.venue import PUBLIC
from tests import world
from tests.faults.checks import check, wait_confirmed
from tests.faults.footprint import processor_seconds, resident
from tests.faults.stage import Stage
from tests.running import until

FIRST, SECOND = "streams", "streams-2"
PICKED_UP_WITHIN: Final = 15.0
WATCHED_SECONDS: Final = 10.0
TRADES_AT_ONCE: Final = 12


@dataclass
class Report:
    """Figures, in seconds where nothing else is said, and what was not as it must be."""

    accounts: int
    on_v4: int = 0
    up_after: float = 0.0
    processor: float = 0.0
    """Share of one processor the one process took, with all accounts and some trades."""
    megabytes: float = 0.0
    shared_after: float = 0.0
    parts: list[int] = field(default_factory=list)
    lost: int = 0
    """How many accounts the killed process had."""
    picked_up_after: float = 0.0
    most: int = 0
    """The most connections an account ever had at the same time."""
    refused: dict[str, int] = field(default_factory=dict)
    trades: int = 0
    problems: list[str] = field(default_factory=list)


def share(
    stage: Stage,
    accounts: int,
    say: Callable[[str], None] = lambda text: None,
    *,
    watched_seconds: float = WATCHED_SECONDS,
) -> Report:
    """The whole story, once. For so many seconds it is watched what one process takes of the machine."""
    running, report = stage.running, Report(accounts)
    until(lambda: views(stage), "it tells of its links")
    running.kill(FIRST)
    until(lambda: not views(stage), "what it told is forgotten")
    opened = open_accounts(accounts)
    report.on_v4 = sum(account.generation == "v4" for account in opened)
    say(f"{accounts} accounts are open, {report.on_v4} of them on v4")

    begun = time.monotonic()
    running.start(FIRST)
    until(lambda: up(stage) == accounts, "every account is connected", 90, every=0.1)
    report.up_after = time.monotonic() - begun
    say(f"all are connected after {report.up_after:.1f} s")

    placed = place(stage, opened, TRADES_AT_ONCE)
    used = processor_seconds(running.pid(FIRST))
    time.sleep(watched_seconds)
    report.processor = (processor_seconds(running.pid(FIRST)) - used) / watched_seconds
    report.megabytes = resident(running.pid(FIRST))

    (first,) = views(stage)
    begun = time.monotonic()
    running.start(SECOND)
    most = -(-(accounts + 1) // 2)
    until(lambda: is_shared(stage, accounts + 1, most), "two processes share the accounts", 90, every=0.1)
    report.shared_after, report.parts = time.monotonic() - begun, parts(stage)
    say(f"two processes hold {report.parts} after {report.shared_after:.1f} s")

    report.lost = len(set(views(stage)[first]["links"]) - {PUBLIC})
    with trading(stage, opened, placed):
        time.sleep(1.0)
        running.kill(FIRST)
        killed = time.monotonic()
        until(lambda: up(stage) < accounts, "the venue sees connections close", 10)
        until(lambda: up(stage) == accounts, "every account is connected again", 90, every=0.1)
        report.picked_up_after = time.monotonic() - killed
    say(f"all are connected again {report.picked_up_after:.1f} s after the kill")
    finish(stage, report, opened, placed)
    return report


def finish(stage: Stage, report: Report, opened: list[TradingAccount], placed: list[Trade]) -> None:
    """Every trade to its end, and everything against the venue's books."""
    final = Trade.objects.filter(pk__in=[trade.pk for trade in placed], state__in=Trade.FINAL)
    until(lambda: final.count() == len(placed), "every trade is final", 120, every=0.5)
    logins = sorted({account.login_id for account in opened if account.trades.exists()})
    wait_confirmed(logins)
    report.trades = len(placed)
    report.refused = stage.running.refused_for_rate()
    report.most = max(each["most"] for each in stage.running.connections().values())
    report.problems = check(stage.running, logins, placed=len(placed)).wrong
    bought = Trade.objects.filter(pk__in=[trade.pk for trade in placed], contract_id__isnull=False).count()
    if not bought:
        report.problems.append("no trade was bought")
    if report.most != 1:
        report.problems.append(f"an account had {report.most} connections at the same time")
    if report.refused:
        report.problems.append(f"the venue refused requests as too many: {report.refused}")
    if report.picked_up_after >= PICKED_UP_WITHIN:
        report.problems.append(f"accounts were without connection for {report.picked_up_after:.1f} s")


def open_accounts(count: int) -> list[TradingAccount]:
    """So many clients with an active account, every other on v4; through verbs, opened by the workers at the desk."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        for _ in range(count):
            world.client(email=f"{world.key()}@accounts.example.com", at=timezone.now())
    ours = TradingAccount.objects.filter(client__membership__user__email__endswith="@accounts.example.com")
    active = ours.filter(state="active")
    until(lambda: active.count() == count, "every account is open at the venue", 120, every=0.5)
    every_other = list(ours.order_by("pk").values_list("pk", flat=True))[::2]
    ours.filter(pk__in=every_other).update(generation="v4")
    ours.exclude(pk__in=every_other).update(generation="v3")
    return list(ours.select_related("client", "currency", "cash").order_by("pk"))


def place(stage: Stage, accounts: list[TradingAccount], count: int) -> list[Trade]:
    """A trade on each of so many accounts, and a nudge for each."""
    draw = random.Random(len(accounts))
    found = []
    for number, account in enumerate(draw.sample(accounts, min(count, len(accounts)))):
        trade = placing.place(
            account=account, symbol="R_100", side="CALL" if number % 2 else "PUT", stake=f"{1 + number % 90}.00",
            duration=3, duration_unit="t", by=world.TESTER, at=timezone.now(), key=world.key(),
        )  # fmt: skip
        stage.send_again("trading.submit", trade.pk)
        found.append(trade)
    return found


class trading:
    """Trades placed all the while, on accounts of either process."""

    def __init__(self, stage: Stage, accounts: list[TradingAccount], placed: list[Trade]) -> None:
        self._stage, self._accounts, self._placed = stage, accounts, placed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._placed += place(self._stage, self._accounts, 3)
                self._ended.wait(0.5)
        finally:
            connection.close()

    def __exit__(self, *problem: object) -> None:
        self._ended.set()
        self._thread.join(30)


# ── what is seen from outside ───────────────────────────────────────────────────────────────────────────────────


def up(stage: Stage) -> int:
    """How many accounts have one connection at the venue now."""
    return sum(each["now"] == 1 for each in stage.running.connections().values())


def views(stage: Stage) -> dict[str, dict[str, Any]]:
    """What each process that is alive, or was seconds ago, tells of its links."""
    names = list(stage.redis.scan_iter(match=f"{connections.PREFIX}*", count=1000))
    texts = stage.redis.mget(names) if names else []
    return {name: json.loads(text) for name, text in zip(names, texts, strict=True) if text}


def parts(stage: Stage) -> list[int]:
    """How many links each process has up."""
    return sorted(sum(link["is_up"] for link in view["links"].values()) for view in views(stage).values())


def is_shared(stage: Stage, links: int, most: int) -> bool:
    """Whether two processes have everything up between them, neither more than its part."""
    found = parts(stage)
    return len(found) == 2 and sum(found) == links and max(found) <= most


def told(report: Report) -> str:
    lines = [
        f"{report.accounts} accounts, {report.on_v4} on v4, {report.trades} trades",
        f"all connected by one process after           {report.up_after:6.1f} s from its start",
        f"one processor used by it                     {report.processor * 100:6.1f} %",
        f"memory                                       {report.megabytes:6.0f} MB",
        f"shared by two after                          {report.shared_after:6.1f} s from the second's start: {report.parts}",
        f"after a kill of one, {report.lost:4d} connected again    {report.picked_up_after:6.1f} s",
        f"most connections of an account at once       {report.most:6d}",
        f"requests refused as too many                 {sum(report.refused.values()):6d}",
        *report.problems,
    ]  # fmt: skip
    return "\n".join(lines)
