"""Drill: a database of so many trades backed up, restored beside, and everything in it verified.

The trades, with their holds, entries, postings and events, are written by `filling.py` into servers of their own, durable as
in production; every event is sequenced by the product. Then `manage.py restore_drill` does what it does anywhere: dump,
hashes of files, restore with indexes and constraints, counts, event chain, ledger. `make drill` (TRADES=1000000).

Not said: a copy to another machine, disks slower than this one, traffic meanwhile. The scratch database is on the same
server as the live one. Payloads of the filled events are short.
"""

import argparse
import shutil
import sys
import time

from benchmarks import Figure, table
from benchmarks.ground import Ground, ground, say

NAME = "drill"
TRADES = 1_000_000


def run(ground: Ground) -> list[Figure]:
    """The figures at the usual number of trades, times the scale."""
    return measure(ground, ground.count(TRADES))


def measure(ground: Ground, trades: int) -> list[Figure]:
    """Fill, sequence, and drill; a figure for each step.

    :raises RuntimeError: if anything is not as it was.
    """
    from backoffice.backups import making, report
    from backoffice.backups.drill import drill
    from benchmarks.filling import fill, sequence

    begun = time.perf_counter()
    fill(trades)
    filled = time.perf_counter() - begun
    begun = time.perf_counter()
    events = sequence()
    sequenced = time.perf_counter() - begun
    folder = ground.folder / "backup"
    say(report.HEAD)
    made, step = making.make(folder)
    steps = [step]
    say(report.line(step))
    for step in drill(folder):
        steps.append(step)
        say(report.line(step))
    dumped = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder)
    if wrong := [sentence for step in steps for sentence in step.wrong]:
        raise RuntimeError("\n".join(wrong))
    size = f"{made.contents.rows:,} rows, {made.database_bytes / 1e6:,.0f} MB, dumped {dumped / 1e6:,.0f} MB"
    figures = [
        Figure("trades", trades, "", note=size),
        Figure("filling, before the drill", filled, "s"),
        Figure("sequencing all events, before the drill", sequenced, "s", note=_rate(events, sequenced)),
        Figure("backup and drill, altogether", sum(step.seconds for step in steps), "s", note="verified"),
    ]
    return figures + [
        Figure(step.name, step.seconds, "s", note=_rate(step.rows, step.seconds) if step.rows else "")
        for step in steps
    ]


def _rate(rows: int, seconds: float) -> str:
    return f"{rows:,} rows, {rows / seconds:,.0f}/s"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drill", description=__doc__)
    parser.add_argument("trades", type=int, nargs="?", default=TRADES)
    parser.add_argument("--write", action="store_true", help="keep the figures in docs/measurements.md")
    given = parser.parse_args()
    load = table.load()
    with ground() as prepared:
        figures = measure(prepared, given.trades)
    say(table.rows(figures))
    if given.write:
        table.write(NAME, figures, load=load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
