"""The books as accounting text, for story tests: what was posted, as a finance person would read it."""

import uuid
from collections.abc import Mapping

from ledger.models import Account, Entry
from ledger.text import entries_text


def books_text(*, book: str, names: Mapping[uuid.UUID, str] | None = None, after: int = 0) -> str:
    """All entries of a book past an entry id, oldest first.

    `names` says how owners are called; everything else is the house's.
    """
    called = names or {}

    def name(account: Account) -> str:
        owner = called.get(account.owner_id, account.owner_type or "house")  # type: ignore[arg-type]
        shard = f" #{account.shard}" if account.shard else ""
        return f"{owner} {account.purpose.replace('_', ' ')}{shard} {account.currency_id}"

    return entries_text(Entry.objects.filter(book=book, id__gt=after).order_by("id"), name=name)


def balances_text(*, book: str, names: Mapping[uuid.UUID, str] | None = None) -> str:
    """What stands on each account of a book that is not empty: one line each, held amounts in brackets."""
    called = names or {}
    lines = []
    for account in Account.objects.filter(book=book).select_related("currency").order_by("id"):
        if not account.posted and not account.held:
            continue
        owner = called.get(account.owner_id, account.owner_type or "house")  # type: ignore[arg-type]
        digits = account.currency.exponent
        held = f" (held {account.held:,.{digits}f})" if account.held else ""
        name = f"{owner} {account.purpose.replace('_', ' ')}"
        lines.append(f"{name}: {account.posted:,.{digits}f} {account.currency_id}{held}")
    return "\n".join(lines)
