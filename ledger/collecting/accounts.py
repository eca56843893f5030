"""Where collectors stand in our books, and what clients owe us."""

from datetime import datetime

from compliance.models import Client
from ledger import accounts
from ledger.collecting.port import collectors
from ledger.models import Account, Book


def receivable(collector: str, currency: str, *, at: datetime) -> Account:
    """What a collector owes us, or we it where it is below zero; opened when first asked for. Its payouts to our bank lower it."""
    return accounts.open_account(
        book=Book.REAL,
        currency=currency,
        kind=Account.Kind.ASSET,
        purpose="collector",
        owner=("collector", collectors.get(collector).uuid),
        guarded=False,
        at=at,
    )


def owed_by(client: Client, currency: str, *, at: datetime) -> Account:
    """What a client owes us, opened when first asked for. Never below zero: nobody pays back more than they owe."""
    return accounts.open_account(
        book=Book.REAL,
        currency=currency,
        kind=Account.Kind.ASSET,
        purpose="receivable",
        owner=("client", client.uuid),
        client_id=client.uuid,
        at=at,
    )


def fees(currency: str) -> Account:
    """What collectors charge us: for payments, and for disputes."""
    return accounts.house(Book.REAL, currency, "collector_fees", Account.Kind.EXPENSE)


def bad_debts(currency: str) -> Account:
    """What clients owed us and was written off."""
    return accounts.house(Book.REAL, currency, "bad_debts", Account.Kind.EXPENSE)
