"""Balance sheet and income of a book, from its totals."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from ledger.control.totals import Group, Totals
from ledger.models import Account

Kind = Account.Kind


@dataclass(frozen=True, slots=True)
class Item:
    """All accounts of one purpose, on their normal side: above zero is more of what they are."""

    group: Group
    amount: Decimal


@dataclass(frozen=True, slots=True)
class BalanceSheet:
    """What there is in one currency, and whose it is. The result is what was earned less what was spent, ever since."""

    currency: str
    assets: tuple[Item, ...]
    liabilities: tuple[Item, ...]
    equity: tuple[Item, ...]
    result: Decimal

    @property
    def total_assets(self) -> Decimal:
        return _sum(self.assets)

    @property
    def total_claims(self) -> Decimal:
        """Liabilities, equity and result together; equal to the assets in books that balance."""
        return _sum(self.liabilities) + _sum(self.equity) + self.result


@dataclass(frozen=True, slots=True)
class Income:
    """What was earned and spent in one currency over a period."""

    currency: str
    earned: tuple[Item, ...]
    spent: tuple[Item, ...]

    @property
    def result(self) -> Decimal:
        return _sum(self.earned) - _sum(self.spent)


def balance_sheet(found: Totals) -> list[BalanceSheet]:
    """Each currency of a book's totals at the end of some day."""
    return [
        BalanceSheet(
            currency,
            _items(found, currency, Kind.ASSET),
            _items(found, currency, Kind.LIABILITY),
            _items(found, currency, Kind.EQUITY),
            _sum(_items(found, currency, Kind.INCOME)) - _sum(_items(found, currency, Kind.EXPENSE)),
        )
        for currency in _currencies(found)
    ]


def income(moved: Totals) -> list[Income]:
    """Each currency of what moved on a book within a period."""
    return [
        Income(currency, _items(moved, currency, Kind.INCOME), _items(moved, currency, Kind.EXPENSE))
        for currency in _currencies(moved)
    ]


def _currencies(found: Totals) -> list[str]:
    return sorted({group.currency for group, net in found.items() if net})


def _items(found: Totals, currency: str, kind: str) -> tuple[Item, ...]:
    sign = 1 if kind in (Kind.ASSET, Kind.EXPENSE) else -1
    rows = sorted(
        (group, net) for group, net in found.items() if (group.currency, group.kind) == (currency, kind)
    )
    return tuple(Item(group, sign * net) for group, net in rows if net)


def _sum(items: Iterable[Item]) -> Decimal:
    return sum((item.amount for item in items), Decimal(0))
