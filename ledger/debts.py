"""Debts: what a client owes us after money was taken back that had left the wallet. Recovered from the wallet, or written off.

Locked in this order: the client and their blocked withdrawals (which may go on when nothing is owed any more), the debt,
its approval, then the ledger's accounts.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from backoffice import events, keys, metrics
from backoffice.database import uuid7
from backoffice.errors import DomainError, InvalidInput, MoveNotAllowed
from backoffice.who import By
from compliance import approvals, decisions
from compliance.models import Client
from ledger import journal
from ledger.collecting import accounts
from ledger.models import Account, ClawBack, Debt, Withdrawal

State = Debt.State
SUBJECT: Final = "debt"
# The kind of approval.
WRITE_OFF: Final = "write_off"


class NothingToRecover(DomainError):
    """Nothing is available in the client's wallet."""

    code = "NOTHING_TO_RECOVER"


def open_for(claw_back: ClawBack, *, account: Account, amount: Decimal, by: By, at: datetime) -> Debt:
    """What was taken back and was not in the wallet is owed from now on. In the transaction that posted it."""
    row = Debt.objects.create(
        uuid=uuid7(), client=claw_back.deposit.client, claw_back=claw_back, account=account, currency=claw_back.currency,
        amount=amount, opened_at=at, changed_at=at,
    )  # fmt: skip
    _record("debt.opened", row, by=by, at=at)
    return row


@metrics.verb("debt.recover")
def recover(debt: Debt, *, by: By, at: datetime, key: str, reason: str = "") -> Debt:
    """Take what is owed from the client's wallet, or as much of it as is available there: debit wallet, credit the debt.

    A write-off that was asked for is voided, since less is owed now. What is held for something else is not touched. When the
    client owes nothing any more, what compliance blocked is decided about anew. The same key again changes nothing.

    :raises MoveNotAllowed: if nothing is owed. :raises NothingToRecover: if nothing is available in the wallet.
    """
    with transaction.atomic():
        row = locked(debt)
        if keys.is_claimed(by=by, verb="debt.recover", key=key):
            keys.claim(by=by, verb="debt.recover", key=key, content=str(row.uuid), at=at)
            return row
        keys.claim(by=by, verb="debt.recover", key=key, content=str(row.uuid), at=at)
        check_is_owed(row)
        wallet = row.claw_back.deposit.wallet_id
        pair = Account.objects.filter(pk__in=[wallet, row.account_id]).order_by("pk")
        found = {one.pk: one for one in pair.select_for_update(no_key=True)}
        value = min(max(found[wallet].available, Decimal(0)), row.left)
        if not value:
            raise NothingToRecover("Nothing is available in the client's wallet.")
        number = row.recovered.normalize()
        _post(row, "debt_recovered", [journal.debit(wallet, value), journal.credit(row.account_id, value)],
              key=f"debt:{row.uuid}:from:{number:f}", by=by, at=at)  # fmt: skip
        if row.state == State.ASKED:
            approvals.void(WRITE_OFF, row, by=by, at=at, reason="Part of it was recovered.")
        row.recovered += value
        state = State.OPEN if row.left else State.RECOVERED
        return _move(row, state, "debt.recovered", by=by, at=at, reason=reason, recovered=value)


def ask_write_off(debt: Debt, *, reason: str, by: By, at: datetime) -> Debt:
    """Ask that a debt be written off; others decide, by the policy for this kind. Asked for again, nothing changes.

    :raises MoveNotAllowed: if nothing is owed. :raises InvalidInput: if no reason is given.
    """
    if len(reason.strip()) < 5:
        raise InvalidInput("Say why it will not be paid.", field="reason")
    with transaction.atomic():
        row = locked(debt)
        if row.state == State.ASKED:
            return row
        check_is_owed(row)
        row.reason = reason.strip()[:300]
        _move(row, State.ASKED, "debt.write_off_asked", by=by, at=at, reason=reason)
        approvals.request(
            WRITE_OFF,
            row,
            amount=row.left,
            currency=row.currency_id,
            client=row.client,
            at_least=1,
            by=by,
            at=at,
        )
        return row


