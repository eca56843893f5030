"""The restore drill: a backup is good when it was restored and what came out was proved."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from backoffice.backups import manifest, tools
from backoffice.backups.manifest import Contents, Manifest
from backoffice.backups.scratch import looking_at, scratch
from backoffice.backups.tools import BackupError
from backoffice.backups.verifications import Step, verifications

# For the restore alone: indexes are built in memory, and a power cut may cost the scratch database.
_OPTIONS: Final = "-c maintenance_work_mem=256MB -c synchronous_commit=off -c statement_timeout=0"


def drill(folder: Path, *, keep: bool = False) -> Iterator[Step]:
    """Restore a backup into a scratch database and prove it; each step is given when it is done.

    The live database is not read but for its server's version. After files or a restore that are wrong nothing
    more is tried; all later steps run even if one before is wrong. The scratch database is dropped when the
    iterator ends or is closed, unless it is kept.

    :raises BackupError: if the folder is no backup, or the drill cannot be done here.
    """
    described = manifest.read(folder)
    pg_restore = tools.folder(tools.server_version()) / "pg_restore"
    files = _files(folder, described)
    yield files
    if files.wrong:
        return
    with scratch(keep=keep) as name:
        restored = _restore(folder, described, pg_restore, name)
        yield restored
        if restored.wrong:
            return
        with looking_at(name):
            yield _analyze(described.contents)
            yield from _compare(described.contents)
            for verify in verifications:
                yield from verify()


def _files(folder: Path, described: Manifest) -> Step:
    begun = time.perf_counter()
    dump = folder / manifest.DUMP
    found = manifest.hashes(dump) if dump.is_dir() else {}
    wrong = [f"The file {name} is missing." for name in sorted(described.files.keys() - found.keys())]
    wrong += [
        f"The file {name} is not of this backup." for name in sorted(found.keys() - described.files.keys())
    ]
    wrong += [
        f"The file {name} is not what was written."
        for name in sorted(described.files.keys() & found.keys())
        if described.files[name] != found[name]
    ]
    return Step("every file is what was written", time.perf_counter() - begun, wrong=tuple(wrong))


def _restore(folder: Path, described: Manifest, pg_restore: Path, name: str) -> Step:
    begun = time.perf_counter()
    given = {**connection.get_connection_params(), "dbname": name}
    arguments = ["--exit-on-error", "--no-owner", "--no-acl", f"--jobs={tools.jobs()}", f"--dbname={name}"]
    wrong: tuple[str, ...] = ()
    try:
        tools.run(
            pg_restore,
            [*arguments, str(folder / manifest.DUMP)],
            tools.environment(given, PGOPTIONS=_OPTIONS),
        )
    except BackupError as failed:
        wrong = (str(failed),)
    return Step("restore", time.perf_counter() - begun, described.contents.rows, wrong)


def _analyze(expected: Contents) -> Step:
    begun = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Step("statistics for the planner", time.perf_counter() - begun, expected.rows)


def _compare(expected: Contents) -> Iterator[Step]:
    begun = time.perf_counter()
    found = manifest.contents()
    wrong = tuple(
        f"{table} has {_told(found.tables.get(table))}, not {_told(expected.tables.get(table))}."
        for table in sorted(found.tables.keys() | expected.tables.keys())
        if found.tables.get(table) != expected.tables.get(table)
    )
    yield Step("every table has its rows", time.perf_counter() - begun, found.rows, wrong)
    wrong = ()
    if (found.position, found.head) != (expected.position, expected.head):
        wrong = (
            f"The last event is {found.position} ({found.head[:16]}…), not {expected.position} ({expected.head[:16]}…).",
        )
    yield Step("the last event is the same", 0.0, wrong=wrong)
    begun = time.perf_counter()
    ours = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    there = set(found.migrations)
    wrong = tuple(
        f"The migration {name} of the backup is missing." for name in sorted(set(expected.migrations) - there)
    )
    wrong += tuple(f"The backup lacks the migration {name} of this version." for name in sorted(ours - there))
    wrong += tuple(
        f"The backup has the migration {name}, unknown to this version." for name in sorted(there - ours)
    )
    yield Step("migrations are those of this version", time.perf_counter() - begun, wrong=wrong)


def _told(rows: int | None) -> str:
    return "no such table" if rows is None else f"{rows:,} rows"
