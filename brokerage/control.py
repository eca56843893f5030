"""What the brokerage tells the control of the books: what money is still held for, and what stands behind an entry."""

from decimal import Decimal
from typing import Final
from uuid import UUID

from backoffice.who import called
from brokerage.models import Funding, MarkupReport, Trade
from ledger.control.explain import Facts
from ledger.history import About, Asked, Requests, Status, Transaction, Type, before

WORDS: Final = "Transfer with a trading account"
State = Funding.State
STATUS: Final = {
    State.CODE_WANTED: Status.PENDING,
    State.QUEUED: Status.PENDING,
    State.UNKNOWN: Status.PROCESSING,
    State.PENDING: Status.PROCESSING,
    State.REFUSED: Status.FAILED,
    State.LAPSED: Status.CANCELLED,
}


def live_trades(ids: set[UUID]) -> set[UUID]:
    """Which of these trades are not final."""
    return set(
        Trade.objects.filter(uuid__in=ids).exclude(state__in=Trade.FINAL).values_list("uuid", flat=True)
    )


def live_fundings(ids: set[UUID]) -> set[UUID]:
    """Which of these fundings are not final."""
    return set(Funding.objects.filter(uuid__in=ids).unfinished().values_list("uuid", flat=True))


def _unposted_fundings(asked: Asked) -> list[Transaction]:
    states = [state for state, status in STATUS.items() if asked.wants(Type.TRANSFER, status)]
    rows = Funding.objects.filter(before(asked.after), client__uuid__in=asked.clients, state__in=states)
    if asked.currency:
        rows = rows.filter(currency=asked.currency)
    if asked.since is not None:
        rows = rows.filter(requested_at__gte=asked.since)
    if asked.until is not None:
        rows = rows.filter(requested_at__lt=asked.until)
    return [_transaction(row) for row in rows.order_by("-uuid")[: asked.limit]]


def _transaction(row: Funding) -> Transaction:
    sign = Decimal(-1) if row.direction == Funding.Direction.TO_VENUE else Decimal(1)
    return Transaction(
        uuid=row.uuid, line=0, type=Type.TRANSFER, status=STATUS[State(row.state)], words=WORDS, currency=row.currency_id,
        amount=sign * row.amount, created_at=row.requested_at, note=row.why,
        completed_at=row.changed_at if row.is_final else None,
    )  # fmt: skip


def _about_fundings(ids: set[UUID]) -> dict[UUID, About]:
    rows = Funding.objects.filter(uuid__in=ids)
    return {
        row.uuid: About(requested_at=row.requested_at, external_id=str(row.venue_transaction_id or ""))
        for row in rows
    }


FUNDINGS: Final = Requests(_unposted_fundings, _about_fundings)


def explain_trades(ids: set[UUID]) -> dict[UUID, Facts]:
    """What the venue said about these trades."""
    return {
        row.uuid: [("State", row.get_state_display()), ("Contract", str(row.contract_id or "")), ("The venue said", row.problem)]
        for row in Trade.objects.filter(uuid__in=ids)
    }  # fmt: skip


def explain_fundings(ids: set[UUID]) -> dict[UUID, Facts]:
    """What the venue said about these fundings."""
    return {
        row.uuid: [("State", row.get_state_display()), ("The venue's transaction", str(row.venue_transaction_id or "")),
                   ("The venue said", row.problem)]
        for row in Funding.objects.filter(uuid__in=ids)
    }  # fmt: skip


def explain_accounts(ids: set[UUID]) -> dict[UUID, Facts]:
    """What moved on a mirror that no trade of ours caused is the venue's own word. Asks nothing: the account is named already."""
    return {public_id: [("Known from", "the venue's statement of the account")] for public_id in ids}


def explain_markup(ids: set[UUID]) -> dict[UUID, Facts]:
    """Our figure of a month's markup beside the venue's, who decided, and the bank's reference."""
    return {
        row.uuid: [
            fact for fact in (
                ("Month", f"{row.month:%Y-%m}"), ("By our trades", f"{row.ours.normalize():f} {row.currency_id}"),
                ("By the venue's report", f"{row.venues.normalize():f} {row.currency_id}"),
                ("Decided by", called(row.decided_by) if row.decided_by else ""), ("Paid as", row.reference),
            ) if fact[1]
        ]
        for row in MarkupReport.objects.filter(uuid__in=ids)
    }  # fmt: skip
