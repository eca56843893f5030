"""The accounts a grant brings: those the venue lists become trading accounts, or come back.

For `grants`, which holds the locks of the client and the grant.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from backoffice.errors import DomainError
from backoffice.models import Currency
from backoffice.money import InvalidAmount, parse_amount
from backoffice.who import By
from brokerage import account_states, accounts
from brokerage.account_states import record
from brokerage.deriv.types import VenueAccount
from brokerage.models import Grant, TradingAccount

State = TradingAccount.State
MOST_ACCOUNTS: Final = 20
_LOGIN: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class AccountOfAnotherClient(DomainError):
    """Another client of ours holds one of these accounts; nothing was linked."""

    code = "ACCOUNT_OF_ANOTHER_CLIENT"


@dataclass(slots=True)
class Adopted:
    """The accounts under the grant now, those of them that are new or came back, and why others were left out."""

    accounts: list[TradingAccount] = field(default_factory=list)
    arrived: list[TradingAccount] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def known(listed: tuple[VenueAccount, ...]) -> dict[str, TradingAccount]:
    """The trading accounts we have of what the venue lists, by login."""
    logins = [one.login_id for one in listed]
    return {row.login_id: row for row in TradingAccount.objects.filter(venue="deriv", login_id__in=logins)}


def adopt(
    grant: Grant, listed: tuple[VenueAccount, ...], *, unlinked_too: bool, by: By, at: datetime
) -> Adopted:
    """Put every account that the venue lists under the grant: new ones with their balance mirrored, known ones as they are.

    Left out, with a sentence: what is not active at the venue, closed with us, or in a currency we do not keep. What
    the client has taken away comes back only with `unlinked_too`. An account under the grant that the venue no longer
    lists as active becomes unreachable. The caller holds the client's and the grant's lock; locks the accounts.

    :raises AccountOfAnotherClient: if one of them is another client's.
    :raises TooManyAccounts: if the client would have more than `MOST_ACCOUNTS`.
    """
    found = Adopted()
    rows = {login: row.pk for login, row in known(listed).items()}
    once = {one.login_id: one for one in listed}.values()
    # By primary key, as everybody locks them; what is new comes last.
    for one in sorted(once, key=lambda one: (rows.get(one.login_id, 1 << 63), one.login_id)):
        account = account_states.locked(rows[one.login_id]) if one.login_id in rows else None
        if account is not None and account.client_id != grant.client_id:
            raise AccountOfAnotherClient("One of these accounts is linked to somebody else here.")
        if problem := _why_not(one, account):
            found.skipped.append(f"{one.login_id[:32]} {problem}")
        elif account is None:
            found.arrived.append(_new(grant, one, by=by, at=at))
            found.accounts.append(found.arrived[-1])
        elif account.state != State.UNLINKED or unlinked_too:
            if _bring_under(account, grant, by=by, at=at):
                found.arrived.append(account)
            found.accounts.append(account)
    _lose_the_rest(grant, found, by=by, at=at)
    return found


def _why_not(one: VenueAccount, account: TradingAccount | None) -> str:
    """Why an account is left out, in words that follow its login; empty if it is not."""
    if not one.is_active:
        return "is not active at Deriv."
    if not _LOGIN.fullmatch(one.login_id):
        return "has a name that is no log-in id."
    currency = Currency.objects.filter(code=one.currency[:12], is_active=True).first()
    if currency is None:
        return f"is kept in {one.currency[:12]}, which is not offered here."
    if account is not None:
        if account.state == State.CLOSED:
            return "was closed here for good."
        if (account.currency_id, account.kind) != (one.currency, _kind(one)):
            return "is of another kind or currency than it was."
        return ""
    try:
        if parse_amount(one.balance, exponent=currency.exponent) < 0:
            return "is below zero."
    except InvalidAmount:
        return f"has a balance that is no amount in {one.currency}."
    return ""


def _kind(one: VenueAccount) -> str:
    return TradingAccount.Kind.DEMO if one.is_demo else TradingAccount.Kind.REAL


def _new(grant: Grant, one: VenueAccount, *, by: By, at: datetime) -> TradingAccount:
    if TradingAccount.objects.linked().filter(client=grant.client_id).count() >= MOST_ACCOUNTS:
        raise accounts.TooManyAccounts(f"You have {MOST_ACCOUNTS} accounts; unlink one first.")
    account = accounts.new_account(
        grant.client,
        kind=_kind(one),
        currency=one.currency,
        generation=TradingAccount.Generation.V4,
        opening_balance=one.balance,
        at=at,
    )
    account = accounts.confirm_opened(
        account, login_id=one.login_id, balance=one.balance, grant=grant, by=by, at=at
    )
    record("trading_account.granted", account, by=by, at=at, grant=str(grant.uuid))
    return account


def _bring_under(account: TradingAccount, grant: Grant, *, by: By, at: datetime) -> bool:
    """Whether that changed anything. Its statement is read on, so the mirror catches up with what happened meanwhile."""
    if (account.state, account.grant_id) == (State.ACTIVE, grant.pk):
        return False
    if account.state != State.ACTIVE:
        account_states.check_may_move(account, State.ACTIVE)
    account.state, account.problem_code = State.ACTIVE, ""
    account.grant, account.token = grant, ""
    account.generation = TradingAccount.Generation.V4
    if not TradingAccount.objects.filter(client=account.client_id, is_default=True).exists():
        account.is_default = True
    account.save()
    record("trading_account.granted", account, by=by, at=at, grant=str(grant.uuid))
    return True


def _lose_the_rest(grant: Grant, found: Adopted, *, by: By, at: datetime) -> None:
    kept = [account.pk for account in found.accounts]
    rest = TradingAccount.objects.filter(grant=grant, state=State.ACTIVE).exclude(pk__in=kept)
    for account_id in rest.order_by("pk").values_list("pk", flat=True):
        account_states.lose(account_states.locked(account_id), code=TradingAccount.INACTIVE, by=by, at=at)
