"""One-time passwords: each opens one socket of one account, once, within two minutes."""

import secrets
from dataclasses import dataclass

LIFE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Pass:
    """Whose socket it opens, asked for by which application."""

    login_id: str
    app_id: int
    made_at: float


class Passwords:
    """Kept in memory: a venue that restarts has forgotten them, and whoever holds one asks for another."""

    def __init__(self) -> None:
        self._given: dict[str, Pass] = {}

    def give(self, login_id: str, app_id: int, at: float) -> str:
        """A new one."""
        for old in [word for word, known in self._given.items() if at - known.made_at > LIFE_SECONDS]:
            del self._given[old]
        word = secrets.token_urlsafe(24)
        self._given[word] = Pass(login_id, app_id, at)
        return word

    def use(self, word: str, at: float) -> Pass | None:
        """What it opens; ``None`` if it was never given, is used, or is too old. Afterwards it is used."""
        known = self._given.pop(word, None)
        return known if known is not None and at - known.made_at <= LIFE_SECONDS else None
