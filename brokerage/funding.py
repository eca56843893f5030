"""Moving money between a client's wallet and their account at the venue: asked for, sent, and known for certain.

The venue moves money under a number we give it, and refuses a number it has used. So an answer that was lost is found
out by asking again under the same number: what had moved is refused as used, which proves it; what had not, moves now.
"""

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Case, DateTimeField, F, Q, Value, When

from backoffice import events, keys, metrics
from backoffice.database import uuid7
from backoffice.errors import DomainError, InvalidInput, KeyReused, MoveNotAllowed, NotFound
from backoffice.models import User
from backoffice.money import parse_amount
from backoffice.wake import wake, wake_swept
from backoffice.who import By
from brokerage import accounts, agent_desk, entries
from brokerage.deriv import errors
from brokerage.deriv.rest_types import Payment
from brokerage.models import Funding, TradingAccount
from brokerage.translation import Clock, instant
from ledger import holds, journal
from ledger.wallets import wallet

State = Funding.State
BY: Final = By.system("funding")
# The venue's words for a code that is not the one it sent.
WRONG_CODE: Final = frozenset({"InvalidOTP", "VerificationCodeFormatInvalid"})
DONE: Final = "complete"
FAILED: Final = frozenset({"rejected", "failed"})
# After this long a request that the venue does not know was certainly never taken.
SETTLE_DOWN: Final = timedelta(seconds=30)


class FundingRefused(DomainError):
    """The venue would not begin this; its reason is the message. Nothing moved."""

    code = "FUNDING_REFUSED"


class FundingUnavailable(DomainError):
    """The venue cannot be asked at the moment; asking again is safe."""

    code = "FUNDING_UNAVAILABLE"


class CodeLapsed(DomainError):
    """The venue no longer takes this code; ask for the withdrawal again. Nothing moved."""

    code = "CODE_LAPSED"
    field = "code"


@metrics.verb("funding.deposit")
def deposit(account: TradingAccount, *, amount: str | Decimal, by: By, at: datetime, key: str) -> Funding:
    """Move money from the client's wallet to their account at the venue. It is held at once, and sent by a worker.

    `amount` is in the account's currency and never rounded. The same key with the same content returns the first.
    Locks the wallet.

    :raises NotFundable: if the account is a demo, not on v4, or its grant does not allow payments.
    :raises AccountNotReady: if the account is not connected.
    :raises InvalidAmount: if the amount is not one. :raises InsufficientFunds: if the wallet does not cover it.
    :raises KeyReused: if the key was used with other content.
    """
    value, content, first = _begin(account, Funding.Direction.TO_VENUE, amount, key)
    if first is not None:
        return first
    try:
        with transaction.atomic():
            # The second of two at once waits here for the first, whose hold might leave nothing for another.
            keys.claim(by=by, verb="funding.deposit", key=key, content=content, at=at)
            if (first := Funding.objects.filter(client=account.client_id, key=key).first()) is not None:
                return first
            row = _create(account, Funding.Direction.TO_VENUE, value, State.QUEUED, key, content, at)
            row.hold = holds.place(
                account=row.wallet, amount=value, purpose="funding", by=by, at=at, key=f"funding:{row.uuid}:hold",
                subject=("funding", row.uuid), client_id=account.client.uuid,
            ).hold  # fmt: skip
            row.save(force_insert=True)
            _record("funding.requested", row, by=by, at=at)
            wake("funding.send", row.pk)
            return row
    except IntegrityError as found:
        return _first_of(account, key, content, found)


