"""One supervised process: starts it, keeps its log, says how it ended."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from backoffice.embedded import privileges
from backoffice.running.table import Process

_ROTATE_BYTES: Final = 20 * 1024 * 1024
_STEADY_SECONDS: Final = 60.0  # a process that lived this long starts its next back-off from the beginning
_LONGEST_PAUSE_SECONDS: Final = 30.0
_SHOWN: Final = {"WARNING", "ERROR", "CRITICAL"}


class Child:
    """A process of the table while it is supervised. All methods are for the supervisor's one thread."""

    def __init__(self, process: Process, command: list[str], log: Path, say: Callable[[str], None]) -> None:
        self.process = process
        self._command, self._log, self._say = command, log, say
        self._running: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._deaths = 0
        self.start_at = 0.0  # by the monotonic clock; when it may start (again)

    def start(self, environment: dict[str, str]) -> None:
        """Start it in a session of its own, so that a Ctrl-C reaches only the supervisor, which stops it in order.

        It is told to end when the thread that called this ends, whatever killed it (Linux).
        """
        self._running = subprocess.Popen(
            privileges.command(self._command, None, [], dies_with_us=signal.SIGTERM),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**environment, "NEXUS_PROCESS": self.process.name},
        )
        self._started = time.monotonic()
        output = self._running.stdout
        if output is not None:
            threading.Thread(target=self._keep_log, args=(output,), daemon=True).start()

    def died(self) -> int | None:
        """The exit code of a process that ended by itself since it was started; None while it runs."""
        return self._running.poll() if self._running is not None else None

    def bury(self, code: int) -> float:
        """Take note of a death and end what it left behind; returns the seconds until it may start again."""
        lived = time.monotonic() - self._started
        self._deaths = 1 if lived > _STEADY_SECONDS else self._deaths + 1
        self._signal_group(signal.SIGKILL)
        self._running = None
        pause = min(2.0 ** (self._deaths - 1), _LONGEST_PAUSE_SECONDS)
        self.start_at = time.monotonic() + pause
        return pause

    @property
    def pid(self) -> int | None:
        return self._running.pid if self._running is not None else None

    def ask_to_stop(self) -> None:
        if self._running is not None and self._running.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._running.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> bool:
        """Wait for the end until the deadline; True if it ended by itself, else it is killed with all it started."""
        if self._running is None:
            return True
        try:
            self._running.wait(timeout=max(0.0, deadline - time.monotonic()))
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            self._signal_group(signal.SIGKILL)
            self._running.wait()
            self._running = None

    def _signal_group(self, how: signal.Signals) -> None:
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._running.pid, how)

    def _keep_log(self, output: IO[bytes]) -> None:
        """Copy every line to the log file; show people the ones they should see."""
        with output, self._open_log() as log:
            for line in output:
                log.write(line)
                if log.tell() > _ROTATE_BYTES:
                    log.close()
                    log = self._open_log()
                shown = self._short(line)
                if shown:
                    self._say(shown)

    def _open_log(self) -> IO[bytes]:
        if self._log.exists() and self._log.stat().st_size > _ROTATE_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        return self._log.open("ab", buffering=0)

    def _short(self, line: bytes) -> str:
        try:
            found = json.loads(line)
        except ValueError:
            return ""
        if not isinstance(found, dict) or found.get("level") not in _SHOWN:
            return ""
        return f"{self.process.name}: {found['level'].lower()}: {str(found.get('message', ''))[:160]}"
