"""`manage.py backup FOLDER`: the database into a folder, with a manifest of what must be in it again."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backoffice import stopping
from backoffice.backups import making
from backoffice.backups.tools import BackupError


class Command(BaseCommand):
    help = "Back the database up into a new folder, all of one moment. `restore_drill` proves it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="a folder that is new or empty")

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            with stopping.leaving():
                made, step = making.make(folder)
        except BackupError as refused:
            raise CommandError(str(refused)) from refused
        bytes_now = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        self.stdout.write(
            f"{folder}: {made.contents.rows:,} rows of {len(made.contents.tables)} tables in {step.seconds:.1f} s, "
            f"{made.database_bytes / 1e6:,.0f} MB became {bytes_now / 1e6:,.0f} MB; "
            f"events up to {made.contents.position:,}."
        )
