"""Users moved from generation v3 to v4: their accounts go by other logins, and their books begin anew.

What happened before is kept apart, as history of the old platform.
"""

from brokerage.deriv.simulator.books import Move, Refusal, login_number
from brokerage.deriv.simulator.engine import Engine

STATUSES = ("complete", "pending", "failed", "not_applicable")


class Moves:
    """Where each user's move stands, and which accounts were moved."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._store = engine, engine.store
        self._known = {move.login_id: move for move in self._store.moves()}

    def status(self, user_id: int) -> str:
        """Where the user's move stands: one of ``STATUSES``."""
        return self._store.meta(f"migration {user_id}") or "not_applicable"

    def is_moved(self, user_id: int) -> bool:
        """Whether generation v3 is closed to the user."""
        return self.status(user_id) == "complete"

    def set_status(self, user_id: int, status: str) -> None:
        """Have the user's move stand there. With ``complete``, each of their accounts goes by a login of v4's."""
        if status not in STATUSES:
            raise Refusal("InvalidStatus", f"The status is one of {', '.join(STATUSES)}.")
        is_moving = status == "complete" != self.status(user_id)
        with self._store.batch():
            self._store.set_meta(f"migration {user_id}", status)
            for account in self._engine.accounts_of(user_id) if is_moving else ():
                new = f"DOT{login_number(account.login_id)}"
                move = Move(new, account.login_id, self._engine.last_transaction)
                self._store.rename(move.was, move.login_id)
                self._store.add_move(move)
                self._known[new] = move
        self._engine.reload()

    def last_before(self, login_id: str) -> int:
        """The last transaction of the account on the old platform; 0 if it was never moved."""
        move = self._known.get(login_id)
        return 0 if move is None else move.last_transaction

    def of_user(self, user_id: int) -> list[Move]:
        """The user's accounts that were moved."""
        accounts = self._engine.accounts_of(user_id)
        return [self._known[account.login_id] for account in accounts if account.login_id in self._known]
