"""The venue's monthly reports of our markup against what we booked: compared, decided, and paid.

Markup is earned with the purchase and paid by the venue after the month. Until then it is receivable.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Sum

from backoffice import events, keys
from backoffice.configuration import Configuration
from backoffice.errors import DomainError, InvalidInput, MoveNotAllowed
from backoffice.models import Currency
from backoffice.money import parse_amount
from backoffice.who import By
from brokerage import entries, simulated_venue, venue, venue_rest
from brokerage.deriv.opening import Credentials, open_client
from brokerage.deriv.types import MarkupLine
from brokerage.deriv.v3 import V3Client
from brokerage.models import MarkupReport, Trade, TradingAccount
from ledger import accounts as ledger_accounts
from ledger import journal
from ledger.models import Account, Book

State = MarkupReport.State
BY: Final = By.system("finance")
PAGE: Final = 1000


class NoOwnerToken(DomainError):
    """The deployment has no token to read the venue's markup reports with."""

    code = "NO_OWNER_TOKEN"


class OtherSum(DomainError):
    """The payment is not what the report says."""

    code = "OTHER_SUM"
    field = "amount"


@dataclass(frozen=True, slots=True)
class Figure:
    """A sum of markup in one currency, and over how many purchases."""

    amount: Decimal = Decimal(0)
    count: int = 0


Figures = dict[str, Figure]


def compare(month: date, generation: str, *, at: datetime) -> list[MarkupReport]:
    """Read the venue's report of a month and put it beside ours, a row for each currency. Posts nothing.

    A row that a person has accepted, or that was paid, stays as it is. While the month runs nothing is called different.

    :raises NoOwnerToken: if the deployment has no token for it.
    :raises VenueError: if the venue cannot be asked.
    """
    month = month.replace(day=1)
    theirs, mine = _venues(month, generation), ours(month, generation)
    known = set(Currency.objects.filter(code__in={*theirs, *mine}).values_list("code", flat=True))
    return [
        _put(month, generation, code, mine.get(code, Figure()), theirs.get(code, Figure()), at=at)
        for code in sorted(known)
    ]


def compare_lately(*, at: datetime) -> list[MarkupReport]:
    """This month and the last, of every generation: what the daily comparison does.

    :raises NoOwnerToken, VenueError: as `compare`, for the first that fails; what was compared before stands.
    """
    this = at.astimezone(UTC).date().replace(day=1)
    last = (this - timedelta(days=1)).replace(day=1)
    return [
        row for month in (last, this) for generation in REPORTS for row in compare(month, generation, at=at)
    ]


def ours(month: date, generation: str) -> Figures:
    """What we booked for real accounts' purchases of the month, by currency: what was refunded earned nothing."""
    since, until = _bounds(month)
    rows = (
        Trade.objects.filter(
            account__kind=TradingAccount.Kind.REAL,
            generation=generation,
            purchased_at__gte=since,
            purchased_at__lt=until,
            markup__gt=0,
        )
        .values("currency")
        .annotate(amount=Sum("markup"), count=Count("id"))
        .order_by()
    )
    return {row["currency"]: Figure(row["amount"], row["count"]) for row in rows}


def accept(report: MarkupReport, *, by: By, at: datetime, key: str, reason: str) -> MarkupReport:
    """Take the venue's figure for ours: what differs is booked to the markup we earned. The same key again is once.

    Locks the report.

    :raises MoveNotAllowed: unless it is different.
    :raises KeyReused: if the key was used on another report.
    """
    with transaction.atomic():
        row = _locked(report)
        if _is_repeated("markup.accept", str(row.uuid), by=by, at=at, key=key):
            return row
        check_may_move(row, State.ACCEPTED)
        _book_gap(row, by=by, at=at)
        row.decided_at, row.decided_by = at, by.name
        return _move(row, State.ACCEPTED, "markup.accepted", by=by, at=at, reason=reason, gap=row.gap)


def record_payment(
    report: MarkupReport,
    *,
    amount: str | Decimal,
    reference: str,
    by: By,
    at: datetime,
    key: str,
    reason: str,
) -> MarkupReport:
    """The venue's payment of a month has arrived: it is ours, and the venue owes it no longer. The same key is once.

    Locks the report.

    :raises MoveNotAllowed: unless the report is equal or its figure accepted.
    :raises OtherSum: if the amount is not the report's.
    :raises InvalidInput, InvalidAmount: if there is no reference, or the amount is not one.
    :raises KeyReused: if the key was used with other content.
    """
    if not reference.strip():
        raise InvalidInput("Give the payment's reference, as the bank shows it.", field="reference")
    with transaction.atomic():
        row = _locked(report)
        paid = parse_amount(amount, exponent=row.currency.exponent, field="amount")
        content = f"{row.uuid}|{paid}|{reference.strip()}"
        if _is_repeated("markup.pay", content, by=by, at=at, key=key):
            return row
        check_may_move(row, State.PAID)
        if paid != row.venues:
            code = row.currency_id
            raise OtherSum(f"The report says {row.venues:,.2f} {code}, the payment {paid:,.2f} {code}.")
        if row.venues:
            _book_payment(row, by=by, at=at)
        row.paid_at, row.reference = at, reference.strip()[:64]
        return _move(row, State.PAID, "markup.paid", by=by, at=at, reason=reason, amount=row.venues)


def _is_repeated(verb: str, content: str, *, by: By, at: datetime, key: str) -> bool:
    is_known = keys.is_claimed(by=by, verb=verb, key=key)
    keys.claim(by=by, verb=verb, key=key, content=content, at=at)
    return is_known


