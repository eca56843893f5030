"""Withdrawals: a client asks for their money, it is held, decided about, agreed to, paid, and theirs again if it fails.

What happens after it was agreed to is in `ledger.payments`. Locked in this order: the client (while it is decided about),
the deposit it goes back by, the withdrawal, its approval, its payment, then the ledger's accounts.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from backoffice import events, keys, metrics
from backoffice.database import uuid7
from backoffice.errors import DomainError, InvalidInput, KeyReused, MoveNotAllowed, NotFound
from backoffice.models import User
from backoffice.money import parse_amount
from backoffice.who import By
from compliance import approvals, clients, decisions
from compliance.decisions import Asked, Facts
from compliance.models import Approval, Client, Decision, Movement
from ledger import clawbacks, debts, deposits, fees, holds, payment_states, references
from ledger.beneficiaries import BeneficiaryRemoved, WithdrawalNotOffered
from ledger.content import content_hash
from ledger.models import Beneficiary, Fee, Method, Withdrawal, WithdrawalRoute
from ledger.wallets import wallet

State = Withdrawal.State
SUBJECT: Final = "withdrawal"
BY: Final = By.system("withdrawals")
# What verbs and pages read beside a withdrawal.
RELATED: Final = ("client", "wallet", "currency", "beneficiary", "hold", "decision__activity")


class TooSmall(DomainError):
    """Less than what is paid out by this method, or nothing would be left of it after the fee."""

    code = "TOO_SMALL"
    field = "amount"


class BeneficiaryTooNew(DomainError):
    """The beneficiary was added a short while ago; nothing is paid to it before its cool-off is over."""

    code = "BENEFICIARY_TOO_NEW"
    field = "beneficiary"


@metrics.verb("withdrawal.request")
def request(beneficiary: Beneficiary, *, amount: str | Decimal, by: By, at: datetime, key: str) -> Withdrawal:
    """Ask for money to be paid to one's beneficiary. It is held at once, the fee with it; nobody can use it twice.

    `amount` leaves the wallet, in the beneficiary's currency, exact; what arrives is less the fee. Compliance decides in
    the same transaction: *allowed* goes to whoever must agree by policy, or straight on; *to be looked at* waits for at
    least one person; *blocked* is stored as blocked, with its reasons, the money held, until somebody decides, it is
    called off, or the client's standing changes. The same key with the same content returns the first.

    :raises WithdrawalNotOffered: if nothing is paid out by this method in this currency any more.
    :raises BeneficiaryRemoved: if it was removed. :raises BeneficiaryTooNew: before its cool-off is over.
    :raises InvalidAmount: if the amount is not one. :raises TooSmall: if it is below what is paid out, or the fee.
    :raises RefundTooLarge: if it goes back the way a deposit came, and less than that is left of the deposit.
    :raises InsufficientFunds: if less is available in the wallet. :raises KeyReused: if the key was used otherwise.
    """
    keys.check(key)
    value = parse_amount(amount, exponent=beneficiary.currency.exponent, field="amount")
    if value <= 0:
        raise InvalidInput("The amount is above zero.", field="amount")
    content = content_hash("withdrawal", str(beneficiary.uuid), f"{value:f}")
    with transaction.atomic(), events.together():
        # The second of two at once waits here for the first, and finds its key, its hold and its room taken.
        client = Client.objects.select_for_update(of=("self",), no_key=True).get(pk=beneficiary.client_id)
        if (first := _first(client, key, content)) is not None:
            return first
        fee = _checked(beneficiary, value, at)
        if beneficiary.deposit is not None:
            clawbacks.check_room(deposits.locked(beneficiary.deposit), value - fee)
        row = Withdrawal(
            uuid=uuid7(), client=client, wallet=wallet(client.uuid, beneficiary.currency_id, at=at),
            beneficiary=beneficiary, method=beneficiary.method, currency=beneficiary.currency, amount=value, fee=fee,
            reference=references.unused(Withdrawal), key=key, content_hash=content, requested_at=at, changed_at=at,
        )  # fmt: skip
        held = holds.place(
            account=row.wallet, amount=value, purpose=SUBJECT, by=by, at=at, key=f"withdrawal:{row.uuid}:hold",
            subject=(SUBJECT, row.uuid), client_id=client.uuid,
        )  # fmt: skip
        row.hold, row.wallet.posted, row.wallet.held = held.hold, held.balance.posted, held.balance.held
        asked = Asked(Movement.WITHDRAWAL, client, row.currency_id, value, (SUBJECT, row.uuid), facts_of(row))
        row.decision = decisions.decide_new(asked, by=by, at=at)
        row.state = State.BLOCKED if row.decision.outcome == "block" else State.WAITING
        row.told, row.problem = _told(row.decision), _problem(row.decision)
        row.save(force_insert=True)
        _record("withdrawal.requested", row, by=by, at=at, key=key, outcome=row.decision.outcome)
        asked_for = _ask(row, by=by, at=at, is_new=True) if row.state == State.WAITING else None
    # What was done at once, or was to be done and refused, has moved since.
    return row if asked_for is None or asked_for.state == Approval.State.OPEN else of_pk(row.pk)


def cancel(withdrawal: Withdrawal, *, by: By, at: datetime, reason: str = "") -> Withdrawal:
    """Call it off before its money leaves: the money is free again. Called off again, nothing changes.

    Locks the withdrawal, then its approval and payment: of a cancel and an approval at once one finds the other done.

    :raises MoveNotAllowed: if it is being paid, or over.
    """
    with transaction.atomic(), events.together():
        row = locked(withdrawal.pk)
        if row.state == State.CANCELLED:
            return row
        check_may_move(row, State.CANCELLED)
        approvals.void(SUBJECT, row, by=by, at=at, reason="The withdrawal was called off.")
        payment_states.take_back(row, by=by, at=at)
        _give_back(row, by=by, at=at)
        move(row, State.CANCELLED, "withdrawal.cancelled", by=by, at=at, reason=reason)
    return of_pk(row.pk)


def reject(withdrawal: Withdrawal, *, reason: str, by: By, at: datetime, told: str = "") -> Withdrawal:
    """Say no to one that compliance blocked, with a reason: the money is free again. Locks the withdrawal.

    `told` is what the client reads; without, that it was not possible. Rejected again, nothing changes.

    :raises InvalidInput: if the reason is empty. :raises MoveNotAllowed: if it is not blocked or waiting.
    """
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with transaction.atomic():
        row = locked(withdrawal.pk)
        if row.state == State.REJECTED:
            return row
        check_may_move(row, State.REJECTED)
        approvals.void(SUBJECT, row, by=by, at=at, reason="The withdrawal was rejected.")
        return _reject(row, reason=reason, told=told, by=by, at=at)


def look_again(client: Client, by: By, at: datetime) -> None:
    """What a change of the client's KYC level or standing may unblock: each blocked withdrawal is decided about anew.

    Registered with `decisions.rechecks`; the client's row is locked by then.
    """
    for found in Withdrawal.objects.filter(client=client, state=State.BLOCKED).order_by("id"):
        row = locked(found.pk)
        if row.state != State.BLOCKED:
            continue
        row.decision = decisions.decide_again(row.decision.activity, facts_of(row), by=by, at=at)
        row.told, row.problem = _told(row.decision), _problem(row.decision)
        if row.decision.outcome == "block":
            row.save(update_fields=["decision", "told", "problem"])
            continue
        move(row, State.WAITING, "withdrawal.unblocked", by=by, at=at)
        _ask(row, by=by, at=at)


def agreed(row: Withdrawal, *, approval: Approval, by: By, at: datetime) -> None:
    """Everybody who must agree has: the payment is made ready. For the approval engine, which holds the lock."""
    check_may_move(row, State.APPROVED)
    row.approval, row.told, row.problem = approval, "", ""
    move(row, State.APPROVED, "withdrawal.approved", by=by, at=at)
    payment_states.make(row, by=by, at=at)


def refused(row: Withdrawal, *, approval: Approval, reason: str, by: By, at: datetime) -> None:
    """Somebody said no, or nobody decided in time. For the approval engine, which holds the lock."""
    check_may_move(row, State.REJECTED)
    row.approval = approval
    _reject(row, reason=reason, told="", by=by, at=at)


def facts_of(row: Withdrawal) -> Facts:
    """What compliance cannot know by itself."""
    return Facts(
        beneficiary_added_at=row.beneficiary.added_at,
        is_crypto=row.method == Method.CRYPTO,
        owes=debts.owes(row.client),
    )


def of_user(user: User, public_id: UUID) -> Withdrawal:
    """One of this user's withdrawals, with their role. :raises NotFound: if there is none with this id, or it is somebody else's."""
    try:
        found: Withdrawal = clients.with_role(_whole().of_user(user)).get(uuid=public_id)
    except Withdrawal.DoesNotExist:
        raise NotFound("There is no such withdrawal.", field="id") from None
    return found


def of_pk(pk: int) -> Withdrawal:
    """The withdrawal as it is now, with what its pages and answers read. One question."""
    found: Withdrawal = _whole().get(pk=pk)
    return found


def check_may_move(withdrawal: Withdrawal, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in Withdrawal.MOVES[State(withdrawal.state)]:
        raise MoveNotAllowed(f"The withdrawal is: {withdrawal.get_state_display().lower()}.", field="id")


def locked(pk: int) -> Withdrawal:
    """The withdrawal under its row lock, with what its verbs read."""
    found: Withdrawal = _whole().select_for_update(of=("self",), no_key=True).get(pk=pk)
    return found


def move(
    row: Withdrawal, state: str, event: str, *, by: By, at: datetime, reason: str = "", **payload: Any
) -> Withdrawal:
    """Move a locked withdrawal and record it."""
    check_may_move(row, state)
    was, row.state, row.changed_at = row.state, state, at
    row.save()
    _record(event, row, by=by, at=at, reason=reason, was=was, **payload)
    return row


def _whole() -> Any:
    return Withdrawal.objects.select_related(*RELATED)


def _checked(beneficiary: Beneficiary, value: Decimal, at: datetime) -> Decimal:
    """The fee, if the withdrawal may be asked for at all."""
    route = WithdrawalRoute.objects.filter(
        method=beneficiary.method, currency=beneficiary.currency_id, is_active=True
    ).first()
    if route is None:
        raise WithdrawalNotOffered(
            f"Nothing is paid out in {beneficiary.currency_id} that way at the moment."
        )
    if beneficiary.is_removed:
        raise BeneficiaryRemoved("This beneficiary was removed.")
    if at < beneficiary.usable_at:
        raise BeneficiaryTooNew(f"Nothing is paid to it before {beneficiary.usable_at:%Y-%m-%d %H:%M} UTC.")
    digits = beneficiary.currency.exponent
    if value < route.least:
        raise TooSmall(f"At least {route.least:,.{digits}f} {beneficiary.currency_id} is paid out.")
    fee = fees.fee(Fee.Direction.OUT, beneficiary.method, value, beneficiary.currency_id)
    if fee >= value:
        raise TooSmall(f"The fee of {fee:,.{digits}f} {beneficiary.currency_id} would leave nothing.")
    return fee


def _ask(row: Withdrawal, *, by: By, at: datetime, is_new: bool = False) -> Approval:
    at_least = 1 if row.decision.outcome == "review" else 0
    return approvals.request(
        SUBJECT, row, amount=row.amount, currency=row.currency_id, client=row.client, at_least=at_least, by=by, at=at,
        is_new=is_new,
    )  # fmt: skip


def _reject(row: Withdrawal, *, reason: str, told: str, by: By, at: datetime) -> Withdrawal:
    row.told = told.strip()[:300] or "We could not do this. Your money is available again."
    row.problem = reason.strip()[:300]
    _give_back(row, by=by, at=at)
    return move(row, State.REJECTED, "withdrawal.rejected", by=by, at=at, reason=reason)


def _give_back(row: Withdrawal, *, by: By, at: datetime) -> None:
    """What was held is free, and takes no room of the client's limits any more."""
    row.hold = holds.release(row.hold, by=by, at=at).hold
    decisions.release((SUBJECT, row.uuid), by=by, at=at)


def _told(decision: Decision) -> str:
    return decision.told[:300]


def _problem(decision: Decision) -> str:
    return " ".join(reason["message"] for reason in decision.reasons)[:300]


def _first(client: Client, key: str, content: str) -> Withdrawal | None:
    first: Withdrawal | None = _whole().filter(client=client, key=key).first()
    if first is not None and first.content_hash != content:
        raise KeyReused("This key was used before for something else.")
    return first


def _record(
    name: str, row: Withdrawal, *, by: By, at: datetime, key: str = "", reason: str = "", **payload: Any
) -> None:
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at, key=key, reason=reason,
        payload={"amount": row.amount, "fee": row.fee, "currency": row.currency_id, "method": row.method,
                 "beneficiary": row.beneficiary.uuid, "state": row.state, **payload},
    )  # fmt: skip
