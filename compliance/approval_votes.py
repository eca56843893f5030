"""Who may vote on an approval, and whose turn it is: taking one in hand keeps others from working on it, for a while."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from backoffice import events, in_hand
from backoffice.errors import DomainError
from backoffice.models import User
from backoffice.who import By
from compliance.approval_kinds import find, kinds
from compliance.models import Approval, ApprovalQuerySet, Vote


class OwnRequest(DomainError):
    """Who asks for something never decides about it, whatever else they may."""

    code = "OWN_REQUEST"


class AlreadyVoted(DomainError):
    """This person has voted on it; a vote is not changed."""

    code = "ALREADY_VOTED"


class ApprovalOver(DomainError):
    """It was decided, voided or done before; nothing is left to decide."""

    code = "APPROVAL_OVER"


class ContentChanged(DomainError):
    """What was asked for is not what it was when it was asked for, or shown: agreeing to that counts for nothing."""

    code = "CONTENT_CHANGED"


class ApprovalExpired(DomainError):
    """Nobody decided in time."""

    code = "APPROVAL_EXPIRED"


class NotYourRole(DomainError):
    """The person may not decide this kind of thing, or is not of the role that its policy names."""

    code = "NOT_YOUR_ROLE"


def voter(by: By) -> User:
    """The person behind a `By`. :raises NotYourRole: if it is a part of the system, which never votes."""
    user: User | None = User.objects.filter(pk=by.user_id, kind=User.Kind.STAFF, is_active=True).first()
    if by.user_id is None or user is None:
        raise NotYourRole("Only people of the staff decide.")
    return user


def check_may_vote(approval: Approval, user: User, *, at: datetime) -> None:
    """Whether this person may vote on it now. One rule for the verbs and the buttons.

    :raises ApprovalOver, ApprovalExpired, OwnRequest, AlreadyVoted, NotYourRole, TakenBySomebody: if not.
    """
    if approval.state != Approval.State.OPEN:
        raise ApprovalOver(f"It is {approval.get_state_display().lower()} already. Nothing was changed now.")
    if approval.expires_at <= at:
        raise ApprovalExpired("Its time is over; whoever wants it still asks again.")
    if approval.requested_by_user_id == user.pk or approval.requested_by == By.user(user).name:
        raise OwnRequest("You asked for this; somebody else decides.")
    kind = find(approval.kind)
    if kind is None or not user.has_perm(kind.permission):
        raise NotYourRole("Your roles do not let you decide this.")
    # Of the role itself: being a superuser is no membership.
    if approval.role_id is not None and not user.groups.filter(pk=approval.role_id).exists():
        raise NotYourRole(f"Its policy wants somebody of the role {approval.role}.")
    if approval.votes.filter(by_user=user).exists():
        raise AlreadyVoted("You voted on it before; a vote is not changed.")
    in_hand.check_free(approval, user.pk, at=at)


def check_may_try_again(approval: Approval, user: User, *, at: datetime) -> None:
    """Whether this person may have it done once more; the votes for it were given. One rule for the verb and the button.

    :raises ApprovalOver, ApprovalExpired, NotYourRole: if not.
    """
    if approval.state != Approval.State.FAILED:
        raise ApprovalOver(f"It is: {approval.get_state_display().lower()}. Nothing was changed now.")
    if approval.expires_at <= at:
        raise ApprovalExpired("Its time is over; whoever wants it still asks again.")
    kind = find(approval.kind)
    if kind is None or not user.has_perm(kind.permission):
        raise NotYourRole("Your roles do not let you decide this.")


def decidable(user: User) -> ApprovalQuerySet:
    """What waits for this person's vote: open, of kinds and roles that are theirs, of clients they may see, neither
    asked for nor voted on by them. Taken by others or not."""
    names = [name for name in kinds.names() if user.has_perm(kinds.get(name).permission)]
    return (
        Approval.objects.visible_to(user)
        .filter(Q(role=None) | Q(role__in=user.groups.all()), kind__in=names, state=Approval.State.OPEN)
        .exclude(requested_by_user=user)
        .exclude(pk__in=Vote.objects.filter(by_user=user).values("approval"))
    )


def take(approval: Approval, *, by: By, at: datetime) -> Approval:
    """Take it in hand for 15 minutes; taking it again begins them anew. Locks the approval.

    :raises DomainError: as `check_may_vote`; nobody takes what they could not decide.
    """
    user = voter(by)
    with transaction.atomic():
        row = _lock(approval.pk)
        check_may_vote(row, user, at=at)
        return in_hand.take(row, user, record=_recorder(by, at), at=at)


def take_next(queue: str = "", *, by: By, at: datetime) -> Approval | None:
    """Take the oldest that waits for this person and is in nobody's hands, of one kind or of all ("").

    What they have in hand already comes first. Two who ask at once get two. None: nothing waits for them.
    """
    user = voter(by)
    rows = decidable(user).filter(expires_at__gt=at)
    if queue:
        rows = rows.filter(kind=queue)
    found: Approval | None = in_hand.take_next(rows, user, record=_recorder(by, at), at=at)
    return found


def let_go(approval: Approval, *, by: By, at: datetime) -> Approval:
    """Have it no longer in hand. What is not taken stays so. Locks the approval.

    :raises TakenBySomebody: if another person has it.
    """
    user = voter(by)
    with transaction.atomic():
        return in_hand.let_go(_lock(approval.pk), user, record=_recorder(by, at), at=at)


def _recorder(by: By, at: datetime) -> in_hand.Record:
    return lambda what, row: _record(f"approval.{what}", row, by=by, at=at)


def _lock(pk: int) -> Approval:
    return Approval.objects.select_for_update(of=("self",), no_key=True).get(pk=pk)


def _record(name: str, row: Approval, *, by: By, at: datetime) -> None:
    client = row.client.uuid if row.client is not None else None
    events.record(
        name, subject_type="approval", subject_id=row.uuid, client_id=client, by=by, at=at,
        payload={"kind": row.kind, "about": row.subject_id},
    )  # fmt: skip
