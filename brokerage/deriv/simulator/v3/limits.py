"""How often a client may ask: so many requests in any so many seconds, by group of calls."""

from collections import defaultdict, deque
from collections.abc import Mapping

from brokerage.deriv.simulator.books import Refusal
from brokerage.deriv.simulator.generation import Rate

PER_MINUTE = {"general": 180, "pricing": 80, "outcome": 25}
RATES: Mapping[str, Rate] = {group: Rate(count) for group, count in PER_MINUTE.items()}
PROPOSAL_STREAMS = 5


class Limits:
    """Counts by who asks: an account wherever it connects from, or a connection that has none yet."""

    def __init__(self, enforced: bool) -> None:
        self.enforced = enforced
        self._asked: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self.refused: dict[str, int] = defaultdict(int)
        """How many requests of a group were one too many."""

    def check(self, who: str, group: str, rate: Rate, at: float) -> None:
        """Raises ``Refusal`` with ``RateLimit`` once a group's time is full; a refused request does not count."""
        if not self.enforced:
            return
        asked = self._asked[who, group]
        while asked and asked[0] <= at - rate.seconds:
            asked.popleft()
        if len(asked) >= rate.count:
            self.refused[group] += 1
            raise Refusal("RateLimit", "Too many requests; slow down.")
        asked.append(at)

    def forget(self, who: str) -> None:
        """A connection without an account has closed."""
        for known in [known for known in self._asked if known[0] == who]:
            del self._asked[known]
