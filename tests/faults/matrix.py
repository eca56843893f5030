"""Runs faults with many seeds, and says what became of every trade. `make faults` writes `docs/faults.md` from it."""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from django.db import connection

from brokerage.models import TradingAccount
from tests.faults.checks import Findings, check, wait_confirmed
from tests.faults.scenarios import Scenario
from tests.faults.stage import Client, Stage

# How many run at the same time; and how many before their accounts are checked and closed, so that what comes later
# is not slowed down by connections nobody needs any more. Where everybody feels a fault, fewer.
BESIDE, ALONE = (10, 60), (4, 12)


@dataclass
class Row:
    """What one fault did, over all its seeds."""

    scenario: Scenario
    runs: int = 0
    on_v4: int = 0
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
    generation: str = ""
    placed: int = 0
    seconds: float = 0.0
    failed: str = ""


def run(stage: Stage, scenario: Scenario, seed: int) -> Run:
    """Let a fault fall once, and wait until every trade of its client is final."""
    done = Run(scenario, seed)
    try:
        client: Client = stage.client(seed)
        done.login_id, done.generation = client.login_id, client.generation
        scenario.fall(stage, client)
        begun = time.monotonic()
        client.finish()
        done.seconds, done.placed = time.monotonic() - begun, len(set(client.placed))
        if missed := stage.not_fallen(client):
            done.failed = f"{scenario.name} with seed {seed}: it did not fall ({', '.join(missed)})"
    except Exception as found:  # noqa: BLE001  (whatever it is, it is this seed's result, and the others go on)
        where = traceback.extract_tb(found.__traceback__)[-1]
        done.failed = f"{scenario.name} with seed {seed}: {found} ({where.name}, line {where.lineno})"
    finally:
        if done.login_id:
            done.login_id = client.login_id  # the venue may have given it another
        connection.close()
    return done


def rows(
    stage: Stage,
    scenarios: Iterable[Scenario],
    seeds: Sequence[int],
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Row]:
    """Every fault with every seed: many of those side by side that concern one account, fewer that everybody feels."""
    wanted = list(scenarios)
    found = {scenario.name: Row(scenario) for scenario in wanted}
    for alone, (at_once, in_a_batch) in ((False, BESIDE), (True, ALONE)):
        pairs = [(scenario, seed) for seed in seeds for scenario in wanted if scenario.alone == alone]
        for batch in _batches(pairs, in_a_batch):
            with ThreadPoolExecutor(at_once) as pool:
                runs = list(pool.map(lambda one: run(stage, *one), batch))
            for problem in _add(stage, found, runs):
                say(problem)
            say(f"{sum(row.runs for row in found.values())} of {len(wanted) * len(seeds)} runs, "
                f"{sum(len(row.problems) for row in found.values())} problems")  # fmt: skip
    return found


def _batches(pairs: list[tuple[Scenario, int]], size: int) -> Iterator[list[tuple[Scenario, int]]]:
    for begin in range(0, len(pairs), size):
        yield pairs[begin : begin + size]


def _add(stage: Stage, found: dict[str, Row], runs: list[Run]) -> list[str]:
    """Check the accounts of these runs against the venue's books, count them, and close them; what was wrong."""
    before = {name: len(row.problems) for name, row in found.items()}
    logins = [one.login_id for one in runs if one.login_id]
    late = ""
    try:
        wait_confirmed(logins)
    except AssertionError as problem:
        late = str(problem)
    for one in runs:
        row = found[one.scenario.name]
        row.runs += 1
        row.on_v4 += one.generation == "v4"
        row.longest = max(row.longest, one.seconds)
        row.failed += [one.failed] if one.failed else []
        if one.login_id:
            row.findings += check(stage.running, [one.login_id], placed=one.placed or None)
    if late:
        found[runs[0].scenario.name].failed.append(late)
    TradingAccount.objects.filter(login_id__in=logins).update(state=TradingAccount.State.CLOSED)
    connection.close()  # the next batch may restart the server
    return [problem for row in found.values() for problem in row.problems[before[row.scenario.name] :]]
