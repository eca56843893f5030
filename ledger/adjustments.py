"""Adjustments: staff ask to give a client money or to take some, another person agrees, and it is booked by one entry.

What was booked wrongly is reversed by another adjustment that points to it, which somebody agrees to again.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from backoffice import events, keys, metrics
from backoffice.database import uuid7
from backoffice.errors import DomainError, InvalidInput, MoveNotAllowed
from backoffice.money import parse_amount
from backoffice.who import By
from compliance import approvals
from compliance.models import Approval, Client
from ledger import accounts, journal
from ledger.models import Account, Adjustment, AdjustmentCategory, Book

State = Adjustment.State
Direction = Adjustment.Direction
SUBJECT: Final = "adjustment"
# What verbs and pages read beside an adjustment.
RELATED: Final = ("client", "wallet", "currency", "category", "reverses__entry", "approval")


class CategoryNotFit(DomainError):
    """The category is not in use, does not go this way, or is not for as much."""

    code = "CATEGORY_NOT_FIT"
    field = "category"


class AdjustmentReversed(DomainError):
    """The adjustment was reversed, or somebody has asked for it; it is reversed once."""

    code = "ADJUSTMENT_REVERSED"
    field = "adjustment"


@metrics.verb("adjustment.make")
def make(
    wallet: Account,
    *,
    direction: str,
    amount: str | Decimal,
    category: AdjustmentCategory,
    reason: str,
    by: By,
    at: datetime,
    key: str,
    told: str = "",
) -> Adjustment:
    """Ask for money to be given to a client or taken from one. Nothing is posted until somebody else agrees.

    `amount` is of the wallet's currency, exact. `reason` is for us, `told` what the client reads. At least one other
    person must agree, whatever the policy says. The same key with the same content is the same adjustment.

    :raises InvalidInput: if it is no client's wallet of real money, the amount is not above zero or the reason is empty.
    :raises InvalidAmount: if the amount is not one. :raises CategoryNotFit: if the category is not for this.
    :raises KeyReused: if the key was used for something else.
    """
    if wallet.purpose != "wallet" or wallet.book != Book.REAL or wallet.client_id is None:
        raise InvalidInput("Only clients' wallets are adjusted.", field="wallet")
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    value = parse_amount(amount, exponent=wallet.currency.exponent, field="amount")
    if value <= 0:
        raise InvalidInput("The amount is above zero.", field="amount")
    content = f"{wallet.uuid}|{direction}|{value:f}|{category.pk}"
    with transaction.atomic():
        if (first := _first("adjustment.make", content, by=by, at=at, key=key)) is not None:
            return first
        _check_category(category, direction, value)
        row = Adjustment(
            uuid=uuid7(), client=Client.objects.get(uuid=wallet.client_id), wallet=wallet, currency=wallet.currency,
            direction=direction, amount=value, category=category, reason=reason.strip()[:200], told=told.strip()[:200],
        )  # fmt: skip
        return _ask(row, by=by, at=at, key=f"adjustment.make:{key}")


@metrics.verb("adjustment.reverse")
def reverse(adjustment: Adjustment, *, reason: str, by: By, at: datetime, key: str) -> Adjustment:
    """Ask for an adjustment to be taken back whole, by another one that somebody else agrees to. Locks the adjustment.

    The same key again is the same reversal. A reversal itself is not reversed: a new adjustment says what is meant.

    :raises InvalidInput: if the reason is empty. :raises MoveNotAllowed: if it was not applied, or is a reversal.
    :raises AdjustmentReversed: if it was reversed, or a reversal waits. :raises KeyReused: if the key was used otherwise.
    """
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    with transaction.atomic():
        found = locked(adjustment.pk)
        if (first := _first("adjustment.reverse", str(found.uuid), by=by, at=at, key=key)) is not None:
            return first
        check_may_reverse(found)
        row = Adjustment(
            uuid=uuid7(), client=found.client, wallet=found.wallet, currency=found.currency,
            direction=Direction.DEBIT if found.direction == Direction.CREDIT else Direction.CREDIT, amount=found.amount,
            category=found.category, reason=reason.strip()[:200], reverses=found,
        )  # fmt: skip
        return _ask(row, by=by, at=at, key=f"adjustment.reverse:{key}")


def cancel(adjustment: Adjustment, *, by: By, at: datetime, reason: str) -> Adjustment:
    """Call off one that waits: its approval ends. Called off again, nothing changes. Locks the adjustment.

    :raises MoveNotAllowed: if it is over.
    """
    with transaction.atomic():
        row = locked(adjustment.pk)
        if row.state == State.CANCELLED:
            return row
        check_may_move(row, State.CANCELLED)
        approvals.void(SUBJECT, row, by=by, at=at, reason="The adjustment was called off.")
        return _move(row, State.CANCELLED, "adjustment.cancelled", by=by, at=at, reason=reason)


def agreed(row: Adjustment, *, approval: Approval, by: By, at: datetime) -> None:
    """Everybody who must agree has: it is booked. For the approval engine, which holds the lock.

    Of a reversal the mirror image of the other's entry. What a client has spent since cannot be taken from them.
    """
    check_may_move(row, State.APPLIED)
    row.approval, row.problem = approval, ""
    row.entry_id = post(row, by=by, at=at).entry_id
    _move(row, State.APPLIED, "adjustment.applied", by=by, at=at)
    if row.reverses is not None:
        _record("adjustment.reversed", row.reverses, by=by, at=at, reversal=row.uuid)


def refused(row: Adjustment, *, approval: Approval, reason: str, by: By, at: datetime) -> None:
    """Somebody said no, or nobody decided in time. For the approval engine, which holds the lock."""
    state = State.EXPIRED if approval.state == Approval.State.EXPIRED else State.REJECTED
    check_may_move(row, state)
    row.approval, row.problem = approval, reason.strip()[:300]
    _move(row, state, f"adjustment.{state.value}", by=by, at=at, reason=reason)


def post(row: Adjustment, *, by: By, at: datetime) -> journal.Posted:
    """Book it: between the wallet and the category's account, or the mirror image of the entry it reverses."""
    key = f"adjustment:{row.uuid}:applied"
    if row.reverses is not None and row.reverses.entry is not None:
        return journal.reverse(row.reverses.entry, reason=f"Reversal: {row.category}", by=by, at=at, key=key)
    house = against(row.category, row.currency_id)
    given = row.direction == Direction.CREDIT
    lines = [journal.debit(house, row.amount), journal.credit(row.wallet_id, row.amount)] if given else [
        journal.debit(row.wallet_id, row.amount), journal.credit(house, row.amount)
    ]  # fmt: skip
    return journal.post(
        kind="adjustment", lines=lines, by=by, at=at, key=key, narration=f"Adjustment: {row.category}",
        subject=(SUBJECT, row.uuid), client_id=row.client.uuid,
    )  # fmt: skip


