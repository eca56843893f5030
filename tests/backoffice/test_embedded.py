"""The embedded servers: real ones, in a folder of their own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from backoffice import embedded
from backoffice.configuration import ROOT
from backoffice.embedded.processes import EmbeddedServerError, alive, read_pid, wait_until
from backoffice.embedded.sockets import socket_dir

# Ensures the servers, says so, and leaves when its standard input closes.
USER = """
import sys
from pathlib import Path
from backoffice import embedded
embedded.ensure(Path(sys.argv[1]))
sys.stdout.write("using\\n"); sys.stdout.flush()
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("servers")
    yield path
    embedded.stop(path)
    shutil.rmtree(socket_dir(path), ignore_errors=True)


def user_of(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def says_using(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "using\n"


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=30)
    assert process.returncode == 0


def server_pids(data_dir: Path) -> tuple[int, int]:
    postgres = read_pid(data_dir / "postgres" / "postmaster.pid")
    redis_pid = read_pid(socket_dir(data_dir) / "redis.pid")
    assert postgres is not None and redis_pid is not None
    return postgres, redis_pid


def store(data_dir: Path, value: str) -> None:
    with psycopg2.connect(embedded.database_url(data_dir)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        cursor.execute("INSERT INTO kept VALUES (%s)", [value])
    connection.close()
    with redis.Redis.from_url(embedded.redis_url(data_dir)) as client:
        client.rpush("kept", value)


def stored(data_dir: Path) -> tuple[list[str], list[str]]:
    with psycopg2.connect(embedded.database_url(data_dir)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT value FROM kept")
        rows = [row[0] for row in cursor.fetchall()]
    connection.close()
    with redis.Redis.from_url(embedded.redis_url(data_dir), decode_responses=True) as client:
        return rows, client.lrange("kept", 0, -1)


def test_data_survives_stop_and_start(data_dir: Path) -> None:
    embedded.start(data_dir)
    store(data_dir, "first")
    embedded.stop(data_dir)
    assert not embedded.running(data_dir)
    embedded.start(data_dir)
    assert stored(data_dir) == (["first"], ["first"])


def test_starting_what_runs_and_stopping_what_does_not_changes_nothing(data_dir: Path) -> None:
    embedded.start(data_dir)
    before = server_pids(data_dir)
    embedded.start(data_dir)
    assert server_pids(data_dir) == before
    embedded.stop(data_dir)
    embedded.stop(data_dir)
    assert not embedded.running(data_dir)


def test_servers_are_safe_with_money_and_listen_on_no_port(data_dir: Path) -> None:
    embedded.start(data_dir)
    connection = psycopg2.connect(embedded.database_url(data_dir))
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name IN "
            "('fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'max_connections', 'TimeZone')"
        )
        assert dict(cursor.fetchall()) == {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "max_connections": "200",
            "TimeZone": "UTC",
        }
    connection.close()
    with redis.Redis.from_url(embedded.redis_url(data_dir), decode_responses=True) as client:
        wanted = {"appendonly": "yes", "maxmemory-policy": "noeviction", "port": "0"}
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
    assert socket_dir(data_dir).stat().st_mode & 0o777 == 0o700


def test_after_kill_9_of_both_servers_the_next_start_finds_all_data(data_dir: Path) -> None:
    embedded.start(data_dir)
    store(data_dir, "second")
    with redis.Redis.from_url(embedded.redis_url(data_dir)) as client:
        # The append-only file is synced each second; wait for it, since this test is about pid files.
        assert wait_until(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0, seconds=5)
    pids = server_pids(data_dir)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(alive(pid) for pid in pids), seconds=5)
    assert not embedded.running(data_dir)
    embedded.start(data_dir)
    assert stored(data_dir)[0][-1] == "second"
    assert stored(data_dir)[1][-1] == "second"


def test_a_pid_file_whose_number_now_belongs_to_a_stranger_does_not_block_the_start(data_dir: Path) -> None:
    embedded.start(data_dir)
    pids = server_pids(data_dir)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(alive(pid) for pid in pids), seconds=5)
    with subprocess.Popen(["sleep", "600"], user=(data_dir / "postgres").stat().st_uid) as stranger:
        lock = data_dir / "postgres" / "postmaster.pid"
        lines = lock.read_text().split("\n")
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        (socket_dir(data_dir) / "redis.pid").write_text(str(stranger.pid))
        embedded.start(data_dir)
        embedded.stop(data_dir)
        assert stranger.poll() is None  # whoever has that number now was left alone
        stranger.kill()


def test_two_starters_at_once_share_one_pair_of_servers_and_the_last_one_out_stops_them(
    data_dir: Path,
) -> None:
    embedded.stop(data_dir)
    one, two = user_of(data_dir), user_of(data_dir)
    assert says_using(one) and says_using(two)
    pids = server_pids(data_dir)
    leave(one)
    assert embedded.running(data_dir)
    assert server_pids(data_dir) == pids
    leave(two)
    assert not embedded.running(data_dir)


def test_servers_a_killed_user_left_behind_serve_the_next_user_and_end_with_it(data_dir: Path) -> None:
    killed = user_of(data_dir)
    assert says_using(killed)
    pids = server_pids(data_dir)
    killed.kill()
    killed.communicate(timeout=30)
    assert embedded.running(data_dir)
    following = user_of(data_dir)
    assert says_using(following)
    assert server_pids(data_dir) == pids
    leave(following)
    assert not embedded.running(data_dir)


def test_a_long_or_odd_folder_gets_a_short_socket_folder_of_its_own(tmp_path: Path) -> None:
    for odd in (tmp_path / ("long" * 30), tmp_path / "with space", tmp_path / "müller"):
        short = socket_dir(odd)
        assert len(os.fsencode(short)) <= 85
        assert short == socket_dir(odd)
        assert short != socket_dir(odd / "other")
        assert "%20" not in embedded.database_url(odd)


def test_a_socket_folder_made_by_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    socket_dir(folder).symlink_to(tmp_path)
    try:
        with pytest.raises(EmbeddedServerError, match="belongs to another user"):
            embedded.start(folder)
    finally:
        socket_dir(folder).unlink()


def test_a_machine_without_redis_is_told_what_to_install(tmp_path: Path) -> None:
    # -S leaves out site-packages, and with it the wheel that carries Redis on Python 3.11 and 3.12.
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from backoffice.embedded import redis\n"
        "from backoffice.embedded.processes import EmbeddedServerError\n"
        "try:\n    redis._program()\n"
        "except EmbeddedServerError as refusal:\n    sys.stdout.write(str(refusal))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": str(tmp_path)},
    )
    assert "redis-server" in done.stdout and "REDIS_URL" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_as_root_postgresql_runs_as_nobody_even_below_a_folder_nobody_can_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    embedded.start(closed / "data", redis=False)
    try:
        assert (closed / "data" / "postgres").stat().st_uid != 0
        connection = psycopg2.connect(embedded.database_url(closed / "data"))
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.close()
    finally:
        embedded.stop(closed / "data")
