"""A payment's row: how it is made, locked, moved and told. What its moves mean for money is in `ledger.payments`."""

from datetime import datetime
from typing import Any

from backoffice import events
from backoffice.database import uuid7
from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.wake import wake
from backoffice.who import By
from ledger.models import BankAccount, Payment, PaymentBatch, Withdrawal, WithdrawalRoute
from ledger.providers import providers

State = Payment.State


class NoProvider(DomainError):
    """Nobody pays out by this method any more."""

    code = "NO_PROVIDER"


def make(withdrawal: Withdrawal, *, by: By, at: datetime) -> Payment:
    """Make the one payment of a withdrawal that was agreed to; the caller holds its lock. It is sent by a worker, or
    joins the open file of the account it is paid from.

    :raises NoProvider: if nothing is paid out by this method any more; then nothing moves.
    """
    route = WithdrawalRoute.objects.filter(
        method=withdrawal.method, currency=withdrawal.currency_id, is_active=True
    ).select_related("bank_account").first()  # fmt: skip
    if route is None or not pays(route.provider, withdrawal.method):
        raise NoProvider("Nobody pays this out at the moment; see the withdrawal routes.")
    public_id = uuid7()
    row = Payment(
        uuid=public_id, withdrawal=withdrawal, provider=route.provider, amount=withdrawal.net,
        currency=withdrawal.currency, end_to_end_id=f"NX{public_id.hex}", queued_at=at, asked_at=at, changed_at=at,
    )  # fmt: skip
    if providers.get(route.provider).is_file:
        assert route.bank_account is not None
        row.batch = open_batch(route.bank_account, version=route.pain_version, at=at)
    row.save(force_insert=True)
    record("payment.queued", row, by=by, at=at)
    if row.batch is None:
        wake("payouts.push", row.pk)
    return row


def pays(provider: str, method: str) -> bool:
    """Whether there is a provider of this name, and it pays by this method."""
    return provider in providers.names() and method in providers.get(provider).methods


def take_back(withdrawal: Withdrawal, *, by: By, at: datetime) -> None:
    """A withdrawal is called off: its payment, if one was made, never leaves. The caller holds the withdrawal's lock.

    :raises MoveNotAllowed: if it has left, or may have.
    """
    found = withdrawal.payments.exclude(state__in=Payment.FINAL).first()
    if found is not None:
        row = locked(found)
        row.batch = None
        move(row, State.CANCELLED, "payment.cancelled", by=by, at=at)


def open_batch(bank_account: BankAccount, *, version: str, at: datetime) -> PaymentBatch:
    """The file of payments from an account of ours that takes more; begun if there is none. Locks it, so that it is
    not sealed before the caller's transaction ends; of two that begin one at once the second waits for the first.
    """
    rows = PaymentBatch.objects.select_for_update(no_key=True)
    found = rows.filter(bank_account=bank_account, state=PaymentBatch.State.OPEN).first()
    if found is not None:
        return found
    BankAccount.objects.select_for_update(no_key=True).get(pk=bank_account.pk)
    found = rows.filter(bank_account=bank_account, state=PaymentBatch.State.OPEN).first()
    if found is not None:
        return found
    day = at.date()
    last = (
        PaymentBatch.objects.filter(bank_account=bank_account, business_date=day).order_by("-number").first()
    )
    number = last.number + 1 if last is not None else 1
    return PaymentBatch.objects.create(
        uuid=uuid7(), bank_account=bank_account, business_date=day, number=number, opened_at=at,
        message_id=f"NX{day:%Y%m%d}-{bank_account.pk}-{number}", version=version,
    )  # fmt: skip


def check_may_move(payment: Payment, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in Payment.MOVES[State(payment.state)]:
        raise MoveNotAllowed(f"The payment is: {payment.get_state_display().lower()}.")


def locked(payment: Payment) -> Payment:
    """The payment under its row lock, with what its verbs read."""
    rows = Payment.objects.with_batch().select_for_update(of=("self",), no_key=True)
    return rows.select_related("withdrawal__client", "currency").get(pk=payment.pk)


def move(
    row: Payment, state: str, event: str, *, by: By, at: datetime, reason: str = "", **payload: Any
) -> Payment:
    """Move a locked payment and record it."""
    check_may_move(row, state)
    was, row.state, row.changed_at = row.state, state, at
    row.save()
    record(event, row, by=by, at=at, reason=reason, was=was, **payload)
    return row


def record(name: str, row: Payment, *, by: By, at: datetime, reason: str = "", **payload: Any) -> None:
    """Tell what happened to a payment."""
    events.record(
        name, subject_type="payment", subject_id=row.uuid, client_id=row.withdrawal.client.uuid, by=by, at=at, reason=reason,
        payload={"withdrawal": row.withdrawal.uuid, "amount": row.amount, "currency": row.currency_id,
                 "provider": row.provider, "state": row.state, **payload},
    )  # fmt: skip
