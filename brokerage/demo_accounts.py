"""Demo accounts at the venue: opened, and brought back to the balance they began with.

The simulator's own desk opens them and answers the same to the same request; at a real venue the client's own grant
does. There is one demo account for each user of the venue there.
"""

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import httpx
from django.db import transaction

from backoffice import keys
from backoffice.errors import DomainError
from backoffice.money import parse_amount
from backoffice.wake import wake, wake_swept
from backoffice.who import By
from brokerage import account_states, accounts, grant_states, grants, simulated_venue, venue, venue_rest
from brokerage.deriv import errors
from brokerage.deriv.errors import MalformedAnswer, NotSent
from brokerage.models import Grant, TradingAccount
from brokerage.translation import Clock
from compliance.models import Client

log = logging.getLogger(__name__)
BY: Final = By.system("streams")
RESET_SECONDS: Final = 10.0
# A reset that could not be asked for by then is given up: the client has forgotten about it.
RESET_PATIENCE: Final = timedelta(minutes=10)


class NotDemo(DomainError):
    """It is a real account; only a demo account's balance can be reset."""

    code = "NOT_DEMO"
    field = "account"


def open_at_venue(account: TradingAccount, *, now: Clock) -> TradingAccount:
    """Have the venue open the account and mirror its opening balance. Asked again, the venue answers the same.

    Where the venue gives an account that is linked already, there is nothing to open: this one is closed.

    :raises NotSent: if the venue cannot be reached; the account stays *opening* and the sweep asks again.
    :raises VenueError: if the venue refuses, or its answer makes no sense.
    """
    if account.state != TradingAccount.State.OPENING:
        return account
    if not simulated_venue.is_simulated():
        return _open_by_grant(account, now=now)
    login_id, token, balance = _opened_at_desk(account)
    return accounts.confirm_opened(account, login_id=login_id, token=token, balance=balance, by=BY, at=now())


def _opened_at_desk(account: TradingAccount) -> tuple[str, str, Decimal]:
    body = {"currency": account.currency_id, "balance": f"{account.opening_balance:f}", "is_demo": True}
    answer = simulated_venue.ask("PUT", f"accounts/{account.uuid}", body)
    if answer.status_code != httpx.codes.OK:
        raise MalformedAnswer("BAD_ANSWER", f"The venue answered {answer.status_code} to opening an account.")
    try:
        given = answer.json()
        balance = parse_amount(given["balance"], exponent=account.currency.exponent)
        return str(given["login_id"]), str(given["token"]), balance
    except (ValueError, KeyError) as found:
        raise MalformedAnswer(
            "BAD_ANSWER", "The venue's answer to opening an account makes no sense."
        ) from found


def _open_by_grant(account: TradingAccount, *, now: Clock) -> TradingAccount:
    grant = accounts.opening_grant(account.client)
    if grant is None:
        # Linking again brings the demo account there is at the venue.
        return give_up(account, code="NO_GRANT", at=now())
    try:
        opened = venue_rest.create_demo(grant.access_token or "")
    except errors.NotAuthorized as found:
        grants.refused(grant, code=found.code, by=BY, at=now())
        return TradingAccount.objects.get(pk=account.pk)
    except errors.Refused as found:
        return give_up(account, code=found.code, at=now())
    except MalformedAnswer:
        raise
    except errors.VenueError as found:
        raise NotSent(found.code, "The venue answers the same when it is asked again.") from found
    if (opened.is_demo, opened.currency) != (True, account.currency_id):
        raise MalformedAnswer("BAD_ANSWER", "The venue opened another account than was asked for.")
    balance = parse_amount(opened.balance, exponent=account.currency.exponent)
    with transaction.atomic():
        # The client and the grant, as whoever adopts accounts locks them: it may be doing so at this moment.
        Client.objects.select_for_update(no_key=True).get(pk=account.client_id)
        grant = grant_states.locked(grant.pk)
        if TradingAccount.objects.filter(login_id=opened.login_id).exclude(pk=account.pk).exists():
            return give_up(account, code="ALREADY_LINKED", at=now())
        if grant.state != Grant.State.ACTIVE:
            return give_up(account, code="NO_GRANT", at=now())
        return accounts.confirm_opened(
            account, login_id=opened.login_id, balance=balance, grant=grant, by=BY, at=now()
        )


