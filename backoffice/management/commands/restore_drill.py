"""`manage.py restore_drill [FOLDER]`: is the backup good? Restores it beside, proves what came out, drops it again."""

import tempfile
from argparse import ArgumentParser
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backoffice import stopping
from backoffice.backups import making, report
from backoffice.backups.drill import drill
from backoffice.backups.scratch import name_of
from backoffice.backups.tools import BackupError
from backoffice.backups.verifications import Step


class Command(BaseCommand):
    help = "Restore a backup into a scratch database and prove it. Exit code 0: it is good; 1: it is not, and why."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "folder", type=Path, nargs="?", help="a backup; without one, one is made for the drill"
        )
        parser.add_argument(
            "--keep", action="store_true", help="leave the scratch database there, until the next drill"
        )

    def handle(self, *args: Any, folder: Path | None, keep: bool, **options: Any) -> None:
        steps = []
        try:
            with stopping.leaving(), closing(_steps(folder, keep)) as running:
                self.stdout.write(report.HEAD)
                for step in running:
                    steps.append(step)
                    self.stdout.write(report.line(step))
        except BackupError as refused:
            raise CommandError(str(refused)) from refused
        if keep:
            self.stdout.write(f"The scratch database {name_of()} is left until the next drill.")
        if wrong := [sentence for step in steps for sentence in step.wrong]:
            raise CommandError("\n".join(["The backup is not good:", *wrong]), returncode=1)
        self.stdout.write(f"The backup is good: {sum(step.seconds for step in steps):.1f} s altogether.")


def _steps(folder: Path | None, keep: bool) -> Generator[Step, None, None]:
    with _backup(folder) as (found, made):
        yield from made
        yield from drill(found, keep=keep)


@contextmanager
def _backup(folder: Path | None) -> Iterator[tuple[Path, list[Step]]]:
    """The folder given, or a backup made now and gone afterwards."""
    if folder is not None:
        yield folder, []
        return
    with tempfile.TemporaryDirectory(prefix="nexus-backup-") as made:
        _, step = making.make(Path(made))
        yield Path(made), [step]
