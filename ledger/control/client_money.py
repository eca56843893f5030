"""Client money: what we owe clients beside what lies at banks, and the difference explained to the last line."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from ledger.control.totals import Group, Totals
from ledger.models import Account

AT_BANKS: Final = frozenset({"bank", "custody"})  # coins lie at the custodian as money does at banks
COLLECTED: Final = "collector"
# What other accounts mean for the difference, in words; a purpose that is not named here stands under its own.
WORDS: Final = MappingProxyType({
    "suspense": "Arrived, and not yet known whose",
    "collector": "With collectors, on its way to our banks",
    "receivable": "Owed to us by clients",
    "collector_fees": "Charged by collectors",
    "bad_debts": "Debts of clients, written off",
    "coins_beside": "Coins that came, too few to be credited",
    "payments_out": "On the way out to clients",
    "deposit_fees": "Fees of deposits, not yet moved to our own bank account",
    "withdrawal_fees": "Fees of withdrawals, not yet moved to our own bank account",
    "exchange": "Exchanged by clients, and not yet between our banks",
    "exchange_spread": "Spreads of exchanges, not yet moved to our own bank account",
    "agent_float": "Held at the venue as its payment agent, less what we still bring there",
    "markup_receivable": "Markup the venue owes us",
    "markup_income": "Markup earned",
    "venue_payments": "Markup the venue has paid",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """What accounts of one purpose contribute to the difference: above zero, money at banks that is owed to no client."""

    group: Group
    words: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Sheet:
    """One currency. The lines sum to the difference exactly, since debits equal credits."""

    currency: str
    owed: Decimal
    at_banks: Decimal
    lines: tuple[Line, ...]

    @property
    def difference(self) -> Decimal:
        """What lies at banks less what is owed to clients; below zero money of clients is elsewhere."""
        return self.at_banks - self.owed

    @property
    def with_collectors(self) -> Decimal:
        """What collectors have taken for us and have not paid to our banks yet."""
        return -sum((line.amount for line in self.lines if line.group.purpose == COLLECTED), Decimal(0))

    @property
    def unexplained(self) -> Decimal:
        """Zero, unless the books do not balance."""
        return self.difference - sum((line.amount for line in self.lines), Decimal(0))


def report(found: Totals) -> list[Sheet]:
    """Each currency of a book's totals, at whatever time they are of."""
    return list(_sheets(found))


def _sheets(found: Totals) -> Iterator[Sheet]:
    for currency in sorted({group.currency for group in found}):
        owed = at_banks = Decimal(0)
        lines = []
        for group, net in sorted(found.items()):
            if group.currency != currency or not net:
                continue
            if group.kind == Account.Kind.LIABILITY and group.owner_type == "client":
                owed -= net
            elif group.kind == Account.Kind.ASSET and group.purpose in AT_BANKS:
                at_banks += net
            else:
                words = WORDS.get(group.purpose, group.purpose.replace("_", " ").capitalize())
                lines.append(Line(group, words, -net))
        yield Sheet(currency, owed, at_banks, tuple(lines))
