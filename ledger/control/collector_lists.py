"""What collectors told us beside what we booked of them: deposits, refunds and disputes, fees, and their payouts to our bank.

Nothing is asked over a wire: what they told is kept as it was told. What stands on a collector's account is what they owe
us by our books; their payouts to our bank lower it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from backoffice.models import Currency
from ledger.collecting.port import Collector, collectors
from ledger.control.reconciliation import AT_MOST, Compared, Side, Waits
from ledger.models import Account, BankLine, Book, ClawBack, CollectorEvent, Deposit, Entry

Told, Kind = CollectorEvent.State, CollectorEvent.Kind
# What is younger is on its way between the lists: events come in any order, and some are late.
ON_ITS_WAY: Final = timedelta(minutes=30)
# Collectors pay out every few days; what they owe for longer somebody asks them about.
PAYS_WITHIN: Final = timedelta(days=7)
EVENT, DEPOSIT, CLAW_BACK = "ledger.collectorevent", "ledger.deposit", "ledger.clawback"
_MONEY: Final = (Kind.SUCCEEDED, Kind.REFUNDED, Kind.DISPUTE_OPENED, Kind.DISPUTE_WON, Kind.DISPUTE_LOST)


def with_collectors(at: datetime) -> Iterator[Compared]:
    """Each collector that has taken a deposit, or told of one."""
    for one in collectors:
        if not (Deposit.objects.filter(collector=one.name).exists() or _events(one).exists()):
            continue
        found = Compared(one.name, one.label)
        found.matched = (
            _events(one).filter(state=Told.APPLIED, kind__in=_MONEY).count() + _payouts(one).count()
        )
        for waits in (_told_alone(one, at), _booked_alone(one, at), _unequal(one), _owed(one, at)):
            found.unmatched += waits
        found.matched -= sum(
            waits.side == Side.UNEQUAL and waits.subject == EVENT for waits in found.unmatched
        )
        yield found


def _events(one: Collector) -> QuerySet[CollectorEvent]:
    return CollectorEvent.objects.filter(collector=one.name)


def _told_alone(one: Collector, at: datetime) -> Iterator[Waits]:
    """Told, and not in the books: it waits for something, or was refused."""
    open_ = Q(state=Told.FAILED) | Q(state=Told.RECEIVED, received_at__lt=at - ON_ITS_WAY)
    for row in _events(one).filter(open_).order_by("occurred_at", "id")[:AT_MOST]:
        said = f"{row.get_kind_display()}: {row.reason or 'not applied yet'}"
        yield Waits(
            Side.THEIRS, row.event_id, said, row.occurred_at, row.amount, _known(row.currency_code), EVENT, str(row.pk)
        )  # fmt: skip


def _booked_alone(one: Collector, at: datetime) -> Iterator[Waits]:
    """Booked by the collector's answer when it was asked, and no event of theirs says so: are their events reaching us?"""
    said = _events(one).filter(deposit=OuterRef("pk"), kind=Kind.SUCCEEDED)
    rows = Deposit.objects.filter(
        ~Exists(said), collector=one.name, state=Deposit.State.COMPLETED, completed_at__lt=at - ON_ITS_WAY
    )
    for row in rows.order_by("id")[:AT_MOST]:
        yield Waits(
            Side.OURS, row.reference, "Came by their answer; no event of theirs has told of it.", row.completed_at or at,
            row.received, row.currency_id, DEPOSIT, str(row.pk),
        )  # fmt: skip
    # A dispute is told under its own id, a refund with the deposit it is of.
    of_dispute = _events(one).filter(object_id=OuterRef("external_id"))
    of_refund = _events(one).filter(deposit=OuterRef("deposit"), kind=Kind.REFUNDED)
    taken = ClawBack.objects.filter(collector=one.name, requested_at__lt=at - ON_ITS_WAY).exclude(entry=None)
    alone = taken.filter(
        Q(~Exists(of_dispute), kind=ClawBack.Kind.CHARGEBACK)
        | Q(~Exists(of_refund), kind=ClawBack.Kind.REFUND)
    )
    for claw_back in alone.select_related("deposit").order_by("id")[:AT_MOST]:
        yield Waits(
            Side.OURS, claw_back.external_id or str(claw_back.uuid), f"{claw_back}: booked; no event of theirs has told of it.",
            claw_back.requested_at, claw_back.amount, claw_back.currency_id, CLAW_BACK, str(claw_back.pk),
        )  # fmt: skip


