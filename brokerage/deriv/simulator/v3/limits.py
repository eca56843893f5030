"""How often a client may ask: so many requests in any 60 seconds, by group of calls."""

from collections import defaultdict, deque

from brokerage.deriv.simulator.books import Refusal

PER_MINUTE = {"general": 180, "pricing": 80, "outcome": 25}
PROPOSAL_STREAMS = 5


class Limits:
    """Counts by who asks: an account wherever it connects from, or a connection that has none yet."""

    def __init__(self, enforced: bool) -> None:
        self.enforced = enforced
        self._asked: dict[tuple[str, str], deque[float]] = defaultdict(deque)

    def check(self, who: str, group: str, at: float) -> None:
        """Raises ``Refusal`` with ``RateLimit`` once a group's minute is full; a refused request does not count."""
        if not self.enforced:
            return
        asked = self._asked[who, group]
        while asked and asked[0] <= at - 60:
            asked.popleft()
        if len(asked) >= PER_MINUTE[group]:
            raise Refusal("RateLimit", "Too many requests within a minute; slow down.")
        asked.append(at)

    def forget(self, who: str) -> None:
        """A connection without an account has closed."""
        for group in PER_MINUTE:
            self._asked.pop((who, group), None)
