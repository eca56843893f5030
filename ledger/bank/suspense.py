"""What becomes of money that no deposit explains, and of money that left: decided by a person, booked by an entry.

A line in suspense is assigned to a deposit or a client, or marked to be sent back. A line out is claimed by a payment
of ours, or is the bank's fee. Each once; the entry that did it stands on the line.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from backoffice import events, in_hand, keys, metrics
from backoffice.errors import DomainError, InvalidInput, MoveNotAllowed
from backoffice.models import User
from backoffice.who import By
from compliance.models import Client
from ledger import deposits, journal
from ledger.bank import accounts
from ledger.bank.lines import Line
from ledger.bank.matching import Candidate, candidates, references_of
from ledger.bank.rules import rule_of, wanted_of
from ledger.content import Subject
from ledger.models import AccountRef, BankLine, Deposit, Entry, Fee, Method

State = BankLine.State
SUBJECT: Final = "bank_line"


class LinesDiffer(DomainError):
    """Two lines that should be the same money are not of one account and amount."""

    code = "LINES_DIFFER"
    field = "line"


class NoSuchOwner(DomainError):
    """There is no such deposit or client, or more than one, to assign money to."""

    code = "NO_SUCH_OWNER"


@metrics.verb("suspense.assign")
def assign(
    line: BankLine, to: Deposit | Client, *, by: By, at: datetime, key: str, reason: str = ""
) -> BankLine:
    """Move money from suspense to a client's wallet, less the fee: by their deposit, or one made for it.

    The deposit may have been cancelled or have run out, and another amount may have been asked for: somebody decides.
    The same key again changes nothing. Locks the line, then the deposit, then the accounts.

    :raises MoveNotAllowed: if the line is not in suspense, or the deposit is over for good.
    :raises InvalidInput: if the deposit is in another currency.
    :raises KeyReused: if the key was used for something else. Also the refusals of `deposits.complete`.
    """
    with transaction.atomic():
        row = locked(line)
        content = f"{row.uuid}|{to.uuid}"
        if keys.is_claimed(by=by, verb="suspense.assign", key=key):
            keys.claim(by=by, verb="suspense.assign", key=key, content=content, at=at)
            return row
        keys.claim(by=by, verb="suspense.assign", key=key, content=content, at=at)
        check_may_move(row, State.ASSIGNED)
        deposit = _deposit_for(row, to, by=by, at=at)
        if deposit.currency_id != row.bank_account.currency_id or deposit.method != Method.BANK:
            raise InvalidInput("That deposit is in another currency, or by another method.", field="deposit")
        deposits.check_may_move(deposits.locked(deposit), Deposit.State.COMPLETED)
        done = deposits.complete(
            deposit, amount=row.amount, source=accounts.suspense(row.bank_account.currency_id), by=by, at=at,
            external_id=row.bank_id, narration=f"Out of suspense: {deposit.reference}",
        )  # fmt: skip
        row.deposit, row.settled_by = done, done.entry
        return _move(row, State.ASSIGNED, "bank_line.assigned", by=by, at=at, reason=reason, deposit=done)


def send_back(line: BankLine, *, by: By, at: datetime, reason: str = "") -> BankLine:
    """Say that the money is to be paid back to where it came from; it stays in suspense until that is done. Once.

    Locks the line.

    :raises MoveNotAllowed: if the line is not in suspense.
    """
    return _decide(line, State.TO_RETURN, "bank_line.to_return", by=by, at=at, reason=reason)


def keep(line: BankLine, *, by: By, at: datetime, reason: str = "") -> BankLine:
    """Take back that the money is to be sent back: it waits in suspense again. Once. Locks the line.

    :raises MoveNotAllowed: if it is not to be sent back, or was sent.
    """
    return _decide(line, State.SUSPENSE, "bank_line.kept", by=by, at=at, reason=reason)


@metrics.verb("suspense.settle")
def claim(
    line: BankLine,
    *,
    against: AccountRef,
    kind: str,
    subject: Subject,
    by: By,
    at: datetime,
    narration: str = "",
) -> BankLine:
    """A payment of ours explains the line: money out was paid by it, money in is it coming back.

    Posts debit `against`, credit unmatched out (of money in: debit suspense, credit `against`), about `subject`. The
    line claimed again by the same subject changes nothing. Locks the line, then the accounts.

    :raises MoveNotAllowed: if the line waits for nobody, or was claimed by another. Also the refusals of `journal.post`.
    """
    with transaction.atomic():
        row = locked(line)
        if row.state == State.PAID and row.settled_by is not None:
            if subject is None or (row.settled_by.subject_type, row.settled_by.subject_id) != subject:
                raise MoveNotAllowed("Another payment claimed this line.", field="line")
            return row
        check_may_move(row, State.PAID)
        return _settle(
            row,
            State.PAID,
            "bank_line.paid",
            against,
            kind=kind,
            subject=subject,
            narration=narration,
            by=by,
            at=at,
        )


def explained(line: BankLine, entry: Entry, *, by: By, at: datetime, reason: str = "") -> BankLine:
    """A payment of ours explains the line, by the entry that it was booked with itself. Posts nothing.

    The caller has the line locked, or nothing else knows of the entry. Again, nothing changes.

    :raises MoveNotAllowed: if the line waits for nobody.
    """
    with transaction.atomic():
        row = locked(line)
        if row.state == State.PAID and row.settled_by_id == entry.pk:
            return row
        check_may_move(row, State.PAID)
        row.settled_by = entry
        return _move(row, State.PAID, "bank_line.paid", by=by, at=at, reason=reason)


@metrics.verb("suspense.sent_back")
def sent_back(line: BankLine, by_line: BankLine, *, by: By, at: datetime, reason: str = "") -> BankLine:
    """Money of a line that was to be sent back left with another line: debit suspense, credit unmatched out.

    Both lines are settled by the one entry. The same two again change nothing. Locks both lines in the order of their
    primary keys, then the accounts.

    :raises MoveNotAllowed: if one of them waits for nobody, or is not what it should be.
    :raises LinesDiffer: if account or amount differ: what the bank kept of it is its fee, another line.
    """
    with transaction.atomic():
        both = {row.pk: row for row in map(locked, sorted((line, by_line), key=lambda one: one.pk))}
        came, left = both[line.pk], both[by_line.pk]
        if came.state == State.RETURNED and came.settled_by_id == left.settled_by_id:
            return came
        check_may_move(came, State.RETURNED)
        check_may_move(left, State.PAID)
        if left.direction != Fee.Direction.OUT:
            raise MoveNotAllowed("Money is sent back with a line out.", field="line")
        if came.bank_account_id != left.bank_account_id or came.amount != left.amount:
            raise LinesDiffer("Account or amount of the two lines differ.")
        _settle(
            left, State.PAID, "bank_line.paid", accounts.suspense(left.bank_account.currency_id), kind="sent_back",
            subject=(SUBJECT, came.uuid), narration=f"Sent back: {came.counterparty or came.text}"[:400], by=by, at=at,
            reason=reason,
        )  # fmt: skip
        came.settled_by_id = left.settled_by_id
        return _move(came, State.RETURNED, "bank_line.sent_back", by=by, at=at, reason=reason)


def book_fee(line: BankLine, *, by: By, at: datetime, reason: str = "") -> BankLine:
    """Money that left was the bank's fee: debit bank fees, credit unmatched out. Again, nothing changes.

    Locks the line, then the accounts.

    :raises MoveNotAllowed: if the line is not money out that nothing explains. Also the refusals of `journal.post`.
    """
    with transaction.atomic():
        row = locked(line)
        if row.state == State.BANK_FEE:
            return row
        check_may_move(row, State.BANK_FEE)
        against = accounts.bank_fees(row.bank_account.currency_id)
        return _settle(
            row, State.BANK_FEE, "bank_line.fee_booked", against, kind="bank_fee", subject=(SUBJECT, row.uuid),
            narration=f"Fee of the bank, {row.bank_account}", by=by, at=at, reason=reason,
        )  # fmt: skip


def take(line: BankLine, *, by: By, at: datetime) -> BankLine:
    """Take it in hand for 15 minutes: until then nobody else decides about it. Locks the line.

    :raises MoveNotAllowed: if nothing is to be decided about it. :raises TakenBySomebody: if another person has it.
    """
    with transaction.atomic():
        row = locked(line)
        if row.state not in BankLine.WAITING:
            raise MoveNotAllowed(f"The line is: {row.get_state_display().lower()}.", field="line")
        return in_hand.take(row, _person(by), record=_recorder(by, at), at=at)


def take_next(state: str = State.SUSPENSE, *, by: By, at: datetime) -> BankLine | None:
    """Take the oldest in this state that is in nobody's hands; what the person has in hand already comes first.

    Two who ask at once get two. None: nothing waits.
    """
    user = _person(by)
    rows = BankLine.objects.visible_to(user).filter(state=state).select_related("bank_account__currency")
    found: BankLine | None = in_hand.take_next(rows, user, record=_recorder(by, at), at=at)
    return found


def let_go(line: BankLine, *, by: By, at: datetime) -> BankLine:
    """Have it no longer in hand. What is not taken stays so. Locks the line.

    :raises TakenBySomebody: if another person has it.
    """
    with transaction.atomic():
        return in_hand.let_go(locked(line), _person(by), record=_recorder(by, at), at=at)


def _person(by: By) -> User:
    found: User = User.objects.get(pk=by.user_id, kind=User.Kind.STAFF, is_active=True)
    return found


def _recorder(by: By, at: datetime) -> in_hand.Record:
    return lambda what, row: _record(f"bank_line.{what}", row, by=by, at=at)


def candidates_of(
    line: BankLine, *, among: QuerySet[Deposit] | None = None
) -> list[tuple[Candidate, Deposit]]:
    """The deposits a line in suspense may be for, the likeliest first, each with what speaks for it. Three queries.

    `among` are those that may be told; all of them unless given.
    """
    said = as_line(line)
    currency = line.bank_account.currency_id
    rule = rule_of(line.bank_account)
    near = max(rule.tolerance, line.amount * rule.tolerance_rate)
    told = Deposit.objects.all() if among is None else among
    rows = told.filter(method=Method.BANK, currency=currency).select_related("client", "currency")
    named = rows.filter(reference__in=references_of(said))
    alike = rows.filter(
        state__in=Deposit.OPEN, amount__gte=line.amount - near, amount__lte=line.amount + near
    )
    # The amount alone may fit many; the newest are the likeliest.
    by_id = {row.pk: row for row in [*named, *alike.order_by("-id")[:200]]}
    found = candidates(said, map(wanted_of, by_id.values()), rule)
    return [(one, by_id[one.deposit]) for one in found[:10] if by_id[one.deposit].state in _OFFERED]


_OFFERED: Final = frozenset(
    state for state, moves in Deposit.MOVES.items() if Deposit.State.COMPLETED in moves
)


def as_line(row: BankLine) -> Line:
    """A stored line as matching sees it."""
    return Line(
        place=row.place, direction=row.direction, amount=row.amount, booked_on=row.booked_on, value_on=row.value_on,
        is_reversal=row.is_reversal, text=row.text, counterparty=row.counterparty,
        counterparty_iban=row.counterparty_iban or "", end_to_end_id=row.end_to_end_id, bank_id=row.bank_id,
    )  # fmt: skip


def check_may_move(line: BankLine, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in BankLine.MOVES[State(line.state)]:
        raise MoveNotAllowed(f"The line is: {line.get_state_display().lower()}.", field="line")


def may_move_to(state: str) -> Callable[[BankLine], bool]:
    """Whether a line may go to a state: what a button asks."""
    return lambda line: state in BankLine.MOVES[State(line.state)]


def locked(line: BankLine) -> BankLine:
    """The line under its row lock, with what its verbs read."""
    rows = BankLine.objects.with_statement().select_for_update(of=("self",), no_key=True)
    return rows.select_related("bank_account__currency", "settled_by", "deposit__client", "taken_by").get(
        pk=line.pk
    )


def _deposit_for(row: BankLine, to: Deposit | Client, *, by: By, at: datetime) -> Deposit:
    if isinstance(to, Deposit):
        return to
    return deposits.create(
        to, method=Method.BANK, currency=row.bank_account.currency_id, amount=row.amount, by=by, at=at,
        key=f"line-{row.uuid}",
    )  # fmt: skip


def _settle(
    row: BankLine, state: str, event: str, against: AccountRef, *, kind: str, subject: Subject, narration: str,
    by: By, at: datetime, reason: str = "",
) -> BankLine:  # fmt: skip
    currency, amount = row.bank_account.currency_id, row.amount
    if row.direction == Fee.Direction.OUT:
        lines = [journal.debit(against, amount), journal.credit(accounts.unmatched_out(currency), amount)]
    else:
        lines = [journal.debit(accounts.suspense(currency), amount), journal.credit(against, amount)]
    posted = journal.post(
        kind=kind, lines=lines, by=by, at=at, key=f"bank_line:{row.uuid}:{state}", reference=row.end_to_end_id,
        narration=narration, subject=subject,
    )  # fmt: skip
    row.settled_by_id = posted.entry_id
    return _move(row, state, event, by=by, at=at, reason=reason)


def _decide(line: BankLine, state: str, event: str, *, by: By, at: datetime, reason: str) -> BankLine:
    with transaction.atomic():
        row = locked(line)
        if row.state == state:
            return row
        check_may_move(row, state)
        return _move(row, state, event, by=by, at=at, reason=reason)


def _move(
    row: BankLine,
    state: str,
    event: str,
    *,
    by: By,
    at: datetime,
    reason: str = "",
    deposit: Deposit | None = None,
) -> BankLine:
    in_hand.check_free(row, by.user_id, at=at)
    row.state, row.changed_at = state, at
    row.taken_by = row.taken_until = None
    row.save()
    _record(event, row, by=by, at=at, reason=reason, deposit=deposit)
    return row


def _record(
    event: str, row: BankLine, *, by: By, at: datetime, reason: str = "", deposit: Deposit | None = None
) -> None:
    payload: dict[str, str | Decimal] = {
        "amount": row.amount,
        "currency": row.bank_account.currency_id,
        "state": row.state,
    }
    events.record(
        event, subject_type=SUBJECT, subject_id=row.uuid, client_id=deposit.client.uuid if deposit else None, by=by,
        at=at, reason=reason, payload=payload | ({"deposit": str(deposit.uuid)} if deposit else {}),
    )  # fmt: skip
