"""What an entry is made of before it is posted, and what the answer says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from backoffice.database import uuid7
from ledger.content import Subject
from ledger.models import AccountRef, Entry, Hold, Side


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an entry to come: a positive amount on one side, in the account's own currency."""

    account: AccountRef
    side: Side | str
    amount: Decimal


# The side that lowers an account, whichever that is: resolved in the database, so that nothing need be read first.
LOWER: Final = "lower"


def debit(account: AccountRef, amount: Decimal) -> Line:
    """A debit of an account: raises assets and expenses, lowers the rest."""
    return Line(account, Side.DEBIT, amount)


def credit(account: AccountRef, amount: Decimal) -> Line:
    """A credit of an account: raises liabilities, income and equity, lowers the rest."""
    return Line(account, Side.CREDIT, amount)


@dataclass(frozen=True, slots=True)
class Balance:
    """What stands on an account, on its normal side, in its currency."""

    posted: Decimal
    held: Decimal

    @property
    def available(self) -> Decimal:
        return self.posted - self.held


@dataclass(frozen=True, slots=True)
class Posted:
    """The answer to a post. `entry_id` is None after a dry run.

    `balances` are by account id and stand right after the entry; after a replay they are as they stand now.
    """

    entry_id: int | None
    uuid: UUID
    replayed: bool
    balances: Mapping[int, Balance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry to be posted. `at` is when it counts, by our clock.

    The business date is the UTC date of that unless given; where that day is closed in the book, the next open one.

    `captures` are holds this entry uses up, each with the amount it takes from it; what remains of them is freed.
    """

    kind: str
    lines: Sequence[Line]
    at: datetime
    key: str
    reference: str = ""
    narration: str = ""
    business_date: date | None = None
    subject: Subject = None
    client_id: UUID | None = None
    captures: Sequence[tuple[Hold, Decimal]] = ()
    reverses: Entry | None = None
    uuid: UUID = field(default_factory=uuid7)
