"""The moves of a trading account and the record of them: for the verbs that hold its row's lock, and nobody else."""

from datetime import datetime

from backoffice import events
from backoffice.errors import MoveNotAllowed
from backoffice.who import By
from brokerage.models import TradingAccount

State = TradingAccount.State


def locked(account_id: int) -> TradingAccount:
    """The account's row, locked until the transaction ends; inserting what points at it stays possible."""
    return (
        TradingAccount.objects.select_for_update(of=("self",), no_key=True)
        .select_related("client", "currency", "cash", "stakes")
        .get(pk=account_id)
    )


def check_may_move(account: TradingAccount, state: str) -> None:
    """:raises MoveNotAllowed: if the account cannot go from its state to this one."""
    if state not in TradingAccount.MOVES[State(account.state)]:
        raise MoveNotAllowed(f"The account is {account.get_state_display().lower()}.", field="account")


def lose(account: TradingAccount, *, code: str, by: By, at: datetime) -> TradingAccount:
    """It cannot be reached any more: nothing is sent to the venue from here on. Twice is once.

    :raises MoveNotAllowed: if it is neither active nor unreachable already.
    """
    if account.state != State.UNREACHABLE:
        check_may_move(account, State.UNREACHABLE)
        account.state, account.problem_code = State.UNREACHABLE, code[:40]
        account.save()
        record("trading_account.unreachable", account, by=by, at=at, code=code[:40])
    return account


def record(
    name: str, account: TradingAccount, *, by: By, at: datetime, key: str = "", **payload: str
) -> None:
    """Write an event about the account."""
    events.record(
        name,
        subject_type="trading_account",
        subject_id=account.uuid,
        client_id=account.client.uuid,
        by=by,
        at=at,
        key=key,
        payload={"kind": account.kind, "state": account.state, "login": account.login_id, **payload},
    )
