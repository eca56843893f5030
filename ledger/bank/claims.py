"""Bank lines that are payments of ours: money out confirms the payment it is, money in that comes back returns it.

A line is found to be a payment by its end-to-end id, or by the withdrawal's reference in its text. Whatever a line does
goes through *unmatched out*: importing a line moves it from there to the bank, confirming a payment moves it there from
*payments out*. So a payment that a person confirmed before the statement came is never booked twice.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from backoffice import metrics
from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.who import By
from ledger import payments
from ledger.bank import accounts, suspense
from ledger.bank.matching import references_of
from ledger.models import BankLine, Entry, Fee, Payment
from ledger.providers.manual import Manual
from ledger.withdrawals import SUBJECT

State = Payment.State
BY: Final = By.system("bank_lines")
# Of lines that wait, how many are looked at in one sweep: the newest.
LOOKED_AT: Final = 500
_LEFT: Final = (State.SENDING, State.UNKNOWN, State.SENT, State.CONFIRMED)
# Which payments a line may be.
_FITTING: Final = {Fee.Direction.OUT: _LEFT, Fee.Direction.IN: (*_LEFT, State.RETURNED)}


# Payments by hand may leave any account of their currency: people who pay say from which only to the bank.
_BY_HAND: Final = Q(batch__isnull=True, provider=Manual.name)
_BY_BANK: Final = Q(batch__isnull=False) | _BY_HAND


class LineDiffers(DomainError):
    """The line is not of this payment's account, currency or amount."""

    code = "LINE_DIFFERS"
    field = "payment"


class PaidByAnotherLine(DomainError):
    """Another line on a statement is this payment already: the bank has booked it twice, or one of them is no payment."""

    code = "PAID_BY_ANOTHER_LINE"
    field = "payment"


@metrics.verb("bank_line.claim")
def claim(line: BankLine, payment: Payment, *, by: By, at: datetime, reason: str = "") -> BankLine:
    """The line is this payment: out, it was paid; in, it came back. Claimed again by the same payment, nothing changes.

    What comes back may be less than what was paid (banks on the way take fees): the wallet gets what came. Locks the
    line, the withdrawal, the payment, then the accounts.

    :raises MoveNotAllowed: if the line waits for nobody, or the payment did not leave.
    :raises LineDiffers: if account, currency or amount say that it is another. :raises PaidByAnotherLine: if one was there.
    """
    with transaction.atomic():
        row = suspense.locked(line)
        came_back = row.direction == Fee.Direction.IN
        step = "returned" if came_back else "confirmed"
        if row.state == BankLine.State.PAID and row.settled_by is not None:
            if (row.settled_by.subject_type, row.settled_by.subject_id) != (SUBJECT, payment.withdrawal.uuid):
                raise MoveNotAllowed("Another payment claimed this line.", field="line")
            return row
        suspense.check_may_move(row, BankLine.State.PAID)
        check_fits(row, payment)
        if BankLine.objects.filter(settled_by__key__startswith=f"payment:{payment.uuid}:{step}").exists():
            raise PaidByAnotherLine("Another line is this payment already.")
        was_told = payment.state in (State.RETURNED, State.CONFIRMED) and payment.state == step
        if came_back:
            done = payments.bring_back(
                payment, code="RETURNED", message=(row.text or "The bank sent it back")[:300], amount=row.amount,
                source=accounts.suspense(row.bank_account.currency_id), by=by, at=at,
            )  # fmt: skip
        else:
            done = payments.confirm(payment, evidence=evidence_of(row), by=by, at=at)
        if done.state == State.RETURNED and was_told:
            # Told before the money was seen: then what came back is what unmatched out waits for.
            return suspense.claim(
                row, against=accounts.unmatched_out(row.bank_account.currency_id), kind="return_seen",
                subject=(SUBJECT, payment.withdrawal.uuid), by=by, at=at,
            )  # fmt: skip
        entry = Entry.objects.get(key=f"payment:{payment.uuid}:{step}")
        return suspense.explained(row, entry, by=by, at=at, reason=reason)


