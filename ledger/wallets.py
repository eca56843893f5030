"""A client's wallet: the money we hold for them ourselves, one account for each currency."""

from datetime import datetime
from uuid import UUID

from ledger import accounts
from ledger.accounts import Purpose
from ledger.models import Account, Book


def wallet(client_id: UUID, currency: str, *, at: datetime) -> Account:
    """The client's wallet in a currency, opened when first asked for. It never goes below zero, nor below its holds.

    `client_id` is the client's public id.

    :raises AccountDiffers: if it exists as another kind, which nothing of ours makes it.
    """
    return accounts.open_all([purpose(client_id, currency)], at=at)[0]


def purpose(client_id: UUID, currency: str) -> Purpose:
    """What that account is, for whoever opens it with others (`accounts.open_all`)."""
    return Purpose(
        book=Book.REAL, currency=currency, kind=Account.Kind.LIABILITY, purpose="wallet", owner=("client", client_id),
        client_id=client_id,
    )  # fmt: skip
