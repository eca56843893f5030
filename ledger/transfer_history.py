"""Transfers in a client's transaction history: those that wait or came to nothing, and what is known of the rest."""

from typing import Final
from uuid import UUID

from ledger import history
from ledger.history import Asked, Status, Transaction, Type
from ledger.models import Adjustment, Transfer

State = Transfer.State
STATUSES: Final = {
    State.WAITING: Status.PENDING, State.BLOCKED: Status.FAILED, State.REJECTED: Status.FAILED,
    State.CANCELLED: Status.CANCELLED,
}  # fmt: skip


def unposted(asked: Asked) -> list[Transaction]:
    """Transfers that moved nothing (yet), newest first, as their sender asked for them."""
    states = [state for state, status in STATUSES.items() if asked.wants(Type.TRANSFER, status)]
    rows = Transfer.objects.filter(client__uuid__in=asked.clients, state__in=states)
    if asked.currency:
        rows = rows.filter(given_currency=asked.currency)
    if asked.since is not None:
        rows = rows.filter(requested_at__gte=asked.since)
    if asked.until is not None:
        rows = rows.filter(requested_at__lt=asked.until)
    rows = rows.filter(history.before(asked.after)).order_by("-uuid")[: asked.limit]
    return [
        Transaction(
            uuid=row.uuid, line=0, type=Type.TRANSFER, status=STATUSES[State(row.state)], words=_words(row),
            currency=row.given_currency_id, amount=-row.given, created_at=row.requested_at, reference=row.reference,
            note=row.told,
        )
        for row in rows
    ]  # fmt: skip


def about(ids: set[UUID]) -> dict[UUID, history.About]:
    """What the history says beside the posted lines of each: of an exchange, what became of what at which rate."""
    return {
        row.uuid: history.About(requested_at=row.requested_at, reference=row.reference, note=_note(row))
        for row in Transfer.objects.filter(uuid__in=ids).select_related(
            "quote", "given_currency", "got_currency"
        )
    }


def about_adjustments(ids: set[UUID]) -> dict[UUID, history.About]:
    """What the client is told of adjustments; why they were made is for us."""
    return {
        row.uuid: history.About(requested_at=row.made_at, note=row.told)
        for row in Adjustment.objects.filter(uuid__in=ids)
    }


def _words(row: Transfer) -> str:
    return history.kind_of("exchange" if row.is_exchange else "transfer").words


def _note(row: Transfer) -> str:
    if row.quote is None:
        return ""
    given = f"{row.given:,.{row.given_currency.exponent}f} {row.given_currency_id}"
    got = f"{row.got:,.{row.got_currency.exponent}f} {row.got_currency_id}"
    return f"{given} became {got}, {row.quote.rate.normalize():f} for one."


TRANSFERS: Final = history.Requests(unposted=unposted, about=about)
ADJUSTMENTS: Final = history.Requests(unposted=lambda asked: [], about=about_adjustments)
