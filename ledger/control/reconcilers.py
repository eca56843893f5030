"""Whose lists are compared with ours: the custodian's, our banks', and what people pay by hand."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Final

from ledger.control.reconciliation import Compared, Side, Waits
from ledger.custodian import client as custodian
from ledger.custody import custody
from ledger.models import BankAccount, BankLine, CoinArrival, Payment
from ledger.providers import providers

PAYMENT: Final = "ledger.payment"
State = Payment.State
# What is younger than this is on its way between the lists.
ON_ITS_WAY: Final = timedelta(minutes=10)
_LEFT: Final = (State.SENDING, State.SENT, State.UNKNOWN, State.CONFIRMED)
_OPEN_LINES: Final = (BankLine.State.SUSPENSE, BankLine.State.TO_RETURN, BankLine.State.UNMATCHED_OUT)


def with_custodian(at: datetime) -> Iterator[Compared]:
    """Payouts one by one, under our end-to-end ids, coins that were lost, and what it keeps of each currency.

    :raises ProviderError: if the custodian does not answer.
    """
    if not custodian.is_there():
        return
    found, theirs = (
        Compared("custodian", "Custodian of coins"),
        defaultdict[str, list[custodian.Payout]](list),
    )
    balances = custodian.balances()
    for one in custodian.payouts():
        if one.state != "failed":
            theirs[one.id].append(one)
    ours = {row.end_to_end_id: row for row in Payment.objects.filter(provider="crypto").exclude(sent_at=None)}
    for name in ours.keys() | theirs.keys():
        waits = _payout(name, ours.get(name), theirs.get(name, []), at)
        found.unmatched += waits
        found.matched += not waits and name in theirs
    for row in CoinArrival.objects.filter(state=CoinArrival.State.LOST).select_related("address"):
        found.unmatched.append(Waits(
            Side.OURS, row.external_id, "Coins that we booked are on no chain.", row.changed_at, row.amount,
            row.address.currency_id, "ledger.coinarrival", str(row.pk),
        ))  # fmt: skip
    found.matched += CoinArrival.objects.filter(state=CoinArrival.State.CREDITED).count()
    found.unmatched += _balances(balances, ours, theirs, at)
    yield found


def _payout(name: str, ours: Payment | None, theirs: list[custodian.Payout], at: datetime) -> list[Waits]:
    if ours is None:
        said = f"{len(theirs)} payouts under an id that no payment of ours has."
        return [Waits(Side.THEIRS, name, said, at, theirs[0].amount, theirs[0].currency)]
    about = {
        "amount": ours.amount,
        "currency": ours.currency_id,
        "subject": PAYMENT,
        "subject_pk": str(ours.pk),
    }
    since = ours.sent_at or ours.queued_at
    if len(theirs) > 1:
        return [Waits(Side.THEIRS, name, f"Paid {len(theirs)} times.", since, **about)]
    if not theirs:
        if ours.state not in _LEFT or (ours.state != State.CONFIRMED and at - since < ON_ITS_WAY):
            return []
        said = f"Here it is: {ours.get_state_display().lower()}. The custodian does not have it."
        return [Waits(Side.OURS, name, said, since, **about)]
    if (theirs[0].amount, theirs[0].currency) != (ours.amount, ours.currency_id):
        said = f"The custodian paid {theirs[0].amount:f} {theirs[0].currency}."
        return [Waits(Side.UNEQUAL, name, said, since, **about)]
    if ours.state not in _LEFT:
        said = f"The custodian paid it; here it is: {ours.get_state_display().lower()}."
        return [Waits(Side.THEIRS, name, said, since, **about)]
    return []


def _balances(
    balances: dict[str, Decimal],
    ours: dict[str, Payment],
    theirs: dict[str, list[custodian.Payout]],
    at: datetime,
) -> Iterator[Waits]:
    """What it keeps of each currency, less what is on its way between the two books, beside what we say it keeps."""
    expected = defaultdict[str, Decimal](Decimal)
    for row in CoinArrival.objects.filter(state=CoinArrival.State.CONFIRMING).select_related("address"):
        expected[row.address.currency_id] += row.amount
    for name, paid in theirs.items():
        if name in ours and ours[name].state != State.CONFIRMED:
            expected[paid[0].currency] -= paid[0].amount
    for currency in sorted(balances.keys() | expected.keys()):
        stands, keeps = custody(currency).posted, balances.get(currency, Decimal(0))
        if difference := keeps - stands - expected[currency]:
            said = f"It keeps {keeps.normalize():f} {currency}; by our books {(stands + expected[currency]).normalize():f}."
            yield Waits(Side.UNEQUAL, f"balance {currency}", said, at, difference, currency)


def with_banks(at: datetime) -> Iterator[Compared]:
    """Each bank account: lines of its statements that nothing explains, and payments in its files that no line confirms."""
    for account in BankAccount.objects.filter(is_active=True).order_by("id"):
        lines = BankLine.objects.filter(bank_account=account)
        found = Compared(f"bank-{account.pk}", account.name)
        found.matched = lines.exclude(state__in=_OPEN_LINES).count()
        for line in lines.filter(state__in=_OPEN_LINES).order_by("booked_on", "id"):
            found.unmatched.append(Waits(
                Side.THEIRS, str(line.uuid), f"{line.get_state_display()}: money {line.direction}.",
                datetime.combine(line.booked_on, time(), UTC), line.amount, account.currency_id, "ledger.bankline", str(line.pk),
            ))  # fmt: skip
        sent = Payment.objects.filter(batch__bank_account=account, state=State.SENT)
        found.unmatched += [_ours(row, "Sent to the bank; no statement has it yet.") for row in sent]
        yield found


def by_hand(at: datetime) -> Iterator[Compared]:
    """What people pay by hand: everything that waits for somebody, or for what that person says."""
    names = [one.name for one in providers if one.is_manual]
    rows = Payment.objects.filter(provider__in=names)
    found = Compared("manual", "By hand", matched=rows.filter(state=State.CONFIRMED).count())
    for row in rows.filter(state__in=[State.QUEUED, State.SENT]).order_by("id"):
        is_taken = row.state == State.SENT
        found.unmatched.append(
            _ours(
                row,
                "Taken on; nobody has said whether it was paid."
                if is_taken
                else "Nobody has taken it on yet.",
            )
        )
    yield found


def _ours(row: Payment, says: str) -> Waits:
    since = row.sent_at or row.queued_at
    return Waits(Side.OURS, row.end_to_end_id, says, since, row.amount, row.currency_id, PAYMENT, str(row.pk))
