"""Trading accounts: asked for with us, opened at the venue or brought by a grant, mirrored in the ledger."""

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db import transaction

from backoffice import keys
from backoffice.configuration import configuration
from backoffice.database import uuid7
from backoffice.errors import DomainError, NotFound
from backoffice.models import Event, User
from backoffice.wake import wake
from backoffice.who import By
from brokerage import account_states, grant_states, simulated_venue
from brokerage.account_states import check_may_move, record
from brokerage.deriv.opening import ACCOUNT_REFUSED, Credentials
from brokerage.models import Grant, TradingAccount
from compliance.clients import Opening
from compliance.models import Client
from ledger import accounts as ledger_accounts
from ledger import journal
from ledger.models import Account, Book

MOST_DEMO_ACCOUNTS: Final = 5
BOOKS: Final = {TradingAccount.Kind.DEMO: Book.DEMO_MIRROR, TradingAccount.Kind.REAL: Book.REAL_MIRROR}


# The columns that `credentials_of` reads.
OPENED_WITH: Final = (
    "generation", "login_id", "token", "old_login_id", "migrated_at", "grant__access_token",
)  # fmt: skip


class AccountNotReady(DomainError):
    """The trading account is not open at the venue, so nothing can be bought or sold on it."""

    code = "ACCOUNT_NOT_READY"
    field = "account"


class TooManyAccounts(DomainError):
    """The client has as many trading accounts of this sort as we keep for one."""

    code = "TOO_MANY_ACCOUNTS"


class GrantNeeded(DomainError):
    """Only the venue's own user can have the account opened: the client must link their accounts first."""

    code = "GRANT_NEEDED"


def open_first_demo(opening: Opening) -> None:
    """The step of opening a client that gives it a demo account, where the deployment says so and the venue is ours."""
    if configuration().demo_account_at_sign_up and simulated_venue.is_simulated():
        request_demo(client=opening.client, by=opening.by, at=opening.at)


def request_demo(*, client: Client, by: By, at: datetime, key: str = "") -> TradingAccount:
    """Ask for a demo account in USD. It is *opening* until the venue has answered; the sweep sees to that.

    Its first account becomes the client's default. The same key again answers with the same account. Locks the
    client's row.

    :raises TooManyAccounts: if the client has `MOST_DEMO_ACCOUNTS` demo accounts.
    :raises GrantNeeded: if the venue is a real one, and no grant of the client lets us open accounts.
    :raises KeyReused: if the key was used for another client.
    """
    with transaction.atomic():
        Client.objects.select_for_update(no_key=True).get(pk=client.pk)
        if key:
            is_known = keys.is_claimed(by=by, verb="trading_account.request", key=key)
            keys.claim(by=by, verb="trading_account.request", key=key, content=str(client.uuid), at=at)
            if is_known:
                return _requested_before(client, by, key)
        _check_may_have_another_demo(client)
        under_grant = not simulated_venue.is_simulated()
        account = new_account(
            client,
            kind=TradingAccount.Kind.DEMO,
            currency="USD",
            generation=TradingAccount.Generation.V4 if under_grant else configuration().deriv_generation,
            opening_balance=configuration().demo_opening_balance,
            at=at,
        )
        record("trading_account.requested", account, by=by, at=at, key=key)
        wake("trading.open_account", account.pk)
    return account


def _requested_before(client: Client, by: By, key: str) -> TradingAccount:
    found = Event.objects.get(name="trading_account.requested", client_id=client.uuid, by=by.name, key=key)
    return TradingAccount.objects.get(uuid=found.subject_id)


def _check_may_have_another_demo(client: Client) -> None:
    demos = TradingAccount.objects.linked().filter(client=client, kind=TradingAccount.Kind.DEMO)
    if demos.count() >= MOST_DEMO_ACCOUNTS:
        raise TooManyAccounts(f"You have {MOST_DEMO_ACCOUNTS} demo accounts; unlink one first.")
    if not simulated_venue.is_simulated() and opening_grant(client) is None:
        raise GrantNeeded("Link your Deriv account first, and allow us to open accounts.")


def opening_grant(client: Client) -> Grant | None:
    """The newest grant of the client by which we may open accounts at the venue, if there is one."""
    grants = Grant.objects.filter(client=client, state=Grant.State.ACTIVE).order_by("-granted_at")
    return next((grant for grant in grants if grant.allows("account_manage")), None)


def new_account(
    client: Client, *, kind: str, currency: str, generation: str, opening_balance: Decimal, at: datetime
) -> TradingAccount:
    """A row in *opening*, with its mirror's accounts. The client's first is the default. The client is locked."""
    public_id = uuid7()
    book = BOOKS[TradingAccount.Kind(kind)]
    return TradingAccount.objects.create(
        uuid=public_id,
        client=client,
        kind=kind,
        generation=generation,
        currency_id=currency,
        is_default=not TradingAccount.objects.filter(client=client, is_default=True).exists(),
        opening_balance=opening_balance,
        cash=_mirror_account(client, public_id, "trading_cash", book, currency, at),
        stakes=_mirror_account(client, public_id, "open_stakes", book, currency, at),
        requested_at=at,
    )


