"""Batches: payments to one bank as files, one open at a time for each account of ours.

Sealing is done in steps that may be cut off anywhere: the batch takes no more, then each payment leaves its wallet in a
transaction of its own, then the file is written. Whoever finds it half done goes on where it was left.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from backoffice import events, metrics
from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.wake import wake, wake_swept
from backoffice.who import By
from ledger import pain001, pain002, payments
from ledger.models import Payment, PaymentBatch

State = PaymentBatch.State
BY: Final = By.system("batches")
Clock = Callable[[], datetime]


class OtherFile(DomainError):
    """The report is about a file that we did not send."""

    code = "OTHER_FILE"
    field = "file"


class BatchEmpty(DomainError):
    """There is no payment in it."""

    code = "BATCH_EMPTY"


def seal(batch: PaymentBatch, *, by: By, at: datetime) -> PaymentBatch:
    """Have it take no more payments; a worker books them out of the wallets and writes the file. Again: nothing changes.

    Locks the batch.

    :raises BatchEmpty: if there is nothing in it.
    """
    with transaction.atomic():
        row = _locked(batch)
        if row.state != State.OPEN:
            return row
        if not row.payments.exists():
            raise BatchEmpty("There is no payment in it yet.")
        row.sealing_at = at
        _move(row, State.SEALING, "batch.sealing", by=by, at=at)
        wake("payouts.seal", row.pk)
    return row


@metrics.verb("batch.write")
def write(batch: PaymentBatch, *, now: Clock) -> PaymentBatch:
    """Go on sealing: book out each payment that is not yet, then write the file with those that were. Twice is once.

    A payment that cannot leave (its withdrawal was called off in between) is not in the file. Two at once write one.
    """
    row = PaymentBatch.objects.get(pk=batch.pk)
    if row.state != State.SEALING:
        return row
    for found in row.payments.filter(state=Payment.State.QUEUED).order_by("id"):
        try:
            payments.begin(found, by=BY, at=now())
        except MoveNotAllowed:
            continue  # called off, or begun by another worker, since it was read
    with transaction.atomic():
        row = _locked(batch)
        if row.state != State.SEALING:
            return row
        leaving = list(
            row.payments.filter(state=Payment.State.SENDING)
            .select_related("withdrawal__beneficiary", "currency")
            .order_by("id")
        )
        row.count, row.control_sum = len(leaving), sum((one.amount for one in leaving), Decimal(0))
        row.sealed_at = now()
        if not leaving:
            row.closed_at = row.sealed_at
            return _move(row, State.CLOSED, "batch.closed", by=BY, at=row.sealed_at)
        body = pain001.written(file_of(row, leaving))
        row.file, row.sha256 = body.decode(), hashlib.sha256(body).hexdigest()
        return _move(row, State.SEALED, "batch.sealed", by=BY, at=row.sealed_at)


def mark_sent(batch: PaymentBatch, *, by: By, at: datetime) -> PaymentBatch:
    """Somebody took the file to the bank: its payments are with the provider from now on. Again, nothing changes.

    Locks the batch and its payments.

    :raises MoveNotAllowed: if it is not sealed.
    """
    with transaction.atomic():
        row = _locked(batch)
        if row.state in (State.SENT, State.CLOSED):
            return row
        _check_may_move(row, State.SENT)
        row.sent_at = at
        _move(row, State.SENT, "batch.sent", by=by, at=at)
        for one in row.payments.filter(state=Payment.State.SENDING).order_by("id"):
            payments.taken(one, "", by=by, at=at)
    return row


@dataclass(frozen=True, slots=True)
class Reported:
    """What a status report came to: about which file, how many payments were rejected, how many taken, and which of them
    the bank says no to though they are known to have been paid: those are left alone.
    """

    batch: PaymentBatch
    rejected: int
    taken: int
    contradicted: tuple[str, ...] = ()


@metrics.verb("batch.report")
def take_report(content: bytes, *, by: By, at: datetime) -> Reported:
    """Read a bank's pain.002 about one of our files: what it rejects has failed, what it takes is with the bank.

    A report confirms nothing: only a statement shows that money left. A file that the bank tells of was sent, whether
    somebody said so or not. The same report again changes nothing. All of it happens or nothing; locks the batch, then
    each withdrawal and payment.

    :raises FileTooLarge, FileBroken, FileForbidden, FileUnknown: if it cannot be read. :raises OtherFile: if it is not
        about a file of ours. :raises MoveNotAllowed: if the file was not sealed yet.
    """
    report = pain002.read(content)
    with transaction.atomic():
        found = PaymentBatch.objects.filter(message_id=report.message_id).first()
        if found is None:
            raise OtherFile(f"We sent no file called “{report.message_id[:35]}”.")
        row = _locked(found)
        if row.state in (State.OPEN, State.SEALING):
            raise MoveNotAllowed(f"The batch is: {row.get_state_display().lower()}.")
        row = mark_sent(row, by=by, at=at)
        rejected, taken, contradicted = 0, 0, []
        for one in row.payments.order_by("withdrawal_id"):
            said = report.of(one.end_to_end_id)
            if said.is_taken:
                taken += 1
            if not said.is_rejected:
                continue
            if one.state in (Payment.State.CONFIRMED, Payment.State.RETURNED):
                contradicted.append(one.end_to_end_id)
                continue
            payments.fail(
                one, code=said.code or "RJCT", message=said.text or "The bank rejected it.", by=by, at=at
            )
            rejected += 1
        events.record(
            "batch.reported", subject_type="payment_batch", subject_id=row.uuid, by=by, at=at,
            payload={"rejected": rejected, "taken": taken, "contradicted": len(contradicted),
                     "sha256": hashlib.sha256(content).hexdigest()},
        )  # fmt: skip
    return Reported(row, rejected, taken, tuple(contradicted))


def close_done(*, at: datetime) -> int:
    """Close every batch that was sent and of whose payments the bank has told. Returns how many."""
    done = 0
    waiting = (Payment.State.SENDING, Payment.State.SENT, Payment.State.UNKNOWN)
    for found in (
        PaymentBatch.objects.filter(state=State.SENT).exclude(payments__state__in=waiting).order_by("id")
    ):
        with transaction.atomic():
            row = _locked(found)
            if row.state == State.SENT:
                row.closed_at = at
                _move(row, State.CLOSED, "batch.closed", by=BY, at=at)
                done += 1
    return done


def sweep(*, at: datetime) -> int:
    """Wake the sealing of batches that a dead worker left, and close what is done. Returns how many."""
    numbers = list(PaymentBatch.objects.filter(state=State.SEALING).values_list("pk", flat=True))
    for number in numbers:
        wake_swept("payouts.seal", number)
    return len(numbers) + close_done(at=at)


def file_of(batch: PaymentBatch, leaving: list[Payment]) -> pain001.File:
    """What the file of a batch says; the amounts with their currency's decimals."""
    account = batch.bank_account
    assert batch.sealed_at is not None
    digits = account.currency.exponent
    return pain001.File(
        version=batch.version, message_id=batch.message_id, made_at=batch.sealed_at, pay_on=batch.business_date,
        currency=account.currency_id, payer=pain001.Party(account.holder, account.iban, account.bic),
        transfers=[
            pain001.Transfer(
                one.end_to_end_id, Decimal(f"{one.amount:.{digits}f}"),
                pain001.Party(one.withdrawal.beneficiary.holder, one.withdrawal.beneficiary.number, one.withdrawal.beneficiary.bic),
                f"{one.withdrawal.reference} {account.holder}",
            )
            for one in leaving
        ],
    )  # fmt: skip


def _locked(batch: PaymentBatch) -> PaymentBatch:
    rows = PaymentBatch.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("bank_account__currency").get(pk=batch.pk)


def _check_may_move(row: PaymentBatch, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in PaymentBatch.MOVES[State(row.state)]:
        raise MoveNotAllowed(f"The batch is: {row.get_state_display().lower()}.")


def _move(row: PaymentBatch, state: str, event: str, *, by: By, at: datetime, **payload: Any) -> PaymentBatch:
    _check_may_move(row, state)
    row.state = state
    row.save()
    events.record(
        event, subject_type="payment_batch", subject_id=row.uuid, by=by, at=at,
        payload={"state": state, "count": row.count, "control_sum": row.control_sum, "sha256": row.sha256, **payload},
    )  # fmt: skip
    return row
