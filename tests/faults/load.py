"""Many clients trade through the API while an officer works in the console: how fast, and does anything grow or fail?

Everything runs on this one machine: the deployment, its servers, the simulator and those who ask. A client places a
trade every so many seconds on its own schedule, late or not, and watches it over its own WebSocket until it is final.
"""

import asyncio
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from django.conf import global_settings
from django.contrib import admin
from django.db import connection
from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from backoffice import sessions
from backoffice.models import User
from brokerage.models import Trade, TradingAccount
from jobs.models import FailedJob
from tests import world
from tests.faults.accounts import open_accounts
from tests.faults.checks import Findings, check, check_books, wait_confirmed
from tests.faults.footprint import WARM, Footprint
from tests.faults.traffic import LIMITS, PATIENCE, Officer, Seen, Trader
from tests.running import COMMANDS, Running, read_log, until

# Runs shorter than this tell nothing of growth: they end while everything still fills.
JUDGED_SECONDS = 120.0
SHOWN = 12  # kinds of errors in the report, the most frequent first


def processes(*, webs: int = 1, workers: int = 1, streams: int = 1) -> list[str]:
    """The names of a deployment's processes with so many of these kinds."""
    many = {"web": webs, "workers": workers, "streams": streams}
    return [
        kind if number == 1 else f"{kind}-{number}"
        for kind in COMMANDS
        for number in range(1, many.get(kind, 1) + 1)
    ]


@dataclass
class Report:
    """What a run took and found; times in seconds."""

    clients: int
    every: float
    seconds: float
    seen: Seen = field(default_factory=Seen)
    watched: Footprint | None = None
    findings: Findings = field(default_factory=Findings)
    states: Counter[str] = field(default_factory=Counter)
    books: list[str] = field(default_factory=list)
    still: float = 0.0
    """From the end of the load until everything was final and confirmed."""
    waiting: int = 0
    """The most connections that waited at the pooler at once."""
    machine: str = ""

    @property
    def problems(self) -> list[str]:
        found = [f"{times} times {wrong}" for wrong, times in self.seen.wrong.most_common(SHOWN)]
        found += [*self.findings.wrong, *self.books]
        if self.watched is not None:
            found += [self.watched.failed] * bool(self.watched.failed)
            if self.seconds >= JUDGED_SECONDS:
                found += [
                    f"{each.what} grew from {each.warm:.0f} to {each.end:.0f} {each.unit}"
                    for each in self.watched.growth()
                    if each.is_too_much
                ]
        if not self.findings.trades:
            found.append("nothing was traded")
        return found


@contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Hear nothing but errors of these for a while."""
    before = {name: logging.getLogger(name).level for name in loggers}
    for name in loggers:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def load(
    running: Running,
    clients: int,
    seconds: float,
    every: float,
    say: Callable[[str], None] = lambda text: None,
) -> Report:
    """So many clients, each with a trade every so many seconds, for so long; then everything is checked."""
    report = Report(clients, every, seconds)
    with quiet(
        "backoffice.wake", "backoffice.metrics"
    ):  # what is set up here wakes nobody and is not counted
        accounts = open_accounts(clients)
    until(lambda: _connected(running) == clients, "every account is connected", 120, every=0.5)
    entrances = [_access(account) for account in accounts]
    with override_settings(PASSWORD_HASHERS=global_settings.PASSWORD_HASHERS):  # as the web process checks it
        officer = world.staff("Administrator")
    connection.close()
    say(f"{clients} clients are there; they trade for {seconds:.0f} s, each every {every:g} s")
    watched = report.watched = Footprint(running)
    watched.start()
    asyncio.run(_all(running, entrances, officer, _pages(accounts[0]), report))
    watched.stop()
    report.machine = _machine()
    say("the load is over; waiting until everything is final and confirmed")
    _finish(running, accounts, report)
    return report


def _connected(running: Running) -> int:
    return sum(each["now"] == 1 for each in running.connections().values())


def _access(account: TradingAccount) -> str:
    user = account.client.membership_set.get().user
    return sessions.start(user, at=timezone.now()).access


def _pages(account: TradingAccount) -> dict[str, str]:
    """What the officer looks at in turn."""
    accounts: Any = admin.site._registry[TradingAccount]
    dialog = accounts.get_unfold_action("limit_client").action_name
    trades = reverse("admin:brokerage_trade_changelist")
    return {
        "Home": reverse("admin:index"),
        "trades": trades,
        "search": f"{trades}?q={account.client.last_name}",
        "a trade": reverse("admin:brokerage_trade_change", args=[0]).replace("/0/", "/{trade}/"),
        "a client": reverse("admin:compliance_client_change", args=[account.client_id]),
        "a dialog": reverse(f"admin:{dialog}", args=[account.pk]),
        "event log": reverse("admin:backoffice_event_changelist"),
        "stuck": reverse("admin:stuck"),
        "Health": reverse("admin:health"),
    }


async def _all(
    running: Running, entrances: list[str], officer: User, pages: dict[str, str], report: Report
) -> None:
    """Clients spread over the web processes and over the time between their trades, the officer beside them."""
    begun, origins, seen = time.monotonic(), running.origins, report.seen
    end = begun + report.seconds
    async with httpx.AsyncClient(limits=LIMITS, trust_env=False, timeout=PATIENCE) as http:
        await asyncio.gather(
            Officer(origins, officer.email, pages, seen).walk_until(end),
            *(
                Trader(number, origins[number % len(origins)], access, http, seen).trade_until(
                    end, begun + report.every * number / len(entrances), report.every
                )
                for number, access in enumerate(entrances)
            ),
        )


def _finish(running: Running, accounts: list[TradingAccount], report: Report) -> None:
    """Everything to its end, and against the simulator's books; no job failed and nothing was logged as an error."""
    begun, logins = time.monotonic(), [account.login_id for account in accounts]
    mine = Trade.objects.filter(account__in=accounts)
    try:
        until(lambda: not mine.exclude(state__in=Trade.FINAL).exists(), "everything is final", 120, every=0.5)
        wait_confirmed(logins)
    except AssertionError as found:
        report.books.append(str(found))
    report.still = time.monotonic() - begun
    report.findings = check(running, logins, placed=len(report.seen.placed))
    report.states = Counter(mine.values_list("state", flat=True))
    report.books += check_books()
    report.books += [f"a job failed for good: {job.actor}: {job.error}" for job in FailedJob.objects.all()]
    for name in running.names:
        errors = [line for line in read_log(running.logs, name) if line.get("level") in ("ERROR", "CRITICAL")]
        report.books += [f"{name} logged an error: {line}" for line in errors[:3]]
    if running.pooler is not None:
        report.waiting = running.pooler.most_waiting


def _machine() -> str:
    return f"{os.cpu_count()} processors, load {', '.join(f'{each:.1f}' for each in os.getloadavg())}"


def percentile(values: list[float], part: float) -> float:
    """The smallest value that so large a part of all is not above."""
    return sorted(values)[max(0, math.ceil(len(values) * part) - 1)]


def told(report: Report) -> str:
    """The report as text."""
    found, watched = report.findings, report.watched
    assert watched is not None
    lines = [
        f"{report.clients} clients, a trade each every {report.every:g} s, for {report.seconds:.0f} s: "
        f"{len(report.seen.placed)} trades, {len(report.seen.placed) / report.seconds:.1f} a second; {report.machine}",
        "",
        f"{'milliseconds':<38}{'times':>7}{'p50':>8}{'p95':>8}{'p99':>8}{'most':>8}",
        *(
            f"{name:<38}{len(took):>7}"
            + "".join(f"{percentile(took, part) * 1000:>8.0f}" for part in (0.5, 0.95, 0.99, 1.0))
            for name, took in sorted(report.seen.took.items())
        ),
        "",
        f"{f'after {WARM:.0%} of the time, halfway, at the end':<48}{'warm':>8}{'middle':>8}{'end':>8}",
        *(
            f"{f'{each.what}, {each.unit}':<48}{each.warm:>8.0f}{each.middle:>8.0f}{each.end:>8.0f}"
            for each in watched.growth()
        ),
        *([] if report.seconds >= JUDGED_SECONDS else ["(too short a run to judge growth)"]),
        "",
        "one processor's share: "
        + ", ".join(f"{name} {share:.0%}" for name, share in watched.processors.items()),
        f"longest wait of a queue's next job {watched.oldest_job:.1f} s; oldest event without position "
        f"{watched.unsequenced:.1f} s; a client behind its schedule by {report.seen.latest:.1f} s at most, "
        f"{report.seen.missed} trades left out for it",
        f"final and confirmed {report.still:.0f} s after the load ended",
        f"trades: {found.trades} ({', '.join(f'{state} {many}' for state, many in sorted(report.states.items()))})",
        f"errors {report.seen.wrong.total()}   bought twice {len(found.bought_twice)}   lost {len(found.lost)}   "
        f"not final {len(found.stuck)}   mirror unequal {len(found.unequal)}   books, jobs, logs {len(report.books)}",
        *report.problems,
    ]
    return "\n".join(lines)
