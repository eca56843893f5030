"""The books' file: one SQLite database, in WAL mode, decimals as text.

A batch is committed before anyone is told about it. WAL with ``synchronous=NORMAL`` survives the death of the
process at any moment (a power cut may lose the last commits, which is fine for a simulator).
"""

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from brokerage.deriv.simulator.books import Account, Contract, Ending, Following, Line, Move, Terms
from brokerage.deriv.simulator.clock import Stretch

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stretches (wall REAL NOT NULL, market REAL NOT NULL, speed REAL NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (
    login_id TEXT PRIMARY KEY, external_id TEXT NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE,
    user_id INTEGER NOT NULL, currency TEXT NOT NULL, balance TEXT NOT NULL, is_demo INTEGER NOT NULL,
    scopes TEXT NOT NULL, opened_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS contracts (
    contract_id INTEGER PRIMARY KEY, login_id TEXT NOT NULL REFERENCES accounts, app_id INTEGER NOT NULL,
    terms TEXT NOT NULL, buy_price TEXT NOT NULL, payout TEXT NOT NULL, commission TEXT NOT NULL,
    markup TEXT NOT NULL, purchase_time INTEGER NOT NULL, date_expiry INTEGER NOT NULL,
    entry_index INTEGER NOT NULL, exit_index INTEGER, buy_transaction_id INTEGER NOT NULL,
    status TEXT NOT NULL, is_expired INTEGER NOT NULL, sell_price TEXT, sell_time INTEGER,
    sell_transaction_id INTEGER);
CREATE INDEX IF NOT EXISTS contracts_by_account ON contracts (login_id, purchase_time);
CREATE INDEX IF NOT EXISTS contracts_open ON contracts (contract_id) WHERE status = 'open';
CREATE TABLE IF NOT EXISTS endings (
    contract_id INTEGER PRIMARY KEY REFERENCES contracts, late_seconds REAL NOT NULL, is_refunded INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS contracts_by_application ON contracts (app_id, purchase_time);
CREATE TABLE IF NOT EXISTS followings (
    copier TEXT NOT NULL REFERENCES accounts, trader TEXT NOT NULL REFERENCES accounts, assets TEXT NOT NULL,
    trade_types TEXT NOT NULL, min_trade_stake TEXT, max_trade_stake TEXT, PRIMARY KEY (copier, trader));
CREATE INDEX IF NOT EXISTS followings_by_trader ON followings (trader);
CREATE TABLE IF NOT EXISTS lines (
    transaction_id INTEGER PRIMARY KEY, login_id TEXT NOT NULL REFERENCES accounts, action TEXT NOT NULL,
    amount TEXT NOT NULL, balance_after TEXT NOT NULL, at INTEGER NOT NULL, contract_id INTEGER,
    reference_id INTEGER);
CREATE TABLE IF NOT EXISTS moves (
    login_id TEXT PRIMARY KEY, was TEXT NOT NULL UNIQUE, last_transaction INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS lines_by_account ON lines (login_id, at);
"""
_FOREVER = 1 << 62
_KIND = (
    "CASE WHEN action IN ('buy', 'sell', 'deposit', 'withdrawal') THEN action "
    "WHEN amount LIKE '-%' THEN 'withdrawal' ELSE 'deposit' END"
)

MarkupOrder = Literal["app_id", "login_id", "purchase_time", "contract_id"]
Direction = Literal["ASC", "DESC"]


class Store:
    """The books' file."""

    def __init__(self, path: Path | None) -> None:
        """Open or make the file; ``None`` keeps the books in memory, for trials of the engine alone.

        Raises ``OSError`` if the file belongs to a running simulator or cannot be written, ``sqlite3.Error`` if it
        is no such file.
        """
        self._lock: IO[str] | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = path.with_name(f"{path.name}.lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """All writes inside are committed together at the end, or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement, for the tables that other modules keep in the same file; its rows."""
        return self._db.execute(statement, values).fetchall()

    # ── what the file was made with ──────────────────────────────────────────────────────────────────

    def meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def stretches(self) -> list[Stretch]:
        return [Stretch(*row) for row in self._db.execute("SELECT * FROM stretches ORDER BY wall, rowid")]

    def add_stretch(self, stretch: Stretch) -> None:
        self._db.execute(
            "INSERT INTO stretches VALUES (?, ?, ?)", (stretch.wall, stretch.market, stretch.speed)
        )

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────

    def execute(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """For a part of the venue that keeps tables of its own in this file."""
        return self._db.execute(statement, values)

    def keep(self, table: str, record: "DataclassInstance") -> None:
        """Write a record, a column a field, in the place of the one with the same key."""
        self._save(table, tuple(_column(getattr(record, field.name)) for field in fields(record)))

    def save_account(self, account: Account) -> None:
        self._save(
            "accounts",
            (
                account.login_id,
                account.external_id,
                account.token,
                account.user_id,
                account.currency,
                str(account.balance),
                account.is_demo,
                " ".join(account.scopes),
                account.opened_at,
            ),
        )

    def save_contract(self, contract: Contract) -> None:
        self.keep("contracts", contract)

    def save_ending(self, contract_id: int, ending: Ending) -> None:
        self._save("endings", (contract_id, ending.late_seconds, int(ending.is_refunded)))

    def save_following(self, following: Following) -> None:
        """The copier has at most one following of a trader: the new one takes the old one's place."""
        self.keep("followings", following)

    def remove_following(self, copier: str, trader: str) -> None:
        self._db.execute("DELETE FROM followings WHERE copier = ? AND trader = ?", (copier, trader))

    def add_line(self, line: Line) -> None:
        self._save("lines", tuple(_column(getattr(line, field.name)) for field in fields(line)), "INSERT")

    def _save(self, table: str, values: tuple[object, ...], verb: str = "REPLACE") -> None:
        marks = ", ".join("?" * len(values))
        self._db.execute(f"{verb} INTO {table} VALUES ({marks})", values)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────

    def accounts(self) -> list[Account]:
        rows = self._db.execute("SELECT * FROM accounts")
        return [
            Account(login_id, external_id, token, user_id, currency, Decimal(balance), bool(demo), scopes, at)
            for login_id, external_id, token, user_id, currency, balance, demo, words, at in rows
            for scopes in (tuple(words.split()),)
        ]

    def open_contracts(self) -> list[Contract]:
        rows = self._db.execute("SELECT * FROM contracts WHERE status = 'open' ORDER BY contract_id")
        return [_contract(row) for row in rows]

    def endings(self) -> dict[int, Ending]:
        """The open contracts that do not end as usual."""
        rows = self._db.execute(
            "SELECT contract_id, late_seconds, is_refunded FROM endings JOIN contracts USING (contract_id) "
            "WHERE status = 'open'"
        )
        return {number: Ending(late, bool(refunded)) for number, late, refunded in rows}

    def contract(self, contract_id: int) -> Contract | None:
        row = self._db.execute("SELECT * FROM contracts WHERE contract_id = ?", (contract_id,)).fetchone()
        return None if row is None else _contract(row)

    def contracts(self, login_id: str) -> list[Contract]:
        """Every contract of the account, open and closed, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM contracts WHERE login_id = ? ORDER BY contract_id", (login_id,)
        )
        return [_contract(row) for row in rows]

    def closed_contracts(
        self,
        login_id: str,
        since: int | None,
        until: int | None,
        types: tuple[str, ...],
        limit: int,
        offset: int,
        ascending: bool,
        after: int = 0,
    ) -> list[Contract]:
        """Contracts that are over, by time of purchase (``since`` ≤ time ≤ ``until``), sold after that transaction."""
        direction = "ASC" if ascending else "DESC"
        chosen = f"AND json_extract(terms, '$[0]') IN ({', '.join('?' * len(types))})" if types else ""
        rows = self._db.execute(
            "SELECT * FROM contracts WHERE login_id = ? AND status <> 'open' AND purchase_time BETWEEN ? AND ? "
            f"AND sell_transaction_id > ? {chosen} ORDER BY purchase_time {direction}, contract_id {direction} LIMIT ? OFFSET ?",
            (login_id, since or 0, _FOREVER if until is None else until, after, *types, limit, offset),
        )
        return [_contract(row) for row in rows]

    def rename(self, login_id: str, new: str) -> None:
        """An account with its contracts and lines goes by another login from now on."""
        for table in ("accounts", "contracts", "lines"):
            self._db.execute(f"UPDATE {table} SET login_id = ? WHERE login_id = ?", (new, login_id))
        for side in ("copier", "trader"):
            self._db.execute(f"UPDATE followings SET {side} = ? WHERE {side} = ?", (new, login_id))

    def moves(self) -> list[Move]:
        """The accounts that were moved to generation v4."""
        rows = self._db.execute("SELECT login_id, was, last_transaction FROM moves ORDER BY rowid")
        return [Move(*row) for row in rows]

    def add_move(self, move: Move) -> None:
        self._save("moves", (move.login_id, move.was, move.last_transaction), "INSERT")

    def marked_up_contracts(
        self,
        app_id: int,
        since: int,
        until: int,
        login_id: str | None = None,
        order: Sequence[tuple[MarkupOrder, Direction]] = (),
        limit: int = -1,
        offset: int = 0,
    ) -> list[Contract]:
        """The application's contracts bought in ``since`` ≤ time ≤ ``until`` with a markup in their price.

        Only real accounts': demo money earns nobody anything. A cancelled one is left out: its price went back to the
        client, markup and all. ``order`` is by its first
        entry, then by the next; equals come in the order of purchase.
        """
        columns = "".join(f"{column} {direction}, " for column, direction in order)
        rows = self._db.execute(
            "SELECT * FROM contracts WHERE app_id = ? AND purchase_time BETWEEN ? AND ? AND status <> 'cancelled' "
            "AND CAST(markup AS REAL) > 0 AND (? IS NULL OR login_id = ?) "
            "AND login_id IN (SELECT login_id FROM accounts WHERE NOT is_demo) "
            f"ORDER BY {columns}contract_id LIMIT ? OFFSET ?",
            (app_id, since, until, login_id, login_id, limit, offset),
        )
        return [_contract(row) for row in rows]

    def followings(self, *, trader: str | None = None, copier: str | None = None) -> list[Following]:
        """Who copies the trader, or whom the copier copies; the one that began or changed first comes first."""
        rows = self._db.execute(
            "SELECT * FROM followings WHERE trader = ? OR copier = ? ORDER BY rowid", (trader, copier)
        )
        return [
            Following(one, other, tuple(assets.split()), tuple(types.split()), _decimal(low), _decimal(high))
            for one, other, assets, types, low, high in rows
        ]

    def lines(
        self,
        login_id: str,
        since: int | None = None,
        until: int | None = None,
        action: str | None = None,
        limit: int = -1,
        offset: int = 0,
        *,
        kind: str | None = None,
        after: int = 0,
        up_to: int = _FOREVER,
    ) -> list[Line]:
        """Statement lines, newest first (``since`` ≤ time ≤ ``until``, ``after`` < transaction ≤ ``up_to``).

        ``action`` is the line's own; ``kind`` knows four of them, for what is no trade is a deposit or a withdrawal.
        """
        rows = self._db.execute(
            "SELECT * FROM lines WHERE login_id = ? AND at BETWEEN ? AND ? AND (? IS NULL OR action = ?) "
            f"AND (? IS NULL OR {_KIND} = ?) AND transaction_id > ? AND transaction_id <= ? ORDER BY transaction_id DESC LIMIT ? OFFSET ?",
            (
                login_id,
                since or 0,
                _FOREVER if until is None else until,
                action,
                action,
                kind,
                kind,
                after,
                up_to,
                limit,
                offset,
            ),
        )
        return [
            Line(number, login, action, Decimal(amount), Decimal(after), at, contract_id, reference)
            for number, login, action, amount, after, at, contract_id, reference in rows
        ]

    def highest(self) -> tuple[int, int, int]:
        """The highest contract, transaction and user number given out so far; 0 for none.

        An account of a user who had one already has a number of its own, from the same row as users' numbers.
        """
        row = self._db.execute(
            "SELECT (SELECT max(contract_id) FROM contracts), (SELECT max(transaction_id) FROM lines), "
            "(SELECT max(max(user_id, CAST(ltrim(login_id, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') AS INTEGER))) FROM accounts)"
        ).fetchone()
        return row[0] or 0, row[1] or 0, row[2] or 0


def _column(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, tuple):
        return " ".join(value)
    if isinstance(value, Terms):
        return json.dumps(
            [
                value.contract_type,
                value.symbol,
                value.basis,
                str(value.amount),
                value.duration,
                value.unit,
                value.currency,
            ]
        )
    return value


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _contract(row: tuple[object, ...]) -> Contract:
    names = [field.name for field in fields(Contract)]
    values: dict[str, object] = dict(zip(names, row, strict=True))
    kind, symbol, basis, amount, duration, unit, currency = json.loads(str(values["terms"]))
    values["terms"] = Terms(kind, symbol, basis, Decimal(amount), duration, unit, currency)
    values["is_expired"] = bool(values["is_expired"])
    for name in ("buy_price", "payout", "commission", "markup", "sell_price"):
        values[name] = _decimal(values[name])  # type: ignore[arg-type]
    return Contract(**values)  # type: ignore[arg-type]
