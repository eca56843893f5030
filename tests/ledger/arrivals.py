"""Coins and comparisons for tests that look at pages: made without a custodian."""

from django.db.models import Model

from compliance.models import Client
from ledger.control import reconciliation
from ledger.custodian.simulator.addresses import made
from ledger.models import CoinArrival, CoinRoute, DepositAddress
from tests.ledger.payments import BY, NOW, D


def arrival(client: Client, **given: object) -> CoinArrival:
    """Coins in a block, at an address of the client's."""
    where, _ = DepositAddress.objects.get_or_create(
        client=client, currency_id="BTC", network="bitcoin",
        defaults={"address": made("bitcoin", str(client.uuid)), "given_at": NOW},
    )  # fmt: skip
    values = {"txid": "6a5a53244d", "output": 0, "amount": D("0.25"), "height": 101, "needed": 3, "state": "confirming",
              "change": 1, "seen_at": NOW, "changed_at": NOW, **given}  # fmt: skip
    return CoinArrival.objects.create(address=where, **values)


def everything(of: Client) -> list[Model]:
    """One row of each model that has a page."""
    row = arrival(of)
    route = CoinRoute.objects.create(currency_id="BTC", network="bitcoin", confirmations=3)
    return [row, row.address, route, *reconciliation.run("manual", by=BY, at=NOW)]
