"""Withdrawals in a client's history, and what the control of the books is told of them: what money is still held for,
and what stands behind an entry.
"""

from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import Prefetch

from compliance.conditions import Facts
from ledger import history
from ledger.control import explain as explaining
from ledger.control.explain import agreed
from ledger.history import Asked, Status, Transaction, Type
from ledger.models import Method, Payment, Withdrawal

State = Withdrawal.State
# Before money leaves; afterwards the posting stands in the list, and the posting that brings it back.
STATUSES: Final = {
    State.BLOCKED: Status.PENDING, State.WAITING: Status.PENDING, State.APPROVED: Status.PROCESSING,
    State.REJECTED: Status.FAILED, State.CANCELLED: Status.CANCELLED,
}  # fmt: skip


def unposted(asked: Asked) -> list[Transaction]:
    """Withdrawals whose money has not left, newest first."""
    states = [state for state, status in STATUSES.items() if asked.wants(Type.WITHDRAWAL, status)]
    rows = Withdrawal.objects.filter(client__uuid__in=asked.clients, state__in=states)
    if asked.currency:
        rows = rows.filter(currency=asked.currency)
    if asked.since is not None:
        rows = rows.filter(requested_at__gte=asked.since)
    if asked.until is not None:
        rows = rows.filter(requested_at__lt=asked.until)
    rows = rows.filter(history.before(asked.after)).order_by("-uuid")[: asked.limit]
    return [
        Transaction(
            uuid=row.uuid, line=0, type=Type.WITHDRAWAL, status=STATUSES[State(row.state)], words="Withdrawal",
            currency=row.currency_id, amount=-row.amount, fee=_fee(row), created_at=row.requested_at, reference=row.reference,
            note=row.why_for_client, completed_at=row.changed_at if row.is_final else None,
        )
        for row in rows
    ]  # fmt: skip


def about(ids: set[UUID]) -> dict[UUID, history.About]:
    """What the history says beside the posted lines of each: the fee is part of the amount."""
    return {
        row.uuid: history.About(
            requested_at=row.requested_at, fee=_fee(row), reference=row.reference, note=row.why_for_client,
            external_id=next((one.end_to_end_id for one in row.payments.all()), ""),
        )
        for row in Withdrawal.objects.filter(uuid__in=ids).prefetch_related(_PAYMENTS)
    }  # fmt: skip


def live(ids: set[UUID]) -> set[UUID]:
    """Which of these withdrawals still hold their client's money."""
    return set(
        Withdrawal.objects.filter(uuid__in=ids, state__in=Withdrawal.HOLDING).values_list("uuid", flat=True)
    )


def facts(ids: set[UUID]) -> dict[UUID, Facts]:
    """What compliance could not know of each by itself, but for what the client owed then: that is not kept."""
    return {
        row.uuid: Facts(beneficiary_added_at=row.beneficiary.added_at, is_crypto=row.method == Method.CRYPTO)
        for row in Withdrawal.objects.filter(uuid__in=ids).select_related("beneficiary")
    }


def explain(ids: set[UUID]) -> dict[UUID, explaining.Facts]:
    """What stands behind a withdrawal's entry: who asked for it, the decision, who agreed by which policy, the provider's word."""
    rows = Withdrawal.objects.filter(uuid__in=ids).select_related(
        "beneficiary", "decision", "approval__policy", "currency"
    )
    rows = rows.prefetch_related(_PAYMENTS, "approval__votes__by_user")
    return {row.uuid: [fact for fact in _facts(row) if fact[1]] for row in rows}


_PAYMENTS: Final = Prefetch("payments", queryset=Payment.objects.with_batch().order_by("-id"))


def _facts(row: Withdrawal) -> explaining.Facts:
    payment = next(iter(row.payments.all()), None)
    digits = row.currency.exponent
    return [
        ("Asked for", f"{row.amount:,.{digits}f} {row.currency_id} to {row.beneficiary}, {row.reference}"),
        ("Decision", ", ".join([row.decision.get_outcome_display(), *(one["code"] for one in row.decision.reasons)])),
        *agreed(row.approval),
        ("Payment", f"{payment.end_to_end_id}, {payment.get_state_display().lower()}" if payment else ""),
        ("File", str(payment.batch) if payment and payment.batch else ""),
        ("The provider said", (payment.evidence or payment.problem or payment.provider_ref) if payment else ""),
    ]  # fmt: skip


def _fee(row: Withdrawal) -> Decimal | None:
    return row.fee if row.fee > 0 else None


WITHDRAWALS: Final = history.Requests(unposted=unposted, about=about)
