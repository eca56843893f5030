"""What a demo shows of transfers and adjustments: rates, a spread, money sent, and an adjustment that waits for a second person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import fixtures
from backoffice.who import By
from compliance.models import Client
from ledger import adjustments, rates, transfer_codes, transfers
from ledger.models import AdjustmentCategory, ExchangeRate, Spread
from ledger.wallets import wallet

BY: Final = By.system("demo")


def load(clients: Sequence[Client], *, maker: By, at: datetime) -> int:
    """Make it once, through the verbs everybody uses; how many records were made. The clients have money by now."""
    if ExchangeRate.objects.exists() or len(clients) < 3:
        return 0
    data = fixtures.read("demo_payments")["transfers"]
    given = [rates.Given(base, quote, mid, at) for base, quote, mid in data["rates"]]
    made = rates.enter(given, by=BY, at=at, source="feed:demo")
    Spread.objects.create(spread_bps=data["spread_bps"])
    sender, recipient = clients[1], clients[2]
    transfers.send(
        sender, to=transfer_codes.code_of(recipient), currency="USD", amount=data["sent"], by=BY, at=at,
        key="demo-transfer",
    )  # fmt: skip
    category = AdjustmentCategory.objects.filter(name=data["adjustment"]["category"]).first()
    if category is not None:
        adjustments.make(
            wallet(sender.uuid, "USD", at=at), direction="credit", amount=data["adjustment"]["amount"], category=category,
            reason=data["adjustment"]["reason"], by=maker, at=at, key="demo-adjustment",
        )  # fmt: skip
    return len(made) + 3
