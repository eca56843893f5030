"""Embedded PostgreSQL and Redis for machines that have neither.

Both listen on Unix sockets only and keep their files in the data folder. Any number of processes may use them
at once: each holds a shared lock while it does (`ensure`), and the last one out stops them. A process that is
killed drops its lock by itself; servers it leaves behind are found and used by the next one.
"""

import atexit
import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from backoffice.embedded import postgres, privileges, redis
from backoffice.embedded.processes import EmbeddedServerError
from backoffice.embedded.sockets import make_socket_dir, redis_socket, socket_dir

__all__ = [
    "EmbeddedServerError",
    "answer",
    "database_url",
    "ensure",
    "redis_url",
    "release",
    "running",
    "start",
    "stop",
]

_held: dict[Path, IO[str]] = {}


def database_url(data_dir: Path) -> str:
    """Where the embedded PostgreSQL of this data folder listens. Asks nothing, starts nothing."""
    return f"postgres://{postgres.USER}@{str(socket_dir(data_dir)).replace('/', '%2F')}/{postgres.DATABASE}"


def redis_url(data_dir: Path) -> str:
    """Where the embedded Redis of this data folder listens. Asks nothing, starts nothing."""
    return f"unix://{redis_socket(data_dir)}"


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """One process at a time starts or stops the servers of a data folder; a second one waits here."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        (data_dir / "servers.lock").touch()
    except PermissionError as refused:
        raise EmbeddedServerError(
            f"{data_dir} belongs to another user. Run as that user, or set DATA_DIR to a folder of your own."
        ) from refused
    with (data_dir / "servers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def running(data_dir: Path) -> bool:
    """True if both servers answer now."""
    return answer(data_dir, postgresql=True, redis_too=True)


def answer(data_dir: Path, *, postgresql: bool, redis_too: bool) -> bool:
    """True if each server that is asked about answers now."""
    return (not postgresql or postgres.running(data_dir)) and (not redis_too or redis.running(data_dir))


def _start(data_dir: Path, *, postgresql: bool, redis_too: bool, durable: bool, dies_with_us: bool) -> None:
    (data_dir / "logs").mkdir(exist_ok=True)
    make_socket_dir(data_dir, privileges.server_user() if postgresql else None)
    if postgresql and not postgres.running(data_dir):
        postgres.start(data_dir, durable=durable, dies_with_us=dies_with_us)
    if redis_too and not redis.running(data_dir):
        redis.start(data_dir, durable=durable, dies_with_us=dies_with_us)


def start(
    data_dir: Path,
    *,
    postgresql: bool = True,
    redis: bool = True,
    durable: bool = True,
    dies_with_us: bool = False,
) -> None:
    """Start what does not run yet and wait until it answers. They go on after this process ends.

    `durable=False` is for tests: no fsync, no append-only file, so a power cut loses data. `dies_with_us` ends
    the servers with the thread that started them, whatever kills it (Linux). Servers that run already are left
    as they are.

    :raises EmbeddedServerError: if a server cannot start; the message says why and what to do.
    """
    with _alone(data_dir):
        _start(data_dir, postgresql=postgresql, redis_too=redis, durable=durable, dies_with_us=dies_with_us)


def stop(data_dir: Path) -> None:
    """Stop both, whoever uses them; data stays. Nothing happens if they do not run.

    :raises EmbeddedServerError: if one does not stop within a minute.
    """
    with _alone(data_dir):
        _stop(data_dir)


def _stop(data_dir: Path) -> None:
    postgres.stop(data_dir)
    redis.stop(data_dir)


def ensure(data_dir: Path, *, postgresql: bool = True, redis: bool = True) -> None:
    """Have the servers run for as long as this process lives; the last process to leave stops them.

    A second call in the same process does nothing. Costs about a millisecond where they run already.

    :raises EmbeddedServerError: as `start`.
    """
    data_dir = data_dir.resolve()
    if data_dir in _held:
        return
    with _alone(data_dir):
        using = (data_dir / "users.lock").open("w")
        os.set_inheritable(
            using.fileno(), True
        )  # a command that becomes another program (rundramatiq) still holds it
        fcntl.flock(using, fcntl.LOCK_SH)
        try:
            _start(data_dir, postgresql=postgresql, redis_too=redis, durable=True, dies_with_us=False)
        except EmbeddedServerError:
            using.close()
            raise
        _held[data_dir] = using
    atexit.register(release, data_dir)


def release(data_dir: Path) -> None:
    """Stop using the servers now instead of at exit; stops them if nobody else uses them."""
    using = _held.pop(data_dir.resolve(), None)
    if using is not None:
        using.close()
        stop_unused(data_dir)


def stop_unused(data_dir: Path) -> None:
    """Stop servers that no process holds with `ensure`, for instance after a kill -9; else do nothing."""
    with _alone(data_dir), (data_dir / "users.lock").open("w") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # somebody still uses them
        _stop(data_dir)
