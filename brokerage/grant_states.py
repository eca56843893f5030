"""The moves of a grant: refused by the venue, or ended with its tokens wiped. Locks the grant, then its accounts."""

from datetime import datetime

from backoffice import events
from backoffice.errors import MoveNotAllowed
from backoffice.secrets import seal
from backoffice.wake import wake
from backoffice.who import By
from brokerage import account_states
from brokerage.models import Grant, TradingAccount


def locked(grant_id: int) -> Grant:
    """The grant's row, locked until the transaction ends. Lock it before any account of it."""
    return (
        Grant.objects.select_for_update(of=("self",), no_key=True).select_related("client").get(pk=grant_id)
    )


def check_may_move(grant: Grant, state: str) -> None:
    """:raises MoveNotAllowed: if the grant cannot go from its state to this one."""
    if state not in Grant.MOVES[Grant.State(grant.state)]:
        raise MoveNotAllowed(f"The grant is {grant.get_state_display().lower()}.", field="grant")


def may_have_changed(grant: Grant, at: datetime) -> bool:
    """Whether what the venue refused may be a token that has run out, or one that was replaced moments ago."""
    if grant.expires_at is not None and grant.expires_at <= at:
        return True
    return max(grant.granted_at, grant.renewed_at or grant.granted_at) > at - Grant.SETTLING


def refuse(grant: Grant, *, code: str, by: By, at: datetime) -> Grant:
    """The venue no longer takes the grant: it and its active accounts wait for the client. Twice is once.

    Nothing changes for a grant that has ended. Locks the grant, then its accounts.
    """
    grant = locked(grant.pk)
    if grant.state == Grant.State.ACTIVE:
        grant.state, grant.problem_code, grant.refused_at = Grant.State.REFUSED, code[:40], at
        grant.renewing_since = None
        grant.save()
        record("grant.refused", grant, by=by, at=at, code=code[:40])
    if grant.state == Grant.State.REFUSED:
        active = TradingAccount.objects.filter(grant=grant, state=TradingAccount.State.ACTIVE)
        for account_id in active.order_by("pk").values_list("pk", flat=True):
            account_states.lose(account_states.locked(account_id), code=code, by=by, at=at)
    return grant


def end(grant: Grant, *, by: By, at: datetime) -> Grant:
    """Its last account is gone: its tokens are wiped here and, by an actor, revoked at the venue. Twice is once.

    A personal access token is the client's own, who ends it at the venue. The caller holds the grant's lock.
    """
    if grant.state == Grant.State.ENDED:
        return grant
    check_may_move(grant, Grant.State.ENDED)
    if grant.kind == Grant.Kind.OAUTH:
        give_back(grant.refresh_token, grant.access_token)
    grant.state, grant.ended_at = Grant.State.ENDED, at
    grant.access_token = grant.refresh_token = grant.renewing_since = None
    grant.save()
    record("grant.ended", grant, by=by, at=at)
    return grant


def give_back(*tokens: str | None) -> None:
    """Have tokens that nobody keeps revoked at the venue: best effort. They travel sealed."""
    for token in filter(None, tokens):
        wake("grants.revoke", seal(token))


def record(name: str, grant: Grant, *, by: By, at: datetime, key: str = "", **payload: str | int) -> None:
    """Write an event about the grant."""
    events.record(
        name,
        subject_type="grant",
        subject_id=grant.uuid,
        client_id=grant.client.uuid,
        by=by,
        at=at,
        key=key,
        payload={"kind": grant.kind, "state": grant.state, "scopes": grant.scopes, **payload},
    )
