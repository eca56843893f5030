"""A payments desk's world, made through verbs: bank accounts of ours, clients, deposits."""

import itertools
from decimal import Decimal
from typing import Any

from django.db.models import Model

from compliance.clients import Opening
from compliance.models import Client
from ledger import clawbacks, deposits, holds
from ledger.bank import accounts as bank_accounts
from ledger.bank import importing
from ledger.collecting import taking
from ledger.collecting.port import Found, Outcome
from ledger.models import Account, BankAccount, BankStatement, CollectorEvent, Deposit, Fee, MatchingRule
from ledger.wallets import wallet
from tests import world

BY, NOW = world.TESTER, world.NOW
IBAN = "DE89370400440532013000"
_numbers = itertools.count(1)


def D(text: str | int) -> Decimal:
    return Decimal(text)


def bank(currency: str = "EUR", **given: Any) -> BankAccount:
    """Our account at a bank, which clients pay into."""
    values = {"name": f"House bank {currency}", "holder": "Nexus Markets Ltd", "iban": IBAN, "bic": "COBADEFFXXX",
              "bank_name": "House bank", "takes_deposits": True, **given}  # fmt: skip
    kept = BankAccount.objects.filter(currency=currency, name=values["name"]).first()
    if kept is None and not given:
        kept = BankAccount.objects.filter(currency=currency, takes_deposits=True).first()
    return kept or BankAccount.objects.create(currency_id=currency, **values)


def ours(account: BankAccount) -> Account:
    """Where the bank account stands in our books, as it is now."""
    return Account.objects.get(pk=bank_accounts.ledger_account(account, at=NOW).pk)


def client(first_name: str = "Amina", last_name: str = "Odhiambo") -> Client:
    opening: Opening = world.client(first_name=first_name, last_name=last_name)
    return opening.client


def deposit(of: Client | None = None, amount: str = "100.00", currency: str = "EUR", **given: Any) -> Deposit:
    """A deposit by bank transfer that waits for its money."""
    bank(currency)
    values: dict[str, Any] = {"method": "bank", "currency": currency, "amount": amount, "by": BY, "at": NOW,
                              "key": f"deposit-{next(_numbers)}", **given}  # fmt: skip
    return deposits.create(of or client(), **values)


def complete(row: Deposit, amount: str = "100.00", **given: Any) -> Deposit:
    values: dict[str, Any] = {"source": ours(bank(row.currency_id)), "by": BY, "at": NOW, **given}
    return deposits.complete(row, amount=D(amount), **values)


def fee(currency: str = "EUR", **given: Any) -> Fee:
    return Fee.objects.create(
        direction="in", method="bank", currency_id=currency, **{"fixed": D("1.00"), **given}
    )


def in_wallet(of: Client, currency: str = "EUR") -> Decimal:
    posted: Decimal = Account.objects.get(pk=wallet(of.uuid, currency, at=NOW).pk).posted
    return posted


def csv_file(*rows: str, heads: str = "Date;Amount;Description;Payer;Payer IBAN") -> bytes:
    """A bank's CSV file: `2026-11-20;100.00;text;name;iban` for each row."""
    return "\n".join([heads, *rows]).encode()


def upload(content: bytes, account: BankAccount | None = None) -> BankStatement:
    return importing.upload(account or bank(), name="statement.csv", content=content, by=BY, at=NOW)


def imported(content: bytes, account: BankAccount | None = None) -> BankStatement:
    row = upload(content, account)
    return importing.confirm(row, by=BY, at=NOW, key=world.key())


def everything(of: Client) -> list[Model]:
    """One row of each model of payments, about this client where it is about one."""
    account, row = bank(), deposit(of)
    statement = imported(csv_file(f"2026-11-20;100.00;Thanks {row.reference};Amina;"), account)
    rule = MatchingRule.objects.create(currency_id="EUR")
    return [account, deposits.locked(row), statement, statement.lines.get(), fee(), rule]


def taken_back(of: Client) -> list[Model]:
    """A deposit by card of this client that was charged back, what its collector told, and what the client owes for it."""
    row = deposits.create(
        of, method="card", currency="EUR", amount="50.00", by=BY, at=NOW, key="by-card", collector="stripe"
    )
    row = deposits.begin(row, external_id="pi_1", by=BY, at=NOW)
    Fee.objects.create(direction="in", method="card", currency_id="EUR", fixed=D("1.00"))
    row = taking.settle(row, Found(outcome=Outcome.SUCCEEDED, amount=D(50), currency="EUR"), by=BY, at=NOW)
    # What the client has besides is held, and stays so.
    there = Account.objects.get(pk=row.wallet_id).available - 49
    if there:
        holds.place(
            account=row.wallet, amount=there, purpose="test", by=BY, at=NOW, key="there", client_id=of.uuid
        )
    event = CollectorEvent.objects.create(
        collector="stripe", event_id="evt_1", kind="dispute_opened", deposit=row, payment_id="pi_1", object_id="dp_1", amount=D(50),
        currency_code="EUR", state="failed", reason="A test", occurred_at=NOW, received_at=NOW, tried_at=NOW, changed_at=NOW,
    )  # fmt: skip
    taken = clawbacks.take_back(row, "chargeback", external_id="dp_1", amount=D(50), by=BY, at=NOW)
    return [event, taken, taken.debt]
