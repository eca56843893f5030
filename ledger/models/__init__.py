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

__all__ = [
    "Account",
    "AccountQuerySet",
    "AccountRef",
    "Book",
    "Entry",
    "EntryQuerySet",
    "Hold",
    "HoldQuerySet",
    "Posting",
    "Side",
    "account_id",
]
