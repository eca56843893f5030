"""Exchange rates as CSV: what a file must look like, and what is wrong with one. Reads only."""

import csv
import io
from datetime import UTC, datetime
from typing import Final

from backoffice.errors import InvalidInput
from ledger.rates import AT_ONCE, Given

COLUMNS: Final = ("base", "quote", "mid")
LARGEST: Final = 256 * 1024  # bytes


class UnreadableRates(InvalidInput):
    """The file is no list of rates; its message says where."""

    code = "UNREADABLE_RATES"
    field = "file"


def read(content: bytes, *, at: datetime) -> list[Given]:
    """The rates in a file, in its order. UTF-8, separated by commas or semicolons; columns by their names, in any order.

    Without `taken_at` a rate was taken `at`; without a time zone it is UTC. Amounts are not looked at here.

    :raises UnreadableRates: if it is not such a file, is too long, or a row is not one.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableRates("The file is not UTF-8.") from None
    separator = ";" if ";" in text.partition("\n")[0] else ","
    try:
        rows = list(csv.DictReader(io.StringIO(text), delimiter=separator, strict=True))
    except csv.Error as wrong:
        raise UnreadableRates(f"The file is not CSV: {wrong}.") from None
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise UnreadableRates(
            f"The first line names the columns: {', '.join(COLUMNS)}; then comes a rate in each line."
        )
    if len(rows) > AT_ONCE:
        raise UnreadableRates(f"At most {AT_ONCE:,} rates at once.")
    return [_row(row, number, at) for number, row in enumerate(rows, start=2)]


def _row(row: dict[str, str | None], number: int, at: datetime) -> Given:
    base, quote, mid = ((row[name] or "").strip() for name in COLUMNS)
    taken = (row.get("taken_at") or "").strip()
    if not (base and quote and mid) or None in row:
        raise UnreadableRates(
            f"Line {number} is not a rate: base, quote and mid are needed, and nothing more."
        )
    try:
        instant = datetime.fromisoformat(taken) if taken else at
    except ValueError:
        raise UnreadableRates(
            f"Line {number}: “{taken[:40]}” is not an instant such as 2026-11-26T09:00:00Z."
        ) from None
    return Given(base.upper(), quote.upper(), mid, instant if instant.tzinfo else instant.replace(tzinfo=UTC))
