"""Deposits in a client's transaction history: those that wait, failed or were called off, and what is known of the rest."""

from decimal import Decimal
from typing import Final
from uuid import UUID

from ledger import history
from ledger.control.explain import Facts
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


def explain(ids: set[UUID]) -> dict[UUID, Facts]:
    """What a deposit's entry came from: the request, and the line of the bank or the word of a provider."""
    rows = Deposit.objects.filter(uuid__in=ids).select_related(
        "currency", "bank_line__statement__bank_account"
    ).defer("bank_line__statement__content", "bank_line__counterparty_iban")  # fmt: skip
    return {row.uuid: [fact for fact in _facts(row) if fact[1]] for row in rows}


def _facts(row: Deposit) -> Facts:
    line = getattr(row, "bank_line", None)
    return [
        (
            "Asked for",
            f"{row.amount:,.{row.currency.exponent}f} {row.currency_id} by {row.get_method_display().lower()}, {row.reference}",
        ),
        ("Bank line", f"{line.statement}, line {line.place}" if line else ""),
        ("Matched", line.reason if line else ""),
        ("The other side's number", row.external_id),
        ("Note", row.note),
    ]
