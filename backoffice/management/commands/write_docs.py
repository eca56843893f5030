"""`manage.py write_docs`: the generated pages, and the API's schema."""

import difflib
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backoffice.configuration import ROOT
from backoffice.documents import documents


class Command(BaseCommand):
    help = "Writes every file that is generated from the code; with --check it only compares, and fails on a difference."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="Write nothing; exit with 1 if a file has drifted."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        drifted = False
        for name in documents.names():
            path = ROOT / name
            text = documents.get(name)()
            present = path.read_text() if path.exists() else ""
            if present == text:
                continue
            if options["check"]:
                drifted = True
                difference = difflib.unified_diff(
                    present.splitlines(), text.splitlines(), name, f"{name} by the code", lineterm=""
                )
                self.stderr.write("\n".join(list(difference)[:40]))
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                self.stdout.write(f"Wrote {name}.")
        if drifted:
            self.stderr.write(
                "Generated files are not what the code says; run `make schema` and commit the result."
            )
            sys.exit(1)
