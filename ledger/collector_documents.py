"""How collectors' events, claw-backs and debts are told elsewhere: their states in docs, clients' history, explanations, invariants."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import Sum

from backoffice.state_diagrams import StateDiagram, Waiting, state_diagrams
from ledger import history
from ledger.control import checks
from ledger.control.invariants import Invariant, Offender, invariants
from ledger.history import Kind, Type
from ledger.models import Account, ClawBack, CollectorEvent, Debt

KINDS: Final = {
    "refund": Kind(Type.DEPOSIT, "Refund"),
    "refund_failed": Kind(Type.DEPOSIT, "Refund that failed"),
    "chargeback": Kind(Type.DEPOSIT, "Chargeback"),
    "chargeback_won": Kind(Type.DEPOSIT, "Chargeback given back"),
    "debt_recovered": Kind(Type.OTHER, "Paid what was owed"),
}


def register() -> None:
    """Add them to the ports; called once, at start-up."""
    for name, kind in KINDS.items():
        history.kinds.register(name, kind)
    history.requests.register("claw_back", history.Requests(unposted=lambda asked: [], about=_about))
    checks.live_subjects.register("claw_back", _live)
    invariants.register(
        "debts_are_owed",
        Invariant("What stands as owed by a client is the sum of their open debts.", _unlike),
        order=130,
    )
    state_diagrams.register("collector_event", _collector_event, order=27)
    state_diagrams.register("claw_back", _claw_back, order=28)
    state_diagrams.register("debt", _debt, order=28)


def _about(ids: set[UUID]) -> dict[UUID, history.About]:
    rows = ClawBack.objects.filter(uuid__in=ids).select_related("deposit")
    return {
        row.uuid: history.About(
            requested_at=row.requested_at,
            reference=row.deposit.reference,
            external_id=row.external_id,
            note=row.why,
        )
        for row in rows
    }


def _live(ids: set[UUID]) -> set[UUID]:
    """Refunds money is still held for."""
    return set(
        ClawBack.objects.filter(uuid__in=ids, state__in=ClawBack.HOLDING).values_list("uuid", flat=True)
    )


def _unlike(at: datetime) -> Iterator[Offender]:
    rows = (
        Debt.objects.open()
        .values("account")
        .annotate(still=Sum("amount") - Sum("recovered") - Sum("written_off") - Sum("cancelled"))
    )
    owed: dict[int, Decimal] = dict(rows.values_list("account", "still"))
    for account in Account.objects.filter(purpose="receivable", owner_type="client"):
        if account.posted != (should := owed.get(account.pk, Decimal(0))):
            said = (
                f"{account.posted.normalize():f} stands as owed, and open debts are {should.normalize():f}."
            )
            yield Offender("ledger.account", str(account.pk), said)


def _collector_event() -> StateDiagram:
    """An event of a collector: stored, then applied."""
    State = CollectorEvent.State
    return StateDiagram(
        title="Collector's event",
        about="`ledger.models.CollectorEvent.MOVES`; moved by `ledger/collecting/told.py`. Events are applied in whatever order they come.",
        moves=CollectorEvent.MOVES,
        first=State.RECEIVED,
        waiting={
            State.RECEIVED: Waiting("a worker, or what it depends on", "`collectors.sweep`", "1 hour"),
            State.FAILED: Waiting("the payments desk: *Apply again* or *Set aside*", "nothing; the page of stuck things shows it", "4 hours"),
        },
    )  # fmt: skip


def _claw_back() -> StateDiagram:
    """Money that goes back to whoever paid it."""
    State = ClawBack.State
    return StateDiagram(
        title="Claw-back",
        about="`ledger.models.ClawBack.MOVES`; moved by `ledger/clawbacks.py`, under the locks of its deposit and itself. A refund that is "
        "*unknown* is never asked for again.",
        moves=ClawBack.MOVES,
        first=ClawBack.BORN,
        waiting={
            State.ASKED: Waiting("a worker, which asks the collector", "`collectors.sweep`", "10 minutes"),
            State.SENDING: Waiting("the worker that asks", "`collectors.sweep` calls it unknown", "10 minutes"),
            State.UNKNOWN: Waiting("the collector's list of refunds, or a person with evidence", "`collectors.sweep` asks again", "30 minutes"),
            State.OPEN: Waiting("the collector, which tells how the dispute ended", "nothing; the page of stuck things shows it", "90 days"),
            State.DONE: Waiting("a refund that comes back all the same (it may rest)"),
        },
    )  # fmt: skip


def _debt() -> StateDiagram:
    """What a client owes us."""
    State = Debt.State
    return StateDiagram(
        title="Debt",
        about="`ledger.models.Debt.MOVES`; moved by `ledger/debts.py`, under the locks of its client and itself.",
        moves=Debt.MOVES,
        first=State.OPEN,
        waiting={
            State.OPEN: Waiting("the payments desk: *Recover from the wallet*, or *Ask to write it off*", "nothing; the page of stuck things shows it", "7 days"),
            State.ASKED: Waiting("whoever must agree, in the approvals inbox", "`approvals.expire`, when nobody does", "2 days"),
        },
    )  # fmt: skip
