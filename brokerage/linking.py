"""A client's way to the venue and back: they let us in there, and their accounts are linked here.

What comes back is good once. It is marked used before the venue is asked anything, so whoever repeats it, or races
with it, is refused whatever became of the first.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction

from backoffice import metrics
from backoffice.errors import DomainError, InvalidInput
from backoffice.models import User
from backoffice.wake import wake
from backoffice.who import By
from brokerage import adopting, grant_requests, grant_states, migration, venue_rest
from brokerage.deriv import errors
from brokerage.deriv.oauth import SECRET
from brokerage.deriv.types import VenueAccount
from brokerage.models import Grant, GrantRequest, TradingAccount
from brokerage.offers import VenueUnavailable
from brokerage.translation import Clock
from compliance import clients
from compliance.models import Client

T = TypeVar("T")
NEEDED: Final = "trade"
AGAIN: Final = "The venue cannot be asked at the moment; nothing was linked. Begin again in a moment."


class RedirectNotAllowed(DomainError):
    """Clients are not sent back to this address; the deployment lists those that may be used."""

    code = "REDIRECT_NOT_ALLOWED"
    field = "redirect_url"


class LinkRefused(DomainError):
    """The venue does not take the code or the token; nothing was linked."""

    code = "LINK_REFUSED"


class ScopeMissing(DomainError):
    """The client let us in without letting us trade; nothing was linked."""

    code = "SCOPE_MISSING"


class NothingToLink(DomainError):
    """None of the venue user's accounts can be linked; the message says why."""

    code = "NOTHING_TO_LINK"


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the client, and until when they may come back."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Linked:
    """The grant, its accounts, and a sentence for each account that was left out."""

    grant: Grant
    accounts: list[TradingAccount]
    skipped: list[str]


@dataclass(frozen=True, slots=True, repr=False)
class _Held:
    """What the client gave us, not kept yet."""

    kind: str
    access: str
    refresh: str | None
    scopes: tuple[str, ...]
    expires_at: datetime | None


@metrics.verb("grant.begin")
def begin(*, client: Client, user: User, redirect_url: str, by: By, at: datetime) -> Begun:
    """Send a client to the venue's sign-in. Each call begins anew; what was begun before stays good until it lapses.

    Of the OAuth state only the hash is kept; the verifier stays with us, encrypted.

    :raises NotAllowed: if the user may not act for the client.
    :raises RedirectNotAllowed: if clients are not sent back to this address.
    """
    clients.check_may_act(user, client.pk)
    if redirect_url not in settings.CONFIG.redirect_urls:
        raise RedirectNotAllowed("Clients are not sent back to this address.")
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    grant_requests.begin(
        client, user, state=state, verifier=verifier, redirect_url=redirect_url, by=by, at=at
    )
    url = venue_rest.oauth().authorization_url(state=state, verifier=verifier, redirect_url=redirect_url)
    return Begun(url, at + GrantRequest.LIFE)


@metrics.verb("grant.complete")
def complete(*, user: User, state: str, code: str, by: By, now: Clock) -> Linked:
    """The client is back with a code: swap it for tokens, and link every account of theirs at the venue.

    The state is used up before anything is asked; whatever fails afterwards, the client begins again. The venue is
    asked outside of any transaction; then everything is linked in one, or nothing is. Locks the request, then the
    client, their grants and the accounts.

    :raises InvalidInput: if the code is none; the state stays good.
    :raises LinkUnknown: if this user began nothing with this state.
    :raises NotAllowed: if the user may no longer act for the client.
    :raises LinkUsed, LinkLapsed: if the state came back before, or too late.
    :raises LinkRefused: if the venue does not take the code.
    :raises ScopeMissing: if the client did not allow us to trade.
    :raises VenueUnavailable: if the venue cannot be asked.
    :raises AccountOfAnotherClient, TooManyAccounts, NothingToLink: if the accounts cannot be linked.
    """
    if not SECRET.fullmatch(code):
        raise InvalidInput("This is not a code of the venue's.", field="code")
    request, verifier = grant_requests.use(user, state, at=now())
    asked_at = now()
    try:
        tokens = _asked(
            lambda: venue_rest.oauth().exchange(
                code=code, verifier=verifier, redirect_url=request.redirect_url
            )
        )
        until = asked_at + timedelta(seconds=tokens.expires_in)
        held = _Held(Grant.Kind.OAUTH, tokens.access, tokens.refresh, tokens.scopes, until)
        return _link(request.client, held, request, by=by, now=now)
    except DomainError as found:
        grant_requests.fail(request, code=found.code, by=by, at=now())
        raise


