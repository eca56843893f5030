"""A client's wallet: the money we hold for them ourselves, one account for each currency."""

from datetime import datetime
from uuid import UUID

from ledger import accounts
from ledger.models import Account, Book


def wallet(client_id: UUID, currency: str, *, at: datetime) -> Account:
    """The client's wallet in a currency, opened when first asked for. It never goes below zero, nor below its holds.

    `client_id` is the client's public id.

    :raises AccountDiffers: if it exists as another kind, which nothing of ours makes it.
    """
    return accounts.open_account(
        book=Book.REAL,
        currency=currency,
        kind=Account.Kind.LIABILITY,
        purpose="wallet",
        owner=("client", client_id),
        client_id=client_id,
        at=at,
    )
