"""A client's request for a grant: begun, used once by whoever comes back, completed, failed or lapsed."""

import hashlib
from datetime import datetime
from typing import Final

from django.db import transaction

from backoffice import events
from backoffice.errors import DomainError
from backoffice.models import User
from backoffice.who import By
from brokerage.models import Grant, GrantRequest
from brokerage.translation import Clock
from compliance import clients
from compliance.models import Client

State = GrantRequest.State
SWEEP: Final = By.system("sweep")


class LinkUnknown(DomainError):
    """Nobody of this log-in began this: the state is forged, or somebody else's."""

    code = "LINK_UNKNOWN"
    field = "state"


class LinkUsed(DomainError):
    """The state came back before; it is good once."""

    code = "LINK_USED"
    field = "state"


class LinkLapsed(DomainError):
    """Too long ago: what was begun is good for ten minutes."""

    code = "LINK_LAPSED"
    field = "state"


def begin(
    client: Client, user: User, *, state: str, verifier: str, redirect_url: str, by: By, at: datetime
) -> GrantRequest:
    """Keep that this user is on their way for the client. Of the OAuth state only the hash is kept."""
    with transaction.atomic():
        request = GrantRequest.objects.create(
            client=client,
            user=user,
            state_hash=_hash(state),
            verifier=verifier,
            redirect_url=redirect_url,
            requested_at=at,
        )
        _record("grant.begun", request, by=by, at=at)
    return request


def use(user: User, state: str, *, at: datetime) -> tuple[GrantRequest, str]:
    """Use the state up: from here on nobody else can. Returns the request and its verifier. Locks the request.

    Committed before it returns, so it must not be called inside a transaction.

    :raises LinkUnknown: if this user began nothing with this state.
    :raises NotAllowed: if the user may no longer act for the client.
    :raises LinkUsed, LinkLapsed: if the state came back before, or too late.
    """
    with transaction.atomic(durable=True):
        rows = GrantRequest.objects.select_for_update(of=("self",), no_key=True).select_related("client")
        request = rows.filter(state_hash=_hash(state), user=user).first()
        if request is None:
            raise LinkUnknown("You began no link like this. Begin again.")
        clients.check_may_act(user, request.client_id)
        if request.used_at is not None:
            raise LinkUsed("This link was used already. Begin again.")
        if request.state == State.LAPSED or at >= request.requested_at + GrantRequest.LIFE:
            raise LinkLapsed("This took longer than ten minutes. Begin again.")
        verifier = request.verifier or ""
        request.verifier, request.used_at = None, at
        request.save()
    return request, verifier


def complete(request: GrantRequest, grant: Grant, *, at: datetime) -> None:
    """The accounts are linked; in the transaction that links them."""
    request.state, request.grant, request.ended_at = State.COMPLETED, grant, at
    request.save()


def fail(request: GrantRequest, *, code: str, by: By, at: datetime) -> None:
    """It came to nothing. A request that has ended stays as it is. Locks the request."""
    _end(request, State.FAILED, "grant.failed", code=code, by=by, at=at)


def sweep(*, now: Clock) -> int:
    """Lapse what nobody came back for in ten minutes. Returns how many requests that were."""
    waiting = list(GrantRequest.objects.overdue(now())[:200])
    for request in waiting:
        if request.used_at is None:
            _end(request, State.LAPSED, "grant.lapsed", code="LINK_LAPSED", by=SWEEP, at=now())
        else:
            # Whoever completed it died on the way; the code is used up or as old.
            fail(request, code="NOT_FINISHED", by=SWEEP, at=now())
    return len(waiting)


def _end(request: GrantRequest, state: str, event: str, *, code: str, by: By, at: datetime) -> None:
    """A request that came to nothing. One that has ended stays as it is."""
    with transaction.atomic():
        request = (
            GrantRequest.objects.select_for_update(of=("self",), no_key=True)
            .select_related("client")
            .get(pk=request.pk)
        )
        if request.state != State.PENDING:
            return
        request.state, request.problem_code, request.ended_at = state, code[:40], at
        request.verifier = None
        request.save()
        _record(event, request, by=by, at=at, code=code[:40])


def _record(name: str, request: GrantRequest, *, by: By, at: datetime, **payload: str) -> None:
    events.record(
        name,
        subject_type="grant_request",
        subject_id=request.uuid,
        client_id=request.client.uuid,
        by=by,
        at=at,
        payload={"state": request.state, **payload},
    )


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
