"""Server processes known only by a pid file: is it alive, is it ours, end it and wait.

A pid file can outlive its process (kill -9, power cut) and the number can by then belong to anyone, so a pid
alone proves nothing: the command line must also name our folder or socket.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

_children: dict[int, subprocess.Popen[bytes]] = {}  # started by this process: they must be reaped by it


class EmbeddedServerError(Exception):
    """An embedded server could not be started or stopped; the message says what to do about it."""


def adopt(child: subprocess.Popen[bytes]) -> None:
    """Remember a child so that its end can be collected by `alive` and `end`."""
    _children[child.pid] = child


def alive(pid: int) -> bool:
    """True while the process runs. An ended child that nobody has collected yet is not alive."""
    child = _children.get(pid)
    if child is not None:
        if child.poll() is None:
            return True
        del _children[pid]
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True  # no /proc on this system: the signal's answer stands
    return state[0] != "Z"


def is_ours(pid: int, mark: str) -> bool:
    """True if the process runs and its command line contains `mark` (a path only our server is given)."""
    if not alive(pid):
        return False
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        line = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    return mark in line


def read_pid(path: Path) -> int | None:
    """The number on the first line of a pid file; None if there is no such file or no such number."""
    try:
        first = path.read_text().split("\n", 1)[0].strip()
    except FileNotFoundError:
        return None
    return abs(int(first)) if first.lstrip("-").isdigit() else None


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask until the condition is true; False if the deadline passes first."""
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return True


def end(pid: int, how: signal.Signals, *, seconds: float) -> None:
    """Send a signal and wait for the process to be gone. A process already gone is fine.

    :raises EmbeddedServerError: if it is still there at the deadline; it is not killed, since that could cost data.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)
    if not wait_until(lambda: not alive(pid), seconds=seconds):
        raise EmbeddedServerError(
            f"Embedded server {pid} did not stop within {seconds:.0f} s; look at its log before killing it."
        )


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
