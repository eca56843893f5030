"""PostgreSQL's own programs that fit the server, and how they are run."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connection

from backoffice.embedded import EmbeddedServerError, postgres

# What libpq reads from the environment, by Django's name for it. A password never stands on a command line, where
# everybody on the machine could read it.
_VARIABLES: Final = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
                     "dbname": "PGDATABASE", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT",
                     "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "service": "PGSERVICE"}  # fmt: skip
# Of our own environment: nothing secret, and no PG* variable that would lead elsewhere.
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")


class BackupError(Exception):
    """A backup or a drill cannot be done; the message says why and what to do. Nothing half-made is left."""


def environment(parameters: Mapping[str, Any], **more: str) -> dict[str, str]:
    """What PostgreSQL's programs need to find a database, from Django's connection parameters."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    found = {name: str(parameters[ours]) for ours, name in _VARIABLES.items() if parameters.get(ours)}
    return kept | found | more


def server_version() -> int:
    """Of the default database's server, as libpq tells it: 180004 is 18.4."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        return int(cursor.fetchone()[0])


def folder(version: int) -> Path:
    """The folder of the programs for a server of this version: the first that fits of the
    embedded server's and the PATH's.

    :raises BackupError: if there are none, or all are older than the server.
    """
    major, seen = version // 10_000, []
    for candidate in _candidates():
        theirs = _major(candidate)
        if theirs is not None and theirs >= major:
            return candidate
        if theirs is not None:
            seen.append(str(theirs))
    if seen:
        raise BackupError(
            f"The server is PostgreSQL {major}, but pg_dump here is only of version {' and '.join(seen)}. Install the "
            f"client programs of PostgreSQL {major} or newer and put them on the PATH."
        )
    raise BackupError(
        f"pg_dump is not installed. Install the client programs of PostgreSQL {major} or newer."
    )


def run(program: Path, arguments: list[str], given: Mapping[str, str]) -> None:
    """Run a program to its end; an interrupt ends it as well.

    :raises BackupError: with what it said, if it failed.
    """
    with subprocess.Popen(
        [str(program), *arguments], env=dict(given), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        try:
            _, said = running.communicate()
        except BaseException:
            running.terminate()
            raise
    if running.returncode != 0:
        raise BackupError(f"{program.name} failed:\n{said.strip()}")


def jobs() -> int:
    """How many processes a dump or restore uses: what helps on this machine, without taking all of a large one."""
    return max(1, min(4, os.cpu_count() or 1))


def _candidates() -> Iterator[Path]:
    with contextlib.suppress(EmbeddedServerError):
        yield postgres.tools(settings.CONFIG.data_dir)
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).parent


def _major(candidate: Path) -> int | None:
    try:
        told = subprocess.run(
            [str(candidate / "pg_dump"), "--version"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"(\d+)(?:\.\d+|\w*)", told.stdout)
    return int(found[1]) if found else None
