"""`manage.py verify_events`: does the event log still say what it said when it was written?"""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backoffice import sequencer


class Command(BaseCommand):
    help = "Recompute the hash chain of the event log. Exit code 0: it holds; 1: it is broken, and where."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=int, default=0, help="start after this position")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.perf_counter()
        found = sequencer.verify(since=options["since"])
        seconds = time.perf_counter() - started
        if found.first_break:
            raise CommandError(
                f"The event log is broken at position {found.first_break.position}: {found.first_break.reason}. "
                f"{found.checked} events before it hold.",
                returncode=1,
            )
        self.stdout.write(
            f"{found.checked} events hold, head {found.head.hex()[:16]}…, {found.waiting} waiting for a position "
            f"({found.checked / max(seconds, 1e-9):,.0f} events/s)."
        )
