"""What a demo shows of payments: bank accounts, deposits in their states, an imported statement, money in suspense."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import fixtures
from backoffice.who import By
from compliance.models import Client
from ledger import clawbacks, deposits
from ledger.bank import importing
from ledger.collecting import taking
from ledger.collecting.port import Found, Outcome
from ledger.models import (
    BankAccount,
    ClawBack,
    CoinRoute,
    Deposit,
    Fee,
    MatchingRule,
    Method,
    WithdrawalRoute,
)

BY: Final = By.system("demo")


def load(clients: Sequence[Client], *, at: datetime) -> int:
    """Set payments up and let some money come, once; how many records were made. Through the verbs everybody uses."""
    if BankAccount.objects.exists() or len(clients) < 4:
        return 0
    data = fixtures.read("demo_payments")
    accounts = [BankAccount.objects.create(**row) for row in data["bank_accounts"]]
    for row in data["fees"]:
        Fee.objects.create(**row)
    for row in data["coin_routes"]:
        CoinRoute.objects.create(**row)
    for row in data["withdrawal_routes"]:
        WithdrawalRoute.objects.create(**row)
    MatchingRule.objects.create(**data["rule"])
    house = accounts[0]
    asked = [
        _ask(client, house, amount, at) for client, amount in zip(clients, data["deposits"], strict=False)
    ]
    deposits.cancel(asked[-1], by=BY, at=at)
    statement = importing.upload(
        house, name=data["statement"]["name"], content=_statement(data, asked, at), by=BY, at=at
    )
    importing.confirm(statement, by=BY, at=at, key="demo-statement")
    _by_card(clients[-1], house, data["card"], at)
    return len(accounts) + len(asked) + 2


def _ask(client: Client, house: BankAccount, amount: str, at: datetime) -> Deposit:
    return deposits.create(
        client,
        method=Method.BANK,
        currency=house.currency_id,
        amount=Decimal(amount),
        by=BY,
        at=at,
        key="demo-deposit",
    )


def _by_card(client: Client, house: BankAccount, card: dict[str, str], at: datetime) -> None:
    """A deposit by card as its collector would tell of it, and the chargeback that left the client owing the fee."""
    row = deposits.create(
        client, method=Method.CARD, currency=house.currency_id, amount=card["amount"], by=BY, at=at, key="demo-card",
        collector="stripe",
    )  # fmt: skip
    row = deposits.begin(row, external_id="pi_demo", by=BY, at=at)
    amount = Decimal(card["amount"])
    word = Found(
        outcome=Outcome.SUCCEEDED, amount=amount, currency=house.currency_id, fee=Decimal(card["fee"])
    )
    row = taking.settle(row, word, by=BY, at=at)
    clawbacks.take_back(
        row,
        ClawBack.Kind.CHARGEBACK,
        external_id="dp_demo",
        amount=amount,
        fee=Decimal(card["dispute_fee"]),
        by=BY,
        at=at,
    )


def _statement(data: dict[str, object], asked: list[Deposit], at: datetime) -> bytes:
    """Yesterday's lines as the bank would send them, with the references of the deposits that were asked for."""
    given: dict[str, list[str]] = data["statement"]  # type: ignore[assignment]
    names = {f"reference_{place}": row.reference for place, row in enumerate(asked)}
    names |= {f"name_{place}": row.client.name for place, row in enumerate(asked)}
    return "\n".join(line.format(day=f"{at:%Y-%m-%d}", **names) for line in given["lines"]).encode()
