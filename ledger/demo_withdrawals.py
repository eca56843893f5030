"""What a demo shows of money out: where it may go, what waits for an approval, and one request that compliance stopped."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import fixtures
from backoffice.who import By
from compliance.models import Client
from ledger import beneficiaries, withdrawals
from ledger.models import BankAccount, Withdrawal, WithdrawalRoute

BY: Final = By.system("demo")


def load(clients: Sequence[Client], *, at: datetime) -> int:
    """Offer withdrawals and have some asked for, once; how many records were made. Through the verbs everybody uses.

    The clients are those whose deposits came, in the order of `ledger.bank.demo`.
    """
    if Withdrawal.objects.exists() or len(clients) < 4:
        return 0
    data = fixtures.read("demo_withdrawals")
    for row in data["routes"]:
        account = BankAccount.objects.get(name=row["bank_account"])
        WithdrawalRoute.objects.get_or_create(
            method=row["method"], currency=account.currency, defaults=row | {"bank_account": account}
        )
    made = len(data["routes"])
    for row in data["clients"]:
        client = clients[row["client"]]
        client.kyc_level = row["kyc_level"]
        client.save()
        to = beneficiaries.add(
            client, method="bank", currency=row["currency"], holder=client.name, number=row["iban"], by=BY, at=at,
            key="demo-beneficiary",
        )  # fmt: skip
        for place, amount in enumerate(row["amounts"]):
            withdrawals.request(to, amount=amount, by=BY, at=at, key=f"demo-withdrawal-{place}")
        made += 1 + len(row["amounts"])
    return made
