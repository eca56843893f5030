"""Deposits in a client's transaction history: those that wait, failed or were called off, and what is known of the rest."""

from decimal import Decimal
from typing import Final
from uuid import UUID

from ledger import history
from ledger.history import Asked, Status, Transaction, Type
from ledger.models import Deposit

State = Deposit.State
STATUSES: Final = {
    State.PENDING: Status.PENDING, State.PROCESSING: Status.PROCESSING, State.FAILED: Status.FAILED,
    State.CANCELLED: Status.CANCELLED, State.EXPIRED: Status.CANCELLED,
}  # fmt: skip


def unposted(asked: Asked) -> list[Transaction]:
    """Deposits whose money has not come, newest first; what is asked for stands as their amount."""
    states = [state for state, status in STATUSES.items() if asked.wants(Type.DEPOSIT, status)]
    rows = Deposit.objects.filter(client__uuid__in=asked.clients, state__in=states)
    if asked.currency:
        rows = rows.filter(currency=asked.currency)
    if asked.since is not None:
        rows = rows.filter(created_at__gte=asked.since)
    if asked.until is not None:
        rows = rows.filter(created_at__lt=asked.until)
    rows = rows.filter(history.before(asked.after)).order_by("-uuid")[: asked.limit]
    return [
        Transaction(
            uuid=row.uuid, line=0, type=Type.DEPOSIT, status=STATUSES[State(row.state)], words="Deposit",
            currency=row.currency_id, amount=row.amount, created_at=row.created_at, reference=row.reference,
            external_id=row.external_id, note=row.note,
        )
        for row in rows
    ]  # fmt: skip


def about(ids: set[UUID]) -> dict[UUID, history.About]:
    """What the history says beside the posted line of each; a fee of zero is none."""
    return {
        row.uuid: history.About(
            requested_at=row.created_at, fee=row.fee if row.fee > Decimal(0) else None, reference=row.reference,
            external_id=row.external_id, note=row.note,
        )
        for row in Deposit.objects.filter(uuid__in=ids)
    }  # fmt: skip


DEPOSITS: Final = history.Requests(unposted=unposted, about=about)
