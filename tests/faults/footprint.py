"""What a running deployment takes of its machine, sampled while it works: memory, files, connections, waiting jobs."""

import os
import re
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from django.db import connection

from tests.running import HTTP, Running

EVERY_SECONDS: Final = 2.0
# Before this share of a run is over, caches and pools still fill.
WARM: Final = 0.2
WINDOW: Final = 0.1
# A figure may be so much more at the end than when it was warm, or so many more where it is small.
MORE: Final = 0.10
SLACK: Final = {"MB": 8.0, "files": 12.0, "connections": 6.0}
TICKS: Final = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> float:
    """Megabytes of memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def family(pid: int) -> list[int]:
    """A process and everything it started: each process of a deployment leads a session of its own."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(_stat(int(name))[3]) == pid:
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    return found


def _stat(pid: int) -> list[str]:
    """The fields of a process from its state on; the command before may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@dataclass(frozen=True, slots=True)
class Growth:
    """A figure when the deployment was warm, halfway and at the end; medians of a tenth of the run."""

    what: str
    unit: str
    warm: float
    middle: float
    end: float

    @property
    def is_too_much(self) -> bool:
        return self.end > self.warm + max(self.warm * MORE, SLACK[self.unit])


class Footprint(threading.Thread):
    """Samples a deployment until it is told to stop."""

    def __init__(self, running: Running) -> None:
        super().__init__(daemon=True)
        self.running = running
        self.samples: list[tuple[float, dict[tuple[str, str], float]]] = []
        self.oldest_job = 0.0
        """The longest any queue's next job was seen waiting, in seconds."""
        self.unsequenced = 0.0
        """The highest age of an event without a position, in seconds."""
        self.processors: dict[str, float] = {}
        self.failed = ""
        self._ended = threading.Event()
        self._spent_before, self._at = self._spent(), time.monotonic()

    def run(self) -> None:
        try:
            while not self._ended.wait(EVERY_SECONDS):
                self.samples.append((time.monotonic() - self._at, self._sample()))
        except Exception as found:  # noqa: BLE001  (a run that was not watched proves nothing)
            self.failed = f"the deployment was not watched to the end: {found!r}"
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop sampling; `processors` is then the share of one processor each process took."""
        self._ended.set()
        self.join(30)
        passed = time.monotonic() - self._at
        self.processors = {
            name: (now - self._spent_before[name]) / passed for name, now in self._spent().items()
        }

    def growth(self) -> list[Growth]:
        whole = self.samples[-1][0]
        names = self.samples[-1][1]
        return [
            Growth(*name, *(self._around(name, whole * share) for share in (WARM, 0.5, 1 - WINDOW)))
            for name in names
        ]

    def _around(self, name: tuple[str, str], begin: float) -> float:
        """The median from `begin` on, over a tenth of the run."""
        end = begin + self.samples[-1][0] * WINDOW
        inside = [sample[name] for at, sample in self.samples if begin <= at <= end]
        return statistics.median(inside or [self.samples[-1][1][name]])

    def _spent(self) -> dict[str, float]:
        return {
            name: sum(processor_seconds(each) for each in family(self.running.pid(name)))
            for name in self.running.names
        }

    def _sample(self) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for name in self.running.names:
            pids = family(self.running.pid(name))
            found[name, "MB"] = sum(resident(pid) for pid in pids)
            found[name, "files"] = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
            found["PostgreSQL", "connections"] = cursor.fetchone()[0]
        if self.running.pooler is not None:
            found["PgBouncer, clients", "connections"] = self.running.pooler.clients()
        self._read_metrics()
        return found

    def _read_metrics(self) -> None:
        try:
            text = HTTP.get(f"{self.running.url}/metrics", timeout=30).text
        except httpx.TransportError as found:
            self.failed = f"/metrics did not answer: {found!r}"
            return
        self.oldest_job = max(self.oldest_job, _highest(text, "queue_oldest_seconds"))
        self.unsequenced = max(self.unsequenced, _highest(text, "events_waiting_seconds"))


def _highest(text: str, gauge: str) -> float:
    values = re.findall(rf"(?m)^{gauge}(?:\{{[^}}]*\}})? (\S+)$", text)
    return max(map(float, values), default=0.0)
