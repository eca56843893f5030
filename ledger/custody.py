"""Where the coins that the custodian keeps for us stand in our books."""

from ledger import accounts
from ledger.models import Account, Book


def custody(currency: str) -> Account:
    """What the custodian keeps for us of a currency."""
    return accounts.house(Book.REAL, currency, "custody", Account.Kind.ASSET)
