"""The books of payments through agents: tables of their own in the venue's file."""

from dataclasses import fields
from decimal import Decimal
from typing import Any, Literal

from brokerage.deriv.simulator.books import Agent, Payment, VerificationCode
from brokerage.deriv.simulator.store import Store

_TABLES = (
    "CREATE TABLE IF NOT EXISTS agents ("
    "agent_id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL UNIQUE, created_at INTEGER NOT NULL, name TEXT NOT NULL, "
    "countries TEXT NOT NULL, is_active INTEGER NOT NULL, is_listed INTEGER NOT NULL, rejects INTEGER NOT NULL, "
    "deposit_commission TEXT, withdrawal_commission TEXT, withdrawal_minimum TEXT, withdrawal_maximum TEXT)",
    "CREATE TABLE IF NOT EXISTS payments ("
    "payment_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, caller INTEGER NOT NULL, client INTEGER NOT NULL, "
    "agent_id INTEGER NOT NULL REFERENCES agents, request_id TEXT, amount TEXT NOT NULL, status TEXT NOT NULL, "
    "due REAL NOT NULL, transaction_id INTEGER NOT NULL, UNIQUE (kind, caller, request_id))",
    "CREATE INDEX IF NOT EXISTS payments_pending ON payments (due) WHERE status = 'pending'",
    "CREATE TABLE IF NOT EXISTS verification_codes ("
    "user_id INTEGER PRIMARY KEY, agent_id INTEGER NOT NULL, amount TEXT NOT NULL, code TEXT NOT NULL, "
    "next_request_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, wrong INTEGER NOT NULL)",
)
_AMOUNTS = (
    "amount",
    "deposit_commission",
    "withdrawal_commission",
    "withdrawal_minimum",
    "withdrawal_maximum",
)

Kind = Literal["transfer", "withdrawal"]


class PaymentStore:
    """Agents, payments and verification codes in the venue's file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        for statement in _TABLES:
            store.execute(statement)

    def save_agent(self, agent: Agent) -> None:
        with self._store.batch():
            self._store.keep("agents", agent)

    def save_payment(self, payment: Payment) -> None:
        """Inside the change that moves its money."""
        self._store.keep("payments", payment)

    def save_code(self, code: VerificationCode) -> None:
        with self._store.batch():
            self._store.keep("verification_codes", code)

    def forget_code(self, user_id: int) -> None:
        """It has been used: inside the change that moves the money."""
        self._store.execute("DELETE FROM verification_codes WHERE user_id = ?", (user_id,))

    def agents(self) -> list[Agent]:
        """The one with the lowest number first."""
        rows = self._store.execute("SELECT * FROM agents ORDER BY agent_id")
        return [Agent(**_values(Agent, row)) for row in rows]

    def next_payment(self) -> int:
        (last,) = self._store.execute("SELECT max(payment_id) FROM payments").fetchone()
        return (last or 0) + 1

    def pending(self, until: float) -> list[Payment]:
        """The payments to be decided by then, in the order in which they fell due."""
        rows = self._store.execute(
            "SELECT * FROM payments WHERE status = 'pending' AND due <= ? ORDER BY due, payment_id", (until,)
        )
        return [Payment(**_values(Payment, row)) for row in rows]

    def payment(self, kind: Kind, request_id: str, user_id: int, agent_id: int | None) -> Payment | None:
        """What went by this name: the user's own, or the last through the agent."""
        row = self._store.execute(
            "SELECT * FROM payments WHERE kind = ? AND request_id = ? AND (caller = ? OR agent_id = ?) "
            "ORDER BY caller = ? DESC, payment_id DESC LIMIT 1",
            (kind, request_id, user_id, agent_id, user_id),
        ).fetchone()
        return None if row is None else Payment(**_values(Payment, row))

    def has_received(self, client: int, agent_id: int) -> bool:
        """Whether the agent has ever transferred money to the client."""
        found = self._store.execute(
            "SELECT 1 FROM payments WHERE kind = 'transfer' AND client = ? AND agent_id = ? LIMIT 1",
            (client, agent_id),
        )
        return found.fetchone() is not None

    def code(self, user_id: int) -> VerificationCode | None:
        row = self._store.execute("SELECT * FROM verification_codes WHERE user_id = ?", (user_id,)).fetchone()
        return None if row is None else VerificationCode(**_values(VerificationCode, row))


def _values(
    kind: type[Agent] | type[Payment] | type[VerificationCode], row: tuple[Any, ...]
) -> dict[str, Any]:
    """A row as the fields of a record."""
    values = dict(zip([field.name for field in fields(kind)], row, strict=True))
    for name, value in values.items():
        if name in _AMOUNTS and value is not None:
            values[name] = Decimal(value)
        elif name.startswith("is_") or name == "rejects":
            values[name] = bool(value)
        elif name == "countries":
            values[name] = tuple(value.split())
    return values
