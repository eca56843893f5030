"""Approvals: what one person asks for and others agree to, whatever it is. One engine for every kind of thing.

An app registers its kinds (`approvals.kinds.register`), and asks with `request`. People vote with `approve` and
`reject`, each once, on exactly the content they were shown; the last vote needed does what was asked for, in its own
transaction, after everything was looked at again.

Locked in this order: the subject, the approval, then whatever `Kind.apply` locks.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import Model

from backoffice import events, keys
from backoffice.errors import DomainError, InvalidInput
from backoffice.in_hand import TakenBySomebody
from backoffice.models import User
from backoffice.wake import wake
from backoffice.who import By
from compliance.approval_kinds import Kind, canonical, digest, kinds
from compliance.approval_votes import (
    AlreadyVoted,
    ApprovalExpired,
    ApprovalOver,
    ContentChanged,
    NotYourRole,
    OwnRequest,
    check_may_try_again,
    check_may_vote,
    let_go,
    take,
    take_next,
    voter,
)
from compliance.models import Approval, ApprovalPolicy, Client, Vote

__all__ = [
    "AlreadyVoted", "ApprovalExpired", "ApprovalOver", "ContentChanged", "Kind", "NotYourRole", "OwnRequest",
    "TakenBySomebody", "apply_due", "approve", "check_may_try_again", "check_may_vote", "expire_due", "kinds", "let_go", "reject", "request",
    "take", "take_next", "try_again", "void",
]  # fmt: skip

_log = logging.getLogger(__name__)
State = Approval.State
HOURS_WITHOUT_POLICY = 72
SYSTEM = By.system("approvals")


def request(
    kind: str,
    subject: Model,
    *,
    amount: Decimal | None,
    currency: str | None,
    client: Client | None,
    by: By,
    at: datetime,
    at_least: int = 0,
    is_new: bool = False,
) -> Approval:
    """Ask for something that others must agree to. Call it in the transaction that made the subject or holds its lock.

    How many must agree, of which role and until when says the policy for the kind, the amount and the currency;
    without any, one person. Where the policy asks nobody it is done at once, and the approval says by which policy.
    Then it may come back as *failed*, with the refusal's code and message and nothing moved: look at its state.
    `at_least` so many people are asked whatever the policy says.

    The same again, while it waits, is the same approval. With other content, or where it could not be done, the one before
    is voided. `is_new` says that the subject was made in this transaction, so that nothing about it can wait and nothing is
    looked for.
    """
    the_kind = kinds.get(kind)
    content = canonical(the_kind.content(subject))
    with transaction.atomic():
        standing = None if is_new else _waiting(kind, subject)
        is_same = standing is not None and standing.content_hash == digest(content)
        if standing is not None and is_same and standing.state != State.FAILED:
            return standing
        if standing is not None:
            _end(
                standing,
                State.VOIDED,
                code="" if is_same else ContentChanged.code,
                message="It was asked for again." if is_same else "What was asked for has changed.",
                by=by,
                at=at,
            )
        policy = ApprovalPolicy.objects.applying(kind, amount, currency)
        needed = max(at_least, 1 if policy is None else policy.approvers)
        row = Approval.objects.create(
            kind=kind, subject_type=the_kind.subject_type, subject_id=subject.uuid,  # type: ignore[attr-defined]
            client=client, amount=amount, currency_id=currency, title=the_kind.title(subject)[:200],
            content=content, content_hash=digest(content), policy=policy, needed=needed,
            role=policy.role if policy else None, state=State.OPEN if needed else State.APPROVED,
            requested_by=by.name, requested_by_user_id=by.user_id, requested_at=at,
            expires_at=at + timedelta(hours=policy.hours if policy else HOURS_WITHOUT_POLICY),
            decided_at=None if needed else at,
        )  # fmt: skip
        _record("approval.requested", row, by=by, at=at, needed=needed, policy=policy.pk if policy else None,
                content_hash=row.content_hash)  # fmt: skip
        if not needed:
            _execute(the_kind, subject, row, by=by, at=at)
    return row


def approve(
    approval: Approval, *, content_hash: str, by: By, at: datetime, key: str, reason: str = ""
) -> Approval:
    """Agree to it, as the person and to the content shown. The last vote needed does it, in the same transaction.

    What then refuses leaves the approval *failed*, with the refusal's code, and nothing else moved; it waits to be tried again. If the database is
    in trouble meanwhile (a lock, a deadlock, a time limit), the vote stands and a worker tries again. Locks the subject,
    then the approval. The same key again changes nothing.

    :raises ApprovalOver: if it was decided, voided or done before. :raises ApprovalExpired: if its time is over.
    :raises OwnRequest: if the person asked for it. :raises AlreadyVoted: if they voted on it before.
    :raises NotYourRole: if they may not decide this kind, or are not of the role the policy names.
    :raises TakenBySomebody: while another person has it in hand.
    :raises ContentChanged: if `content_hash` or the thing itself is not what was asked for any more.
    """
    user = voter(by)
    with transaction.atomic():
        kind, subject, row = _locked(approval)
        if _is_known(row, "approve", f"{row.uuid}|{content_hash}", by=by, at=at, key=key):
            return row
        check_may_vote(row, user, at=at)
        if not content_hash == row.content_hash == digest(kind.content(subject)):
            raise ContentChanged("What was asked for has changed since. Look at it again.")
        _vote(row, user, Vote.Verdict.APPROVE, reason, by=by, at=at, key=key)
        if row.votes.filter(verdict=Vote.Verdict.APPROVE).count() >= row.needed:
            row.state, row.decided_at = State.APPROVED, at
            row.save(update_fields=["state", "decided_at", "taken_by", "taken_until"])
            _execute(kind, subject, row, by=by, at=at)
    return row


def reject(approval: Approval, *, reason: str, by: By, at: datetime, key: str) -> Approval:
    """Say no. One no ends it, whoever agreed before; what follows for the subject is the kind's to do, in the same
    transaction. Locks the subject, then the approval. The same key again changes nothing.

    :raises InvalidInput: if the reason is empty.
    :raises DomainError: as for `approve`; that the content has changed is no obstacle.
    """
    if not reason.strip():
        raise InvalidInput("Say why.", field="reason")
    user = voter(by)
    with transaction.atomic():
        kind, subject, row = _locked(approval)
        if _is_known(row, "reject", str(row.uuid), by=by, at=at, key=key):
            return row
        check_may_vote(row, user, at=at)
        _vote(row, user, Vote.Verdict.REJECT, reason, by=by, at=at, key=key)
        _end(row, State.REJECTED, message=reason, by=by, at=at)
        kind.refuse(subject, approval=row, reason=reason, by=by, at=at)
    return row


def try_again(approval: Approval, *, by: By, at: datetime) -> Approval:
    """Do what was agreed to and refused then, now that what was in the way is gone: with the votes that were given, on the
    content they were given for, after everything was looked at again.

    Refused again, it is *failed* again, with what is in the way now. Called again when it is done, nothing changes. Locks
    the subject, then the approval.

    :raises ApprovalOver: if it did not fail. :raises ApprovalExpired: if its time is over.
    :raises NotYourRole: if the person may not decide this kind.
    """
    user = voter(by)
    with transaction.atomic():
        kind, subject, row = _locked(approval)
        if row.state == State.APPLIED:
            return row
        check_may_try_again(row, user, at=at)
        row.state, row.code, row.message = State.APPROVED, "", ""
        row.save(update_fields=["state", "code", "message"])
        _record("approval.tried_again", row, by=by, at=at)
        _execute(kind, subject, row, by=by, at=at)
    return row


def void(kind: str, subject: Model, *, by: By, at: datetime, reason: str = "") -> Approval | None:
    """End what is asked about a subject, because it is edited or called off. Call it with the subject locked.

    Returns the approval it ended; None where nothing waited. The kind is not told: its verb called this.
    """
    with transaction.atomic():
        row = _waiting(kind, subject)
        if row is not None:
            _end(row, State.VOIDED, message=reason, by=by, at=at)
    return row


def expire_due(*, at: datetime, at_most: int = 500) -> int:
    """End what nobody decided in time, each in a transaction of its own, and tell its kind. Returns how many."""

    def expire(kind: Kind[Any], subject: Any, row: Approval) -> bool:
        if row.state not in Approval.WAITING or row.expires_at > at:
            return False
        reason = "It could not be done in time." if row.state == State.FAILED else "Nobody decided in time."
        _end(row, State.EXPIRED, message=row.message, by=SYSTEM, at=at)
        try:
            with transaction.atomic():
                kind.refuse(subject, approval=row, reason=reason, by=SYSTEM, at=at)
        except DomainError as refused:  # the subject went on without it
            row.code, row.message = refused.code, refused.message[:500]
            row.save(update_fields=["code", "message"])
        return True

    return _swept(Approval.objects.due(at)[:at_most], expire)


def apply_due(*, at: datetime, at_most: int = 100) -> int:
    """Do what was agreed to and not done, because the database was in trouble then. Returns how many are done."""

    def do(kind: Kind[Any], subject: Any, row: Approval) -> bool:
        if row.state != State.APPROVED or row.expires_at <= at:
            return False
        _execute(kind, subject, row, by=SYSTEM, at=at)
        return row.state == State.APPLIED

    return _swept(Approval.objects.filter(state=State.APPROVED).order_by("id")[:at_most], do)


def _swept(rows: Iterable[Approval], do: Callable[[Kind[Any], Any, Approval], bool]) -> int:
    """Each in a transaction of its own; one that breaks keeps no other back, and is heard of when all had their turn."""
    done, broken = 0, None
    for found in rows:
        try:
            with transaction.atomic():
                done += do(*_locked(found))
        except Exception as problem:  # noqa: BLE001  raised again below
            _log.exception("approval %s could not be swept", found.uuid)
            broken = broken or problem
    if broken is not None:
        raise broken
    return done


def _execute(kind: Kind[Any], subject: Any, row: Approval, *, by: By, at: datetime) -> None:
    """Look again and do it, so that a refusal leaves nothing of it."""
    try:
        with transaction.atomic():
            if digest(kind.content(subject)) != row.content_hash:
                raise ContentChanged("What was agreed to has changed since.")
            kind.check(subject, by=by, at=at)
            kind.apply(subject, approval=row, by=by, at=at)
    except ContentChanged as refused:
        _end(row, State.VOIDED, code=refused.code, message=refused.message, by=by, at=at)
    except DomainError as refused:
        _end(row, State.FAILED, code=refused.code, message=refused.message, by=by, at=at)
    except OperationalError:
        if connection.needs_rollback or connection.closed_in_transaction:
            raise  # the connection is gone, and the vote with it
        wake("approvals.apply_due")
    else:
        _end(row, State.APPLIED, by=by, at=at)


def _locked(approval: Approval) -> tuple[Kind[Any], Any, Approval]:
    kind = kinds.get(approval.kind)
    subject = kind.subject_of(approval, lock=True)
    return kind, subject, _lock(approval.pk)


def _lock(pk: int) -> Approval:
    found: Approval = _locking().get(pk=pk)
    return found


def _locking() -> Any:
    rows = Approval.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("client", "currency", "role", "taken_by")


def _waiting(kind: str, subject: Any) -> Approval | None:
    """What waits about a subject, locked; not what was decided while its lock was waited for."""
    found: Approval | None = (
        _locking().filter(kind=kind, subject_id=subject.uuid, state__in=Approval.WAITING).first()
    )
    return found


def _is_known(row: Approval, verb: str, content: str, *, by: By, at: datetime, key: str) -> bool:
    known = keys.is_claimed(by=by, verb=f"approval.{verb}", key=key)
    keys.claim(by=by, verb=f"approval.{verb}", key=key, content=content, at=at)
    return known


def _vote(
    row: Approval, user: User, verdict: Vote.Verdict, reason: str, *, by: By, at: datetime, key: str
) -> None:
    Vote.objects.create(
        approval=row, by_user=user, verdict=verdict, reason=reason.strip()[:500],
        content_hash=row.content_hash, at=at,
    )  # fmt: skip
    row.taken_by = row.taken_until = None
    row.save(update_fields=["taken_by", "taken_until"])
    _record("approval.voted", row, by=by, at=at, key=key, reason=reason, verdict=str(verdict),
            content_hash=row.content_hash)  # fmt: skip


def _end(
    row: Approval, state: Approval.State, *, by: By, at: datetime, code: str = "", message: str = ""
) -> None:
    row.state, row.decided_at = state, row.decided_at or at
    row.code, row.message = code, message.strip()[:500]
    row.taken_by = row.taken_until = None
    row.save(update_fields=["state", "decided_at", "code", "message", "taken_by", "taken_until"])
    _record(f"approval.{state.value}", row, by=by, at=at, code=code)


def _record(
    name: str, row: Approval, *, by: By, at: datetime, key: str = "", reason: str = "", **payload: Any
) -> None:
    events.record(
        name,
        subject_type="approval",
        subject_id=row.uuid,
        client_id=row.client.uuid if row.client is not None else None,
        by=by,
        at=at,
        key=key,
        reason=reason,
        payload={
            "kind": row.kind, "about": row.subject_id, "amount": row.amount, "currency": row.currency_id,
            **payload,
        },
    )  # fmt: skip
