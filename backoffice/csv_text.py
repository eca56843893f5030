"""Tables as CSV that a spreadsheet opens without running anything in it."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

# What a spreadsheet takes for the beginning of a formula, or strips until one begins.
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV (RFC 4180, lines end with CR LF). Text that might be read as a formula begins with an apostrophe.

    Numbers (`Decimal`, `int`) are written plainly, those below zero too: they are no text. Instants and dates are
    ISO 8601; None is empty.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in head])
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_DANGEROUS) else text
