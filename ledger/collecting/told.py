"""What collectors tell: verified, stored once, and applied in whatever order it came.

An event is stored before it is answered, and applied by a worker. One that depends on another (a refund, a dispute, of a
deposit that is not completed here) has the collector asked for what is missing, and waits while that is not known.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from backoffice import events, metrics
from backoffice.database import uuid7
from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.wake import wake, wake_swept
from backoffice.who import By
from ledger import clawbacks
from ledger.collecting import refunding, taking
from ledger.collecting.port import BadSignature, Found, Outcome, ProviderError, Told, collectors
from ledger.models import ClawBack, CollectorEvent, Deposit

Kind, State = CollectorEvent.Kind, CollectorEvent.State
Clock = Callable[[], datetime]
SUBJECT: Final = "collector_event"
BY: Final = By.system("collectors")
# An event about nobody we know may be about a deposit that is not written yet; after so long it is not.
STRANGER_FOR: Final = timedelta(hours=1)
# Collectors know their fee within minutes; one that tells none by then charges us on its statement.
FEE_WITHIN: Final = timedelta(minutes=50)
RECEIVED: Final = metrics.Counter("collector_events_total", "Events of collectors, by what became of the call", ("collector", "outcome"))  # fmt: skip


class _Later(Exception):
    """What it depends on is not known yet."""


class _Nothing(Exception):
    """It changes nothing here."""


def receive(collector: str, headers: Mapping[str, str], body: bytes, *, at: datetime) -> int:
    """Keep what a collector tells, each event once under its own id, and have it applied; how many are new.

    Called again with the same, nothing changes.

    :raises BadSignature: if it is not the collector's word; then nothing is kept but a count.
    :raises NotSent, AnswerLost: if the collector had to be asked about its signature and could not.
    """
    try:
        told = collectors.get(collector).verify(headers, body, at=at)
    except BadSignature:
        RECEIVED.add(collector=collector, outcome="refused")
        raise
    new = [pk for pk in (_keep(collector, one, at=at) for one in told) if pk is not None]
    RECEIVED.add(collector=collector, outcome="stored" if new else "known" if told else "not_followed")
    return len(new)


def apply(event: CollectorEvent, *, now: Clock) -> CollectorEvent:
    """Do what an event says, if that was not done. What cannot be done yet waits; what is refused waits for a person."""
    if not CollectorEvent.objects.filter(pk=event.pk, state=State.RECEIVED).update(tried_at=now()):
        return CollectorEvent.objects.get(pk=event.pk)
    row = CollectorEvent.objects.get(pk=event.pk)
    try:
        deposit = _deposit_of(row, at=now())
        _APPLY[Kind(row.kind)](row, deposit, now)
    except _Nothing as found:
        return _end(row, State.IGNORED, reason=str(found), at=now())
    except (_Later, ProviderError) as found:
        CollectorEvent.objects.filter(pk=row.pk).update(reason=f"It waits: {found}"[:300])
        return CollectorEvent.objects.get(pk=row.pk)
    except DomainError as refusal:
        return _end(row, State.FAILED, reason=refusal.message, at=now())
    return _end(row, State.APPLIED, at=now())


def again(event: CollectorEvent, *, by: By, at: datetime, reason: str = "") -> CollectorEvent:
    """Have one applied again that could not be, now that somebody has mended what was in the way. Again, nothing changes.

    :raises MoveNotAllowed: if it was applied, or set aside.
    """
    row = CollectorEvent.objects.get(pk=event.pk)
    if row.state == State.RECEIVED:
        return row
    found = _end(row, State.RECEIVED, at=at, by=by, note=reason)
    wake("collectors.apply", row.pk)
    return found


def set_aside(event: CollectorEvent, *, by: By, at: datetime, reason: str) -> CollectorEvent:
    """Say that an event changes nothing here: somebody has looked. Again, nothing changes.

    :raises MoveNotAllowed: if it was applied.
    """
    row = CollectorEvent.objects.get(pk=event.pk)
    if row.state == State.IGNORED:
        return row
    return _end(row, State.IGNORED, reason=reason, at=at, by=by, note=reason)


def sweep(*, now: Clock) -> int:
    """Wake whatever a lost nudge or a dead worker left behind; how many."""
    numbers = list(CollectorEvent.objects.to_apply(now()).values_list("pk", flat=True)[:200])
    for number in numbers:
        wake_swept("collectors.apply", number)
    return len(numbers)


def check_may_move(event: CollectorEvent, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in CollectorEvent.MOVES[State(event.state)]:
        raise MoveNotAllowed(f"The event is: {event.get_state_display().lower()}.")


def _keep(collector: str, told: Told, *, at: datetime) -> int | None:
    row = CollectorEvent(
        uuid=uuid7(), collector=collector, event_id=told.event_id, kind=told.kind, reference=told.reference[:16],
        payment_id=told.payment_id[:128], object_id=told.object_id[:128], amount=told.amount, fee=told.fee,
        currency_code=told.currency[:12], told=told.message[:300], occurred_at=told.occurred_at, received_at=at, tried_at=at,
        changed_at=at,
    )  # fmt: skip
    with transaction.atomic():
        CollectorEvent.objects.bulk_create([row], ignore_conflicts=True)
        kept = CollectorEvent.objects.get(collector=collector, event_id=told.event_id)
        if kept.uuid != row.uuid:
            return None
        _record("collector_event.received", kept, by=BY, at=at)
        wake("collectors.apply", kept.pk)
    return kept.pk


def _deposit_of(row: CollectorEvent, *, at: datetime) -> Deposit:
    """The deposit an event is about: by the collector's id of the payment, else by the reference we gave it."""
    rows = Deposit.objects.filter(collector=row.collector).select_related("client", "wallet", "currency")
    found = rows.filter(external_id=row.payment_id).first() if row.payment_id else None
    if found is None and row.reference:
        found = rows.filter(reference=row.reference).first()
    if found is None:
        if at - row.received_at < STRANGER_FOR:
            raise _Later("it is about no deposit that is known here")
        raise _Nothing("it is about no deposit of ours")
    if row.deposit_id is None:
        CollectorEvent.objects.filter(pk=row.pk).update(deposit=found)
    return taking.paid_under(found, row.payment_id, at=at) if row.payment_id else found


