"""Claw-backs: money of a completed deposit that goes back to whoever paid it.

A refund that staff ask for is held in the wallet, stored, and only then put to the collector; a lost answer is never
answered by a second refund. What a collector takes by itself, a chargeback or a refund made over there, is a fact: what is
available in the wallet is taken (holds stand), and what is not there the client owes us. Locked in this order: the deposit, the
claw-back, its debt, then the ledger's accounts.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from backoffice import events, keys, metrics
from backoffice.database import uuid7
from backoffice.errors import DomainError, InvalidInput, KeyReused, MoveNotAllowed
from backoffice.money import parse_amount
from backoffice.wake import wake
from backoffice.who import By
from ledger import debts, deposits, holds, journal
from ledger.collecting import accounts
from ledger.content import content_hash
from ledger.drafts import LOWER
from ledger.models import Account, ClawBack, Deposit, Withdrawal

State, Kind = ClawBack.State, ClawBack.Kind
SUBJECT: Final = "claw_back"
LOST: Final = "The collector's answer was lost."


class RefundTooLarge(DomainError):
    """More than what came by the deposit and has not gone back yet."""

    code = "REFUND_TOO_LARGE"
    field = "amount"


@metrics.verb("claw_back.ask")
def ask_refund(
    deposit: Deposit, *, amount: str | Decimal, by: By, at: datetime, key: str, reason: str = ""
) -> ClawBack:
    """Have a deposit, or part of it, given back the way it came. It is held in the wallet at once; a worker asks the collector.

    The client gets the amount in full; our fee of the deposit stays ours, so that a refund of all of it needs the fee in the
    wallet too. The same key with the same content is the same refund. Locks the deposit, then the wallet.

    :raises InvalidAmount: if the amount is not one. :raises RefundTooLarge: if more than is left of what came.
    :raises MoveNotAllowed: if the deposit did not come by a collector. :raises InsufficientFunds: if less is available.
    :raises KeyReused: if the key was used for another amount.
    """
    keys.check(key)
    with transaction.atomic():
        owner = deposits.locked(deposit)
        value = parse_amount(amount, exponent=owner.currency.exponent, field="amount")
        if value <= 0:
            raise InvalidInput("The amount is above zero.", field="amount")
        content = content_hash("refund", str(owner.uuid), f"{value:f}")
        if (first := ClawBack.objects.filter(deposit=owner, key=f"asked:{key}").first()) is not None:
            if first.content_hash != content:
                raise KeyReused("This key was used before for something else.")
            return of_pk(first.pk)
        check_may_refund(owner)
        check_room(owner, value)
        row = _new(owner, Kind.REFUND, State.ASKED, value, key=f"asked:{key}", content=content, at=at)
        row.hold = holds.place(
            account=owner.wallet, amount=value, purpose="refund", by=by, at=at, key=f"claw_back:{row.uuid}:hold",
            subject=(SUBJECT, row.uuid), client_id=owner.client.uuid,
        ).hold  # fmt: skip
        row.save(force_insert=True)
        record("claw_back.asked", row, by=by, at=at, reason=reason)
        wake("collectors.refund", row.pk)
        return row


def check_may_refund(deposit: Deposit) -> None:
    """:raises MoveNotAllowed: if nothing came by it, nothing is left of it, or no collector could give it back."""
    if deposit.state != Deposit.State.COMPLETED or not deposit.collector:
        raise MoveNotAllowed(
            "Only a completed deposit that came by a collector can be given back.", field="id"
        )
    if refundable(deposit) <= 0:
        raise MoveNotAllowed("All of it has gone back already.", field="id")


def refundable(deposit: Deposit) -> Decimal:
    """What came by a deposit less what went back, or may still: by claw-backs, and by withdrawals the way it came."""
    gone = ClawBack.objects.standing().filter(deposit=deposit).values_list("amount", flat=True)
    leaving = Withdrawal.objects.standing().filter(beneficiary__deposit=deposit)
    left = sum((amount - fee for amount, fee in leaving.values_list("amount", "fee")), sum(gone, Decimal(0)))
    return (deposit.received or Decimal(0)) - left


def check_room(deposit: Deposit, amount: Decimal) -> None:
    """:raises RefundTooLarge: if less than that is left of what came. The caller holds the deposit's lock."""
    if amount > (left := refundable(deposit)):
        raise RefundTooLarge(
            f"At most {max(left, Decimal(0)):,.{deposit.currency.exponent}f} {deposit.currency_id} can go back that way."
        )


