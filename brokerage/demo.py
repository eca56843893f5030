"""Demo clients trade by themselves, through the same verb as anybody else, so that the console is alive."""

import random
from datetime import datetime
from decimal import Decimal

import fixtures
from backoffice.configuration import configuration
from backoffice.database import uuid7
from backoffice.who import By
from brokerage import funding, linking, placing, simulated_venue
from brokerage.models import Instrument, Trade, TradingAccount
from compliance.models import Client, Membership
from ledger import accounts as ledger_accounts
from ledger import journal
from ledger.models import Account, Book
from ledger.wallets import wallet

# Few enough to read, many enough to see movement.
UNFINISHED_AT_ONCE = 3
MARKUP = Decimal("0.01")
WALLET = Decimal("250.00")
SYMBOLS = ("R_10", "R_25", "R_50", "R_75", "R_100", "1HZ100V")


def link_one(*, at: datetime) -> TradingAccount | None:
    """Have the first demo client link a real account at the simulator, once, so that the console has one to show.

    Our markup is in the price of its trades, and some of the client's wallet goes to it. Nothing where the venue is a
    real one or demo traders are switched off.

    :raises NotSent: if the simulator cannot be asked; it is tried again.
    :raises DomainError: as `linking.complete_with_token`.
    """
    config = configuration()
    if not (simulated_venue.is_simulated() and config.demo_traders):
        return None
    email = fixtures.read("demo")["clients"][0]["email"]
    member = Membership.objects.select_related("client", "user").filter(user__email=email).first()
    if member is None or member.client.trading_accounts.filter(kind=TradingAccount.Kind.REAL).exists():
        return None
    body = {"currency": "USD", "balance": "500.00", "is_demo": False}
    token = str(simulated_venue.ask("PUT", "accounts/demo-real", body).json()["token"])
    by = By.user(member.user)
    linked = linking.complete_with_token(
        client=member.client, user=member.user, token=token, by=by, now=lambda: at
    )
    account = next(row for row in linked.accounts if row.kind == TradingAccount.Kind.REAL)
    account.markup_rate = MARKUP
    account.save()
    _fill_wallet(member.client, at)
    funding.deposit(account, amount="150.00", by=by, at=at, key="demo-funding")
    return account


def _fill_wallet(client: Client, at: datetime) -> None:
    """Money in a demo client's wallet, as if it had come by bank."""
    ours = wallet(client.uuid, "USD", at=at)
    bank = ledger_accounts.house(Book.REAL, "USD", "bank", Account.Kind.ASSET)
    journal.post(
        kind="deposit", lines=[journal.debit(bank, WALLET), journal.credit(ours, WALLET)], by=By.system("demo"),
        at=at, key=f"demo:{client.uuid}:wallet", narration="Demo money", subject=("client", client.uuid),
        client_id=client.uuid,
    )  # fmt: skip


def trade_a_little(*, at: datetime) -> Trade | None:
    """Place one small random trade for one demo client, if the deployment wants it and few are unfinished.

    :raises DomainError: as `placing.place`; nothing is placed then.
    """
    config = configuration()
    if not (config.demo and config.demo_traders):
        return None
    emails = [row["email"] for row in fixtures.read("demo")["clients"]]
    ready = TradingAccount.objects.to_stream().filter(client__membership__user__email__in=emails)
    if not simulated_venue.is_simulated():
        ready = ready.filter(kind=TradingAccount.Kind.DEMO)
    account = ready.select_related("client", "currency", "cash").order_by("?").first()
    symbols = list(Instrument.objects.offered().filter(symbol__in=SYMBOLS).values_list("symbol", flat=True))
    if account is None or not symbols:
        return None
    if Trade.objects.filter(account__in=ready).exclude(state__in=Trade.FINAL).count() >= UNFINISHED_AT_ONCE:
        return None
    chance = random.SystemRandom()
    return placing.place(
        account=account,
        symbol=chance.choice(symbols),
        side=chance.choice(Trade.Side.values),
        stake=Decimal(chance.randrange(100, 5000)) / 100,
        duration=chance.randrange(3, 11),
        duration_unit="t",
        by=By.system("demo"),
        at=at,
        key=f"demo-{uuid7()}",
        source=Trade.Source.DEMO,
    )
