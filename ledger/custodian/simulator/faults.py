"""Misbehavior on demand: each rule meets a number of calls, of one id or of any."""

import threading
from dataclasses import asdict, dataclass
from typing import Any

from ledger.custodian.simulator.books import Refusal

KINDS = {
    "drop": "the connection is closed before anything was done",
    "lose_answer": "the connection is closed after it was done",
    "error_before": "an error is answered, and nothing was done",
    "error_after": "an error is answered after it was done",
    "late": "it is done, and answered when nobody waits any more",
    "slow": "it is done only when nobody waits any more",
    "refuse": "it is refused",
    "fail": "a payout is taken, and fails afterwards",
    "repeat": "changes are told again from the first one",
}
CALLS = ("address", "changes", "payout", "status", "list")


@dataclass
class Rule:
    """`id` empty: any. It ends when `times` calls have met it."""

    fault: str
    call: str = "payout"
    id: str = ""
    times: int = 1
    seconds: float = 3.0
    hits: int = 0


class Faults:
    """The rules in force; lost when the process ends, as no book is."""

    def __init__(self) -> None:
        self._lock, self._rules = threading.Lock(), list[Rule]()

    def add(self, given: dict[str, Any]) -> Rule:
        if given.get("fault") not in KINDS or given.get("call", "payout") not in CALLS:
            raise Refusal(
                "NO_FAULT", f"a fault is one of {', '.join(KINDS)}; a call one of {', '.join(CALLS)}"
            )
        rule = Rule(
            fault=str(given["fault"]),
            call=str(given.get("call", "payout")),
            id=str(given.get("id", "")),
            times=int(given.get("times", 1)),
            seconds=float(given.get("seconds", 3.0)),
        )
        with self._lock:
            self._rules.append(rule)
        return rule

    def take(self, call: str, public_id: str) -> Rule | None:
        """The rule that this call meets, if there is one; it counts."""
        with self._lock:
            for rule in self._rules:
                if rule.call == call and rule.id in ("", public_id) and rule.hits < rule.times:
                    rule.hits += 1
                    return rule
        return None

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def told(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(rule) for rule in self._rules]
