"""What must hold in a database, whoever restored it: a port, since the kernel does not know the ledger."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from backoffice import sequencer
from backoffice.registry import Port


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done or proved."""

    name: str
    seconds: float
    rows: int | None = None
    """How many rows it read or wrote, where that says something."""
    wrong: tuple[str, ...] = ()
    """A sentence for each thing that is not as it should be."""

    @property
    def rows_per_second(self) -> int | None:
        return round(self.rows / self.seconds) if self.rows and self.seconds else None


Verification = Callable[[], Iterable[Step]]

verifications: Final[Port[Verification]] = Port("verifications")
"""Each reads the default database, changes nothing, and answers a step for each thing it proved."""


def events() -> Iterable[Step]:
    """The hash chain of the event log, recomputed from its first event."""
    begun = time.perf_counter()
    found = sequencer.verify()
    broken = found.first_break
    wrong = (f"The event log is broken at position {broken.position}: {broken.reason}.",) if broken else ()
    yield Step("every event is what was sealed", time.perf_counter() - begun, found.checked, wrong)
