"""A small world for tests, made through verbs only: reference data, a client, an account that can trade."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

import fixtures
from backoffice import roles
from backoffice.models import Currency, User
from backoffice.starting_data import starting_data
from backoffice.who import By
from brokerage import accounts, adopting, linking, placing, trades
from brokerage.deriv.types import VenueAccount
from brokerage.models import Grant, GrantRequest, Instrument, Trade, TradingAccount
from compliance import clients

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TESTER = By.system("tester")
PASSWORD = "correct-horse-42"
_numbers = itertools.count(1)


def reference() -> None:
    """Roles, currencies, instruments, limits and rules, as a new deployment has them."""
    if Currency.objects.exists():
        return
    roles.load()
    for row in fixtures.read("currencies")["currencies"]:
        Currency.objects.get_or_create(code=row["code"], defaults=row)
    for row in fixtures.read("instruments")["instruments"]:
        Instrument.objects.get_or_create(symbol=row["symbol"], defaults=row)
    for load in starting_data:
        load()


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
    found = TradingAccount.objects.get(client=opening.client, grant=None)
    number = next(_numbers)
    return accounts.confirm_opened(
        found,
        login_id=f"VRTC{number:06d}",
        token=f"token-{number}",
        balance=Decimal(balance),
        by=TESTER,
        at=NOW,
    )


def granted(
    opening: clients.Opening | None = None, balance: str = "500.00", kind: str = "real"
) -> TradingAccount:
    """An account at the venue that a grant of the client's brought, with tokens that nobody else has."""
    opening = opening or client()
    number = next(_numbers)
    grant = Grant.objects.create(
        client=opening.client, kind=Grant.Kind.OAUTH, access_token=f"granted-access-{number}",
        refresh_token=f"granted-refresh-{number}", scopes="trade account_manage payment",
        expires_at=NOW + timedelta(hours=1), granted_at=NOW,
    )  # fmt: skip
    login_id = f"{'CR' if kind == 'real' else 'VRTC'}8{number:06d}"
    listed = VenueAccount(login_id, "USD", Decimal(balance), kind == "demo", True)
    adopting.adopt(grant, (listed,), unlinked_too=True, by=TESTER, at=NOW)
    return TradingAccount.objects.select_related("client", "grant").get(login_id=login_id)


def request(opening: clients.Opening | None = None) -> GrantRequest:
    """A client who has gone to the venue's sign-in and is not back."""
    opening = opening or client()
    address = settings.CONFIG.redirect_urls[0]
    linking.begin(client=opening.client, user=opening.user, redirect_url=address, by=TESTER, at=NOW)
    return GrantRequest.objects.latest("pk")


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

    values = {"email": f"staff{next(_numbers)}@example.com", "full_name": "Sam Staff", **given}
    user = User(kind=User.Kind.STAFF, **values)
    user.set_password(PASSWORD)
    user.save()
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user