@metrics.verb("claw_back.told")
def take_back(
    deposit: Deposit,
    kind: str,
    *,
    external_id: str,
    amount: Decimal,
    by: By,
    at: datetime,
    fee: Decimal = Decimal(0),
) -> ClawBack:
    """A collector has taken money of a deposit back: it leaves the wallet as far as it is available there.

    One entry: debit the wallet, debit what the client owes us from now on (with a `Debt`), debit the collector's fee to
    expense, credit the collector. What is held for something else stays held. The same external id again changes nothing.

    :raises MoveNotAllowed: if the deposit was not completed. Also the refusals of `journal.post`.
    """
    with transaction.atomic():
        owner = deposits.locked(deposit)
        known = ClawBack.objects.filter(collector=owner.collector, external_id=external_id).first()
        if known is not None:
            return of_pk(known.pk)
        if owner.state != Deposit.State.COMPLETED:
            raise MoveNotAllowed("The deposit was not completed.", field="id")
        state = State.OPEN if kind == Kind.CHARGEBACK else State.DONE
        content = content_hash(kind, external_id, f"{amount:f}")
        row = _new(owner, kind, state, amount, key=f"told:{external_id}"[:200], content=content, at=at)
        row.external_id, row.fee = external_id, fee
        owed = accounts.owed_by(owner.client, owner.currency_id, at=at)
        collector = accounts.receivable(owner.collector, owner.currency_id, at=at)
        there = _available(owner.wallet_id, owed.pk, collector.pk)
        taken = min(there, amount)
        lines = [journal.debit(owner.wallet_id, taken)] if taken else []
        if taken < amount:
            lines.append(journal.debit(owed, amount - taken))
        if fee:
            lines.append(journal.debit(accounts.fees(owner.currency_id), fee))
        lines.append(journal.credit(collector, amount + fee))
        row.entry_id = _post(row, str(kind), "taken", lines, by=by, at=at).entry_id
        row.save(force_insert=True)
        record("claw_back.taken", row, by=by, at=at, owed=amount - taken)
        if taken < amount:
            debts.open_for(row, account=owed, amount=amount - taken, by=by, at=at)
        return row


@metrics.verb("claw_back.done")
def done(claw_back: ClawBack, *, external_id: str, by: By, at: datetime) -> ClawBack:
    """The collector has given back what we asked for: what was held leaves the wallet. Again, nothing changes.

    :raises MoveNotAllowed: if it failed before.
    """
    with transaction.atomic():
        row = locked(claw_back)
        if row.state == State.DONE:
            return row
        check_may_move(row, State.DONE)
        assert row.hold is not None
        collector = accounts.receivable(row.collector, row.currency_id, at=at)
        lines = [
            journal.Line(row.deposit.wallet_id, LOWER, row.amount),
            journal.credit(collector, row.amount),
        ]
        row.entry_id = _post(
            row, "refund", "taken", lines, by=by, at=at, captures=[(row.hold, row.amount)]
        ).entry_id
        row.external_id, row.sending_until, row.problem_code, row.problem = external_id, None, "", ""
        return move(row, State.DONE, "claw_back.refunded", by=by, at=at)


@metrics.verb("claw_back.fail")
def fail(claw_back: ClawBack, *, code: str, message: str, by: By, at: datetime, reason: str = "") -> ClawBack:
    """It was certainly not given back, or came back to the collector: the money is the client's again. Again, nothing changes.

    :raises MoveNotAllowed: if it is a chargeback.
    """
    with transaction.atomic():
        row = locked(claw_back)
        if row.state == State.FAILED:
            return row
        check_may_move(row, State.FAILED)
        if row.state == State.DONE:
            row.return_entry_id = _give_back(row, "refund_failed", by=by, at=at).entry_id
        elif row.hold is not None:
            row.hold = holds.release(row.hold, by=by, at=at).hold
        row.problem_code, row.problem, row.sending_until = code[:64], message.strip()[:300], None
        return move(row, State.FAILED, "claw_back.failed", by=by, at=at, reason=reason, code=code[:64])


@metrics.verb("claw_back.win")
def win(claw_back: ClawBack, *, by: By, at: datetime) -> ClawBack:
    """The dispute was decided for us: what is still owed for it is owed no more, the rest is in the wallet again.

    What was written off for it comes back to us first. Again, nothing changes.

    :raises MoveNotAllowed: if it was lost, or is a refund.
    """
    with transaction.atomic():
        row = locked(claw_back)
        if row.state == State.WON:
            return row
        check_may_move(row, State.WON)
        row.return_entry_id = _give_back(row, "chargeback_won", by=by, at=at).entry_id
        return move(row, State.WON, "claw_back.won", by=by, at=at)


