"""Clients who exchange and send money, and staff who adjust it; made through verbs."""

import itertools
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Permission
from django.db.models import Model

from backoffice.models import User
from backoffice.who import By
from compliance import approvals
from compliance.models import Approval, Client, MonitoringRule
from ledger import adjustments, quotes, rates, transfer_codes, transfers
from ledger.models import Adjustment, AdjustmentCategory, ExchangeRate, Quote, Spread, Transfer
from ledger.wallets import wallet
from tests import world
from tests.ledger import payments as desk
from tests.ledger.paying import funded

BY, NOW, D = desk.BY, desk.NOW, desk.D
_numbers = itertools.count(1)

__all__ = ["BY", "NOW", "D", "funded", "rate", "spread"]


def rate(base: str = "EUR", quote: str = "USD", mid: str = "1.1000", **given: Any) -> ExchangeRate:
    """What stands on the market; entered and looked at."""
    at = given.pop("at", NOW)
    one = rates.Given(base, quote, mid, given.pop("taken_at", at))
    return rates.enter([one], by=BY, at=at, is_checked=True, **given)[0]


def spread(bps: int = 50, **given: Any) -> Spread:
    return Spread.objects.get_or_create(spread_bps=bps, **given)[0]


def quote(client: Client, amount: str = "100.00", **given: Any) -> Quote:
    values = {"given": "EUR", "got": "USD", "by": BY, "at": NOW, **given}
    return quotes.quote(client, amount=amount, **values)


def exchanged(client: Client, amount: str = "100.00", **given: Any) -> Transfer:
    return exchange(quote(client, amount), **given)


def exchange(found: Quote, **given: Any) -> Transfer:
    return transfers.exchange(found, **{"by": BY, "at": NOW, "key": f"exchange-{next(_numbers)}", **given})


def sent(client: Client, to: Client, amount: str = "25.00", **given: Any) -> Transfer:
    values = {
        "to": code(to),
        "currency": "EUR",
        "by": BY,
        "at": NOW,
        "key": f"send-{next(_numbers)}",
        **given,
    }
    return transfers.send(client, amount=amount, **values)


def code(client: Client) -> str:
    return transfer_codes.code_of(client)


def watched(outcome: str = "review", **given: Any) -> MonitoringRule:
    """Every transfer is looked at, or blocked."""
    values = {
        "name": "All transfers",
        "code": "ALL_TRANSFERS",
        "kind": "transfer",
        "condition": "amount",
        "threshold": 0,
    }
    return MonitoringRule.objects.create(**{**values, "outcome": outcome, **given})


def category(name: str = "Goodwill", **given: Any) -> AdjustmentCategory:
    values = {"direction": "both", "account_kind": "expense", "purpose": "goodwill", **given}
    return AdjustmentCategory.objects.get_or_create(name=name, defaults=values)[0]


def adjustment(client: Client, amount: str = "20.00", **given: Any) -> Adjustment:
    values = {
        "direction": "credit",
        "reason": "A late payment of ours.",
        "at": NOW,
        "key": f"adjustment-{next(_numbers)}",
        **given,
    }
    values.setdefault("category", category() if values["direction"] == "credit" else category("Correction"))
    values["by"] = given.get("by") or By.user(maker())
    return adjustments.make(wallet(client.uuid, "EUR", at=NOW), amount=amount, **values)


def maker() -> User:
    return world.staff("Payments operator")


def checker(codename: str = "approve_adjustment") -> User:
    user = world.staff("Payments approver")
    user.user_permissions.add(Permission.objects.get(codename=codename))
    return User.objects.get(pk=user.pk)


def waiting(subject: Transfer | Adjustment) -> Approval:
    kind = "transfer" if isinstance(subject, Transfer) else "adjustment"
    return Approval.objects.of_subject(kind, subject.uuid).latest("id")


def approve(subject: Transfer | Adjustment, by: User | None = None) -> Approval:
    found = waiting(subject)
    user = by or checker("approve_transfer" if isinstance(subject, Transfer) else "approve_adjustment")
    return approvals.approve(
        found, content_hash=found.content_hash, by=By.user(user), at=NOW, key=world.key()
    )


def everything(client: Client, *, at: datetime) -> list[Model]:
    """One row of each model that the console shows, about this client, who has some euros."""
    made = adjustment(client, at=at)
    rows = [rate(at=at), spread(), made, made.category]
    return [*rows, exchange(quote(client, "10.00", at=at), at=at)]


def in_wallet(client: Client, currency: str = "EUR") -> Any:
    return desk.in_wallet(client, currency)
