"""Passwords are hashed slowly, on purpose; so only a few at a time, or a flood of log-ins takes the whole machine."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.contrib.auth.hashers import check_password, make_password

from backoffice.throttle import TooManyRequests

AT_ONCE: Final = max(1, (os.cpu_count() or 2) // 2)
WAITING: Final = 5
_working = threading.BoundedSemaphore(AT_ONCE)
_admitted = threading.BoundedSemaphore(AT_ONCE + WAITING)


def make(password: str) -> str:
    """The hash to keep of a password. :raises TooManyRequests: while too many others wait for theirs."""
    with _turn():
        return make_password(password)


def is_right(password: str, kept: str) -> bool:
    """Whether a password is the one whose hash was kept. :raises TooManyRequests: as above."""
    with _turn():
        return check_password(password, kept)


@contextmanager
def _turn() -> Iterator[None]:
    if not _admitted.acquire(blocking=False):
        raise TooManyRequests(2)
    try:
        with _working:
            yield
    finally:
        _admitted.release()
