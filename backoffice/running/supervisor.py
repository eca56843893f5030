"""Starts every process of the table, restarts what dies, and stops all of it in order.

One supervisor per data folder, by a lock that a killed one drops by itself. The embedded servers are started
before everything else and stopped after it, unless another process still uses them.
"""

import contextlib
import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from django.core.management import call_command, get_commands
from django.db import connections

from backoffice import embedded, heartbeat
from backoffice.configuration import Configuration
from backoffice.running import orphans, ports, welcome
from backoffice.running.child import Child
from backoffice.running.table import PREPARATION, TABLE
from backoffice.stopping import Stopping

_TICK_SECONDS: Final = 0.1
_SERVERS_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 60.0  # after this the reasons for not being ready are shown


class AlreadyRunning(Exception):
    """Another supervisor runs on this data folder; the message says which and what to open."""


class Stopped(Exception):
    """A signal to stop arrived before everything was up."""


class Supervisor:
    """Everything one `make run` started."""

    def __init__(self, config: Configuration) -> None:
        """`config` as the environment gives it: unset URLs are empty here."""
        self._config = config
        self._data_dir = config.data_dir.resolve()
        self._stopping = Stopping()
        self._ended = threading.Event()
        self._children: list[Child] = []
        self._began = time.monotonic()
        self._look_at = 0.0  # by the monotonic clock; when to see whether the embedded servers still answer
        self._speaking = threading.Lock()

    def run(self) -> None:
        """Start everything, watch it until SIGINT, SIGTERM or SIGHUP, stop everything.

        :raises AlreadyRunning: if another supervisor runs on this data folder.
        :raises PortTaken: if a port cannot be had.
        :raises EmbeddedServerError: if an embedded server does not start.
        """
        with self._alone():
            left = orphans.end(self._data_dir)
            if left:
                self.say(f"Ended {left} processes that an earlier run had left behind.")
            ports.check(self._config)
            postgresql, redis = not self._config.database_url, not self._config.redis_url
            if postgresql or redis:
                embedded.ensure(self._data_dir, postgresql=postgresql, redis=redis)
            try:
                self._prepare()
                self._start()
                threading.Thread(target=self._welcome, name="welcome", daemon=True).start()
                self._watch()
            except Stopped:
                self.say("Stopping before everything was up.")
            finally:
                self._end()
                embedded.release(self._data_dir)
                self.say("Everything is stopped.")

    def say(self, text: str) -> None:
        """One short message to the person at the console, and to the supervisor's log."""
        with self._speaking:
            with contextlib.suppress(OSError):  # the terminal may be gone; the log remains
                sys.stdout.write(f"{text}\n")
                sys.stdout.flush()
            with (self._data_dir / "logs" / "supervisor.log").open("a") as log:
                log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        (self._data_dir / "logs").mkdir(parents=True, exist_ok=True)
        with lock_file(self._data_dir) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as taken:
                pid, url = running_supervisor(self._data_dir)
                raise AlreadyRunning(
                    f"Already running (pid {pid}): open {url}/admin/, or stop it with `make stop`."
                ) from taken
            lock.truncate(0)
            url = self._config.public_url or f"http://localhost:{self._config.port}"
            lock.write(json.dumps({"pid": os.getpid(), "url": url}))
            lock.flush()
            yield

    def _prepare(self) -> None:
        """Migrations, roles, schedule, demo data: what exists of it, in this process to save start-up time."""
        known = get_commands()
        for command, demo_only in PREPARATION:
            if self._stopping.asked:
                raise Stopped
            if command in known and (self._config.demo or not demo_only):
                call_command(command, verbosity=0)
        if not self._config.redis_url:
            heartbeat.forget_all()  # a killed run's last heartbeats must not make this one look ready
        connections.close_all()

    def _start(self) -> None:
        known = get_commands()
        for process in TABLE:
            if process.command in known and process.wanted(self._config):
                log = self._data_dir / "logs" / f"{process.name}.log"
                self._children.append(Child(process, process.command_line(self._config), log, self.say))
        for child in self._children:
            child.start(self._environment())

    def _environment(self) -> dict[str, str]:
        """What the processes inherit: the addresses in full, so that none of them starts servers of its own."""
        return os.environ | {
            "DATABASE_URL": self._config.database_url or embedded.database_url(self._data_dir),
            "REDIS_URL": self._config.redis_url or embedded.redis_url(self._data_dir),
            "DATA_DIR": str(self._data_dir),
            "PYTHONUNBUFFERED": "1",
            orphans.MARK: str(self._data_dir),
        }

    def _tend_servers(self) -> None:
        """Bring an embedded server back that died; the processes meanwhile wait for it by themselves."""
        postgresql, redis = not self._config.database_url, not self._config.redis_url
        if time.monotonic() < self._look_at or not (postgresql or redis):
            return
        self._look_at = time.monotonic() + _SERVERS_SECONDS
        if embedded.answer(self._data_dir, postgresql=postgresql, redis_too=redis):
            return
        self.say("An embedded server ended; starting it again.")
        try:
            embedded.start(self._data_dir, postgresql=postgresql, redis=redis)
        except embedded.EmbeddedServerError as refusal:
            self.say(f"It does not start: {refusal}")

    def _watch(self) -> None:
        while not self._stopping.wait(_TICK_SECONDS):
            self._tend_servers()
            for child in self._children:
                code = child.died()
                if code is not None:
                    pause = child.bury(code)
                    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                    log = self._data_dir / "logs" / f"{child.process.name}.log"
                    self.say(
                        f"{child.process.name} ended ({how}); starting it again in {pause:.0f} s. Its log: {log}"
                    )
                elif child.pid is None and time.monotonic() >= child.start_at:
                    child.start(self._environment())
                    self.say(f"{child.process.name} started again.")

    def _welcome(self) -> None:
        """Say when everything is up; after a minute, say why it is not."""
        complained = False
        while reasons := welcome.not_ready(self._config):
            if not complained and time.monotonic() - self._began > _PATIENCE_SECONDS:
                self.say("Not ready yet:\n" + "\n".join(f"  - {reason}" for reason in reasons))
                complained = True
            if self._ended.wait(0.2):
                return
        self.say(welcome.page(self._config, time.monotonic() - self._began))

    def _end(self) -> None:
        """Stage by stage: ask all of a stage to stop, wait for each, kill what does not. A second signal cuts the wait."""
        self._ended.set()
        if self._children:
            self.say("Stopping…")
        for stage in sorted({child.process.stage for child in self._children}):
            leaving = [child for child in self._children if child.process.stage == stage]
            for child in leaving:
                child.ask_to_stop()
            asked = time.monotonic()
            for child in leaving:
                grace = child.process.grace_seconds if self._stopping.times < 2 else 1.0
                if not child.wait(asked + grace):
                    self.say(f"{child.process.name} did not stop within {grace:.0f} s and was killed.")


def lock_file(data_dir: Path) -> IO[str]:
    """The file that the supervisor of a data folder holds locked while it runs; open it, then try the lock."""
    return (data_dir / "supervisor.lock").open("a+")


def running_supervisor(data_dir: Path) -> tuple[int, str]:
    """The pid of the last supervisor of this data folder and the address it serves."""
    found = json.loads((data_dir / "supervisor.lock").read_text() or '{"pid": 0, "url": ""}')
    return int(found["pid"]), str(found["url"])
