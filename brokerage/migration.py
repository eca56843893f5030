"""Following the venue when it moves a user from protocol generation v3 to v4, whatever is open meanwhile.

An open trade keeps its contract: the venue knows it by the same id afterwards, and a purchase whose answer was lost
with the old connection is looked up over the new one like any other.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from backoffice.wake import wake
from backoffice.who import By
from brokerage import account_states, accounts, venue_rest
from brokerage.deriv.errors import NotAuthorized, VenueError
from brokerage.deriv.types import Migration, VenueAccount
from brokerage.models import TradingAccount
from brokerage.translation import Clock
from compliance.models import Client

V4 = TradingAccount.Generation.V4
BY = By.system("streams")


def after_refusal(account: TradingAccount, *, code: str, generation: str, now: Clock) -> TradingAccount:
    """The venue refuses an account's token: because it moved the account, or because the token is no longer good.

    What v3 refused says nothing of an account that speaks v4 by now: such a report came late and changes nothing.

    Moved: the account speaks v4 from now on. Being moved, or the venue cannot be asked: nothing changes, `streams`
    tries again and reports again. Anything else: *unreachable*, until the client does something about it.
    """
    if account.state != TradingAccount.State.ACTIVE or account.generation != generation:
        return account
    if generation != V4:
        try:
            status, found = _ask(account)
        except NotAuthorized:
            status, found = "not_applicable", None
        except VenueError:
            return account
        if status == "pending":
            return account
        if found is not None:
            return move(account, found, by=BY, at=now())
        if status == "complete":
            code = "MOVED_AND_NOT_FOUND"
    return accounts.mark_unreachable(account, code=code, generation=generation, by=BY, at=now())


def look(account: TradingAccount, *, now: Clock) -> TradingAccount:
    """Whether the venue has moved the account while v3 still works; a venue that cannot be asked is asked next time."""
    if account.generation == V4 or account.state != TradingAccount.State.ACTIVE:
        return account
    try:
        _, found = _ask(account)
    except VenueError:
        return account
    return account if found is None else move(account, found, by=BY, at=now())


def look_at_all() -> int:
    """Have every account that speaks v3 looked at; how many."""
    rows = TradingAccount.objects.to_stream().exclude(generation=V4).values_list("pk", flat=True)
    numbers = list(rows)
    for number in numbers:
        wake("trading.look_for_migration", number)
    return len(numbers)


def move(account: TradingAccount, found: VenueAccount, *, by: By, at: datetime) -> TradingAccount:
    """The account speaks v4 from now on, under the login it has there; its state stays. Twice is once. Locks the account."""
    with transaction.atomic():
        account = account_states.locked(account.pk)
        if account.generation == V4:
            return account
        account.old_login_id, account.login_id = account.login_id, found.login_id
        account.generation, account.migrated_at = V4, at
        account.save()
        account_states.record("trading_account.migrated", account, by=by, at=at, was=account.old_login_id)
    return account


def follow_all(
    client: Client, listed: Sequence[VenueAccount], old_logins: Sequence[str], *, by: By, at: datetime
) -> None:
    """A client lets us in on v4: those of their accounts whose old logins the venue names go on where it moved them.

    So an account whose v3 token no longer says anything keeps its open trades and its books. Locks the accounts; the
    caller holds the client's lock.
    """
    rows = TradingAccount.objects.filter(client=client, login_id__in=list(old_logins)).exclude(generation=V4)
    for account in rows.order_by("pk"):
        if (found := _same(account, listed)) is not None:
            move(account, found, by=by, at=at)


def speaks_v3(client: Client) -> bool:
    """Whether the client has an account that the venue may have moved."""
    return TradingAccount.objects.filter(client=client).exclude(Q(generation=V4) | Q(login_id="")).exists()


def _ask(account: TradingAccount) -> tuple[Migration, VenueAccount | None]:
    """Where the move of the account's owner stands, and the account as v4 knows it, if it was moved."""
    status, listed = venue_rest.migration(accounts.credentials_of(account).token)
    return status, _same(account, listed)


def _same(account: TradingAccount, listed: Sequence[VenueAccount]) -> VenueAccount | None:
    """Which of the user's accounts on v4 ours is: the one of its login, else the only one of its kind and currency."""
    taken = set(
        TradingAccount.objects.filter(login_id__in=[row.login_id for row in listed])
        .exclude(pk=account.pk)
        .values_list("login_id", flat=True)
    )
    is_demo = account.kind == TradingAccount.Kind.DEMO
    fitting = [
        row
        for row in listed
        if row.login_id not in taken and (row.is_demo, row.currency) == (is_demo, account.currency_id)
    ]
    same_login = [row for row in fitting if row.login_id == account.login_id]
    chosen = same_login or fitting
    return chosen[0] if len(chosen) == 1 else None
