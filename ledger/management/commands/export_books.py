"""`manage.py export_books`: a book as beancount text."""

import sys
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from ledger.control import beancount
from ledger.models import Book


class Command(BaseCommand):
    """Reads only. Without --output the text goes to standard output."""

    help = "Write a book as beancount text, which `bean-check` accepts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--book", choices=Book.values, default=Book.REAL.value)
        parser.add_argument(
            "--from", dest="first", type=date.fromisoformat, required=True, help="a business date"
        )
        parser.add_argument(
            "--to", dest="last", type=date.fromisoformat, required=True, help="this one included"
        )
        parser.add_argument("--output", type=Path, help="a file to write")

    def handle(
        self, *args: Any, book: str, first: date, last: date, output: Path | None, **options: Any
    ) -> None:
        text = beancount.export(book, first, last)
        if output is None:
            sys.stdout.writelines(text)
            return
        with output.open("w") as file:
            file.writelines(text)
        self.stdout.write(f"{output}: {beancount.count(book, first, last):,} entries.")
