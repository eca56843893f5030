"""A backup is of one moment and says what is in it; the drill restores it beside and finds whatever is not as it was."""

import json
import shutil
import signal
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from backoffice import sequencer, stopping
from backoffice.backups import drill, making, manifest, scratch, tools
from backoffice.backups.tools import BackupError
from backoffice.backups.verifications import verifications
from backoffice.configuration import ROOT
from tests import world
from tests.running import inside, own_database

LEDGER_S_FIRST = next(path.stem for path in (ROOT / "ledger" / "migrations").glob("0001*.py"))


@pytest.fixture(scope="module")
def books(django_db_setup, django_db_blocker):
    """A client with money and events, all sequenced and committed, for every test here: none changes them for good."""
    with own_database(django_db_blocker) as name, inside({"NAME": name}, django_db_blocker):
        world.account()
        sequencer.sequence()
        yield


@pytest.fixture(scope="module")
def good(books, tmp_path_factory):
    folder = tmp_path_factory.mktemp("backups") / "good"
    making.make(folder)
    return folder


@pytest.fixture
def backup(good, tmp_path):
    """A copy of a good backup, to be spoilt."""
    return Path(shutil.copytree(good, tmp_path / "backup"))


def drilled(folder, **given):
    out = StringIO()
    call_command("restore_drill", str(folder), stdout=out, **given)
    return out.getvalue()


def refused(folder):
    with pytest.raises(CommandError) as failed:
        drilled(folder)
    assert failed.value.returncode == 1
    return str(failed.value)


def databases():
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


