"""Noticing that a process was asked to stop, in a way that cannot lock up.

`threading.Event.set` takes a lock: called from a signal handler while the same thread is inside `wait`, it can
wait for itself forever. A plain flag cannot.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_LOOK_EVERY_SECONDS = 0.1


class Stopping:
    """Notes SIGTERM, SIGINT and SIGHUP from now on. Make it in the main thread; a later one takes over."""

    def __init__(self) -> None:
        self.times = 0  # how often it was asked
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(name, self._note)

    @property
    def asked(self) -> bool:
        return self.times > 0

    def wait(self, seconds: float) -> bool:
        """Rest for some seconds or until asked to stop (noticed within a tenth of a second); True if asked."""
        deadline = time.monotonic() + seconds
        while not self.asked and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_EVERY_SECONDS))
        return self.asked

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.times += 1


@contextmanager
def leaving() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise `SystemExit`, as Ctrl-C raises `KeyboardInterrupt`: a command that is asked to
    stop clears up behind itself. For the main thread.
    """
    names = (signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.signal(name, _leave) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
