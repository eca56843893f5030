"""The life of a grant: renewed before it runs out, compared with the venue, given up account by account."""

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from backoffice import keys
from backoffice.errors import DomainError
from backoffice.secrets import unseal
from backoffice.wake import wake, wake_swept
from backoffice.who import By
from brokerage import account_states, accounts, adopting, grant_states, venue_rest
from brokerage.deriv import errors
from brokerage.deriv.oauth import Tokens
from brokerage.deriv.types import VenueAccount
from brokerage.models import Grant, Trade, TradingAccount
from brokerage.translation import Clock
from compliance.models import Client

log = logging.getLogger(__name__)
BY: Final = By.system("grants")
State = TradingAccount.State


class UnfinishedTrades(DomainError):
    """Trades on the account are not final; without the venue nobody could see how they end."""

    code = "UNFINISHED_TRADES"
    field = "account"


# ── renewing ────────────────────────────────────────────────────────────────────────────────────────────────────


def refresh_due(*, now: Clock) -> int:
    """Have every grant renewed whose token runs out within five minutes. Returns how many there are."""
    due = list(Grant.objects.due(now()).values_list("pk", flat=True)[:500])
    for grant_id in due:
        wake_swept("grants.renew", grant_id)
    return len(due)


def refresh(grant: Grant, *, now: Clock) -> Grant:
    """Renew a grant's tokens, if they run out soon and nobody else is at it.

    A refresh token is good once: who renews says so in the row first, and the new pair is stored before anything else
    is done. A lost answer leaves the grant as it is, and it is tried again; if the token was used up by then, the
    venue refuses it, and the grant waits for the client. Locks the grant, not while the venue is asked.
    """
    used = _claim(grant, at=now())
    if used is None:
        return Grant.objects.get(pk=grant.pk)
    asked_at = now()
    try:
        tokens = venue_rest.oauth().refresh(used, scopes=tuple(grant.scopes.split()))
    except errors.NotAuthorized as found:
        with transaction.atomic():
            if grant_states.locked(grant.pk).refresh_token == used:
                return grant_states.refuse(grant, code=found.code, by=BY, at=now())
    except errors.VenueError as found:
        log.warning("grant not renewed, the sweep tries again", extra={"code": found.code})
        Grant.objects.filter(pk=grant.pk).update(renewing_since=None)
    else:
        _keep(grant, used, tokens, asked_at=asked_at, at=now())
    return Grant.objects.get(pk=grant.pk)


def _claim(grant: Grant, *, at: datetime) -> str | None:
    """The refresh token, for the one who renews; None if it is not due, or somebody is at it."""
    with transaction.atomic():
        grant_states.locked(grant.pk)
        row = Grant.objects.due(at).filter(pk=grant.pk).first()
        if row is None:
            return None
        Grant.objects.filter(pk=grant.pk).update(renewing_since=at)
        return str(row.refresh_token)


def _keep(grant: Grant, used: str, tokens: Tokens, *, asked_at: datetime, at: datetime) -> None:
    with transaction.atomic():
        row = grant_states.locked(grant.pk)
        if row.state == Grant.State.ENDED or row.refresh_token != used:
            # The client took it away, or let us in anew, while the venue was asked.
            grant_states.give_back(tokens.refresh, tokens.access)
            return
        # Not by `save`: a version of the history each hour would say nothing.
        Grant.objects.filter(pk=row.pk).update(
            access_token=tokens.access,
            refresh_token=tokens.refresh,
            expires_at=asked_at + timedelta(seconds=tokens.expires_in),
            scopes=" ".join(tokens.scopes)[:200],
            renewed_at=at,
            renewing_since=None,
        )
        grant_states.record("grant.renewed", row, by=BY, at=at)


# ── comparing ───────────────────────────────────────────────────────────────────────────────────────────────────


def sync_all() -> int:
    """Have every active grant compared with the venue. Returns how many there are."""
    active = list(Grant.objects.filter(state=Grant.State.ACTIVE).order_by("pk").values_list("pk", flat=True))
    for grant_id in active:
        wake("grants.sync", grant_id)
    return len(active)


