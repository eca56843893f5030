"""Demo clients trade by themselves, through the same verb as anybody else, so that the console is alive."""

import random
from datetime import datetime
from decimal import Decimal

import fixtures
from backoffice.configuration import configuration
from backoffice.database import uuid7
from backoffice.who import By
from brokerage import placing
from brokerage.models import Instrument, Trade, TradingAccount

# Few enough to read, many enough to see movement.
UNFINISHED_AT_ONCE = 3
SYMBOLS = ("R_10", "R_25", "R_50", "R_75", "R_100", "1HZ100V")


def trade_a_little(*, at: datetime) -> Trade | None:
    """Place one small random trade for one demo client, if the deployment wants it and few are unfinished.

    :raises DomainError: as `placing.place`; nothing is placed then.
    """
    config = configuration()
    if not (config.demo and config.demo_traders):
        return None
    emails = [row["email"] for row in fixtures.read("demo")["clients"]]
    ready = TradingAccount.objects.to_stream().filter(client__membership__user__email__in=emails, kind="demo")
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
