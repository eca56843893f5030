"""`make bench`: every benchmark, or those named, one after the other.

python -m benchmarks [ledger jobs …] [--scale 0.2] [--write]
"""

import argparse
import sys
import time

from benchmarks import table
from benchmarks.ground import measure, say

# Each is a module of this package with a `run(ground)`.
NAMES = ("ledger", "jobs", "trading", "events", "audit", "api", "sockets", "console", "books", "drill")
APART = {"drill"}  # takes half an hour: only by name, or `make drill`


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"some of {', '.join(NAMES)}; if none is named all but {', '.join(APART)}"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="measure for a shorter or longer time")
    parser.add_argument("--write", action="store_true", help="keep the figures in docs/measurements.md")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"there is no benchmark {sorted(unknown)[0]}")
    for name in given.names or [name for name in NAMES if name not in APART]:
        begun = time.monotonic()
        say(f"{name}: {table.about(name)}")
        load = table.load()
        figures = measure(name, given.scale)
        say(table.rows(figures))
        say(f"{name} took {time.monotonic() - begun:.0f} s")
        if given.write:
            table.write(name, figures, load=load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
