"""`make faults`, `make soak`, `make accounts`, `make payouts`, `make load` and `make scale`: on servers of their own, whatever else runs on this machine.

python -m tests.faults matrix --seeds 20 [--fault NAME] [--first 1]
python -m tests.faults soak --seed 1 --minutes 10
python -m tests.faults accounts --accounts 200
python -m tests.faults payouts --count 200 --seed 1
python -m tests.faults load --clients 200 --minutes 5 --every 60 [--pooled --webs 2 --workers 3 --streams 2]
"""

import argparse
import logging
import os
import platform
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.matrix import Row
    from tests.faults.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"  # of a mix; clients of one generation alone have a page beside it
BLOCKER: Any = SimpleNamespace(unblock=nullcontext)  # nothing keeps from the database here, as pytest would
PROOF = 20  # seeds of one fault from which on its row on the page is replaced


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    matrix = kinds.add_parser("matrix", help="every fault with many seeds")
    matrix.add_argument("--seeds", type=int, default=20)
    matrix.add_argument("--first", type=int, default=1, help="the first seed")
    matrix.add_argument("--fault", default="", help="only this one")
    matrix.add_argument("--generation", default="", choices=["", "v3", "v4"], help="only this one")
    soak = kinds.add_parser("soak", help="clients trade while faults fall")
    soak.add_argument("--seed", type=int, default=1)
    soak.add_argument("--minutes", type=float, default=10.0)
    soak.add_argument("--generation", default="", choices=["", "v3", "v4"], help="only this one")
    accounts = kinds.add_parser(
        "accounts", help="many accounts on one streams process and on two, one killed"
    )
    accounts.add_argument("--accounts", type=int, default=200)
    payouts = kinds.add_parser("payouts", help="payments leave while everything on the way is killed")
    payouts.add_argument("--count", type=int, default=200)
    payouts.add_argument("--seed", type=int, default=1)
    load = kinds.add_parser("load", help="many clients trade while an officer works in the console")
    load.add_argument("--clients", type=int, default=200)
    load.add_argument("--minutes", type=float, default=5.0)
    load.add_argument("--every", type=float, default=60.0, help="seconds between two trades of a client")
    load.add_argument("--pooled", action="store_true", help="reach the database through PgBouncer")
    for kind in ("webs", "workers", "streams"):
        load.add_argument(f"--{kind}", type=int, default=1, help="how many of these processes")
    return parser.parse_args()


@contextmanager
def ready(generation: str, **given: Any) -> "Iterator[Stage]":
    """Django on servers made for this run, and everything started; clients speak this generation, or each at random."""
    folder = begin()
    from tests.faults.stage import stage
    from tests.running import inside

    with stage(folder, BLOCKER, **given) as found, inside(found.running.database, BLOCKER):
        if generation:
            found.generations = [generation]
        yield found


def begin() -> Path:
    """Set Django up with no servers yet; the folder that logs go to."""
    folder = Path(tempfile.mkdtemp(prefix="nexus-faults-logs-"))
    os.environ.update(
        DATA_DIR=str(folder), MODE="demo", DJANGO_SETTINGS_MODULE="backoffice.settings",
        DATABASE_URL="postgres://nobody@127.0.0.1:1/none", REDIS_URL="redis://127.0.0.1:1/0",
    )  # fmt: skip
    import django

    from backoffice.configuration import Configuration

    Configuration.model_config["env_file"] = None
    django.setup()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    say(f"logs in {folder}")
    return folder


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def run_matrix(given: argparse.Namespace) -> int:
    seeds = range(given.first, given.first + given.seeds)
    with ready(given.generation) as stage:
        from tests.faults import matrix
        from tests.faults.checks import check_books
        from tests.faults.scenarios import SCENARIOS

        chosen = [SCENARIOS[given.fault]] if given.fault else list(SCENARIOS.values())
        rows = list(matrix.rows(stage, chosen, seeds, say).values())
        books = check_books()
    place = PAGE.with_stem(f"faults-{given.generation}") if given.generation else PAGE
    whole = page(rows, seeds, books, given.generation)
    if given.fault and given.seeds < PROOF:
        say(whole)
    else:
        before = place.read_text() if given.fault and place.exists() else ""
        place.write_text(again(before, rows, seeds, books) if before else whole)
        say(f"wrote {place.relative_to(ROOT)}")
    problems = [problem for row in rows for problem in row.problems] + books
    for problem in problems:
        say(problem)
    return 1 if problems else 0


