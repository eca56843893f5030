"""Refunds at a collector: each asked for once, and followed until somebody knows what became of it."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from backoffice.errors import InvalidInput, MoveNotAllowed
from backoffice.wake import wake_swept
from backoffice.who import By
from ledger import clawbacks, payments
from ledger.collecting.port import AnswerLost, GiveBack, NotSent, Outcome, Refund, Refused, collectors
from ledger.models import ClawBack, Deposit
from ledger.providers import back

State = ClawBack.State
Clock = Callable[[], datetime]
BY: Final = By.system("collectors")


def push(claw_back: ClawBack, *, now: Clock) -> ClawBack:
    """Do what comes next with a refund: have it made, or ask what became of it. Safe at any time, by two at once."""
    row = clawbacks.of_pk(claw_back.pk)
    if row.state == State.ASKED:
        try:
            row = _begin(row, at=now())
        except MoveNotAllowed:
            return clawbacks.of_pk(row.pk)  # another worker took it
        return _hand_over(row, now=now)
    if row.state not in ClawBack.HOLDING or not _is_ours_to_ask(row, at=now()):
        return row
    if row.state == State.SENDING:
        # Whoever was at it died on the way: it may have been made.
        row = mark_unknown(row, code="NO_ANSWER", at=now())
    return _ask(row, now=now)


def follow(deposit: Deposit, *, now: Clock) -> int:
    """Bring our claw-backs of a deposit, and withdrawals paid back the way it came, up to all refunds in the collector's books,
    whoever asked for them; how many there are.

    The deposit is completed. Not in a transaction.

    :raises NotSent, AnswerLost: if the collector could not be asked. Also the refusals of `clawbacks.take_back`.
    """
    found = collectors.get(deposit.collector).refunds(deposit)
    for one in found:
        payment = back.payment_of(one)
        if payment is not None:
            payments.take(payment, back.answer(payment, one), by=BY, at=now())
            continue
        ours = ClawBack.objects.filter(deposit=deposit, uuid=one.ours).first() if one.ours else None
        known = (
            ours or ClawBack.objects.filter(collector=deposit.collector, external_id=one.external_id).first()
        )
        if known is not None:
            take(known, one, at=now())
        elif one.outcome == Outcome.SUCCEEDED:
            clawbacks.take_back(
                deposit, ClawBack.Kind.REFUND, external_id=one.external_id, amount=one.amount, by=BY, at=now()
            )
    return len(found)


def take(claw_back: ClawBack, found: Refund, *, at: datetime) -> ClawBack:
    """Record what the collector says of a refund. Said again, nothing changes."""
    if found.outcome == Outcome.SUCCEEDED:
        if claw_back.state == State.FAILED:
            return claw_back
        return clawbacks.done(claw_back, external_id=found.external_id, by=BY, at=at)
    if found.outcome == Outcome.FAILED:
        return clawbacks.fail(
            claw_back,
            code="FAILED",
            message=found.message or "The collector could not give it back",
            by=BY,
            at=at,
        )
    return mark_unknown(claw_back, code="PENDING", at=at)


def mark_unknown(claw_back: ClawBack, *, code: str, at: datetime) -> ClawBack:
    """The answer was lost, or says nothing yet: nobody asks for the refund again. Said again, nothing changes."""
    with transaction.atomic():
        row = clawbacks.locked(claw_back)
        if row.state != State.SENDING:
            ClawBack.objects.filter(pk=row.pk, state=State.UNKNOWN).update(sending_until=None)
            return row
        row.problem_code, row.problem, row.sending_until = code, clawbacks.LOST, None
        return clawbacks.move(row, State.UNKNOWN, "claw_back.unknown", by=BY, at=at, code=code)


def settle(claw_back: ClawBack, *, evidence: str, by: By, at: datetime) -> ClawBack:
    """A person says by evidence that a refund whose answer was lost was never made. Said again, nothing changes.

    :raises InvalidInput: if there is no evidence. :raises MoveNotAllowed: if it is not unknown.
    """
    if len(evidence.strip()) < 5:
        raise InvalidInput(
            "Say by which evidence: a message of the collector, its list of refunds.", field="evidence"
        )
    with transaction.atomic():
        row = clawbacks.locked(claw_back)
        if row.state == State.FAILED:
            return row
        check_may_settle(row)
        return clawbacks.fail(
            row, code="NOT_REFUNDED", message="It was never made", by=by, at=at, reason=evidence
        )


def check_may_settle(claw_back: ClawBack) -> None:
    """:raises MoveNotAllowed: if nothing is uncertain about it."""
    if claw_back.state != State.UNKNOWN:
        raise MoveNotAllowed(f"The refund is: {claw_back.get_state_display().lower()}.")


def sweep(*, now: Clock) -> int:
    """Wake whatever a lost nudge or a dead worker left behind; how many."""
    numbers = list(ClawBack.objects.to_push(now()).values_list("pk", flat=True)[:200])
    for number in numbers:
        wake_swept("collectors.refund", number)
    return len(numbers)


def _begin(row: ClawBack, *, at: datetime) -> ClawBack:
    """Store that it is about to be asked for. Committed before the wire sees anything."""
    with transaction.atomic():
        row = clawbacks.locked(row)
        clawbacks.check_may_move(row, State.SENDING)
        row.asked_at, row.sending_until = at, at + ClawBack.SENDING_FOR
        row.problem_code = row.problem = ""
        return clawbacks.move(row, State.SENDING, "claw_back.sending", by=BY, at=at)


def _hand_over(row: ClawBack, *, now: Clock) -> ClawBack:
    try:
        found = collectors.get(row.collector).refund(GiveBack(row.uuid, row.deposit, row.amount))
    except Refused as refused:
        return clawbacks.fail(row, code=refused.code, message=refused.message, by=BY, at=now())
    except NotSent as unsent:
        return _unsent(row, unsent, at=now())
    except AnswerLost as lost:
        return mark_unknown(row, code=lost.code, at=now())
    return take(row, found, at=now())


def _ask(row: ClawBack, *, now: Clock) -> ClawBack:
    """What the collector's list of refunds says. That it is not there proves nothing: its books may be behind."""
    try:
        found = collectors.get(row.collector).refunds(row.deposit)
    except (NotSent, AnswerLost) as lost:
        ClawBack.objects.filter(pk=row.pk).update(problem_code=lost.code, sending_until=None)
        return row
    for one in found:
        if one.ours == row.uuid:
            return take(row, one, at=now())
    ClawBack.objects.filter(pk=row.pk).update(sending_until=None)
    return row


def _is_ours_to_ask(row: ClawBack, *, at: datetime) -> bool:
    """Claim it for a while: two at once would both call it lost, or ask twice."""
    free = Q(sending_until=None) | Q(sending_until__lt=at)
    return ClawBack.objects.filter(free, pk=row.pk, state=row.state).update(
        sending_until=at + ClawBack.SENDING_FOR, asked_at=at
    ) == 1  # fmt: skip


def _unsent(row: ClawBack, found: NotSent, *, at: datetime) -> ClawBack:
    """Certainly nothing was asked for: the sweep asks again. Only whoever made the call can say so."""
    with transaction.atomic():
        row = clawbacks.locked(row)
        if row.state != State.SENDING:
            return row
        row.problem_code, row.sending_until = found.code[:64], None
        row.problem = "The collector cannot be reached; nothing was asked for, and it is tried again."
        return clawbacks.move(row, State.ASKED, "claw_back.unsent", by=BY, at=at, code=found.code[:64])