def tamper(sql, *params):
    """Change what stands in the database as only somebody with its own powers can."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, params)
        assert cursor.rowcount == 1


def described(folder, **changed):
    """The same backup with a manifest that says something else: as if the dump had lost or gained something."""
    path = folder / manifest.NAME
    told = json.loads(path.read_text())
    told["contents"] |= changed
    path.write_text(json.dumps(told))
    return told["contents"]


def test_a_backup_that_is_restored_is_proved_step_by_step_and_nothing_else_changes(good):
    before, live = databases(), manifest.contents()
    printed = drilled(good)
    for step in (
        "every file is what was written",
        "restore",
        "every table has its rows",
        "the last event is the same",
        "migrations are those of this version",
        "every event is what was sealed",
        "every balance is the sum of its postings",
    ):
        assert f"\n{step} " in printed
    assert "The backup is good" in printed
    assert "WRONG" not in printed
    assert databases() == before
    assert manifest.contents() == live
    assert set(verifications.names()) == {"events", "ledger"}


def test_the_manifest_says_when_of_what_and_what_must_be_in_it(good):
    told = json.loads((good / manifest.NAME).read_text())
    now = manifest.contents()
    assert told["contents"]["tables"] == now.tables
    assert told["contents"]["tables"]["public.ledger_posting"] > 0
    assert (told["contents"]["position"], told["contents"]["head"]) == (now.position, now.head)
    assert now.position > 0
    assert told["server_version"].split(".")[0] == str(connection.pg_version // 10_000)
    assert told["database_bytes"] > 0
    assert told["files"] == manifest.hashes(good / manifest.DUMP)
    assert (good.stat().st_mode & 0o777) == 0o700


def test_the_dump_and_its_manifest_are_of_the_same_moment_whatever_is_written_meanwhile(books, tmp_path):
    with making.snapshot() as name:
        counted = manifest.contents()

        def write():
            world.client()
            connections.close_all()

        other = threading.Thread(target=write)
        other.start()
        other.join()
        assert manifest.contents() == counted
        pg_dump = tools.folder(tools.server_version()) / "pg_dump"
        arguments = [
            "--data-only",
            "--table=compliance_client",
            f"--snapshot={name}",
            f"--file={tmp_path / 'it.sql'}",
        ]
        tools.run(pg_dump, arguments, tools.environment(connection.get_connection_params()))
    rows = (tmp_path / "it.sql").read_text().partition("FROM stdin;\n")[2].partition("\\.\n")[0].splitlines()
    assert len(rows) == counted.tables["public.compliance_client"]
    assert manifest.contents().tables["public.compliance_client"] == len(rows) + 1


def test_without_a_folder_a_backup_is_made_for_the_drill_and_gone_afterwards(books, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    out = StringIO()
    call_command("restore_drill", stdout=out)
    assert "\nbackup " in out.getvalue()
    assert "The backup is good" in out.getvalue()
    assert list(tmp_path.iterdir()) == []


def test_the_scratch_database_may_be_kept_and_the_next_drill_drops_it(good):
    before = databases()
    with scratch.scratch(keep=True) as name:
        pass
    assert databases() == sorted([*before, name])
    with scratch.scratch() as name:
        assert name == scratch.name_of()
    assert databases() == before


def test_a_corrupted_a_missing_and_a_foreign_file_fail_the_drill_before_anything_is_restored(backup):
    dump = backup / manifest.DUMP
    spoilt, missing = sorted(dump.glob("*.dat.gz"))[:2]
    data = bytearray(spoilt.read_bytes())
    data[len(data) // 2] ^= 1
    spoilt.write_bytes(data)
    missing.unlink()
    (dump / "stranger").touch()
    before = databases()
    said = refused(backup)
    assert f"The file {spoilt.name} is not what was written." in said
    assert f"The file {missing.name} is missing." in said
    assert "The file stranger is not of this backup." in said
    assert databases() == before


def test_a_dump_that_cannot_be_restored_fails_the_drill_with_what_postgresql_said(backup):
    path = sorted((backup / manifest.DUMP).glob("*.dat.gz"))[0]
    path.write_bytes(b"nothing")
    told = json.loads((backup / manifest.NAME).read_text())
    told["files"] = manifest.hashes(backup / manifest.DUMP)
    (backup / manifest.NAME).write_text(json.dumps(told))
    before = databases()
    assert "pg_restore failed" in refused(backup)
    assert databases() == before


def test_a_missing_row_a_changed_event_a_changed_posting_and_another_schema_each_fail_the_drill(
    books, tmp_path
):
    was = manifest.contents()
    changes = (
        ("UPDATE backoffice_event SET payload = payload || '{\"x\": 1}' WHERE position = 2",
         "UPDATE backoffice_event SET payload = payload - 'x' WHERE position = 2"),
        ("UPDATE ledger_posting SET amount = amount + 1 WHERE id = (SELECT min(id) FROM ledger_posting)",
         "UPDATE ledger_posting SET amount = amount - 1 WHERE id = (SELECT min(id) FROM ledger_posting)"),
        ("UPDATE django_migrations SET name = '0001_other' WHERE app = 'ledger' AND name LIKE '0001%%'",
         f"UPDATE django_migrations SET name = '{LEDGER_S_FIRST}' WHERE app = 'ledger' AND name = '0001_other'"),
    )  # fmt: skip
    for change, _ in changes:
        tamper(change)
    try:
        making.make(tmp_path / "backup")
    finally:
        for _, back in changes:
            tamper(back)
    rows = was.tables["public.ledger_posting"]
    tables = was.tables | {"public.ledger_posting": rows + 1, "public.gone": 3}
    described(
        tmp_path / "backup", tables=tables, head="ab" * 32, migrations=[*was.migrations, "ledger.9999_later"]
    )
    before = databases()
    said = refused(tmp_path / "backup")
    for sentence in (
        f"public.ledger_posting has {rows:,} rows, not {rows + 1:,} rows.",
        "public.gone has no such table, not 3 rows.",
        f"The last event is {was.position} ({was.head[:16]}…), not {was.position} (abababababababab…).",
        "The migration ledger.9999_later of the backup is missing.",
        "The backup has the migration ledger.0001_other, unknown to this version.",
        f"The backup lacks the migration ledger.{LEDGER_S_FIRST} of this version.",
        "The event log is broken at position 2: the event is not what was sealed.",
    ):
        assert sentence in said
    assert "entry " in said  # the ledger's own verification was asked too
    assert databases() == before
    assert manifest.contents() == was


def test_a_verification_reads_the_scratch_database_and_cannot_write(books):
    live = connection.settings_dict["NAME"]
    with scratch.scratch() as name, scratch.looking_at(name), connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone()[0] == name != live
        with pytest.raises(Exception, match="read-only"):
            cursor.execute("CREATE TABLE written (id int)")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone()[0] == live


def test_a_folder_in_use_is_refused_and_left_as_it_is(books, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(BackupError, match="not empty"):
        making.make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_backup_that_fails_leaves_no_folder_and_says_why(books, tmp_path):
    live = dict(connection.settings_dict)
    connection.settings_dict["PORT"] = "1"  # for pg_dump alone: this connection is open already
    try:
        with pytest.raises(BackupError, match=r"pg_dump failed:\n.*failed"):
            making.make(tmp_path / "backup")
    finally:
        connection.settings_dict.update(live)
    assert list(tmp_path.iterdir()) == []


def test_a_drill_that_is_cut_short_drops_its_database(good):
    before = databases()
    steps = drill.drill(good)
    for step in steps:
        if step.name == "restore":
            break
    assert databases() == sorted([*before, scratch.name_of()])
    steps.close()
    assert databases() == before


def test_a_command_that_is_told_to_stop_ends_as_one_that_is_interrupted():
    with pytest.raises(SystemExit) as left, stopping.leaving():
        signal.raise_signal(signal.SIGTERM)
    assert left.value.code == 128 + signal.SIGTERM


@pytest.mark.parametrize("text", [None, "{", '{"format": 99}', '{"format": 1}'])
def test_a_folder_without_a_manifest_that_can_be_read_is_no_backup(backup, text):
    (backup / manifest.NAME).unlink()
    if text is not None:
        (backup / manifest.NAME).write_text(text)
    before = databases()
    with pytest.raises(CommandError):
        drilled(backup)
    assert databases() == before


def test_tools_older_than_the_server_are_refused_with_both_versions():
    with pytest.raises(
        BackupError, match=r"The server is PostgreSQL 99, but pg_dump here is only of version \d+"
    ):
        tools.folder(990_000)


def test_the_password_is_told_to_the_tools_in_the_environment_and_nothing_else_secret_is(monkeypatch):
    monkeypatch.setenv("FIELD_KEYS", "secret")
    monkeypatch.setenv("PGHOST", "elsewhere")
    given = tools.environment({"host": "here", "password": "hidden", "dbname": "nexus", "options": "-c x=1"})
    assert (given["PGHOST"], given["PGPASSWORD"], given["PGDATABASE"]) == ("here", "hidden", "nexus")
    assert "secret" not in given.values()
    assert "PGOPTIONS" not in given


def test_a_database_that_only_has_the_scratch_s_name_is_not_dropped(good):
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{scratch.name_of()}" TEMPLATE template0')
    try:
        before = databases()
        with pytest.raises(CommandError, match="that no drill made"):
            drilled(good)
        assert databases() == before
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{scratch.name_of()}"')


def test_one_drill_of_a_database_at_a_time(good):
    said = []

    def second():
        try:
            list(drill.drill(good))
        except BackupError as error:
            said.append(str(error))
        connections.close_all()

    with scratch.scratch() as name:
        other = threading.Thread(target=second)
        other.start()
        other.join()
        assert name in databases()
    assert "under way" in said[0]
