"""Reads that span the journal: trial balance and account statement, as frozen rows."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Count, QuerySet

from ledger.accounts import balance_before
from ledger.control import totals
from ledger.control.totals import Group, Totals
from ledger.models import Account, Book, Posting, Side


@dataclass(frozen=True, slots=True)
class TrialBalanceRow:
    """All accounts of one kind and purpose in one currency. The net stands on one side, the other is zero."""

    currency: str
    kind: str
    purpose: str
    owner_type: str
    accounts: int
    debit: Decimal
    credit: Decimal


def trial_balance(book: Book | str, found: Totals | None = None) -> list[TrialBalanceRow]:
    """The book's balances by currency, kind and purpose; debits and credits are equal in each currency.

    Now, or of the totals of some day (`totals.at_end_of`). How many accounts there are is as of now. Exact, never rounded.
    """
    counted = {
        Group(*row[:4]): row[4]
        for row in Account.objects.filter(book=book)
        .values_list("currency_id", "kind", "purpose", "owner_type")
        .annotate(many=Count("id"))
        .order_by()
    }
    rows = sorted((totals.now(book) if found is None else found).items())
    return [
        TrialBalanceRow(*group, counted.get(group, 0), max(net, Decimal(0)), max(-net, Decimal(0)))
        for group, net in rows
    ]


def latest_postings(account_pk: int) -> QuerySet[Posting]:
    """An account's postings, the newest first; quick to begin with, however long ago it moved.

    Asked for as a range and in the index's own order: with an equality the planner may walk all postings from the newest
    on, hoping to meet the account's soon.
    """
    rows = Posting.objects.filter(account_id__gte=account_pk, account_id__lte=account_pk)
    return rows.order_by("-account_id", "-id")


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting on the account, with the balance after it, on the account's normal side."""

    entry: UUID
    kind: str
    reference: str
    narration: str
    effective_at: datetime
    recorded_at: datetime
    side: Side
    amount: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """An account over a half-open period [start, end): opening balance, lines, closing balance."""

    account: Account
    start: datetime
    end: datetime
    opening: Decimal
    lines: tuple[StatementLine, ...]
    closing: Decimal


def statement(
    account: Account, period: tuple[datetime, datetime], *, at_most: int | None = None
) -> Statement:
    """What moved on an account in a half-open period, in the order in which it counted (effective), exact.

    An entry that was recorded late stands where it counts, so opening and closing follow from the lines. With `at_most`
    no more lines than that are read; whoever gets as many does not know what follows, nor the closing balance.
    """
    start, end = period
    postings = (
        Posting.objects.filter(account=account, entry__effective_at__gte=start, entry__effective_at__lt=end)
        .select_related("entry")
        .order_by("entry__effective_at", "id")
    )
    opening = balance_before(account, at=start)
    balance = opening
    lines = []
    for posting in postings[:at_most]:
        balance += posting.amount if posting.side == account.normal_side else -posting.amount
        lines.append(
            StatementLine(
                entry=posting.entry.uuid,
                kind=posting.entry.kind,
                reference=posting.entry.reference,
                narration=posting.entry.narration,
                effective_at=posting.entry.effective_at,
                recorded_at=posting.entry.recorded_at,
                side=Side(posting.side),
                amount=posting.amount,
                balance=balance,
            )
        )
    return Statement(account, start, end, opening, tuple(lines), balance)