def give_up(account: TradingAccount, *, code: str, at: datetime) -> TradingAccount:
    """Nothing is to be opened after all: the request is closed. Twice is once. Locks the account.

    :raises MoveNotAllowed: if the account was opened meanwhile.
    """
    with transaction.atomic():
        account = account_states.locked(account.pk)
        if account.state != TradingAccount.State.CLOSED:
            account_states.check_may_move(account, TradingAccount.State.CLOSED)
            account.state, account.problem_code = TradingAccount.State.CLOSED, code[:40]
            account.is_default = False
            account.save()
            account_states.record("trading_account.closed", account, by=BY, at=at, code=code[:40])
    return account


def request_reset(account: TradingAccount, *, by: By, at: datetime, key: str) -> TradingAccount:
    """Have the venue bring a demo account back to the balance it began with. The money arrives with the statement.

    The same key asks once, and asking again while the venue is being asked changes nothing. Locks the account.

    :raises NotDemo: if it is a real account.
    :raises AccountNotReady: if it is not open at the venue.
    :raises KeyReused: if the key was used on another account.
    """
    with transaction.atomic():
        account = account_states.locked(account.pk)
        is_known = keys.is_claimed(by=by, verb="trading_account.reset", key=key)
        keys.claim(by=by, verb="trading_account.reset", key=key, content=str(account.uuid), at=at)
        if is_known:
            return account
        if account.kind != TradingAccount.Kind.DEMO:
            raise NotDemo("Only a demo account's balance can be reset.")
        accounts.check_may_trade(account)
        if account.reset_requested_at is None:
            account.reset_requested_at = at
            account.save()
            account_states.record("trading_account.reset_requested", account, by=by, at=at, key=key)
        wake("trading.reset_demo", account.pk)
    return account


def reset_at_venue(account: TradingAccount, *, now: Clock) -> TradingAccount:
    """Ask the venue for the reset that was requested: v4 over HTTP, v3 on the account's own socket.

    Asked twice, a balance that is where it began stays there. A refusal ends the request; while the venue cannot be
    asked it stays, for `RESET_PATIENCE`, and the sweep asks again.
    """
    account = TradingAccount.objects.select_related("grant", "currency").get(pk=account.pk)
    since = account.reset_requested_at
    if since is None:
        return account
    if now() - since > RESET_PATIENCE:
        return _end_reset(account, since, "trading_account.reset_refused", code="NOT_IN_TIME", at=now())
    try:
        if account.generation == TradingAccount.Generation.V4:
            venue_rest.reset_demo_balance(account.secret, account.login_id)
        else:
            venue.reset_demo_balance(str(account.pk), deadline=venue.deadline_in(RESET_SECONDS))
    except errors.Refused as found:
        return _end_reset(account, since, "trading_account.reset_refused", code=found.code[:40], at=now())
    except errors.VenueError as found:
        # A reset that was done after all changes nothing more.
        log.warning("demo balance not reset, the sweep asks again", extra={"code": found.code})
        return account
    wake("trading.read_statement", account.pk)
    return _end_reset(account, since, "trading_account.reset", at=now())


def _end_reset(
    account: TradingAccount, since: datetime, event: str, *, at: datetime, **payload: str
) -> TradingAccount:
    """Twice is once: only the request that was asked about ends."""
    with transaction.atomic():
        account = account_states.locked(account.pk)
        if account.reset_requested_at == since:
            account.reset_requested_at = None
            account.save()
            account_states.record(event, account, by=BY, at=at, **payload)
    return account


def sweep_resets() -> int:
    """Have every reset that waits asked for again. Returns how many there are."""
    waiting = list(TradingAccount.objects.to_reset().values_list("pk", flat=True)[:200])
    for account_id in waiting:
        wake_swept("trading.reset_demo", account_id)
    return len(waiting)