def check_may_move(report: MarkupReport, state: str) -> None:
    """:raises MoveNotAllowed: if the report cannot go from its state to this one."""
    if state not in MarkupReport.MOVES[State(report.state)]:
        raise MoveNotAllowed(f"The report is: {report.get_state_display().lower()}.")


# ── the two sides ───────────────────────────────────────────────────────────────────────────────────────────────


def _bounds(month: date) -> tuple[datetime, datetime]:
    """The month in UTC, half open."""
    since = datetime(month.year, month.month, 1, tzinfo=UTC)
    return since, (since + timedelta(days=32)).replace(day=1)


def _venues(month: date, generation: str) -> Figures:
    return REPORTS[generation](_owner_token(), month)


def _owner_token() -> str:
    config: Configuration = settings.CONFIG
    if config.is_simulated:
        return simulated_venue.owner_token()
    if not config.deriv_owner_token:
        raise NoOwnerToken("Set DERIV_OWNER_TOKEN to a token of whom the application is registered to.")
    return config.deriv_owner_token


def _statistics(token: str, month: date) -> Figures:
    """v4's report: a sum in dollars, exchanged by the venue."""
    last = (_bounds(month)[1] - timedelta(days=1)).date()
    found = venue_rest.markup(token, month, last)
    return {} if found is None else {"USD": Figure(found.markup, found.contracts)}


def _details(token: str, month: date) -> Figures:
    """v3's report: every purchase that earned something, added up."""
    return asyncio.run(_added_up(token, month))


async def _added_up(token: str, month: date) -> Figures:
    since, until = (int(bound.timestamp()) for bound in _bounds(month))
    client = await open_client(venue.addresses_of(settings.CONFIG), Credentials("v3", token=token))
    assert isinstance(client, V3Client)
    sums: dict[str, list[MarkupLine]] = defaultdict(list)
    async with client:
        offset = 0
        while page := await client.markup_details(since, until - 1, PAGE, offset):
            for line in page:
                sums[line.currency].append(line)
            offset += len(page)
    return {
        code: Figure(sum((line.amount for line in lines), Decimal(0)), len(lines))
        for code, lines in sums.items()
    }


# How each generation reports.
REPORTS: Final = {"v3": _details, "v4": _statistics}


# ── one report ──────────────────────────────────────────────────────────────────────────────────────────────────


def _put(
    month: date, generation: str, currency: str, mine: Figure, theirs: Figure, *, at: datetime
) -> MarkupReport:
    with transaction.atomic():
        row, is_new = MarkupReport.objects.select_for_update(of=("self",), no_key=True).get_or_create(
            month=month, generation=generation, currency_id=currency,
            defaults={"ours": mine.amount, "ours_count": mine.count, "venues": theirs.amount,
                      "venues_count": theirs.count, "compared_at": at},
        )  # fmt: skip
        if row.state in (State.ACCEPTED, State.PAID):
            return row
        row.ours, row.ours_count = mine.amount, mine.count
        row.venues, row.venues_count, row.compared_at = theirs.amount, theirs.count, at
        wanted = State.RUNNING
        if at >= _bounds(month)[1]:
            wanted = State.DIFFERENT if row.gap else State.EQUAL
        if wanted == row.state and not is_new:
            row.save()
            return row
        if wanted != row.state:
            check_may_move(row, wanted)
        return _move(row, wanted, "markup.compared", by=BY, at=at, ours=mine.amount, venues=theirs.amount)


def _locked(report: MarkupReport) -> MarkupReport:
    return MarkupReport.objects.select_for_update(of=("self",), no_key=True).get(pk=report.pk)


def _move(
    row: MarkupReport, state: str, event: str, *, by: By, at: datetime, reason: str = "", **payload: Decimal
) -> MarkupReport:
    row.state = state
    row.save()
    facts = {name: f"{amount:f}" for name, amount in payload.items()}
    events.record(
        event, subject_type="markup_report", subject_id=row.uuid, by=by, at=at, reason=reason,
        payload={"month": f"{row.month:%Y-%m}", "generation": row.generation, "state": row.state, **facts},
    )  # fmt: skip
    return row


def _book_gap(row: MarkupReport, *, by: By, at: datetime) -> None:
    receivable, income = entries.markup_accounts(Book.REAL, row.currency_id, shard_key=str(row.uuid))
    lines = [journal.debit(receivable, abs(row.gap)), journal.credit(income, abs(row.gap))]
    if row.gap < 0:
        lines = [journal.debit(income, -row.gap), journal.credit(receivable, -row.gap)]
    journal.post(
        kind="markup_adjustment", lines=lines, by=by, at=at, key=f"markup:{row.uuid}:gap",
        narration=f"Markup of {row} by the venue's report", subject=("markup_report", row.uuid),
    )  # fmt: skip


def _book_payment(row: MarkupReport, *, by: By, at: datetime) -> None:
    receivable, _ = entries.markup_accounts(Book.REAL, row.currency_id, shard_key=str(row.uuid))
    bank = ledger_accounts.house(
        book=Book.REAL, currency=row.currency_id, purpose="venue_payments", kind=Account.Kind.ASSET
    )
    journal.post(
        kind="markup_payment", lines=[journal.debit(bank, row.venues), journal.credit(receivable, row.venues)],
        by=by, at=at, key=f"markup:{row.uuid}:paid", reference=row.reference,
        narration=f"Markup of {row} paid by the venue", subject=("markup_report", row.uuid),
    )  # fmt: skip