def _unequal(one: Collector) -> Iterator[Waits]:
    """Told and booked, and not the same: another amount, or a fee that is in no entry."""
    applied = _events(one).filter(state=Told.APPLIED, deposit__state=Deposit.State.COMPLETED)
    rows = applied.filter(kind=Kind.SUCCEEDED).exclude(amount=F("deposit__received"))
    for row in rows.select_related("deposit").order_by("id")[:AT_MOST]:
        assert row.deposit is not None and row.deposit.received is not None
        said = f"They told {_plain(row.amount)}; {_plain(row.deposit.received)} is booked for {row.deposit.reference}."
        yield Waits(
            Side.UNEQUAL,
            row.event_id,
            said,
            row.occurred_at,
            row.amount,
            row.deposit.currency_id,
            EVENT,
            str(row.pk),
        )
    fees = Entry.objects.filter(
        kind="collector_fee", subject_type="deposit", subject_id=OuterRef("deposit__uuid")
    )
    unbooked = applied.filter(~Exists(fees), kind=Kind.SUCCEEDED, fee__gt=0)
    for row in unbooked.select_related("deposit").order_by("id")[:AT_MOST]:
        assert row.deposit is not None
        said = f"Their fee for {row.deposit.reference} is in no entry."
        yield Waits(
            Side.UNEQUAL, f"fee {row.event_id}", said, row.occurred_at, row.fee, row.deposit.currency_id, EVENT, str(row.pk)
        )  # fmt: skip


def _owed(one: Collector, at: datetime) -> Iterator[Waits]:
    """What stands on their account while they have paid nothing out for too long, and where it is below zero."""
    accounts = Account.objects.owned_by("collector", one.uuid).filter(book=Book.REAL, purpose="collector")
    for account in accounts.exclude(posted=0).order_by("currency_id"):
        last = _payouts(one).filter(bank_account__currency=account.currency_id).order_by("-booked_on").first()
        came = Deposit.objects.filter(
            collector=one.name, currency=account.currency_id, state=Deposit.State.COMPLETED
        )
        if last is not None:
            came = came.filter(completed_at__gt=last.imported_at)
        since = (
            came.order_by("completed_at").values_list("completed_at", flat=True).first() or account.opened_at
        )
        if account.posted > 0 and at - since < PAYS_WITHIN:
            continue
        paid = (
            f"their last payout on our bank's statement is of {last.booked_on:%Y-%m-%d}"
            if last
            else "no payout of theirs is on our bank's statements"
        )
        who = "They owe us" if account.posted > 0 else "We owe them"
        said = f"{who} {_plain(abs(account.posted))} {account.currency_id} by our books; {paid}."
        yield Waits(
            Side.OURS, f"balance {account.currency_id}", said, since, account.posted, account.currency_id, "ledger.account",
            str(account.pk),
        )  # fmt: skip


def _payouts(one: Collector) -> QuerySet[BankLine]:
    """Lines of our banks that somebody said are this collector's payouts."""
    return BankLine.objects.filter(
        settled_by__kind="collector_payout",
        settled_by__subject_type="collector",
        settled_by__subject_id=one.uuid,
    )


def _known(code: str) -> str:
    """A currency as we know it; a collector may name one that we do not."""
    return code if Currency.objects.filter(code=code).exists() else ""


def _plain(amount: Decimal | None) -> str:
    return f"{(amount or Decimal(0)).normalize():f}"
