"""Audit: what keeping every version costs when configuration is saved, beside the same save without.

An instrument is changed and saved, with its history (who, when, what it was) and without, in turns, each save a
transaction of its own.

Not said: forms, permission checks and the event that a page of the console adds to either.
"""

import statistics
import time
from typing import Any

from benchmarks import Figure
from benchmarks.ground import Ground


def run(ground: Ground) -> list[Figure]:
    from brokerage.models import Instrument

    row: Any = Instrument.objects.get(symbol="R_100")
    before = row.history.count()
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * ground.count(400)):
        is_kept = number % 2 == 0
        row.name = f"Volatility 100 ({number})"
        begun = time.perf_counter()
        if is_kept:
            row.save()
        else:
            row.skip_history_when_saving = True
            row.save()
            del row.skip_history_when_saving
        took[is_kept].append((time.perf_counter() - begun) * 1000)
    assert row.history.count() == before + len(took[True])
    kept, plain = statistics.median(took[True]), statistics.median(took[False])
    return [Figure("saving configuration with its history, median", kept, "ms", "the same save without", plain,
                   note=f"{len(took[True])} saves of each")]  # fmt: skip