def page(rows: "list[Row]", seeds: range, books: list[str], generation: str) -> str:
    """`docs/faults.md`, or the page of one generation."""
    spoken = f"speaks {generation} to Deriv" if generation else "speaks v3 or v4 to Deriv, as the seed has it"
    problems = [f"- {problem}" for row in rows for problem in row.problems] + [f"- {each}" for each in books]
    lines = [
        "# What falls over, and what becomes of it",
        "",
        f"Written by `make faults SEEDS={len(seeds)}{f' GENERATION={generation}' if generation else ''}` {_when(seeds)}, "
        f"with {os.cpu_count()} processors, Python {platform.python_version()}. One row by itself: "
        "`make faults FAULT=lease_lost FIRST=7 SEEDS=1`.",
        "",
        "Real processes on a PostgreSQL and a Redis of their own, against the simulator; each run has a client of its own, "
        f"who {spoken}. After each, "
        "every trade must be final and the simulator's own books are compared with ours.",
        "",
        "| fault | name | runs | of them on v4 | trades | bought twice | lost | not final | mirror unequal | failed runs | longest to the last end |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(row) for row in rows),
        "",
        f"{sum(row.runs for row in rows)} runs, {sum(row.findings.trades for row in rows)} trades. The ledger recomputed from its postings "
        f"and the event log's chain afterwards: {len(books)} problems.",
        *(["", "## Problems", "", *problems] if problems else []),
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def again(before: str, rows: "list[Row]", seeds: range, books: list[str]) -> str:
    """The page as it was, with one row of it from this run, and a line that says so; what was wrong in that row before goes with it."""
    (row,) = rows
    name = row.scenario.name
    kept = [_row(row) if f"| `{name}` |" in line else line for line in before.splitlines()]
    kept = [line for line in kept if not line.startswith((f"- {name} with seed", f"`{name}` was run again"))]
    text = "\n".join(kept).rstrip().removesuffix("## Problems").rstrip()
    told = [
        f"`{name}` was run again {_when(seeds)}: {row.runs} runs, {len(row.problems) + len(books)} problems."
    ]
    return "\n".join([text, "", *told, *(f"- {problem}" for problem in [*row.problems, *books]), ""])


def _when(seeds: range) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    return (
        f"on {datetime.now(UTC):%Y-%m-%d}, from commit {commit.stdout.strip() or 'unknown'}, "
        f"with seeds {seeds[0]} to {seeds[-1]}"
    )


def _row(row: "Row") -> str:
    found = row.findings
    return (
        f"| {row.scenario.words} | `{row.scenario.name}` | {row.runs} | {row.on_v4} | {found.trades} | {len(found.bought_twice)} "
        f"| {len(found.lost)} | {len(found.stuck)} | {len(found.unequal)} | {len(row.failed)} | {row.longest:.0f} s |"
    )


def run_soak(given: argparse.Namespace) -> int:
    with ready(given.generation) as stage:
        from tests.faults import soak

        report = soak.soak(stage, given.seed, given.minutes * 60, say)
    say(soak.told(report))
    return 1 if report.problems else 0


def run_accounts(given: argparse.Namespace) -> int:
    with ready("", limits=True) as stage:
        logging.getLogger("backoffice.wake").setLevel(logging.ERROR)
        from tests.faults import accounts

        report = accounts.share(stage, given.accounts, say)
    say(accounts.told(report))
    return 1 if report.problems else 0


def run_payouts(given: argparse.Namespace) -> int:
    os.environ["DEMO_ACCOUNT_AT_SIGN_UP"] = "false"  # no venue runs that could open them
    with ready("", names=("workers", "scheduler", "sequencer", "custodian")) as stage:
        logging.getLogger("backoffice.wake").setLevel(logging.ERROR)
        from tests.faults import payout_run

        report = payout_run.campaign(stage, given.count, given.seed, say)
    say(payout_run.shown(report))
    return 1 if report.problems else 0


def run_load(given: argparse.Namespace) -> int:
    folder = begin()
    from tests.faults import load
    from tests.running import inside, on_own_servers

    names = load.processes(webs=given.webs, workers=given.workers, streams=given.streams)
    with (
        on_own_servers(folder, BLOCKER, names=names, speed=1, pooled=given.pooled) as running,
        inside(running.database, BLOCKER),
    ):
        report = load.load(running, given.clients, given.minutes * 60, given.every, say)
    say(load.told(report))
    return 1 if report.problems else 0


if __name__ == "__main__":
    given = arguments()
    runs = {
        "matrix": run_matrix,
        "soak": run_soak,
        "accounts": run_accounts,
        "payouts": run_payouts,
        "load": run_load,
    }
    sys.exit(runs[given.kind](given))
