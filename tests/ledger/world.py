"""A small ledger built through the verbs, and a picture of it to hold refusals against."""

import itertools
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection

from backoffice.models import Currency
from backoffice.who import By
from ledger import accounts, holds, journal
from ledger.models import Account, Hold

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BY = By.system("test")
_numbers = itertools.count(1)


def D(text: str | int) -> Decimal:
    return Decimal(text)


def new_key() -> str:
    return f"test-{next(_numbers)}-{uuid.uuid4()}"


@dataclass
class World:
    """Wallets in US dollars in the demo book, filled from a bank account of the house."""

    owners: dict[str, uuid.UUID] = field(default_factory=dict)

    def currency(self, code: str = "USD", exponent: int = 2) -> str:
        Currency.objects.get_or_create(code=code, defaults={"name": code, "exponent": exponent})
        return code

    def wallet(
        self,
        name: str = "ada",
        *,
        funds: str | int = 0,
        currency: str = "USD",
        book: str = "demo",
        guarded: bool = True,
        kind: str = "liability",
    ) -> Account:
        owner = self.owners.setdefault(name, uuid.uuid4())
        account = accounts.open_account(
            book=book,
            currency=self.currency(currency),
            kind=kind,
            purpose="wallet",
            owner=("client", owner),
            client_id=owner,
            guarded=guarded,
            at=NOON,
        )
        if D(funds):
            lines = [journal.debit(self.bank(currency, book), D(funds)), journal.credit(account, D(funds))]
            journal.post(kind="deposit", lines=lines, by=BY, at=NOON, key=new_key())
        return fresh(account)

    def bank(self, currency: str = "USD", book: str = "demo") -> Account:
        return accounts.house(book, self.currency(currency), "bank", "asset")

    def hold(self, account: Account, amount: str | int, **more: object) -> Hold:
        given = {"purpose": "stake", "by": BY, "at": NOON, "key": new_key(), **more}
        return holds.place(account=account, amount=D(amount), **given).hold  # type: ignore[arg-type]


def transfer_lines(source: Account, target: Account, amount: str | int) -> list[journal.Line]:
    """From one liability account to another."""
    return [journal.debit(source, D(amount)), journal.credit(target, D(amount))]


def move(source: Account, target: Account, amount: str | int, **more: object) -> journal.Posted:
    given = {"kind": "transfer", "by": BY, "at": NOON, "key": new_key(), **more}
    return journal.post(lines=transfer_lines(source, target, amount), **given)  # type: ignore[arg-type]


def fresh(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


def picture() -> dict[str, str]:
    """Every row of the ledger and the event log, as one text each table: equal pictures mean nothing changed."""
    tables = ("ledger_account", "ledger_entry", "ledger_posting", "ledger_hold", "backoffice_event")
    seen = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                f"SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t"
            )
            seen[table] = cursor.fetchone()[0]
    return seen
