"""The custodian's books, in one SQLite file: every change is committed before it is answered, so `kill -9` loses nothing."""

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from ledger.crypto_addresses import NETWORKS
from ledger.custodian.simulator.addresses import made

CHAINS = sorted({network for found in NETWORKS.values() for network in found})
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS chains (network TEXT PRIMARY KEY, height INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS addresses (
    address TEXT PRIMARY KEY, customer TEXT NOT NULL, currency TEXT NOT NULL, network TEXT NOT NULL,
    UNIQUE (customer, currency, network));
CREATE TABLE IF NOT EXISTS coins (
    txid TEXT NOT NULL, output INTEGER NOT NULL, address TEXT NOT NULL REFERENCES addresses, amount TEXT NOT NULL,
    state TEXT NOT NULL, height INTEGER, PRIMARY KEY (txid, output));
CREATE TABLE IF NOT EXISTS changes (
    change INTEGER PRIMARY KEY AUTOINCREMENT, txid TEXT NOT NULL, output INTEGER NOT NULL, state TEXT NOT NULL, height INTEGER);
CREATE TABLE IF NOT EXISTS payouts (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, currency TEXT NOT NULL, network TEXT NOT NULL,
    address TEXT NOT NULL, amount TEXT NOT NULL, txid TEXT NOT NULL, state TEXT NOT NULL, height INTEGER NOT NULL,
    code TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS payouts_by_id ON payouts (id);
"""
_COINS = """SELECT c.change, c.txid, c.output, c.state, c.height, o.address, o.amount, a.currency, a.network
FROM changes c JOIN coins o USING (txid, output) JOIN addresses a USING (address)"""


class Refusal(Exception):
    """What the custodian will not do: nothing changed."""

    def __init__(self, code: str, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Books:
    """All of it behind one lock. Amounts are decimals written as text."""

    def __init__(self, path: Path | None, *, remembers: bool = True) -> None:
        """Without a path in memory. With `remembers` off, an id sent again is paid again, as by one whose memory ran out."""
        self._lock, self._remembers = threading.RLock(), remembers
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(_TABLES)
        with self._change():
            for network in CHAINS:
                self._do("INSERT OR IGNORE INTO chains VALUES (?, 100)", network)
            self._do("INSERT OR IGNORE INTO meta VALUES ('salt', ?)", secrets.token_hex(16))
        (self._salt,) = self._do("SELECT value FROM meta WHERE name = 'salt'").fetchone()

    # ── what customers ask for ──────────────────────────────────────────────────────────────────────────────────

    def address(self, customer: str, currency: str, network: str) -> dict[str, Any]:
        """Where this customer's coins come in; asked again, the same."""
        if network not in NETWORKS.get(currency, ()):
            raise Refusal("NOT_CARRIED", f"{network} does not carry {currency}")
        with self._change():
            values = (
                made(network, f"{self._salt}|{customer}|{currency}"),
                customer,
                currency,
                network,
            )
            self._do("INSERT OR IGNORE INTO addresses VALUES (?, ?, ?, ?)", *values)
            return dict(zip(("address", "customer", "currency", "network"), values, strict=True))

    def changes(self, after: int, limit: int) -> dict[str, Any]:
        """What happened to coins since a change, oldest first; with the heights of that moment."""
        with self._lock:
            rows = self._do(f"{_COINS} WHERE c.change > ? ORDER BY c.change LIMIT ?", after, limit + 1)
            found = [dict(row) for row in rows]
            return {"changes": found[:limit], "more": len(found) > limit, "heights": self.heights()}

    def pay(self, asked: dict[str, str], *, fails: bool = False) -> dict[str, Any]:
        """Pay coins out under the customer's id; with `fails` it is taken, and fails in the next block."""
        currency, network, amount = asked["currency"], asked["network"], Decimal(asked["amount"])
        if network not in NETWORKS.get(currency, ()):
            raise Refusal("NOT_CARRIED", f"{network} does not carry {currency}")
        if not amount.is_finite() or amount <= 0:
            raise Refusal("BAD_AMOUNT", "the amount is above zero")
        with self._change():
            first = self.payout(asked["id"])
            if first is not None and self._remembers:
                if any(first[name] != asked[name] for name in ("currency", "network", "address", "amount")):
                    raise Refusal("ID_USED", "this id was used for another payout", 409)
                return first
            if amount > Decimal(self.balances().get(currency, "0")):
                raise Refusal("INSUFFICIENT_FUNDS", f"there is less {currency} than that", 409)
            state, txid = ("failing" if fails else "accepted"), secrets.token_hex(32)
            number = self._do(
                "INSERT INTO payouts (id, currency, network, address, amount, txid, state, height) VALUES (?,?,?,?,?,?,?,?)",
                asked["id"], currency, network, asked["address"], asked["amount"], txid, state, self.heights()[network],
            ).lastrowid  # fmt: skip
            return self._told(self._do("SELECT * FROM payouts WHERE number = ?", number).fetchone())

    def payout(self, public_id: str) -> dict[str, Any] | None:
        """The first payout under an id."""
        with self._lock:
            row = self._do("SELECT * FROM payouts WHERE id = ? ORDER BY number LIMIT 1", public_id).fetchone()
            return None if row is None else self._told(row)

    def payouts(self, after: int, limit: int) -> list[dict[str, Any]]:
        """All that were taken, in that order."""
        with self._lock:
            rows = self._do(
                "SELECT * FROM payouts WHERE number > ? ORDER BY number LIMIT ?", after, limit
            ).fetchall()
            return [self._told(row) for row in rows]

    def balances(self) -> dict[str, str]:
        """What there is of each currency: coins in blocks less payouts that did not fail."""
        found: dict[str, Decimal] = {}
        with self._lock:
            coins = self._do(
                "SELECT currency, amount FROM coins JOIN addresses USING (address) WHERE state = 'mined'"
            )
            for row in coins.fetchall():
                found[row["currency"]] = found.get(row["currency"], Decimal(0)) + Decimal(row["amount"])
            for row in self._do("SELECT currency, amount FROM payouts WHERE state <> 'failed'").fetchall():
                found[row["currency"]] = found.get(row["currency"], Decimal(0)) - Decimal(row["amount"])
        return {currency: f"{amount:f}" for currency, amount in sorted(found.items())}

    def heights(self) -> dict[str, int]:
        with self._lock:
            return {row["network"]: row["height"] for row in self._do("SELECT * FROM chains").fetchall()}

    # ── what happens on chains ──────────────────────────────────────────────────────────────────────────────────

    def receive(self, address: str, amount: str, txid: str = "", output: int = 0) -> dict[str, Any]:
        """Somebody sends coins to an address; they are seen, and in no block yet."""
        with self._change():
            if self._do("SELECT 1 FROM addresses WHERE address = ?", address).fetchone() is None:
                raise Refusal("NO_ADDRESS", "this address is nobody's here", 404)
            txid = txid or secrets.token_hex(32)
            self._do("INSERT INTO coins VALUES (?, ?, ?, ?, 'pending', NULL)", txid, output, address, amount)
            self._tell(txid, output, "pending", None)
        return {"txid": txid, "output": output}

    def mine(self, count: int = 1) -> dict[str, int]:
        """So many blocks on every chain: what was pending is in the first, and payouts of earlier blocks end."""
        for _ in range(count):
            with self._change():
                self._do("UPDATE chains SET height = height + 1")
                for row in self._do(
                    "SELECT txid, output, height_now FROM coins JOIN addresses USING (address) "
                    "JOIN (SELECT network, height AS height_now FROM chains) USING (network) WHERE state = 'pending'"
                ).fetchall():
                    self._do(
                        "UPDATE coins SET state = 'mined', height = ? WHERE txid = ? AND output = ?",
                        row["height_now"],
                        row["txid"],
                        row["output"],
                    )
                    self._tell(row["txid"], row["output"], "mined", row["height_now"])
                self._do("UPDATE payouts SET state = 'confirmed' WHERE state = 'accepted'")
                self._do("UPDATE payouts SET state = 'failed', code = 'REJECTED' WHERE state = 'failing'")
        return self.heights()

    def reorganize(self, txid: str, *, comes_back: bool = False) -> int:
        """A chain forgets the block of a transaction: it waits for another block, or never comes. Says of how many outputs."""
        state = "pending" if comes_back else "dropped"
        with self._change():
            rows = self._do("SELECT output FROM coins WHERE txid = ? AND state <> 'dropped'", txid).fetchall()
            for row in rows:
                self._do(
                    "UPDATE coins SET state = ?, height = NULL WHERE txid = ? AND output = ?",
                    state,
                    txid,
                    row["output"],
                )
                self._tell(txid, row["output"], state, None)
        return len(rows)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell(self, txid: str, output: int, state: str, height: int | None) -> None:
        self._do(
            "INSERT INTO changes (txid, output, state, height) VALUES (?, ?, ?, ?)",
            txid,
            output,
            state,
            height,
        )

    def _told(self, row: sqlite3.Row) -> dict[str, Any]:
        found = dict(row)
        found["state"] = "accepted" if found["state"] == "failing" else found["state"]
        return found

    def _do(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._database.execute(statement, values)

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._lock:
            self._do("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._do("ROLLBACK")
                raise
            self._do("COMMIT")
