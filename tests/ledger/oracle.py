"""What the books should say: the ledger's rules once more in plain Python, and the query that shows what it says."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from backoffice.errors import DomainError
from backoffice.money import InvalidAmount
from ledger.refusals import InsufficientFunds, MixedBooks, Unbalanced

NAMES: Final = ("ada", "ben", "eve", "ada euro", "ada real", "bank", "bank euro", "open", "open 2")
BOOK = {name: "real" if "real" in name else "demo" for name in NAMES}
CURRENCY = {name: "EUR" if "euro" in name else "USD" for name in NAMES}
NORMAL = {name: "debit" if "bank" in name else "credit" for name in NAMES}
GUARDED = {name: "bank" not in name and "open" not in name for name in NAMES}

STATE: Final = """
    SELECT a.id, a.posted, a.held, coalesce(p.total, 0), coalesce(h.total, 0), coalesce(p.lines, 0),
           coalesce(p.balance_after, 0)
    FROM ledger_account a
    LEFT JOIN LATERAL (
        SELECT sum(CASE WHEN (x.side = 'debit') = (a.kind = 'asset') THEN x.amount ELSE -x.amount END) AS total,
               count(*) AS lines, (array_agg(x.balance_after ORDER BY x.id DESC))[1] AS balance_after
        FROM ledger_posting x WHERE x.account_id = a.id) p ON true
    LEFT JOIN LATERAL (
        SELECT sum(x.amount) AS total FROM ledger_hold x WHERE x.account_id = a.id AND x.state = 'held') h ON true
    WHERE a.id = ANY (%s)
"""


@dataclass
class Model:
    """What the books should say: the oracle. Amounts on each account's normal side."""

    posted: dict[str, Decimal] = field(default_factory=dict)
    held: dict[str, Decimal] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def effect(
        self, lines: list[tuple[str, str, Decimal]], freed: dict[str, Decimal]
    ) -> type[DomainError] | None:
        """Book the lines, or say which refusal they must meet and book nothing."""
        if any(
            not amount.is_finite() or amount != round(amount, 2) or not 0 < amount < 10**20
            for _, _, amount in lines
        ):
            return InvalidAmount
        if len({BOOK[name] for name, _, _ in lines}) > 1:
            return MixedBooks
        for currency in {CURRENCY[name] for name, _, _ in lines}:
            if sum(a if side == "debit" else -a for name, side, a in lines if CURRENCY[name] == currency):
                return Unbalanced
        after = dict(self.posted)
        for name, side, amount in lines:
            after[name] += amount if side == NORMAL[name] else -amount
        for name, _, _ in lines:
            if GUARDED[name] and after[name] < self.held[name] - freed.get(name, Decimal(0)):
                return InsufficientFunds
        self.posted = after
        for name, _, _ in lines:
            self.lines[name] += 1
        for name, amount in freed.items():
            self.held[name] -= amount
        return None