@metrics.verb("funding.withdraw")
def withdraw(account: TradingAccount, *, amount: str | Decimal, by: By, at: datetime, key: str) -> Funding:
    """Ask for money of the account at the venue for the client's wallet. The venue sends the client a code by mail.

    Nothing moves until the code is given to `confirm`. The same key with the same content returns the first and has
    no second code sent.

    :raises NotFundable, AccountNotReady, InvalidAmount, KeyReused: as `deposit`.
    :raises FundingRefused: if the venue would not send a code; it says why.
    :raises FundingUnavailable: if the venue cannot be asked.
    """
    value, content, first = _begin(account, Funding.Direction.FROM_VENUE, amount, key)
    if first is not None:
        return first
    try:
        sent = agent_desk.request_code(account, value)
    except (errors.Refused, errors.NotAuthorized) as found:
        raise FundingRefused(found.message or found.code) from None
    except errors.VenueError as found:
        raise FundingUnavailable(f"The venue cannot be asked at the moment ({found.code}).") from None
    try:
        with transaction.atomic():
            row = _create(account, Funding.Direction.FROM_VENUE, value, State.CODE_WANTED, key, content, at)
            row.code_until = instant(sent.expires_at)
            row.save(force_insert=True)
            _record("funding.requested", row, by=by, at=at)
            return row
    except IntegrityError as found:
        return _first_of(account, key, content, found)


def confirm(funding: Funding, *, code: str, by: By, at: datetime) -> Funding:
    """The client gives the venue's code: the withdrawal is sent. Given again, nothing changes. Locks the funding.

    A code that the venue says is wrong brings it back to waiting for one.

    :raises InvalidInput: if it is not six digits. :raises CodeLapsed: if it came too late.
    :raises MoveNotAllowed: if the funding waits for no code any more and was not sent with one.
    """
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        raise InvalidInput("The code has six digits.", field="code")
    with transaction.atomic():
        row = _locked(funding)
        if row.direction == Funding.Direction.FROM_VENUE and row.state in (
            State.QUEUED,
            State.UNKNOWN,
            State.PENDING,
            State.DONE,
        ):
            return row
        if row.state != State.LAPSED:
            check_may_move(row, State.QUEUED)
        if row.state == State.LAPSED or (row.code_until is not None and at >= row.code_until):
            raise CodeLapsed("The venue no longer takes this code; ask for the withdrawal again.")
        row.code = code
        row.problem_code = row.problem = ""
        _move(row, State.QUEUED, "funding.confirmed", by=by, at=at)
        wake("funding.send", row.pk)
    return row


def push(funding: Funding, *, now: Clock) -> Funding:
    """Do what comes next: send it, ask what became of it, or give up waiting for a code. Safe to call at any time.

    What was sent before is sent again under the same number, which the venue moves once.
    """
    row = Funding.objects.select_related("account__client", "account__currency", "wallet", "hold").get(
        pk=funding.pk
    )
    if row.state == State.CODE_WANTED:
        return _lapse(row, at=now())
    if row.state in Funding.FINAL or not _is_ours_to_send(row, at=now()):
        return row
    try:
        if row.direction == Funding.Direction.FROM_VENUE and row.state in (State.PENDING, State.UNKNOWN):
            return _ask(row, now=now)
        return _send(row, now=now)
    finally:
        Funding.objects.filter(pk=row.pk).update(sending_until=None)


def _is_ours_to_send(row: Funding, *, at: datetime) -> bool:
    """Claim it for a while, before the wire sees anything: two at once would each take the other's number for used."""
    free = Q(sending_until=None) | Q(sending_until__lt=at)
    sent_at = Case(When(sent_at=None, then=Value(at)), default=F("sent_at"), output_field=DateTimeField())
    claimed = Funding.objects.filter(free, pk=row.pk, state=row.state)
    return claimed.update(sending_until=at + Funding.SENDING, sent_at=sent_at) == 1


def _send(row: Funding, *, now: Clock) -> Funding:
    try:
        answer = agent_desk.send(row)
    except errors.Refused as found:
        return _refused(row, found, now=now)
    except errors.NotAuthorized as found:
        return _end(row, State.REFUSED, code=found.code, message=found.message, at=now())
    except (errors.NotSent, errors.RetryLater) as found:
        return _flag(row, found, at=now())
    except errors.VenueError as found:
        return _lost(row, found, at=now())
    return _take(row, answer, now=now)


def of_user(user: User, public_id: UUID) -> Funding:
    """One of this user's fundings. :raises NotFound: if there is none with this id, or it is somebody else's."""
    try:
        return Funding.objects.of_user(user).select_related("account__client", "currency").get(uuid=public_id)
    except Funding.DoesNotExist:
        raise NotFound("There is no such funding.", field="id") from None