def against(category: AdjustmentCategory, currency: str) -> Account:
    """The account of ours that a category is booked against.

    :raises AccountDiffers: if its purpose is another kind of account already.
    """
    return accounts.house(Book.REAL, currency, category.purpose, category.account_kind)


def check_may_move(adjustment: Adjustment, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in Adjustment.MOVES[State(adjustment.state)]:
        raise MoveNotAllowed(
            f"The adjustment is: {adjustment.get_state_display().lower()}.", field="adjustment"
        )


def check_may_reverse(adjustment: Adjustment) -> None:
    """:raises MoveNotAllowed: if it was not applied, or is a reversal. :raises AdjustmentReversed: if one is, or waits."""
    if adjustment.state != State.APPLIED or adjustment.reverses_id is not None:
        raise MoveNotAllowed("Only an adjustment that was applied is reversed.", field="adjustment")
    if adjustment.reversals.filter(state__in=[State.WAITING, State.APPLIED]).exists():
        raise AdjustmentReversed("It was reversed, or a reversal waits for approval.")


def locked(pk: int) -> Adjustment:
    """The adjustment under its row lock, with what its verbs read."""
    found: Adjustment = whole().select_for_update(of=("self",), no_key=True).get(pk=pk)
    return found


def whole() -> Any:
    """Adjustments with what their verbs and pages read."""
    return Adjustment.objects.select_related(*RELATED)


def _ask(row: Adjustment, *, by: By, at: datetime, key: str) -> Adjustment:
    row.state, row.made_by, row.made_by_user_id, row.made_at, row.changed_at = (
        State.WAITING,
        by.name,
        by.user_id,
        at,
        at,
    )
    row.key = key
    row.save(force_insert=True)
    reverses = row.reverses.uuid if row.reverses is not None else None
    _record("adjustment.made", row, by=by, at=at, key=key, reason=row.reason, reverses=reverses)
    approvals.request(
        SUBJECT, row, amount=row.amount, currency=row.currency_id, client=row.client, at_least=1, by=by, at=at
    )  # fmt: skip
    return row


def _first(verb: str, content: str, *, by: By, at: datetime, key: str) -> Adjustment | None:
    """What this key made before; else it is claimed. Two at once: the second waits for the first to commit."""
    keys.claim(by=by, verb=verb, key=key, content=content, at=at)
    found: Adjustment | None = whole().filter(made_by=by.name, key=f"{verb}:{key}").first()
    return found


def _check_category(category: AdjustmentCategory, direction: str, amount: Decimal) -> None:
    if direction not in Direction.values:
        raise InvalidInput("It goes to the client or from the client.", field="direction")
    if not category.is_active or category.direction not in (direction, AdjustmentCategory.Direction.BOTH):
        raise CategoryNotFit(f"“{category}” is not for this.")
    if category.most is not None and amount > category.most:
        raise CategoryNotFit(f"“{category}” is for at most {category.most.normalize():f}.", field="amount")


def _move(row: Adjustment, state: str, event: str, *, by: By, at: datetime, reason: str = "") -> Adjustment:
    check_may_move(row, state)
    was, row.state, row.changed_at = row.state, state, at
    row.save()
    _record(event, row, by=by, at=at, reason=reason, was=was)
    return row


def _record(
    name: str, row: Adjustment, *, by: By, at: datetime, key: str = "", reason: str = "", **payload: Any
) -> None:
    events.record(
        name, subject_type=SUBJECT, subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at, key=key, reason=reason,
        payload={"amount": row.amount, "currency": row.currency_id, "direction": row.direction,
                 "category": row.category.uuid, "state": row.state, **payload},
    )  # fmt: skip
