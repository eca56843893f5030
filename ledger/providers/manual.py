"""Payments that a person makes by hand: they wait until somebody takes them on, and end by what that person says."""

from typing import ClassVar

from ledger.bank.accounts import unmatched_out
from ledger.custody import custody
from ledger.models import Account, Method, Payment
from ledger.providers.port import Provider


class Manual(Provider):
    """Nothing leaves by machine. See `payments.take_on` and `payments.settle`."""

    name = "manual"
    label = "A person, by hand"
    methods = frozenset({Method.BANK, Method.CRYPTO})
    is_manual: ClassVar[bool] = True

    def settles_from(self, payment: Payment) -> Account:
        """What left a bank and no payment explains yet: the bank's own statement takes it from there. Coins, from the custodian."""
        if payment.withdrawal.method == Method.CRYPTO:
            return custody(payment.currency_id)
        return unmatched_out(payment.currency_id)
