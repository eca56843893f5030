"""Payments that a person makes by hand: they wait until somebody takes them on, and end by what that person says."""

from typing import ClassVar, NoReturn

from ledger.bank.accounts import ledger_account
from ledger.custody import custody
from ledger.models import Account, Method, Payment, WithdrawalRoute
from ledger.providers.port import Answer, Provider


class Manual(Provider):
    """Nothing leaves by machine. See `payments.take_on` and `payments.settle`."""

    name = "manual"
    label = "A person, by hand"
    is_manual: ClassVar[bool] = True

    def settles_from(self, payment: Payment) -> Account:
        """The bank account that the route of its method names; coins, from the custodian."""
        method = payment.withdrawal.method
        if method == Method.CRYPTO:
            return custody(payment.currency_id)
        rows = WithdrawalRoute.objects.filter(
            method=method, currency=payment.currency_id, bank_account__isnull=False
        )
        route = rows.select_related("bank_account").order_by("-is_active", "-id").first()
        assert (
            route is not None and route.bank_account is not None
        )  # the database keeps bank routes with an account
        return ledger_account(route.bank_account, at=payment.queued_at)

    def send(self, payment: Payment) -> NoReturn:
        raise NotImplementedError("People pay it.")

    def status(self, payment: Payment) -> Answer:
        raise NotImplementedError("People tell.")
