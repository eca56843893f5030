"""Bank statements as CSV: separator, encoding, dates and decimals are found out for the whole file, never row by row.

Which column is which is data: `BankAccount.csv_columns` names them as the bank heads them, and `NAMES` has what many banks
say. Also there: `date_format` (as `%d/%m/%Y`) and `decimal` (`,` or `.`) for files in which they could be read in two ways.
Cells are text, whatever they begin with; nothing in them is ever evaluated.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from backoffice.errors import InvalidInput
from backoffice.money import parse_amount
from ledger.bank.lines import (
    MOST_LINES,
    Expected,
    FileAmbiguous,
    FileBroken,
    FileTooLarge,
    FileUnknown,
    Line,
    OtherAccount,
    Read,
    RowError,
    cut,
)

FORMAT: Final = "csv"
# What a column is for, and how banks head it; the first that a file has is taken.
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "booked_on": ("booking date", "booked on", "posting date", "transaction date", "date", "buchungstag", "buchungsdatum",
                  "boekdatum", "datum", "date de comptabilisation", "fecha"),
    "value_on": ("value date", "valutadatum", "valuta", "rentedatum", "date de valeur", "fecha valor"),
    "amount": ("amount", "transaction amount", "betrag", "bedrag", "montant", "importe", "umsatz"),
    "money_in": ("credit", "credit amount", "money in", "paid in", "gutschrift", "haben"),
    "money_out": ("debit", "debit amount", "money out", "paid out", "lastschrift", "soll"),
    "side": ("debit/credit", "credit/debit", "dr/cr", "cr/dr", "af bij", "s/h"),
    "currency": ("currency", "ccy", "währung", "waehrung", "munt", "muntsoort", "devise", "divisa"),
    "text": ("description", "reference", "payment reference", "details", "remittance information", "narrative", "verwendungszweck",
             "omschrijving-1", "mededelingen", "naam / omschrijving", "communication", "concepto"),
    "counterparty": ("counterparty", "counterparty name", "payer", "name", "beguenstigter/zahlungspflichtiger",
                     "begünstigter/zahlungspflichtiger", "name zahlungsbeteiligter", "naam tegenpartij", "payee"),
    "counterparty_iban": ("counterparty iban", "counterparty account", "kontonummer/iban", "iban zahlungsbeteiligter",
                          "tegenrekening iban/bban", "tegenrekening"),
    "end_to_end_id": ("end to end id", "end-to-end id", "end to end reference", "kundenreferenz (end-to-end)", "ende-zu-ende-referenz"),
    "bank_id": ("transaction id", "bank reference", "transaction reference", "transactiereferentie", "id", "volgnr"),
    "account": ("account", "account number", "own iban", "iban", "auftragskonto", "iban auftragskonto", "iban/bban", "rekening"),
}  # fmt: skip
_OUT: Final = frozenset({"d", "dr", "db", "dbit", "debit", "af", "s", "soll", "-"})
_IN: Final = frozenset({"c", "cr", "crdt", "credit", "bij", "h", "haben", "+"})
_DATES: Final = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y%m%d",
                 "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y")  # fmt: skip
_HEAD_WITHIN: Final = 30  # rows a bank may write before the columns' heads


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows of a file under its heads, each with its place in the file."""

    columns: dict[str, int]
    rows: list[tuple[int, list[str]]]

    def cells(self, column: str) -> list[str]:
        place = self.columns.get(column)
        return [] if place is None else [_cell(row, place) for _, row in self.rows]


