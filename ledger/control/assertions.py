"""What staff say an account stands at, at the end of a day, held against the books at once and every night.

An assertion that fails is a queue item with its difference until something is booked or somebody resolves it, and the
day cannot be closed meanwhile.
"""

from datetime import UTC, date, datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Max, Q

from backoffice import events, keys
from backoffice.errors import InvalidInput, MoveNotAllowed
from backoffice.money import parse_amount
from backoffice.who import By
from ledger import accounts
from ledger.models import Account, BalanceAssertion, Book, Closing

State = BalanceAssertion.State


def enter(
    account: Account, *, on: date, amount: str | Decimal, source: str = "", by: By, at: datetime, key: str
) -> BalanceAssertion:
    """Say that an account stands at an amount at the end of a business date; it is checked at once.

    `amount` is on the account's normal side, in its currency, and may be below zero. The same key with the same content
    returns the first.

    :raises InvalidInput: if the day is still to come. :raises InvalidAmount: if the amount is not one.
    :raises KeyReused: if the key was used for another assertion.
    """
    value = parse_amount(amount, exponent=account.currency.exponent)
    if on > at.astimezone(UTC).date():
        raise InvalidInput("That day is still to come.", field="on")
    said = {"account": account, "business_date": on, "amount": value, "entered_by": by.name}
    with transaction.atomic():
        is_replay = keys.is_claimed(by=by, verb="assertion.enter", key=key)
        keys.claim(
            by=by, verb="assertion.enter", key=key, content=f"{account.uuid}|{on}|{value}|{source}", at=at
        )
        if (
            is_replay
            and (first := BalanceAssertion.objects.filter(**said).order_by("id").first()) is not None
        ):
            return first
        found = accounts.balance_on(account, day=on)
        row = BalanceAssertion.objects.create(
            **said, source=source, found=found, state=State.HOLDS if found == value else State.FAILS,
            entered_at=at, checked_at=at, changed_at=at,
        )  # fmt: skip
        _record("balance_assertion.entered", row, by=by, at=at)
    return row


def check(assertion: BalanceAssertion, *, by: By, at: datetime) -> BalanceAssertion:
    """Hold it against the books again. A resolved one stays so. Locks the assertion."""
    with transaction.atomic():
        row = _locked(assertion)
        if row.state == State.RESOLVED:
            return row
        row.found, row.checked_at = accounts.balance_on(row.account_id, day=row.business_date), at
        state = State.HOLDS if row.found == row.amount else State.FAILS
        if state != row.state:
            row.state, row.changed_at = state, at
            _record(f"balance_assertion.{'held' if state == State.HOLDS else 'failed'}", row, by=by, at=at)
        row.save(update_fields=["found", "checked_at", "state", "changed_at"])
    return row


def check_all(*, by: By, at: datetime) -> int:
    """Check what fails and whatever is about a day that can still be booked on; how many fail."""
    through = dict(
        Closing.objects.filter(reopened_at=None)
        .values_list("book")
        .annotate(last=Max("business_date"))
        .order_by()
    )
    is_open = Q(state=State.FAILS)
    for book in Book.values:
        after = Q(business_date__gt=through[book]) if book in through else Q()
        is_open |= Q(account__book=book, state=State.HOLDS) & after
    rows = [check(row, by=by, at=at) for row in BalanceAssertion.objects.filter(is_open).order_by("id")]
    return sum(row.state == State.FAILS for row in rows)


def resolve(assertion: BalanceAssertion, *, reason: str, by: By, at: datetime, key: str) -> BalanceAssertion:
    """Say why the books are right, or why it does not matter: it no longer stands in the way. Locks the assertion.

    The same key again returns it as it is.

    :raises MoveNotAllowed: if it does not fail. :raises KeyReused: if the key resolved another one.
    """
    with transaction.atomic():
        row = _locked(assertion)
        is_replay = keys.is_claimed(by=by, verb="assertion.resolve", key=key)
        keys.claim(by=by, verb="assertion.resolve", key=key, content=str(row.uuid), at=at)
        if is_replay:
            return row
        check_may_resolve(row)
        row.state, row.changed_at = State.RESOLVED, at
        row.save(update_fields=["state", "changed_at"])
        _record("balance_assertion.resolved", row, by=by, at=at, reason=reason)
    return row


def check_may_resolve(assertion: BalanceAssertion) -> None:
    """:raises MoveNotAllowed: if it does not fail."""
    if State.RESOLVED not in BalanceAssertion.MOVES[State(assertion.state)]:
        raise MoveNotAllowed(f"It {assertion.get_state_display().lower()}; only one that fails is resolved.")


def failing(book: Book | str, *, through: date) -> list[BalanceAssertion]:
    """The unresolved assertions of a book about days up to this one that do not hold now; nothing is written."""
    last = Closing.objects.standing(str(book)).aggregate(last=Max("business_date"))["last"]
    rows = BalanceAssertion.objects.filter(account__book=book, business_date__lte=through).exclude(
        state=State.RESOLVED
    )
    if last is not None:
        rows = rows.filter(Q(state=State.FAILS) | Q(business_date__gt=last))
    return [
        row
        for row in rows.select_related("account").order_by("id")
        if accounts.balance_on(row.account_id, day=row.business_date) != row.amount
    ]


def _locked(assertion: BalanceAssertion) -> BalanceAssertion:
    rows = BalanceAssertion.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("account").get(pk=assertion.pk)


def _record(name: str, row: BalanceAssertion, *, by: By, at: datetime, reason: str = "") -> None:
    events.record(
        name, subject_type="balance_assertion", subject_id=row.uuid, client_id=row.account.client_id, by=by, at=at,
        payload={"account": row.account.uuid, "business_date": f"{row.business_date}", "state": row.state,
                 "asserted": row.amount, "found": row.found},
        reason=reason,
    )  # fmt: skip
