"""A bank's day, made up: our account there, deposits that wait for their money, and the statement by which it comes."""

import random
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from benchmarks.ground import say

IBAN = "DE89370400440532013000"
CURRENCY = "USD"


def account() -> Any:
    """An account of ours at a bank, which clients pay into and are paid from."""
    from ledger.models import BankAccount

    values = {
        "holder": "Nexus Markets Ltd",
        "iban": IBAN,
        "bic": "COBADEFFXXX",
        "bank_name": "Benchmark bank",
    }
    row, _ = BankAccount.objects.get_or_create(
        name="Benchmark bank", currency_id=CURRENCY, defaults={**values, "takes_deposits": True}
    )
    return row


def deposits(clients: Sequence[Any], many: int, *, at: datetime) -> list[Any]:
    """So many deposits that wait, of these clients in turns, by the verb."""
    from backoffice.database import uuid7
    from backoffice.who import By
    from ledger import deposits as verbs

    by, chance = By.system("benchmark"), random.Random(11)
    found = [
        verbs.create(
            clients[number % len(clients)], method="bank", currency=CURRENCY, amount=f"{chance.randrange(1000, 90_000) / 100:.2f}",
            by=by, at=at, key=f"bench-{uuid7()}",
        )
        for number in range(many)
    ]  # fmt: skip
    say(f"{many:,} deposits wait")
    return found


def statement(paid: Sequence[Any], *, others: int, at: datetime) -> bytes:
    """A camt.053 file: a line for each deposit that names it, and others: in turns in without a reference, and out."""
    from tests.ledger.statements import Entry, statement

    chance, day, number_of_it = random.Random(13), f"{at:%Y-%m-%d}", f"{at:%y%m%d%H%M%S}"
    lines = [
        Entry(amount=f"{row.amount:.2f}", text=f"Deposit {row.reference}", who=row.client.name, iban=IBAN,
              bank_id=f"B-{row.reference}", day=day)
        for row in paid
    ]  # fmt: skip
    for number in range(others):
        amount, side = f"{chance.randrange(100, 90_000) / 100:.2f}", "CRDT" if number % 2 else "DBIT"
        lines.append(Entry(amount=amount, text=f"Invoice {number}", who=f"Somebody {number}", iban=IBAN, side=side,
                           bank_id=f"{number_of_it}-{number}", day=day))  # fmt: skip
    chance.shuffle(lines)
    opening = Decimal(10) ** 9
    return statement(*lines, opening=f"{opening:.2f}", currency=CURRENCY, number=number_of_it)