def read(content: bytes, expected: Expected) -> Read:
    """All rows of the file as lines, and those that cannot be read, each with its reason.

    :raises FileBroken: if it is no text, or no table. :raises FileUnknown: if it lacks a column for the date or the amount.
    :raises FileAmbiguous: if its dates or decimals can be read in two ways. :raises FileTooLarge: if it has too many rows.
    :raises OtherAccount: if a row names another account than ours, or another currency.
    """
    table = _table(_decoded(content), expected)
    if len(table.rows) > MOST_LINES:
        raise FileTooLarge(f"The file has more than {MOST_LINES:,} rows. Split it by days.")
    _check_ours(table, expected)
    columns = [table.cells(name) for name in ("booked_on", "value_on")]
    day = _dates([cell for cells in columns for cell in cells], expected.columns.get("date_format"))
    sums = [cell for name in ("amount", "money_in", "money_out") for cell in table.cells(name)]
    number = _numbers(sums, expected.columns.get("decimal"))
    lines: list[Line] = []
    errors: list[RowError] = []
    for place, row in table.rows:
        get = _getter(table.columns, row)
        try:
            if (line := _line(place, get, day, number, expected)) is not None:
                lines.append(line)
        except InvalidInput as wrong:
            errors.append(RowError(place, wrong.message))
    days = [line.booked_on for line in lines]
    return Read(
        format=FORMAT, starts_on=min(days, default=None), ends_on=max(days, default=None), lines=tuple(lines),
        errors=tuple(errors),
    )  # fmt: skip


def _line(
    place: int,
    get: Callable[[str], str],
    day: Callable[[str], date],
    number: Callable[[str], Decimal],
    expected: Expected,
) -> Line | None:
    """A row as a line; nothing for an amount of zero. :raises InvalidInput: if it cannot be read."""
    signed = _signed(get, number)
    amount = parse_amount(abs(signed), exponent=expected.exponent)
    if not amount:
        return None
    return Line(
        place=place, direction="in" if signed > 0 else "out", amount=amount, booked_on=day(get("booked_on")),
        value_on=day(get("value_on")) if get("value_on") else None, text=cut(get("text"), 500),
        counterparty=cut(get("counterparty"), 140), counterparty_iban=cut(get("counterparty_iban"), 34),
        end_to_end_id=cut(get("end_to_end_id"), 35), bank_id=cut(get("bank_id"), 64),
    )  # fmt: skip


def _signed(get: Callable[[str], str], number: Callable[[str], Decimal]) -> Decimal:
    money_in, money_out = get("money_in"), get("money_out")
    if money_in or money_out:
        came = number(money_in) if money_in else Decimal(0)
        went = number(money_out) if money_out else Decimal(0)
        if came and went:
            raise InvalidInput("It has money in and money out at once.")
        return came if came else -abs(went)
    value = number(get("amount"))
    side = get("side").casefold()
    if not side:
        return value
    if side not in _OUT | _IN:
        raise InvalidInput(f"“{side[:20]}” says neither in nor out.")
    return -abs(value) if side in _OUT else abs(value)


# ── the table ───────────────────────────────────────────────────────────────────────────────────────────────────


def _decoded(content: bytes) -> str:
    """UTF-8 and UTF-16 by their marks, else UTF-8 if it is that, else the code page of Western Windows or Latin-1."""
    tried = (
        ["utf-16"] if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ["utf-8-sig", "cp1252", "latin-1"]
    )
    for encoding in tried:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return text
    raise FileBroken("The file is no text.")


def _table(text: str, expected: Expected) -> _Table:
    """The table by the separator under which its heads are found. :raises FileUnknown: if there are none."""
    wanted = {name: _heads(expected.columns.get(name), usual) for name, usual in NAMES.items()}
    best: tuple[int, str, int, dict[str, int]] | None = None
    for separator in ";,\t|":
        for number, row in enumerate(_rows("\n".join(text.splitlines()[:_HEAD_WITHIN]), separator)):
            found = _found(row, wanted)
            if _suffices(found) and (best is None or len(found) > best[0]):
                best = (len(found), separator, number, found)
    if best is None:
        raise FileUnknown(
            "No row has heads for the date and the amount. Name the bank's columns on the bank account."
        )
    _, separator, number, columns = best
    rows = [
        (place, row)
        for place, row in enumerate(_rows(text, separator), start=1)
        if place > number + 1 and any(cell.strip() for cell in row)
    ]
    return _Table(columns, rows)


def _rows(text: str, separator: str) -> Iterable[list[str]]:
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error as wrong:
        raise FileBroken(f"The file is no table: {wrong}.") from None


def _heads(given: Any, usual: tuple[str, ...]) -> tuple[str, ...]:
    if given is None:
        return usual
    return tuple(str(one).strip().casefold() for one in ([given] if isinstance(given, str) else given))