def check_fits(line: BankLine, payment: Payment) -> None:
    """:raises MoveNotAllowed: if the payment did not leave. :raises LineDiffers: if it cannot be what the line is."""
    if payment.state not in _FITTING[Fee.Direction(line.direction)]:
        raise MoveNotAllowed(f"The payment is: {payment.get_state_display().lower()}.", field="payment")
    batch = payment.batch
    if (batch.bank_account_id != line.bank_account_id) if batch is not None else not _is_by_hand(payment):
        raise LineDiffers("The payment did not leave this bank account.")
    more = line.amount > payment.amount
    if payment.currency_id != line.bank_account.currency_id or more or (
        line.direction == Fee.Direction.OUT and line.amount != payment.amount
    ):  # fmt: skip
        raise LineDiffers("The amount is not the payment's.")


def evidence_of(line: BankLine) -> str:
    """Where a line stands, in words."""
    number = f"statement {line.statement.number}" if line.statement.number else "a statement"
    return f"On {number} of {line.bank_account.name}, line {line.place}, booked on {line.booked_on:%Y-%m-%d}."


def known(names: set[str]) -> dict[str, str]:
    """Payments of ours among end-to-end ids and references that lines name: each in words. One question."""
    rows = Payment.objects.filter(_named(names), _BY_BANK).select_related("withdrawal__beneficiary")
    found = {}
    for row in rows:
        words = f"Payment of {row.withdrawal.reference} to {row.withdrawal.beneficiary.holder}"
        found[row.end_to_end_id] = found[row.withdrawal.reference] = words
    return {name: words for name, words in found.items() if name in names}


def candidates_of(line: BankLine, *, at_most: int = 20) -> list[Payment]:
    """The payments a line may be: of its account, and amount if it left; those it names first, then the oldest."""
    left = Q(batch__bank_account=line.bank_account_id) | Q(_BY_HAND, currency=line.bank_account.currency_id)
    rows = Payment.objects.with_batch().filter(
        left, state__in=_FITTING[Fee.Direction(line.direction)], amount__gte=line.amount
    ).select_related("withdrawal__client", "withdrawal__beneficiary")  # fmt: skip
    if line.direction == Fee.Direction.OUT:
        rows = rows.filter(amount=line.amount)
    names = _names(line)
    found = {row.pk: row for row in [*rows.filter(_named(names)), *rows.order_by("id")[:at_most]]}
    return [row for row in found.values() if not _is_seen(row, line)][:at_most]


def sweep(*, at: datetime) -> int:
    """Let the payments that lines name claim them; how many did. What does not fit waits for a person."""
    waiting = (
        BankLine.objects.with_statement()
        .filter(
            Q(state=BankLine.State.UNMATCHED_OUT)
            | Q(state=BankLine.State.SUSPENSE, end_to_end_id__startswith="NX")
        )
        .select_related("bank_account")
    )
    lines = list(waiting.order_by("-id")[:LOOKED_AT])
    named = {line.pk: _names(line) for line in lines}
    every = set().union(*named.values()) if named else set()
    if not every:
        return 0
    by_name: dict[str, Payment] = {}
    rows = Payment.objects.filter(_named(every), _BY_BANK, state__in=_FITTING[Fee.Direction.IN])
    for row in rows.with_batch().select_related("withdrawal").order_by("id"):
        by_name[row.end_to_end_id] = by_name[row.withdrawal.reference] = row
    done = 0
    for line in reversed(lines):
        found = next((by_name[name] for name in named[line.pk] if name in by_name), None)
        if found is not None and not _is_seen(found, line) and _claims(line, found, at=at):
            done += 1
    return done


def _claims(line: BankLine, payment: Payment, *, at: datetime) -> bool:
    try:
        claim(line, payment, by=BY, at=at)
    except (LineDiffers, PaidByAnotherLine, MoveNotAllowed):
        return False  # a person decides; the line stays where it can be seen
    return True


def _names(line: BankLine) -> list[str]:
    """What a line may know a payment by, the surest first."""
    own = [line.end_to_end_id] if line.end_to_end_id.startswith("NX") else []
    return own + references_of(suspense.as_line(line))


def _named(names: Iterable[str]) -> Q:
    return Q(end_to_end_id__in=names) | Q(withdrawal__reference__in=names)


def _is_by_hand(payment: Payment) -> bool:
    return payment.batch_id is None and payment.provider == Manual.name


def _is_seen(payment: Payment, line: BankLine) -> bool:
    """Whether a line of this direction claimed it before."""
    step = "returned" if line.direction == Fee.Direction.IN else "confirmed"
    return BankLine.objects.filter(settled_by__key=f"payment:{payment.uuid}:{step}").exists()
