"""Payments by file: they join a batch that people take to the bank, and a statement or status report ends them."""

from typing import ClassVar

from ledger.bank.accounts import unmatched_out
from ledger.models import Account, Method, Payment
from ledger.providers.port import Provider


class BankFile(Provider):
    """ISO 20022 pain.001 files; see `ledger.batches`."""

    name = "bank_file"
    label = "Bank, by file"
    methods = frozenset({Method.BANK})
    is_file: ClassVar[bool] = True

    def settles_from(self, payment: Payment) -> Account:
        """Unmatched out: the statement's line moves it on to the bank, whether it comes before or after; see `bank.claims`."""
        return unmatched_out(payment.currency_id)