def _mirror_account(
    client: Client, owner: UUID, purpose: str, book: Book, currency: str, at: datetime
) -> Account:
    # A mirror copies what the venue says, so the database does not guard it against going below zero.
    return ledger_accounts.open_account(
        book=book,
        currency=currency,
        kind=Account.Kind.LIABILITY,
        purpose=purpose,
        owner=("trading_account", owner),
        client_id=client.uuid,
        guarded=False,
        at=at,
    )


def confirm_opened(
    account: TradingAccount,
    *,
    login_id: str,
    balance: Decimal,
    token: str = "",
    grant: Grant | None = None,
    by: By,
    at: datetime,
) -> TradingAccount:
    """The venue opened it: keep its login and token, or its grant, and mirror its opening balance. Twice is once.

    :raises MoveNotAllowed: if the account was closed meanwhile.
    """
    with transaction.atomic():
        account = account_states.locked(account.pk)
        if account.state == TradingAccount.State.ACTIVE and account.login_id == login_id:
            return account
        check_may_move(account, TradingAccount.State.ACTIVE)
        if balance > 0:
            funding = ledger_accounts.house(
                book=account.cash.book,
                currency=account.currency_id,
                purpose="venue_funding",
                kind=Account.Kind.ASSET,
                shard_key=str(account.uuid),
            )
            journal.post(
                kind="venue_deposit",
                lines=[journal.debit(funding, balance), journal.credit(account.cash, balance)],
                by=by,
                at=at,
                key=f"account:{account.uuid}:opening",
                narration="Opening balance at the venue",
                subject=("trading_account", account.uuid),
                client_id=account.client.uuid,
            )
        account.login_id, account.token, account.grant = login_id, token, grant
        account.opening_balance = balance
        account.venue_balance, account.venue_balance_at = balance, at
        account.state, account.opened_at = TradingAccount.State.ACTIVE, at
        account.save()
        record("trading_account.opened", account, by=by, at=at)
    return account


def mark_unreachable(
    account: TradingAccount, *, code: str, generation: str, by: By, at: datetime
) -> TradingAccount:
    """The venue refuses the token in this generation: nothing more is sent until the client links the account again. Twice is once.

    The token of a grant is all its accounts': they become unreachable together, unless the venue took the token and
    refused this account alone. A token that has run out, or was replaced a moment ago, is renewed or tried again
    instead. Nothing changes for an account the client has taken away, or that speaks another generation by now.
    Locks the grant, then the accounts.

    :raises MoveNotAllowed: if the account is neither active nor unreachable.
    """
    with transaction.atomic():
        grant = Grant.objects.filter(accounts=account.pk).first()
        if grant is not None:
            grant = grant_states.locked(grant.pk)
            if code == ACCOUNT_REFUSED:
                code = TradingAccount.INACTIVE  # the next sync brings it back, if the venue has it again
            elif grant_states.may_have_changed(grant, at):
                wake("grants.renew", grant.pk)
                return TradingAccount.objects.get(pk=account.pk)
            else:
                grant_states.refuse(grant, code=code, by=by, at=at)
        account = account_states.locked(account.pk)
        is_anothers = account.grant_id != (grant.pk if grant is not None else None)
        is_elsewhere = account.generation != generation or account.state == TradingAccount.State.UNLINKED
        if is_anothers or is_elsewhere:
            return account
        return account_states.lose(account, code=code, by=by, at=at)


def set_default(account: TradingAccount, *, by: By, at: datetime) -> TradingAccount:
    """Make it the account that is used where none is named. Twice is once. Locks the client's row.

    :raises AccountNotReady: if it is not open at the venue.
    """
    with transaction.atomic():
        Client.objects.select_for_update(no_key=True).get(pk=account.client_id)
        before = TradingAccount.objects.filter(client=account.client_id, is_default=True)
        wanted = {account.pk, *before.values_list("pk", flat=True)}
        rows = {pk: account_states.locked(pk) for pk in sorted(wanted)}
        account = rows.pop(account.pk)
        if not account.is_default:
            check_may_trade(account)
            for other in rows.values():
                other.is_default = False
                other.save()
            account.is_default = True
            account.save()
            record("trading_account.made_default", account, by=by, at=at)
    return account


def check_may_trade(account: TradingAccount) -> None:
    """:raises AccountNotReady: if nothing can be bought or sold on it now; the message says why."""
    if account.state != TradingAccount.State.ACTIVE:
        raise AccountNotReady(account.why)


def of_user(user: User, public_id: UUID) -> TradingAccount:
    """One of this user's trading accounts.

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    try:
        return (
            TradingAccount.objects.of_user(user)
            .select_related("client", "cash", "stakes")
            .get(uuid=public_id)
        )
    except TradingAccount.DoesNotExist:
        raise NotFound("There is no such trading account.", field="account") from None


def credentials_of(account: TradingAccount) -> Credentials:
    """What opens the account at the venue: its grant's token, or its own. Read it with its `grant`."""
    return Credentials(
        generation=account.generation,
        login_id=account.login_id,
        token=(account.token if account.grant is None else account.grant.access_token) or "",
        old_login_id=account.old_login_id,
        moved_at=0 if account.migrated_at is None else int(account.migrated_at.timestamp()),
    )


def credentials() -> dict[int, Credentials]:
    """The accounts to keep connected, with what opens each at the venue."""
    rows = TradingAccount.objects.to_stream().select_related("grant")
    return {row.pk: credentials_of(row) for row in rows.only(*OPENED_WITH)}
