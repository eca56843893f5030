"""What a statement file says, whatever its format; what we expect of it; and how a file is refused."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final

from backoffice.errors import InvalidInput

# What a file may have at most: months of a busy account.
MOST_BYTES: Final = 20 * 1024 * 1024
MOST_LINES: Final = 100_000


class FileTooLarge(InvalidInput):
    """The file is larger than any statement we take in at once; it is not even looked at."""

    code = "FILE_TOO_LARGE"
    field = "file"


class FileBroken(InvalidInput):
    """The file cannot be read to its end: cut off, damaged, or something else altogether."""

    code = "FILE_BROKEN"
    field = "file"


class FileForbidden(InvalidInput):
    """The file has a document type or entities, which no bank sends and which can do harm."""

    code = "FILE_FORBIDDEN"
    field = "file"


class FileUnknown(InvalidInput):
    """It is no statement in a format, version or with columns we know."""

    code = "FILE_UNKNOWN"
    field = "file"


class FileAmbiguous(InvalidInput):
    """Its dates or amounts can be read in two ways; nobody guesses."""

    code = "FILE_AMBIGUOUS"
    field = "file"


class OtherAccount(InvalidInput):
    """The statement is of another account, or in another currency, than the one it was uploaded for."""

    code = "OTHER_ACCOUNT"
    field = "file"


class BalancesDiffer(InvalidInput):
    """Opening balance and lines do not make the closing balance: a line is missing, or one too many."""

    code = "BALANCES_DIFFER"
    field = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a file is expected to be about: our account's numbers, its currency, how its CSV columns are called."""

    numbers: frozenset[str]
    currency: str
    exponent: int
    columns: Mapping[str, Any] = field(default_factory=dict)

    def is_ours(self, number: str) -> bool:
        return plain_number(number) in self.numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One movement as the bank tells it. `direction` is “in” or “out”; amounts are above zero."""

    place: int
    direction: str
    amount: Decimal
    booked_on: date
    value_on: date | None = None
    is_reversal: bool = False
    text: str = ""
    counterparty: str = ""
    counterparty_iban: str = ""
    end_to_end_id: str = ""
    bank_id: str = ""

    @property
    def signed(self) -> Decimal:
        return self.amount if self.direction == "in" else -self.amount


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that cannot be read, and why."""

    place: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A file that was read: its lines in the file's order, and the rows that cannot be taken in."""

    format: str
    number: str = ""
    starts_on: date | None = None
    ends_on: date | None = None
    opening: Decimal | None = None
    closing: Decimal | None = None
    lines: tuple[Line, ...] = ()
    errors: tuple[RowError, ...] = ()
    # Entries that are not booked yet, and statements of other accounts in the same file.
    skipped: int = 0

    @property
    def money_in(self) -> Decimal:
        return sum((line.amount for line in self.lines if line.direction == "in"), Decimal(0))

    @property
    def money_out(self) -> Decimal:
        return sum((line.amount for line in self.lines if line.direction == "out"), Decimal(0))


def plain_number(number: str) -> str:
    """An account's number without what people put between its signs."""
    return "".join(sign for sign in number.upper() if sign.isalnum())


def cut(text: str, size: int) -> str:
    """Text on one line, without what cannot be printed, as long as its column at most."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(text.split())[:size].strip()


def fingerprints(lines: Iterable[Line]) -> list[str]:
    """What each line is known by on its account, whatever files it is in: all it says, and its how-many-th it is.

    Lines that are alike to the letter on one day are told apart by counting them; so two of them stay two, and the same
    two in an overlapping statement are known.
    """
    seen: Counter[str] = Counter()
    found = []
    for line in lines:
        said = json.dumps([
            line.direction, f"{line.amount.normalize():f}", line.booked_on.isoformat(),
            line.value_on and line.value_on.isoformat(), line.is_reversal, line.text, line.counterparty,
            line.counterparty_iban, line.end_to_end_id, line.bank_id,
        ])  # fmt: skip
        found.append(hashlib.sha256(f"{said}|{seen[said]}".encode()).hexdigest())
        seen[said] += 1
    return found