def sync(grant: Grant, *, now: Clock) -> Grant:
    """Compare a grant with the venue's list of accounts: new ones appear, inactive ones rest, balances are noted.

    What the client took away stays away. A venue that cannot be asked changes nothing. Locks the client, the grant,
    then the accounts.
    """
    grant = Grant.objects.get(pk=grant.pk)
    if grant.state != Grant.State.ACTIVE:
        return grant
    asked_at = now()
    try:
        listed = venue_rest.accounts(grant.access_token or "")
    except errors.NotAuthorized as found:
        return refused(grant, code=found.code, by=BY, at=now())
    except errors.VenueError as found:
        log.warning("grant not compared, the next sync asks again", extra={"code": found.code})
        return grant
    with transaction.atomic():
        Client.objects.select_for_update(no_key=True).get(pk=grant.client_id)
        grant = grant_states.locked(grant.pk)
        if grant.state == Grant.State.ACTIVE:
            _compare(grant, listed, asked_at=asked_at, at=now())
    return grant


def _compare(grant: Grant, listed: tuple[VenueAccount, ...], *, asked_at: datetime, at: datetime) -> None:
    known = adopting.known(listed)
    theirs = {login for login, row in known.items() if row.client_id != grant.client_id}
    if theirs:
        log.warning("accounts of a grant belong to another client", extra={"accounts": len(theirs)})
    room = adopting.MOST_ACCOUNTS - TradingAccount.objects.linked().filter(client=grant.client_id).count()
    new = [one.login_id for one in listed if one.login_id not in known][max(room, 0) :]
    left_out = theirs | set(new)
    mine = tuple(one for one in listed if one.login_id not in left_out)
    found = adopting.adopt(grant, mine, unlinked_too=False, by=BY, at=at)
    balances = {one.login_id: one.balance for one in mine}
    for account in found.accounts:
        # Not over what the statement said meanwhile.
        TradingAccount.objects.filter(pk=account.pk, venue_balance_at__lt=asked_at).update(
            venue_balance=balances[account.login_id], venue_balance_at=asked_at
        )


def refused(grant: Grant, *, code: str, by: By, at: datetime) -> Grant:
    """The venue refused the grant's token: it waits for the client, unless the token had run out or was just replaced.

    Then it is renewed instead. Locks the grant, then its accounts.
    """
    with transaction.atomic():
        grant = grant_states.locked(grant.pk)
        if grant_states.may_have_changed(grant, at):
            wake("grants.renew", grant.pk)
            return grant
        return grant_states.refuse(grant, code=code, by=by, at=at)


# ── giving up ───────────────────────────────────────────────────────────────────────────────────────────────────


def unlink(account: TradingAccount, *, by: By, at: datetime, key: str) -> TradingAccount:
    """The client takes an account away from us. Its records stay, and linking it again brings it back. Twice is once.

    If it was the default, another active account becomes it. With its last account a grant ends: its tokens are wiped
    here and revoked at the venue. Locks the client, the grant, then the accounts.

    :raises UnfinishedTrades: if trades on it are not final.
    :raises AccountNotReady: if it is still being opened, or closed.
    :raises KeyReused: if the key was used on another account.
    """
    with transaction.atomic():
        Client.objects.select_for_update(no_key=True).get(pk=account.client_id)
        grant = Grant.objects.filter(accounts=account.pk).first()
        if grant is not None:
            grant = grant_states.locked(grant.pk)
        account = account_states.locked(account.pk)
        keys.claim(by=by, verb="trading_account.unlink", key=key, content=str(account.uuid), at=at)
        if account.state == State.UNLINKED:
            return account
        check_may_unlink(account)
        was_default = account.is_default
        account.state, account.problem_code, account.is_default = State.UNLINKED, "", False
        account.grant, account.token, account.reset_requested_at = None, "", None
        account.save()
        account_states.record("trading_account.unlinked", account, by=by, at=at, key=key)
        if was_default:
            _choose_another_default(account.client_id, by=by, at=at)
        if grant is not None and not grant.accounts.exists():
            grant_states.end(grant, by=by, at=at)
    return account


def check_may_unlink(account: TradingAccount) -> None:
    """:raises AccountNotReady, UnfinishedTrades: if the account cannot be taken away now."""
    if State.UNLINKED not in TradingAccount.MOVES[State(account.state)]:
        raise accounts.AccountNotReady(account.why)
    waiting = account.trades.exclude(state__in=Trade.FINAL).count()
    if waiting:
        raise UnfinishedTrades(f"{waiting} of its trades are not final yet; wait until they are.")


def _choose_another_default(client_id: int, *, by: By, at: datetime) -> None:
    rows = TradingAccount.objects.filter(client=client_id, state=State.ACTIVE).order_by("pk")
    if (other := rows.first()) is not None:
        accounts.set_default(other, by=by, at=at)


def revoke(sealed: str) -> None:
    """End a token at the venue that nobody keeps here any more. Twice is once.

    :raises VenueError: if the venue cannot be asked; the actor tries again.
    """
    venue_rest.oauth().revoke(unseal(sealed))
