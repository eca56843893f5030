"""A desk that pays clients out, made through verbs: routes, beneficiaries, withdrawals, approvers."""

import itertools
from typing import Any, ClassVar

from django.contrib.auth.models import Permission
from django.db.models import Model

from backoffice.models import User
from backoffice.who import By
from compliance import approvals
from compliance.models import Approval, ApprovalPolicy, Client, MonitoringRule
from ledger import beneficiaries, withdrawals
from ledger.bank.accounts import ledger_account
from ledger.models import Account, Beneficiary, Payment, Withdrawal, WithdrawalRoute
from ledger.providers import Answer, CalledProvider, Outcome, providers
from tests import world
from tests.ledger import payments as desk

BY, NOW = desk.BY, desk.NOW
D = desk.D
# Valid by length, country and check digits; nobody's.
IBANS = ("DE75512108001245126199", "FR1420041010050500013M02606", "NL91ABNA0417164300")
_numbers = itertools.count(1)


def route(currency: str = "EUR", **given: Any) -> WithdrawalRoute:
    """Bank transfers are paid out by file from our account."""
    values = {
        "provider": "bank_file",
        "bank_account": desk.bank(currency),
        "cool_off_hours": 0,
        "least": D("5.00"),
        **given,
    }
    return WithdrawalRoute.objects.get_or_create(
        method=values.pop("method", "bank"), currency_id=currency, defaults=values
    )[0]


class Wire(CalledProvider):
    """A provider that pays at once and counts: somebody else's books, in memory."""

    name, label, methods = "wire", "Wire", frozenset({"bank", "crypto"})
    sent: ClassVar[list[str]] = []

    def settles_from(self, payment: Payment) -> Account:
        return ledger_account(desk.bank(payment.currency_id), at=NOW)

    def send(self, payment: Payment) -> Answer:
        self.sent.append(payment.end_to_end_id)
        return Answer(Outcome.SENT, f"W-{len(self.sent)}")

    def status(self, payment: Payment) -> Answer:
        return Answer(Outcome.CONFIRMED if payment.end_to_end_id in self.sent else Outcome.NOT_KNOWN)


def wire() -> type[Wire]:
    """Have everything paid by `Wire`, singly, from now on."""
    if Wire.name not in providers.names():
        providers.register(Wire.name, Wire())
    Wire.sent.clear()
    WithdrawalRoute.objects.update(provider=Wire.name)
    return Wire


def policy(approvers: int, from_amount: str = "0", **given: Any) -> ApprovalPolicy:
    return ApprovalPolicy.objects.update_or_create(
        kind="withdrawal", from_amount=D(from_amount), defaults={"approvers": approvers, **given}
    )[0]


def nothing_is_odd() -> None:
    """Nobody looks at a withdrawal because the client, their level or the beneficiary is new."""
    MonitoringRule.objects.update(is_active=False)


def funded(amount: str = "1000.00", **given: Any) -> Client:
    """A client of KYC level 2 whose deposit came."""
    client = desk.client(**given)
    client.kyc_level = 2
    client.save()
    desk.complete(desk.deposit(client, amount), amount)
    return client


def beneficiary(client: Client, **given: Any) -> Beneficiary:
    route(given.get("currency", "EUR"))
    values = {"method": "bank", "currency": "EUR", "holder": client.name, "number": IBANS[0], "by": BY, "at": NOW,
              "key": f"beneficiary-{next(_numbers)}", **given}  # fmt: skip
    return beneficiaries.add(client, **values)


def withdrawal(
    client: Client, amount: str = "100.00", to: Beneficiary | None = None, **given: Any
) -> Withdrawal:
    to = to or client.beneficiaries.first() or beneficiary(client)
    return withdrawals.request(
        to, amount=amount, **{"by": BY, "at": NOW, "key": f"withdrawal-{next(_numbers)}", **given}
    )


def approver() -> User:
    """Somebody who may approve withdrawals, whatever roles there are."""
    user = world.staff("Payments approver")
    user.user_permissions.add(Permission.objects.get(codename="approve_withdrawal"))
    return User.objects.get(pk=user.pk)


def waiting(row: Withdrawal) -> Approval:
    return Approval.objects.of_subject("withdrawal", row.uuid).latest("id")


def approve(row: Withdrawal, user: User | None = None) -> Withdrawal:
    found = waiting(row)
    approvals.approve(
        found, content_hash=found.content_hash, by=By.user(user or approver()), at=NOW, key=world.key()
    )
    return withdrawals.of_pk(row.pk)


def everything(of: Client) -> list[Model]:
    """One row of each model of money out, about this client: asked for, agreed to, in a file that is not sealed yet."""
    desk.complete(desk.deposit(of, "1000.00"), "1000.00")
    of.kyc_level = 2
    of.save()
    policy(1)
    row = approve(withdrawal(of, "100.00"))
    payment = row.payments.select_related("batch").get()
    assert payment.batch is not None
    return [WithdrawalRoute.objects.get(), row.beneficiary, row, payment, payment.batch]