def _succeeded(row: CollectorEvent, deposit: Deposit, now: Clock) -> None:
    assert row.amount is not None
    word = Found(
        outcome=Outcome.SUCCEEDED, amount=row.amount, currency=row.currency_code, fee=row.fee or None
    )
    taking.settle(deposit, word, by=BY, at=now())
    if not row.fee and not taking.charge(deposit, now=now) and now() - row.received_at < FEE_WITHIN:
        raise _Later("the collector has not told its fee yet; the deposit is completed")


def _failed(row: CollectorEvent, deposit: Deposit, now: Clock) -> None:
    if deposit.state == Deposit.State.COMPLETED:
        raise _Nothing("the deposit was completed")
    taking.settle(deposit, Found(outcome=Outcome.FAILED, message=row.told), by=BY, at=now())


def _approved(row: CollectorEvent, deposit: Deposit, now: Clock) -> None:
    if taking.ask(deposit, now=now).is_open:
        raise _Later("the collector has not taken the money yet")


def _refunded(row: CollectorEvent, deposit: Deposit, now: Clock) -> None:
    refunding.follow(_completed(deposit, now), now=now)


def _disputed(row: CollectorEvent, deposit: Deposit, now: Clock) -> None:
    _dispute_of(row, deposit, now)


def _dispute_won(row: CollectorEvent, deposit: Deposit, now: Clock) -> None:
    clawbacks.win(_dispute_of(row, deposit, now), by=BY, at=now())


def _dispute_lost(row: CollectorEvent, deposit: Deposit, now: Clock) -> None:
    clawbacks.lose(_dispute_of(row, deposit, now), by=BY, at=now())


def _dispute_of(row: CollectorEvent, deposit: Deposit, now: Clock) -> ClawBack:
    """The chargeback of a dispute; opened now where its opening was not told, or comes later."""
    assert row.amount is not None
    owner = _completed(deposit, now)
    if row.currency_code != owner.currency_id:
        raise MoveNotAllowed(f"The dispute is in {row.currency_code}, the deposit in {owner.currency_id}.")
    return clawbacks.take_back(
        owner,
        ClawBack.Kind.CHARGEBACK,
        external_id=row.object_id,
        amount=row.amount,
        fee=row.fee,
        by=BY,
        at=now(),
    )


def _completed(deposit: Deposit, now: Clock) -> Deposit:
    """The deposit, completed from the collector's word where its success was not told yet."""
    if deposit.state != Deposit.State.COMPLETED:
        deposit = taking.ask(deposit, now=now)
    if deposit.state != Deposit.State.COMPLETED:
        raise _Later("the deposit is not completed")
    return deposit


_APPLY: Final[dict[CollectorEvent.Kind, Callable[[CollectorEvent, Deposit, Clock], None]]] = {
    Kind.SUCCEEDED: _succeeded, Kind.FAILED: _failed, Kind.APPROVED: _approved, Kind.REFUNDED: _refunded,
    Kind.DISPUTE_OPENED: _disputed, Kind.DISPUTE_WON: _dispute_won, Kind.DISPUTE_LOST: _dispute_lost,
}  # fmt: skip


def _end(
    event: CollectorEvent, state: str, *, at: datetime, by: By = BY, reason: str = "", note: str = ""
) -> CollectorEvent:
    with transaction.atomic():
        row = CollectorEvent.objects.select_for_update(no_key=True).get(pk=event.pk)
        if row.state == state:
            return row
        check_may_move(row, state)
        row.state, row.reason, row.changed_at, row.tried_at = state, reason[:300], at, at
        row.save()
        _record(f"collector_event.{state}", row, by=by, at=at, reason=note)
    return row


def _record(
    name: str, row: CollectorEvent, *, by: By, at: datetime, reason: str = "", **payload: Any
) -> None:
    client = row.deposit.client.uuid if row.deposit is not None else None
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=client, by=by, at=at, reason=reason,
        payload={"collector": row.collector, "kind": row.kind, "amount": row.amount, "currency": row.currency_code,
                 "state": row.state, **payload},
    )  # fmt: skip