def written_off(row: Debt, *, by: By, at: datetime) -> None:
    """Others have agreed: what is left is a loss of ours. For the approval engine, which holds the locks."""
    check_may_move(row, State.WRITTEN_OFF)
    _post(row, "debt_written_off", write_off_lines(row), key=f"debt:{row.uuid}:written_off", by=by, at=at)
    row.written_off = row.left
    _move(row, State.WRITTEN_OFF, "debt.written_off", by=by, at=at)


def stays(row: Debt, *, reason: str, by: By, at: datetime) -> None:
    """Somebody said no, or nobody decided in time: it is owed as before. For the approval engine, which holds the locks."""
    _move(row, State.OPEN, "debt.write_off_refused", by=by, at=at, reason=reason)


def write_off_lines(row: Debt) -> list[journal.Line]:
    """Debit bad debts, credit what the client owes."""
    return [
        journal.debit(accounts.bad_debts(row.currency_id), row.left),
        journal.credit(row.account_id, row.left),
    ]


def cancel(row: Debt, *, by: By, at: datetime) -> None:
    """The money came back, and the caller's entry says so: nothing is owed for it. One that is over already stays as it is."""
    if row.state not in Debt.OWED:
        return
    if row.state == State.ASKED:
        approvals.void(WRITE_OFF, row, by=by, at=at, reason="The money came back.")
    row.cancelled = row.left
    _move(row, State.CANCELLED, "debt.cancelled", by=by, at=at)


def owes(client: Client) -> bool:
    """Whether a client owes us anything, in whatever currency."""
    return Debt.objects.open().filter(client=client).exists()


def check_is_owed(debt: Debt) -> None:
    """:raises MoveNotAllowed: if nothing is owed for it any more."""
    if debt.state not in Debt.OWED:
        raise MoveNotAllowed(f"The debt is: {debt.get_state_display().lower()}.")


def check_may_move(debt: Debt, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in Debt.MOVES[State(debt.state)]:
        raise MoveNotAllowed(f"The debt is: {debt.get_state_display().lower()}.")


def locked(debt: Debt) -> Debt:
    """The debt under its row lock, its client and their blocked withdrawals locked before it."""
    _lock_client(debt.client_id)
    return _whole().select_for_update(of=("self",), no_key=True).get(pk=debt.pk)  # type: ignore[no-any-return]


def locked_of(claw_back: ClawBack) -> Debt | None:
    """The debt of a claw-back under its lock, if there is one."""
    found = Debt.objects.filter(claw_back=claw_back).first()
    return None if found is None else locked(found)


def _lock_client(client_id: int) -> None:
    Client.objects.select_for_update(of=("self",), no_key=True).get(pk=client_id)
    blocked = Withdrawal.objects.filter(client=client_id, state=Withdrawal.State.BLOCKED).order_by("id")
    list(blocked.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))


def _move(
    row: Debt, state: str, event: str, *, by: By, at: datetime, reason: str = "", **payload: Any
) -> Debt:
    if state != row.state:
        check_may_move(row, state)
    was, row.state, row.changed_at = row.state, state, at
    row.save()
    _record(event, row, by=by, at=at, reason=reason, was=was, **payload)
    if was in Debt.OWED and state not in Debt.OWED and not owes(row.client):
        decisions.client_changed(row.client, by=by, at=at)
    return row


def _post(row: Debt, kind: str, lines: list[journal.Line], *, key: str, by: By, at: datetime) -> None:
    reference = row.claw_back.deposit.reference
    journal.post(
        kind=kind, lines=lines, by=by, at=at, key=key, reference=reference, narration=f"Debt of {reference}",
        subject=(SUBJECT, row.uuid), client_id=row.client.uuid,
    )  # fmt: skip


def _record(name: str, row: Debt, *, by: By, at: datetime, reason: str = "", **payload: Any) -> None:
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at, reason=reason,
        payload={"claw_back": row.claw_back.uuid, "amount": row.amount, "left": row.left, "currency": row.currency_id,
                 "state": row.state, **payload},
    )  # fmt: skip


def _whole() -> Any:
    return Debt.objects.select_related("client", "currency", "account", "claw_back__deposit")
