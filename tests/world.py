"""A small world for tests, made through verbs only: reference data, a client, an account that can trade."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import fixtures
from backoffice import roles
from backoffice.models import Currency, User
from backoffice.who import By
from brokerage import accounts, placing, trades
from brokerage.models import Instrument, Trade, TradingAccount
from compliance import clients

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TESTER = By.system("tester")
PASSWORD = "correct-horse-42"
_numbers = itertools.count(1)


def reference() -> None:
    """Roles, currencies and instruments, as a new deployment has them."""
    if Currency.objects.exists():
        return
    roles.load()
    for row in fixtures.read("currencies")["currencies"]:
        Currency.objects.get_or_create(code=row["code"], defaults=row)
    for row in fixtures.read("instruments")["instruments"]:
        Instrument.objects.get_or_create(symbol=row["symbol"], defaults=row)


def key() -> str:
    """A key nobody used yet."""
    return f"key-{next(_numbers)}"


def client(email: str = "", **given: Any) -> clients.Opening:
    """A client with its owner and a demo account that the venue has not opened yet."""
    number = next(_numbers)
    values = {"first_name": "Amina", "last_name": "Odhiambo", "password": PASSWORD, "at": NOW, **given}
    return clients.open_client(email=email or f"client{number}@example.com", **values)


def account(opening: clients.Opening | None = None, balance: str = "10000.00") -> TradingAccount:
    """A demo account that can trade: the venue opened it with this balance."""
    opening = opening or client()
    found = TradingAccount.objects.get(client=opening.client)
    number = next(_numbers)
    return accounts.confirm_opened(
        found,
        login_id=f"VRTC{number:06d}",
        token=f"token-{number}",
        balance=Decimal(balance),
        by=TESTER,
        at=NOW,
    )


def placed(on: TradingAccount | None = None, **given: Any) -> Trade:
    """A queued trade: rise on R_100 for 10.00, 5 ticks."""
    values: dict[str, Any] = {
        "symbol": "R_100", "side": "CALL", "stake": "10.00", "duration": 5, "duration_unit": "t",
        "by": TESTER, "at": NOW, "key": key(), **given,
    }  # fmt: skip
    return placing.place(account=on or account(), **values)


def submitting(trade: Trade | None = None) -> Trade:
    trade = trade or placed()
    return trades.begin_submission(
        trade, proposal_id="proposal-1", deadline=NOW + timedelta(seconds=10), by=TESTER, at=NOW
    )


def bought(contract_id: int = 0, **given: Any) -> trades.Bought:
    values: dict[str, Any] = {
        "contract_id": contract_id or 1000 + next(_numbers), "transaction_id": next(_numbers),
        "buy_price": Decimal("10.00"), "payout": Decimal("19.53"), "purchased_at": NOW,
        "expires_at": NOW + timedelta(seconds=12), **given,
    }  # fmt: skip
    return trades.Bought(**values)


def opened(trade: Trade | None = None, **given: Any) -> Trade:
    trade = submitting(trade)
    return trades.record_bought(trade, bought(**{"buy_price": trade.stake, **given}), by=TESTER, at=NOW)


def outcome(state: str = "won", proceeds: str = "19.53") -> trades.Outcome:
    return trades.Outcome(state=state, proceeds=Decimal(proceeds), settled_at=NOW + timedelta(seconds=12))


def staff(role: str = "", **given: Any) -> User:
    """A member of staff with one role, or none."""
    from django.contrib.auth.models import Group

    user = User(
        email=f"staff{next(_numbers)}@example.com", full_name="Sam Staff", kind=User.Kind.STAFF, **given
    )
    user.set_password(PASSWORD)
    user.save()
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user
