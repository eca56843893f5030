"""How many connections each account has: now, and the most there ever were at the same time."""

from typing import Any


class Connected:
    """Counts the sockets that are an account's own, in both generations."""

    def __init__(self) -> None:
        self._now: dict[str, int] = {}
        self._most: dict[str, int] = {}

    def change(self, before: str | None, after: str | None) -> None:
        """A socket that was one account's (or nobody's) is another's from now on."""
        if before == after:
            return
        if before is not None:
            self._now[before] -= 1
        if after is not None:
            self._now[after] = self._now.get(after, 0) + 1
            self._most[after] = max(self._most.get(after, 0), self._now[after])

    def as_json(self) -> dict[str, Any]:
        return {login: {"now": self._now[login], "most": most} for login, most in self._most.items()}
