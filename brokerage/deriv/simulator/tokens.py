"""The tokens that applications were granted: which user's they are, what they may do, and until when.

An account's own token (the personal one) stands with the account; these are the tokens of OAuth grants. A refresh
token is good once: the next pair takes its place, while an access token stays good until it runs out.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from brokerage.deriv.simulator.store import Store

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS granted_tokens (
    token TEXT PRIMARY KEY, is_refresh INTEGER NOT NULL, grant_id TEXT NOT NULL, user_id INTEGER NOT NULL,
    app_id TEXT NOT NULL, scopes TEXT NOT NULL, expires_at REAL)
"""
_COLUMNS: Final = "grant_id, user_id, app_id, scopes"
LIFE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Held:
    """What a token stands for."""

    grant_id: str
    user_id: int
    app_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A new access token with the refresh token that renews it."""

    access: str
    refresh: str
    expires_in: int
    held: Held


class Tokens:
    """The table of granted tokens, in the books' file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.life_seconds = LIFE_SECONDS
        store.run(_TABLE)

    def grant(self, user_id: int, app_id: str, scopes: tuple[str, ...], at: float) -> Pair:
        """A first pair for an application that the user let in."""
        with self._store.batch():
            return self._pair(Held(secrets.token_hex(8), user_id, app_id, scopes), at)

    def renew(self, refresh: str, app_id: str, at: float) -> Pair | None:
        """The next pair for a refresh token, which is used up by this; ``None`` if it is not good."""
        with self._store.batch():
            held = self._held("token = ? AND is_refresh = 1 AND app_id = ?", refresh, app_id)
            if held is None:
                return None
            self._store.run("DELETE FROM granted_tokens WHERE token = ?", refresh)
            return self._pair(held, at)

    def held(self, access: str, at: float) -> Held | None:
        """Who an access token speaks for; ``None`` if it is not good, or not any more."""
        return self._held("token = ? AND is_refresh = 0 AND expires_at > ?", access, at)

    def end(self, token: str, app_id: str) -> None:
        """End the grant that a token belongs to, every token of it; nothing for a stranger's."""
        held = self._held("token = ? AND app_id = ?", token, app_id)
        if held is not None:
            self._store.run("DELETE FROM granted_tokens WHERE grant_id = ?", held.grant_id)

    def end_all(self, user_id: int) -> None:
        """The user takes every application's permission away."""
        self._store.run("DELETE FROM granted_tokens WHERE user_id = ?", user_id)

    def _pair(self, held: Held, at: float) -> Pair:
        pair = Pair(secrets.token_urlsafe(32), secrets.token_urlsafe(32), int(self.life_seconds), held)
        words = " ".join(held.scopes)
        for token, is_refresh, until in ((pair.access, 0, at + self.life_seconds), (pair.refresh, 1, None)):
            self._store.run(
                "INSERT INTO granted_tokens VALUES (?, ?, ?, ?, ?, ?, ?)",
                token, is_refresh, held.grant_id, held.user_id, held.app_id, words, until,
            )  # fmt: skip
        return pair

    def _held(self, condition: str, *values: object) -> Held | None:
        rows = self._store.run(f"SELECT {_COLUMNS} FROM granted_tokens WHERE {condition}", *values)
        for grant_id, user_id, app_id, scopes in rows:
            return Held(grant_id, user_id, app_id, tuple(scopes.split()))
        return None
