"""Where our bank accounts stand in our own books, and what stands between a bank and a client meanwhile."""

from datetime import datetime

from ledger import accounts
from ledger.models import Account, BankAccount, Book


def ledger_account(bank_account: BankAccount, *, at: datetime) -> Account:
    """The ledger account of one of our bank accounts, opened when first asked for. It equals the bank's statement.

    Not guarded: the bank moves its money without asking us.
    """
    return accounts.open_account(
        book=Book.REAL,
        currency=bank_account.currency_id,
        kind=Account.Kind.ASSET,
        purpose="bank",
        owner=("bank_account", bank_account.uuid),
        guarded=False,
        at=at,
    )


def suspense(currency: str) -> Account:
    """Money that came and is nobody's yet."""
    return accounts.house(Book.REAL, currency, "suspense", Account.Kind.LIABILITY)


def unmatched_out(currency: str) -> Account:
    """Money that left a bank account and that no payment of ours explains yet."""
    return accounts.house(Book.REAL, currency, "unmatched_out", Account.Kind.ASSET)


def bank_fees(currency: str) -> Account:
    """What banks charge us."""
    return accounts.house(Book.REAL, currency, "bank_fees", Account.Kind.EXPENSE)