def complete_with_token(*, client: Client, user: User, token: str, by: By, now: Clock) -> Linked:
    """Link every account of a client who gives us a personal access token of theirs. The same again renews the grant.

    Such a token does not run out, and says of itself only whether it may trade. Locks as `complete`.

    :raises NotAllowed: if the user may not act for the client.
    :raises InvalidInput: if it cannot be a token.
    :raises LinkRefused, ScopeMissing, VenueUnavailable: as `complete`.
    :raises AccountOfAnotherClient, TooManyAccounts, NothingToLink: if the accounts cannot be linked.
    """
    clients.check_may_act(user, client.pk)
    if not SECRET.fullmatch(token):
        raise InvalidInput("This is not a token of the venue's.", field="personal_token")
    held = _Held(Grant.Kind.PERSONAL, token, None, (NEEDED,), None)
    return _link(client, held, None, by=by, now=now)


def _link(client: Client, held: _Held, request: GrantRequest | None, *, by: By, now: Clock) -> Linked:
    """List the accounts and link them; tokens that were granted for nothing are given back."""
    try:
        if NEEDED not in held.scopes:
            raise ScopeMissing("Allow us to trade for you, or the accounts cannot be linked.")
        listed = _asked(lambda: venue_rest.accounts(held.access))
        is_old = migration.speaks_v3(client)
        old = _asked(lambda: venue_rest.old_logins(held.access)) if is_old else ()
        return _kept(client, held, request, listed, old, by=by, at=now())
    except DomainError:
        if held.kind == Grant.Kind.OAUTH:
            grant_states.give_back(held.refresh, held.access)
        raise


def _kept(
    client: Client,
    held: _Held,
    request: GrantRequest | None,
    listed: tuple[VenueAccount, ...],
    old_logins: tuple[str, ...],
    *,
    by: By,
    at: datetime,
) -> Linked:
    try:
        with transaction.atomic():
            client = Client.objects.select_for_update(no_key=True).get(pk=client.pk)
            lives = Grant.objects.live().filter(client=client).order_by("pk").values_list("pk", flat=True)
            grants = {pk: grant_states.locked(pk) for pk in lives}
            migration.follow_all(client, listed, old_logins, by=by, at=at)
            grant = _renewed(grants, client, held, listed, at=at)
            found = adopting.adopt(grant, listed, unlinked_too=True, by=by, at=at)
            if not found.accounts:
                raise NothingToLink(" ".join(["Nothing was linked.", *found.skipped[:10]]))
            grant_states.record("grant.completed", grant, by=by, at=at, accounts=len(found.accounts))
            for other in grants.values():
                if other.pk != grant.pk and not other.accounts.exists():
                    grant_states.end(other, by=by, at=at)
            if request is not None:
                grant_requests.complete(request, grant, at=at)
            wake("grants.sync", grant.pk)
    except IntegrityError as found_error:
        if "trading_account_login_once" not in str(found_error):
            raise
        # Another client linked the same account in this very moment.
        raise adopting.AccountOfAnotherClient(
            "One of these accounts is linked to somebody else here."
        ) from None
    return Linked(grant, found.accounts, found.skipped)


def _renewed(
    grants: dict[int, Grant], client: Client, held: _Held, listed: tuple[VenueAccount, ...], *, at: datetime
) -> Grant:
    """The grant that holds these accounts already, with the new tokens; else a new one.

    The tokens before are left to run out: revoking them might take the new ones along.
    """
    holding = [row.grant_id for row in adopting.known(listed).values() if row.grant_id in grants]
    grant = grants[max(holding)] if holding else Grant(client=client)
    if grant.pk and grant.state != Grant.State.ACTIVE:
        grant_states.check_may_move(grant, Grant.State.ACTIVE)
    grant.kind, grant.state = held.kind, Grant.State.ACTIVE
    grant.access_token, grant.refresh_token = held.access, held.refresh
    grant.scopes, grant.expires_at = " ".join(held.scopes)[:200], held.expires_at
    grant.granted_at, grant.problem_code = at, ""
    grant.renewed_at = grant.renewing_since = grant.refused_at = None
    grant.save()
    return grant


def _asked(question: Callable[[], T]) -> T:
    """What the venue answers; what it refuses, in the client's words."""
    try:
        return question()
    except errors.NotAuthorized as found:
        if found.code == "PermissionDenied":
            raise ScopeMissing("Allow us to trade for you, or the accounts cannot be linked.") from None
        raise LinkRefused("Deriv does not take this; nothing was linked. Begin again.") from None
    except errors.Refused as found:
        raise LinkRefused("Deriv does not take this; nothing was linked. Begin again.") from found
    except errors.VenueError:
        raise VenueUnavailable(AGAIN) from None
