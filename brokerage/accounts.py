"""Trading accounts: asked for with us, opened at the venue, mirrored in the ledger."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from backoffice import events
from backoffice.configuration import configuration
from backoffice.database import uuid7
from backoffice.errors import DomainError, MoveNotAllowed, NotFound
from backoffice.models import User
from backoffice.wake import wake
from backoffice.who import By
from brokerage.models import TradingAccount
from compliance.clients import Opening
from compliance.models import Client
from ledger import accounts as ledger_accounts
from ledger import journal
from ledger.models import Account, Book


class AccountNotReady(DomainError):
    """The trading account is not open at the venue, so nothing can be bought or sold on it."""

    code = "ACCOUNT_NOT_READY"
    field = "account"


def open_first_demo(opening: Opening) -> None:
    """The step of opening a client that gives it a demo account, where the deployment says so."""
    if configuration().demo_account_at_sign_up:
        request_demo(client=opening.client, by=opening.by, at=opening.at)


def request_demo(*, client: Client, by: By, at: datetime) -> TradingAccount:
    """Ask for a demo account in USD. It is *opening* until the venue has answered; the sweep sees to that.

    Its first account becomes the client's default. Locks the client's row.
    """
    with transaction.atomic():
        Client.objects.select_for_update(no_key=True).get(pk=client.pk)
        public_id = uuid7()
        account = TradingAccount.objects.create(
            uuid=public_id,
            client=client,
            kind=TradingAccount.Kind.DEMO,
            generation=configuration().deriv_generation,
            currency_id="USD",
            is_default=not TradingAccount.objects.filter(client=client, is_default=True).exists(),
            opening_balance=configuration().demo_opening_balance,
            cash=_mirror_account(client, public_id, "trading_cash", at),
            stakes=_mirror_account(client, public_id, "open_stakes", at),
            requested_at=at,
        )
        _record("trading_account.requested", account, by=by, at=at)
        wake("trading.open_account", account.pk)
    return account


def _mirror_account(client: Client, owner: UUID, purpose: str, at: datetime) -> Account:
    # A mirror copies what the venue says, so the database does not guard it against going below zero.
    return ledger_accounts.open_account(
        book=Book.DEMO_MIRROR,
        currency="USD",
        kind=Account.Kind.LIABILITY,
        purpose=purpose,
        owner=("trading_account", owner),
        client_id=client.uuid,
        guarded=False,
        at=at,
    )


def confirm_opened(
    account: TradingAccount, *, login_id: str, token: str, balance: Decimal, by: By, at: datetime
) -> TradingAccount:
    """The venue opened it: keep its login and token, and mirror its opening balance. Twice is once.

    :raises MoveNotAllowed: if the account was closed meanwhile.
    """
    with transaction.atomic():
        account = TradingAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
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
        account.login_id, account.token = login_id, token
        account.opening_balance = balance
        account.venue_balance, account.venue_balance_at = balance, at
        account.state, account.opened_at = TradingAccount.State.ACTIVE, at
        account.save()
        _record("trading_account.opened", account, by=by, at=at)
    return account


def mark_unreachable(account: TradingAccount, *, code: str, by: By, at: datetime) -> TradingAccount:
    """The venue refuses the token: nothing more is sent until the client links the account again. Twice is once."""
    with transaction.atomic():
        account = TradingAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        if account.state != TradingAccount.State.UNREACHABLE:
            check_may_move(account, TradingAccount.State.UNREACHABLE)
            account.state = TradingAccount.State.UNREACHABLE
            account.save()
            _record("trading_account.unreachable", account, by=by, at=at, code=code)
    return account


def check_may_move(account: TradingAccount, state: str) -> None:
    """:raises MoveNotAllowed: if the account cannot go from its state to this one."""
    if state not in TradingAccount.MOVES[TradingAccount.State(account.state)]:
        raise MoveNotAllowed(f"The account is {account.get_state_display().lower()}.", field="account")


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


def _record(name: str, account: TradingAccount, *, by: By, at: datetime, **payload: str) -> None:
    events.record(
        name,
        subject_type="trading_account",
        subject_id=account.uuid,
        client_id=account.client.uuid,
        by=by,
        at=at,
        payload={"kind": account.kind, "state": account.state, "login": account.login_id, **payload},
    )
