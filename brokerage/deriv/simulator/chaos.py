"""Random misbehavior with a seed: the same seed makes the same sequence, whatever else happens."""

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from brokerage.deriv.simulator.conditions import Conditions
from brokerage.deriv.simulator.faults import Fault, Faults

logger = logging.getLogger(__name__)
# What each kind is given besides its name; seconds are drawn up to these.
FAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "drop_before_purchase": {},
    "drop_after_purchase": {},
    "lose_answer": {"call": "buy"},
    "delay": {"call": "buy", "seconds": 2.0},
    "delay_answer": {"call": "buy", "seconds": 4.0},
    "duplicate": {"call": "buy"},
    "reorder": {"call": "buy", "seconds": 1.0},
    "rate_limit": {"call": "proposal"},
    "wrong_proposal": {},
    "late_settlement": {"seconds": 3.0},
    "refund": {},
    "lose_frames": {"call": "proposal_open_contract", "times": 10},
    "delay_frames": {"call": "transaction", "seconds": 2.0, "times": 3},
    "duplicate_frames": {"call": "transaction", "times": 3},
    "reorder_frames": {"call": "proposal_open_contract", "seconds": 1.0, "times": 3},
}
CONDITIONS: Final[Mapping[str, float]] = {"updating": 3.0, "frozen_feed": 4.0, "restart": 2.0}
KINDS: Final = (*FAULTS, *CONDITIONS)


def sequence(seed: int, kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, dict[str, Any]]]:
    """Endless: a kind, and what it is given."""
    draw = random.Random(seed)
    while True:
        kind = draw.choice(kinds)
        longest = float(CONDITIONS.get(kind, FAULTS.get(kind, {}).get("seconds", 1.0)))
        given = {"seconds": round(draw.uniform(0.2, 1.0) * longest, 2)}
        yield kind, {**FAULTS.get(kind, {}), **given}


class Chaos:
    """Lets one thing after the other go wrong until it is stopped or its time is over."""

    def __init__(self, faults: Faults, conditions: Conditions) -> None:
        self._faults, self._conditions = faults, conditions
        self._task: asyncio.Task[None] | None = None
        self.done: list[dict[str, Any]] = []
        self.seed: int | None = None

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self, body: Mapping[str, Any]) -> None:
        """Begin a sequence; one under way ends. Raises ``ValueError`` with a sentence for what makes no sense."""
        given = {"every_seconds": 3.0, "seconds": 600.0, "kinds": list(KINDS), **body}
        if unknown := set(given) - {"seed", "every_seconds", "seconds", "kinds"}:
            raise ValueError(f"chaos has no {sorted(unknown)[0]}")
        seed, kinds = given.get("seed"), given["kinds"]
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ValueError("seed is a whole number")
        if not isinstance(kinds, list) or not kinds or not set(map(str, kinds)) <= set(KINDS):
            raise ValueError(f"kinds are some of {', '.join(KINDS)}")
        every, seconds = (_seconds(given[name], name) for name in ("every_seconds", "seconds"))
        self.stop()
        self.seed, self.done = seed, []
        self._task = asyncio.get_running_loop().create_task(self._run(seed, kinds, every, seconds))

    def stop(self) -> None:
        """No more; what is in force stays until it is used up or cleared."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, seed: int, kinds: Sequence[str], every: float, seconds: float) -> None:
        end = time.monotonic() + seconds
        for kind, given in sequence(seed, kinds):
            await asyncio.sleep(every)
            if time.monotonic() >= end:
                return
            if kind in CONDITIONS:
                self._conditions.begin(kind, given["seconds"])
            else:
                self._faults.add({"fault": kind, **given})
            self.done.append({"at": time.time(), "what": kind, **given})


def _seconds(value: Any, name: str) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is a number of seconds") from None
    if isinstance(value, bool) or not 0.05 <= seconds <= 86_400:
        raise ValueError(f"{name} is 0.05 to 86400")
    return seconds


assert set(FAULTS) <= set(Fault.kinds), "every fault drawn exists"