def lose(claw_back: ClawBack, *, by: By, at: datetime) -> ClawBack:
    """The dispute was decided against us: what was taken stays taken, what is owed stays owed. Again, nothing changes.

    :raises MoveNotAllowed: if it was won, or is a refund.
    """
    with transaction.atomic():
        row = locked(claw_back)
        if row.state == State.LOST:
            return row
        check_may_move(row, State.LOST)
        return move(row, State.LOST, "claw_back.lost", by=by, at=at)


def check_may_move(claw_back: ClawBack, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in ClawBack.MOVES[State(claw_back.state)]:
        raise MoveNotAllowed(
            f"The {claw_back.get_kind_display().lower()} is: {claw_back.get_state_display().lower()}."
        )


def of_pk(pk: int) -> ClawBack:
    """The claw-back with what its verbs read."""
    return _whole().get(pk=pk)  # type: ignore[no-any-return]


def locked(claw_back: ClawBack) -> ClawBack:
    """The claw-back under its row lock, its deposit locked before it."""
    deposits.locked(claw_back.deposit)
    return _whole().select_for_update(of=("self",), no_key=True).get(pk=claw_back.pk)  # type: ignore[no-any-return]


def move(
    row: ClawBack, state: str, event: str, *, by: By, at: datetime, reason: str = "", **payload: Any
) -> ClawBack:
    """Move a locked claw-back and record it."""
    check_may_move(row, state)
    was, row.state, row.changed_at = row.state, state, at
    row.save()
    record(event, row, by=by, at=at, reason=reason, was=was, **payload)
    return row


def record(name: str, row: ClawBack, *, by: By, at: datetime, reason: str = "", **payload: Any) -> None:
    """Tell what happened to a claw-back."""
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=row.deposit.client.uuid, by=by, at=at, reason=reason,
        payload={"deposit": row.deposit.uuid, "kind": row.kind, "amount": row.amount, "currency": row.currency_id,
                 "collector": row.collector, "state": row.state, **payload},
    )  # fmt: skip


def _give_back(row: ClawBack, kind: str, *, by: By, at: datetime) -> journal.Posted:
    collector = accounts.receivable(row.collector, row.currency_id, at=at)
    lines, rest = [journal.debit(collector, row.amount)], row.amount
    debt = debts.locked_of(row)
    if debt is not None:
        for account, part in (
            (debt.account, debt.left),
            (accounts.bad_debts(row.currency_id), debt.written_off),
        ):
            if part:
                lines.append(journal.credit(account, part))
                rest -= part
    if rest:
        lines.append(journal.credit(row.deposit.wallet_id, rest))
    posted = _post(row, kind, "returned", lines, by=by, at=at)
    if debt is not None:
        debts.cancel(debt, by=by, at=at)
    return posted


def _available(wallet: int, *others: int) -> Decimal:
    """What can be taken from a wallet, read under the lock of every account of the entry to come, in the order of all verbs."""
    rows = Account.objects.filter(pk__in=[wallet, *others]).order_by("pk").select_for_update(no_key=True)
    found = {row.pk: row for row in rows}
    return max(found[wallet].available, Decimal(0))


def _new(
    owner: Deposit, kind: str, state: str, amount: Decimal, *, key: str, content: str, at: datetime
) -> ClawBack:
    return ClawBack(
        uuid=uuid7(), deposit=owner, kind=kind, collector=owner.collector, currency=owner.currency, amount=amount, state=state,
        key=key, content_hash=content, requested_at=at, asked_at=at, changed_at=at,
    )  # fmt: skip


def _post(
    row: ClawBack, kind: str, step: str, lines: list[journal.Line], *, by: By, at: datetime, **given: Any
) -> journal.Posted:
    owner = row.deposit
    return journal.post(
        kind=kind, lines=lines, by=by, at=at, key=f"claw_back:{row.uuid}:{step}", reference=owner.reference,
        narration=f"{row.get_kind_display()} of {owner.reference}", subject=(SUBJECT, row.uuid), client_id=owner.client.uuid,
        **given,
    )  # fmt: skip


def _whole() -> Any:
    return ClawBack.objects.select_related("deposit__client", "deposit__currency", "currency", "hold")
