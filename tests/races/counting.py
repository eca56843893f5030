"""What the twins of limits take away, and how they have two requests meet."""

import threading
from typing import Any

from django.db.models import QuerySet

from compliance.moved import Moved


def without_locks_both_count_before_either_goes_on(monkeypatch: Any) -> None:
    """No row is locked, and each of two threads waits, when it has counted what a client moved, until the other has too."""
    both_have_counted, seen = threading.Barrier(2), threading.local()
    plain = Moved.amount

    def counted(self: Moved, *args: Any) -> Any:
        found = plain(self, *args)
        if not getattr(seen, "once", False):
            seen.once = True
            both_have_counted.wait(10)
        return found

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    monkeypatch.setattr(Moved, "amount", counted)
