"""Tables as CSV that a spreadsheet opens without running anything in it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from backoffice.csv_text import csv_text


@pytest.mark.parametrize("text", ["=1+1", "==1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", "  =1", "-"])
def test_text_that_might_be_a_formula_begins_with_an_apostrophe(text: str) -> None:
    import csv
    import io

    written = csv_text([text], [[text]])
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert rows == [[f"'{text}"], [f"'{text}"]]


def test_numbers_times_and_other_text_are_written_plainly() -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    row = [Decimal("-1.50"), -3, date(2026, 3, 2), noon, None, 'a "b", c', "x=1"]
    assert csv_text(["a"], [row]) == (
        'a\r\n-1.50,-3,2026-03-02,2026-03-02T12:00:00+00:00,,"a ""b"", c",x=1\r\n'
    )