def check_may_push(funding: Funding) -> None:
    """:raises MoveNotAllowed: if it is over."""
    if funding.is_final:
        raise MoveNotAllowed(f"It is over: {funding.get_state_display().lower()}.")


def request_push(funding: Funding, *, by: By, at: datetime, key: str, reason: str) -> Funding:
    """Have the venue asked about it now, not by the next sweep. Moves nothing by itself.

    :raises MoveNotAllowed: if it is over. :raises KeyReused: if the key was used on another one.
    """
    with transaction.atomic():
        row = _locked(funding)
        keys.claim(by=by, verb="funding.push", key=key, content=str(row.uuid), at=at)
        check_may_push(row)
        _record("funding.push_requested", row, by=by, at=at, reason=reason)
        wake("funding.send", row.pk)
    return row


def sweep(*, now: Clock) -> int:
    """Wake whatever a lost nudge or a dead worker left behind; how many."""
    numbers = list(Funding.objects.to_push(now()).values_list("pk", flat=True)[:200])
    for number in numbers:
        wake_swept("funding.send", number)
    return len(numbers)


def check_may_move(funding: Funding, state: str) -> None:
    """:raises MoveNotAllowed: if it cannot go from its state to this one."""
    if state not in Funding.MOVES[State(funding.state)]:
        raise MoveNotAllowed(f"It is: {funding.get_state_display().lower()}.", field="id")


# ── beginning ───────────────────────────────────────────────────────────────────────────────────────────────────


def _begin(
    account: TradingAccount, direction: str, amount: str | Decimal, key: str
) -> tuple[Decimal, str, Funding | None]:
    """The amount, the hash of what is asked, and what was made of the key before."""
    keys.check(key)
    value = parse_amount(amount, exponent=account.currency.exponent, field="amount")
    if value <= 0:
        raise InvalidInput("The amount is above zero.", field="amount")
    content = hashlib.sha256(f"{account.uuid}|{direction}|{value}".encode()).hexdigest()
    first = Funding.objects.filter(client=account.client_id, key=key).first()
    if first is not None:
        if first.content_hash != content:
            raise KeyReused("This key was used before for something else.")
        return value, content, first
    agent_desk.check_may_pay(account)
    accounts.check_may_trade(account)
    return value, content, None


def _create(
    account: TradingAccount, direction: str, amount: Decimal, state: str, key: str, content: str, at: datetime
) -> Funding:
    return Funding(
        uuid=uuid7(), client=account.client, account=account, direction=direction, amount=amount,
        wallet=wallet(account.client.uuid, account.currency_id, at=at), currency=account.currency, state=state,
        key=key, content_hash=content, requested_at=at, changed_at=at,
    )  # fmt: skip


def _first_of(account: TradingAccount, key: str, content: str, found: IntegrityError) -> Funding:
    """Two requests with one key at the same time: the second finds the first one's row."""
    first = Funding.objects.filter(client=account.client_id, key=key, content_hash=content).first()
    if "funding_key_once" not in str(found) or first is None:
        raise found
    return first


# ── what the venue says ─────────────────────────────────────────────────────────────────────────────────────────


def _take(row: Funding, answer: Payment, *, now: Clock) -> Funding:
    if answer.status == DONE:
        return _done(row, answer.transaction_id, at=now())
    if answer.status in FAILED:
        return _end(row, State.REFUSED, code=answer.status, message="The venue could not do it.", at=now())
    with transaction.atomic():
        locked = _locked(row)
        if locked.state in (State.QUEUED, State.UNKNOWN):
            locked.code = None
            locked.venue_transaction_id = answer.transaction_id
            _move(locked, State.PENDING, "funding.taken", by=BY, at=now())
        elif locked.state == State.PENDING:
            Funding.objects.filter(pk=row.pk).update(changed_at=now())
        return locked


def _ask(row: Funding, *, now: Clock) -> Funding:
    """What became of a withdrawal that was sent. One that the venue does not know is sent again, after a while."""
    try:
        return _take(row, agent_desk.status(row), now=now)
    except errors.Refused as found:
        was_never_taken = row.state == State.UNKNOWN and row.changed_at <= now() - SETTLE_DOWN
        return _send(row, now=now) if was_never_taken else _flag(row, found, at=now())
    except errors.VenueError as found:
        return _flag(row, found, at=now())


