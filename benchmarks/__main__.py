"""`make bench`: every benchmark, or those named, one after the other.

python -m benchmarks [ledger jobs …] [--scale 0.2] [--write]
"""

import argparse
import importlib
import sys
import time

from benchmarks import Figure, table
from benchmarks.ground import ground

NAMES = ("ledger", "jobs", "books")


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(NAMES)}; all if none is named")
    parser.add_argument("--scale", type=float, default=1.0, help="measure for a shorter or longer time")
    parser.add_argument("--write", action="store_true", help="keep the figures in docs/measurements.md")
    given = parser.parse_args()
    chosen = given.names or list(NAMES)
    if unknown := set(chosen) - set(NAMES):
        parser.error(f"there is no benchmark {sorted(unknown)[0]}")
    figures: dict[str, list[Figure]] = {}
    for name in chosen:
        module = importlib.import_module(f"benchmarks.{name}")
        begun = time.monotonic()
        say(f"{name}: {(module.__doc__ or '').splitlines()[0]}")
        with ground(say, given.scale) as prepared:
            figures[name] = module.run(prepared)
        say(table.rows(figures[name]))
        say(f"{name} took {time.monotonic() - begun:.0f} s")
    if given.write:
        table.write(figures)
        say(f"wrote {table.PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
