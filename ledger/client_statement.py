"""A client's statement: what stood on a wallet, every line in the client's words, and a hash that proves the content.

A statement is made anew whenever it is asked for. The same period gives the same hash as long as nothing was booked
into it late; what was is named.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from backoffice.csv_text import csv_text
from backoffice.errors import InvalidInput
from backoffice.models import Currency
from backoffice.money import quantum
from compliance.models import Client
from ledger import history, reports
from ledger.models import Account, Book

LINES: Final = 20_000


class PeriodTooLong(InvalidInput):
    """The period has more lines than one statement holds; ask for a shorter one."""

    code = "PERIOD_TOO_LONG"
    field = "period"


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what it was, in the client's words; `amount` is above zero when the wallet gains."""

    entry: UUID
    kind: str
    words: str
    reference: str
    at: datetime
    recorded_at: datetime
    amount: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True)
class ClientStatement:
    """A wallet over days, the first and the last included, by UTC."""

    client: Client
    currency: str
    first: date
    last: date
    opening: Decimal
    lines: tuple[Line, ...]
    closing: Decimal
    sha256: str
    exponent: int  # how many decimals the currency's amounts have

    @property
    def late(self) -> tuple[Line, ...]:
        """Lines that were booked after the period had ended: an earlier statement of it had none of them."""
        return tuple(line for line in self.lines if line.recorded_at >= _end(self.last))

    def is_as_proved(self, sha256: str) -> bool:
        """Whether a statement with this hash said exactly what this one says."""
        return sha256.strip().lower() == self.sha256


def client_statement(
    client: Client, currency: str, period: tuple[date, date], *, at_most: int = LINES
) -> ClientStatement:
    """The client's wallet in a currency from one day to another, both included, in the order in which things counted.

    Days are UTC. Amounts have the currency's decimals. A client without such a wallet has an empty statement.

    :raises InvalidInput: if the period ends before it begins, or the currency is not known.
    :raises PeriodTooLong: if it has more than `at_most` lines.
    """
    first, last = period
    if last < first:
        raise InvalidInput("The period ends before it begins.", field="period")
    wallets = Account.objects.filter(
        book=Book.REAL, currency=currency, purpose="wallet", owner_type="client", owner_id=client.uuid
    )
    account = wallets.select_related("currency").first()
    known = account.currency if account is not None else Currency.objects.filter(code=currency).first()
    if known is None:
        raise InvalidInput("There is no such currency.", field="currency")
    digits = quantum(known.exponent)
    lines: tuple[Line, ...] = ()
    opening = closing = Decimal(0)
    if account is not None:
        start, end = datetime.combine(first, time(), UTC), _end(last)
        found = reports.statement(account, (start, end), at_most=at_most + 1)
        if len(found.lines) > at_most:
            raise PeriodTooLong(f"At most {at_most:,} lines fit; ask for a shorter period.")
        opening, closing = found.opening, found.closing
        lines = tuple(_line(row, account, digits) for row in found.lines)
    opening, closing = opening.quantize(digits), closing.quantize(digits)
    said = [
        str(client.uuid), currency, f"{first}", f"{last}", f"{opening:f}", f"{closing:f}",
        [[str(row.entry), row.at.astimezone(UTC).isoformat(), row.kind, row.reference, f"{row.amount:f}", f"{row.balance:f}"]
         for row in lines],
    ]  # fmt: skip
    proof = hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()
    return ClientStatement(client, currency, first, last, opening, lines, closing, proof, known.exponent)


def as_csv(statement: ClientStatement) -> str:
    """The statement as CSV: opening and closing as lines of their own, the hash last."""
    rows: list[list[object]] = [[statement.first, "Opening balance", "", None, statement.opening]]
    rows += [[line.at, line.words, line.reference, line.amount, line.balance] for line in statement.lines]
    rows += [
        [statement.last, "Closing balance", "", None, statement.closing],
        [None, "SHA-256", statement.sha256, None, None],
    ]
    return csv_text(["When (UTC)", "What", "Reference", f"Amount {statement.currency}", "Balance"], rows)


def _line(row: reports.StatementLine, account: Account, digits: Decimal) -> Line:
    amount = row.amount if row.side == account.normal_side else -row.amount
    return Line(
        row.entry, row.kind, history.kind_of(row.kind).words, row.reference, row.effective_at, row.recorded_at,
        amount.quantize(digits), row.balance.quantize(digits),
    )  # fmt: skip


def _end(last: date) -> datetime:
    return datetime.combine(last + timedelta(days=1), time(), UTC)