def _found(row: list[str], wanted: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    heads = [" ".join(cell.split()).casefold() for cell in row]
    return {
        name: heads.index(next(one for one in names if one in heads))
        for name, names in wanted.items()
        if any(one in heads for one in names)
    }


def _suffices(found: Mapping[str, int]) -> bool:
    return "booked_on" in found and ("amount" in found or "money_in" in found)


def _getter(columns: Mapping[str, int], row: list[str]) -> Callable[[str], str]:
    return lambda name: _cell(row, columns[name]) if name in columns else ""


def _cell(row: list[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _check_ours(table: _Table, expected: Expected) -> None:
    for number in {cell for cell in table.cells("account") if cell}:
        if not expected.is_ours(number):
            raise OtherAccount(f"A row is of another account: {cut(number, 34)}.")
    for currency in {cell.upper() for cell in table.cells("currency") if cell}:
        if currency != expected.currency:
            raise OtherAccount(f"A row is in {cut(currency, 12)}; this account is in {expected.currency}.")


# ── dates and numbers, decided for the whole file ───────────────────────────────────────────────────────────────


def _dates(cells: list[str], given: str | None) -> Callable[[str], date]:
    """How to read the file's dates: the one format that reads all that can be read.

    :raises FileAmbiguous: if two formats do, and say different days.
    """
    wanted = {_date_text(cell) for cell in cells if cell}
    formats = (given,) if given else _DATES
    reads = {one: {cell: found for cell in wanted if (found := _read_day(cell, one))} for one in formats}
    most = max(map(len, reads.values()), default=0)
    best = [days for days in reads.values() if len(days) == most]
    if any(days != best[0] for days in best[1:]):
        raise FileAmbiguous("Its dates can be read in two ways. Set “date_format” on the bank account.")
    chosen = best[0] if best else {}

    def day(cell: str) -> date:
        found = chosen.get(_date_text(cell))
        if found is None:
            raise InvalidInput(f"“{cell[:30]}” is no date." if cell else "It has no date.")
        return found

    return day


def _date_text(cell: str) -> str:
    """A date without the time some banks put behind it."""
    return re.sub(r"[T ]\d{1,2}:\d\d.*$", "", cell)


def _read_day(cell: str, form: str) -> date | None:
    try:
        return datetime.strptime(cell, form).date()  # noqa: DTZ007  a day of the bank's own calendar
    except ValueError:
        return None


def _numbers(cells: list[str], given: str | None) -> Callable[[str], Decimal]:
    """How to read the file's amounts: with a decimal point, or with a comma.

    :raises FileAmbiguous: if both read all of them and say different amounts, or neither reads all that can be read.
    """
    wanted = {cell for cell in cells if cell}
    reads = {
        sign: {cell: value for cell in wanted if (value := _number(cell, sign)) is not None} for sign in ".,"
    }
    if given in reads:
        chosen = reads[given]
    else:
        point, comma = reads["."], reads[","]
        readable = point.keys() | comma.keys()
        full = [values for values in (point, comma) if values.keys() == readable]
        if not full or (len(full) == 2 and point != comma):
            raise FileAmbiguous(
                "Its amounts can be read with a decimal point or a comma. Set “decimal” on the bank account."
            )
        chosen = full[0]

    def number(cell: str) -> Decimal:
        if cell not in chosen:
            raise InvalidInput(f"“{cell[:30]}” is no amount." if cell else "It has no amount.")
        return chosen[cell]

    return number


def _number(cell: str, decimal: str) -> Decimal | None:
    """An amount as banks print it: signs before or behind, thousands apart, the decimal sign given."""
    thousands = re.escape("," if decimal == "." else ".")
    plain = re.sub(r"[\s']", "", cell.replace("−", "-").replace("’", "'"))
    found = re.fullmatch(
        rf"([+-]?)(\d{{1,19}}|\d{{1,3}}(?:{thousands}\d{{3}})+)(?:{re.escape(decimal)}(\d{{1,18}}))?([+-]?)",
        plain,
    )
    if found is None or (found[1] and found[4]):
        return None
    value = Decimal(f"{re.sub(thousands, '', found[2])}.{found[3] or '0'}")
    return -value if "-" in (found[1], found[4]) else value
