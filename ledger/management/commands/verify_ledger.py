"""`manage.py verify_ledger`: recompute the ledger from its postings."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from ledger.verify import verify


class Command(BaseCommand):
    """Exits with 0 if everything agrees and 1 if anything differs. Repairs nothing."""

    help = "Recompute every balance from the postings and print what differs. Exit code 1 if anything does."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--limit", type=int, default=100, help="how many differences of a check are printed"
        )

    def handle(self, *args: Any, limit: int, **options: Any) -> None:
        wrong = 0
        for check in verify(limit):
            mark = "ok    " if not check.found else "DIFFER"
            self.stdout.write(f"{mark}  {check.name}: {check.rows:,} rows, {check.rows_per_second:,} rows/s")
            for difference in check.differences:
                self.stdout.write(
                    f"        {difference.what}: {difference.stands}, not {difference.should_be}"
                )
            if check.found > len(check.differences):
                self.stdout.write(f"        … and {check.found - len(check.differences):,} more")
            wrong += check.found
        if wrong:
            self.stdout.write(f"{wrong:,} differences.")
            raise SystemExit(1)
        self.stdout.write("The ledger agrees with its postings.")
