"""The ledger's tables, by noun. Django finds models through this module."""

from ledger.models.books import (
    Account,
    AccountQuerySet,
    AccountRef,
    Book,
    Entry,
    EntryQuerySet,
    Hold,
    HoldQuerySet,
    Posting,
    Side,
    account_id,
)
from ledger.models.control import (
    BalanceAssertion,
    BalanceAssertionQuerySet,
    Closing,
    ClosingQuerySet,
    InvariantOffender,
    InvariantRun,
)

__all__ = [
    "Account",
    "AccountQuerySet",
    "AccountRef",
    "BalanceAssertion",
    "BalanceAssertionQuerySet",
    "Book",
    "Closing",
    "ClosingQuerySet",
    "Entry",
    "EntryQuerySet",
    "Hold",
    "HoldQuerySet",
    "InvariantOffender",
    "InvariantRun",
    "Posting",
    "Side",
    "account_id",
]
