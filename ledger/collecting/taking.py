"""A deposit with a collector: made, begun over there, and brought to its end by what the collector says.

Nothing is asked of a collector inside a transaction. No money moves by beginning: a lost answer is simply asked for again,
under the deposit's own key.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Q

from backoffice.errors import DomainError, MoveNotAllowed
from backoffice.wake import wake_swept
from backoffice.who import By
from compliance.models import Client
from ledger import deposits, journal
from ledger.collecting import accounts
from ledger.collecting.offers import collector_for
from ledger.collecting.port import Collect, Found, Outcome, ProviderError, collectors
from ledger.models import Deposit

State = Deposit.State
Clock = Callable[[], datetime]
BY: Final = By.system("collectors")
# Nobody takes longer at a form; what is not paid by then is given up.
WAITS_FOR: Final = timedelta(hours=24)
# A collector that tells nothing is asked this often.
ASKED_EVERY: Final = timedelta(minutes=15)


class CollectorAway(DomainError):
    """The collector cannot be reached, or says no. Nothing is paid; the same request may be made again."""

    code = "COLLECTOR_AWAY"


def create(
    client: Client, *, method: str, currency: str, amount: str | Decimal, by: By, at: datetime, key: str
) -> Deposit:
    """The client wants to pay by card or PayPal: like `deposits.create`, with the collector that takes it, and within the
    client's limits. Nothing is booked.

    :raises DepositNotOffered: if nobody takes it here. Also the refusals of `deposits.create`.
    """
    collector = collector_for(method, currency)
    return deposits.create(
        client, method=method, currency=currency, amount=amount, by=by, at=at, key=key, waits_for=WAITS_FOR,
        collector=collector.name, within_limits=True,
    )  # fmt: skip


def begin(deposit: Deposit, *, by: By, now: Clock) -> Collect | None:
    """Have the collector make the payment, and say where the client agrees to it; None when it is over already.

    Called again it finds the same payment. Not in a transaction.

    :raises CollectorAway: if the collector could not be asked, or will not do it. The deposit waits, and may be begun again.
    """
    if not deposit.is_open or deposit.collector not in collectors.names():
        return None
    try:
        collect = collectors.get(deposit.collector).begin(deposit)
    except ProviderError as found:
        raise CollectorAway(f"This cannot be paid at the moment ({found.code}). Try again.") from found
    try:
        deposits.begin(deposit, external_id=collect.external_id, by=by, at=now())
    except MoveNotAllowed:
        return None  # it was paid, or called off, while the collector was asked
    return collect


def ask(deposit: Deposit, *, now: Clock) -> Deposit:
    """Ask the collector what became of it, and book what it says. One nobody paid in time is given up over there.

    :raises NotSent, AnswerLost: if nothing was learned. Also the refusals of `deposits.complete`.
    """
    row = _of(deposit.pk)
    if row.external_id == "" or row.collector not in collectors.names():
        return row
    Deposit.objects.filter(pk=row.pk).update(asked_at=now())
    collector = collectors.get(row.collector)
    found = collector.status(row)
    if found.outcome == Outcome.WAITING and row.state == State.PROCESSING and now() > row.expires_at:
        if collector.give_up(row):
            return deposits.fail(row, note="It was not paid in time", by=BY, at=now())
        found = collector.status(row)
    return settle(row, found, by=BY, at=now())


def settle(deposit: Deposit, found: Found, *, by: By, at: datetime) -> Deposit:
    """Book a collector's word: the money came, debit what the collector owes us; or nothing comes. Said again, nothing changes.

    What the collector charges us is an entry of its own, once it is told.

    :raises MoveNotAllowed: if the currency is another, or the deposit ended otherwise. Also the refusals of `deposits.complete`.
    """
    if found.outcome == Outcome.WAITING:
        return deposit
    if found.outcome == Outcome.FAILED:
        return deposits.fail(deposit, note=found.message or "The payment was called off", by=by, at=at)
    if found.currency != deposit.currency_id:
        raise MoveNotAllowed(f"The collector took {found.currency}, and {deposit.currency_id} was asked for.")
    source = accounts.receivable(deposit.collector, deposit.currency_id, at=at)
    row = deposits.complete(
        deposit, amount=found.amount, source=source, by=by, at=at, external_id=deposit.external_id
    )
    if found.fee:
        journal.post(
            kind="collector_fee", lines=[journal.debit(accounts.fees(row.currency_id), found.fee), journal.credit(source, found.fee)],
            by=by, at=at, key=f"deposit:{row.uuid}:collector_fee", reference=row.reference,
            narration=f"Fee of {collectors.get(row.collector).label} for {row.reference}", subject=(deposits.SUBJECT, row.uuid),
        )  # fmt: skip
    return row


def charge(deposit: Deposit, *, now: Clock) -> bool:
    """Book what the collector charges us for a completed deposit; whether it has told that yet.

    :raises NotSent, AnswerLost: if nothing was learned.
    """
    row = _of(deposit.pk)
    found = collectors.get(row.collector).status(row)
    settle(row, found, by=BY, at=now())
    return found.fee is not None


def paid_under(deposit: Deposit, payment_id: str, *, at: datetime) -> Deposit:
    """Note what the collector calls the payment, where its answer to `begin` was lost; known already, nothing changes.

    :raises MoveNotAllowed: if it is known under another id.
    """
    if deposit.external_id == payment_id:
        return deposit
    if deposit.external_id:
        raise MoveNotAllowed("The deposit is paid under another id of the collector's.")
    if deposit.state == State.PENDING:
        return deposits.begin(deposit, external_id=payment_id, by=BY, at=at)
    # It ran out, or was called off, before the answer came; the money is the client's all the same.
    Deposit.objects.filter(pk=deposit.pk, external_id="").update(external_id=payment_id)
    return _of(deposit.pk)


def sweep(*, now: Clock) -> int:
    """Have deposits asked about that a collector told nothing of; how many."""
    late = now() - ASKED_EVERY
    rows = Deposit.objects.filter(state=State.PROCESSING).exclude(collector="")
    due = rows.filter(Q(asked_at=None, changed_at__lt=late) | Q(asked_at__lt=late)).order_by("id")
    numbers = list(due.values_list("pk", flat=True)[:200])
    for number in numbers:
        wake_swept("collectors.ask", number)
    return len(numbers)


def _of(pk: int) -> Deposit:
    return Deposit.objects.select_related("client", "wallet", "currency").get(pk=pk)
