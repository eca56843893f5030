"""Processes that a killed supervisor left behind, found by a mark in their environment."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from backoffice.embedded.processes import alive, wait_until

MARK = "NEXUS_RUN"  # its value is the data folder


def find(data_dir: Path) -> list[int]:
    """Every process started by a supervisor of this data folder and still running, except this one."""
    wanted = f"{MARK}={data_dir}"
    return [
        pid
        for pid, environment in _environments()
        if wanted in environment and pid != os.getpid() and alive(pid)
    ]


def _environments() -> Iterator[tuple[int, list[str]]]:
    if Path("/proc/self/environ").exists():
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    yield (
                        int(folder.name),
                        (folder / "environ").read_bytes().decode(errors="replace").split("\0"),
                    )
                except OSError:
                    continue  # it ended meanwhile, or is somebody else's
        return
    listing = subprocess.run(
        ["ps", "-axeww", "-o", "pid=,command="], capture_output=True, text=True, check=False
    ).stdout
    for line in listing.splitlines():
        pid, _, rest = line.strip().partition(" ")
        yield int(pid), rest.split(" ")


def end(data_dir: Path, *, seconds: float = 10.0) -> int:
    """End what a killed supervisor left behind: politely, then by force. Returns how many there were."""
    left = find(data_dir)
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid in find(data_dir):
            try:
                os.kill(pid, how)
            except ProcessLookupError:
                continue
        if wait_until(lambda: not find(data_dir), seconds=seconds):
            break
    return len(left)
