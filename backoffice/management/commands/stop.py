"""`manage.py stop`: ends what `manage.py start` started, from another terminal."""

import fcntl
import os
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backoffice import embedded
from backoffice.configuration import configuration
from backoffice.running import orphans
from backoffice.running.supervisor import lock_file, running_supervisor

_PATIENCE_SECONDS = 120.0


class Command(BaseCommand):
    help = "Stops the running back office, waits for its end, and stops embedded servers that nobody uses."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        data_dir = configuration().data_dir.resolve()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        asked = False
        with lock_file(data_dir) as lock:
            while not _take(lock):
                pid, _ = running_supervisor(data_dir)
                if pid and not asked:
                    os.kill(pid, signal.SIGTERM)
                    asked = True
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"The supervisor (pid {pid}) did not stop within {_PATIENCE_SECONDS:.0f} s."
                    )
                time.sleep(0.1)
            left = orphans.end(data_dir)
            embedded.stop_unused(data_dir)
        self.stdout.write("Stopped." if asked or left else "Nothing was running.")


def _take(lock: Any) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