def _refused(row: Funding, found: errors.Refused, *, now: Clock) -> Funding:
    if isinstance(found, errors.RequestUsed):
        if row.direction == Funding.Direction.TO_VENUE:
            # Transfers are complete when they are taken: a number that is used is a transfer that was made.
            return _done(row, None, at=now())
        return _ask(row, now=now)
    if found.code in WRONG_CODE:
        with transaction.atomic():
            locked = _locked(row)
            if locked.state == State.QUEUED:
                locked.code, locked.sent_at = None, None
                locked.problem_code, locked.problem = found.code, "The venue says that the code is wrong."
                _move(locked, State.CODE_WANTED, "funding.code_wrong", by=BY, at=now())
            return locked
    return _end(row, State.REFUSED, code=found.code, message=found.message, at=now())


def _lost(row: Funding, found: errors.VenueError, *, at: datetime) -> Funding:
    with transaction.atomic():
        locked = _locked(row)
        locked.problem_code, locked.problem = found.code, "The venue's answer was lost."
        if locked.state == State.QUEUED:
            return _move(locked, State.UNKNOWN, "funding.unknown", by=BY, at=at, code=found.code)
        Funding.objects.filter(pk=row.pk, state=State.UNKNOWN).update(changed_at=at)
        return locked


def _flag(row: Funding, found: errors.VenueError, *, at: datetime) -> Funding:
    """Nothing was sent or learned: it stays where it is, and says what keeps it. The sweep tries again."""
    Funding.objects.filter(pk=row.pk, state=row.state).update(
        problem_code=found.code[:64], problem="The venue cannot be asked at the moment.", changed_at=at
    )
    row.refresh_from_db()
    return row


def _done(row: Funding, transaction_id: int | None, *, at: datetime) -> Funding:
    """The money has moved: between the wallet and what we hold at the venue. Twice is once."""
    with transaction.atomic():
        locked = _locked(row)
        if locked.is_final:
            return locked
        locked.code, locked.problem_code, locked.problem = None, "", ""
        locked.venue_transaction_id = transaction_id or locked.venue_transaction_id
        journal.post_many([entries.of_funding(locked, at=at)], by=BY)
        return _move(locked, State.DONE, "funding.done", by=BY, at=at)


def _end(row: Funding, state: str, *, code: str, message: str, at: datetime) -> Funding:
    with transaction.atomic():
        locked = _locked(row)
        if locked.is_final:
            return locked
        if locked.hold is not None:
            holds.release(locked.hold, by=BY, at=at)
        locked.code, locked.problem_code, locked.problem = None, code[:64], message[:300]
        return _move(locked, state, f"funding.{state}", by=BY, at=at, code=code)


def _lapse(row: Funding, *, at: datetime) -> Funding:
    if row.code_until is None or at < row.code_until:
        return row
    with transaction.atomic():
        locked = _locked(row)
        if locked.state == State.CODE_WANTED:
            _move(locked, State.LAPSED, "funding.lapsed", by=BY, at=at)
        return locked


def _locked(row: Funding) -> Funding:
    return (
        Funding.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account__client", "account__currency", "currency", "client", "wallet", "hold")
        .get(pk=row.pk)
    )


def _move(row: Funding, state: str, event: str, *, by: By, at: datetime, code: str = "") -> Funding:
    check_may_move(row, state)
    row.state, row.changed_at = state, at
    row.save()
    _record(event, row, by=by, at=at, code=code)
    return row


def _record(name: str, row: Funding, *, by: By, at: datetime, code: str = "", reason: str = "") -> None:
    payload = {
        "direction": row.direction,
        "state": row.state,
        "amount": f"{row.amount:f}",
        "account": str(row.account.uuid),
    }
    events.record(
        name, subject_type="funding", subject_id=row.uuid, client_id=row.client.uuid, by=by, at=at, reason=reason,
        payload={**payload, "code": code} if code else payload,
    )  # fmt: skip
