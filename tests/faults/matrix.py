"""Runs a fault with many seeds, and says what became of every trade. `make faults` writes `docs/faults.md` from it."""

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from django.db import connection

from tests.faults.checks import Findings, check, wait_confirmed
from tests.faults.scenarios import Scenario
from tests.faults.stage import Client, Stage

SIDE_BY_SIDE = 10
# Of a fault that everybody feels: each falls on all the clients that trade then.
AT_A_TIME = 4


@dataclass
class Row:
    """What one fault did, over all its seeds."""

    scenario: Scenario
    runs: int = 0
    findings: Findings = field(default_factory=Findings)
    longest: float = 0.0
    failed: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return [*self.failed, *self.findings.wrong]


@dataclass
class Run:
    """One seed of one fault: the client it fell on, how long until everything was final, and what went wrong in it."""

    scenario: Scenario
    seed: int
    login_id: str = ""
    seconds: float = 0.0
    failed: str = ""


def run(stage: Stage, scenario: Scenario, seed: int) -> Run:
    """Let a fault fall once, and wait until every trade of its client is final."""
    done = Run(scenario, seed)
    try:
        client: Client = stage.client(seed)
        done.login_id = client.login_id
        scenario.fall(stage, client)
        begun = time.monotonic()
        client.finish()
        done.seconds = time.monotonic() - begun
    except Exception as found:  # noqa: BLE001  (whatever it is, it is this seed's result, and the others go on)
        where = traceback.extract_tb(found.__traceback__)[-1]
        done.failed = f"{scenario.name} with seed {seed}: {found} ({where.name}, line {where.lineno})"
    finally:
        connection.close()
    return done


def rows(
    stage: Stage,
    scenarios: Iterable[Scenario],
    seeds: Sequence[int],
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Row]:
    """Every fault with every seed: those of one account side by side, a few of those that everybody feels."""
    wanted = list(scenarios)
    beside = [(scenario, seed) for seed in seeds for scenario in wanted if not scenario.alone]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        runs = list(pool.map(lambda one: run(stage, *one), beside))
    say(f"{len(runs)} runs side by side are done")
    for scenario in wanted:
        if scenario.alone:
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                runs += pool.map(partial(run, stage, scenario), seeds)
            say(f"{scenario.name} is done")
    return {
        scenario.name: _row(stage, scenario, [one for one in runs if one.scenario is scenario])
        for scenario in wanted
    }


def _row(stage: Stage, scenario: Scenario, runs: list[Run]) -> Row:
    row = Row(scenario, runs=len(runs), failed=[one.failed for one in runs if one.failed])
    logins = [one.login_id for one in runs if one.login_id]
    try:
        wait_confirmed(logins)
    except AssertionError as found:
        row.failed.append(f"{scenario.name}: {found}")
    row.findings = check(stage.running, logins)
    row.longest = max((one.seconds for one in runs), default=0.0)
    return row
