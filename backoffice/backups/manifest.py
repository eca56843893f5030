"""What a backup says about itself: when, of what, and what must be in it again. JSON beside the dump."""

import hashlib
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from django.db import connection

from backoffice.backups.tools import BackupError
from backoffice.configuration import ROOT

NAME: Final = "manifest.json"
DUMP: Final = "dump"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a database, read in one snapshot."""

    tables: dict[str, int]
    """Rows of every table."""
    position: int
    """Of the last event that has one; 0 if none has."""
    head: str
    """That event's hash, in hexadecimal."""
    migrations: list[str]

    @property
    def rows(self) -> int:
        return sum(self.tables.values())


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything but the data itself."""

    made_at: str
    """By our clock, UTC."""
    commit: str
    """Of our code; empty where it is not a checkout."""
    server_version: str
    database_bytes: int
    contents: Contents
    files: dict[str, str]
    """SHA-256 of each file of the dump, by name."""

    def write(self, folder: Path) -> None:
        """Last of all, complete or not at all: a folder without it is no backup."""
        aside = folder / f"{NAME}.new"
        with aside.open("w") as file:
            json.dump({"format": FORMAT, **asdict(self)}, file, indent=2, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(folder / NAME)


def read(folder: Path) -> Manifest:
    """The manifest of a backup.

    :raises BackupError: if the folder holds none that can be read.
    """
    try:
        found: dict[str, Any] = json.loads((folder / NAME).read_text())
        if found.pop("format") != FORMAT:
            raise BackupError(f"{folder} was made by another version of this program.")
        return Manifest(**{**found, "contents": Contents(**found["contents"])})
    except FileNotFoundError as missing:
        raise BackupError(f"{folder} is no complete backup: it has no {NAME}.") from missing
    except (ValueError, KeyError, TypeError) as broken:
        raise BackupError(f"{folder / NAME} cannot be read: {type(broken).__name__}.") from broken


def contents() -> Contents:
    """What is in the default database now. Callers who want one moment hold a snapshot."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND c.relpersistence <> 't' "
            "AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1"
        )
        tables = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {table}")
            tables[table] = int(cursor.fetchone()[0])
        cursor.execute(
            "SELECT position, encode(hash, 'hex') FROM backoffice_event WHERE position IS NOT NULL "
            "ORDER BY position DESC LIMIT 1"
        )
        position, head = cursor.fetchone() or (0, "")
        cursor.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1")
        return Contents(tables, position, head, [name for (name,) in cursor.fetchall()])


def hashes(dump: Path) -> dict[str, str]:
    """SHA-256 of each file of a dump."""
    found = {}
    for path in sorted(dump.iterdir()):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def commit() -> str:
    """The commit of our code; empty where it is not a checkout or there is no git."""
    try:
        asked = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return asked.stdout.strip()
