"""Payments back the way a deposit came: to the card or the PayPal account that paid it, as a refund at its collector.

What card schemes and rules against money laundering want first: money goes back to where it came from, and never more
of it than came.
"""

from ledger.collecting import accounts
from ledger.collecting.port import Collector, GiveBack, Refund, collectors
from ledger.collecting.port import Outcome as Word
from ledger.models import Account, Deposit, Payment
from ledger.providers.port import Answer, CalledProvider, Outcome


class Back(CalledProvider):
    """A collector that pays. It is sent once, under the payment's own id; the collector's list of refunds tells of it."""

    def __init__(self, collector: Collector) -> None:
        self.name = collector.name  # type: ignore[misc]
        self.methods = frozenset({collector.method})  # type: ignore[misc]
        self.label = f"{collector.label}, the way it came"  # type: ignore[misc]

    def settles_from(self, payment: Payment) -> Account:
        """What the collector owes us."""
        return accounts.receivable(self.name, payment.currency_id, at=payment.changed_at)

    def send(self, payment: Payment) -> Answer:
        deposit = _deposit(payment)
        return answer(
            payment, collectors.get(self.name).refund(GiveBack(payment.uuid, deposit, payment.amount))
        )

    def status(self, payment: Payment) -> Answer:
        for one in collectors.get(self.name).refunds(_deposit(payment)):
            if one.ours == payment.uuid:
                return answer(payment, one)
        return Answer(Outcome.NOT_KNOWN)


def payment_of(found: Refund) -> Payment | None:
    """The payment a refund was made for; None where it was made for none."""
    rows = Payment.objects.select_related("withdrawal__client", "currency", "withdrawal__beneficiary")
    return rows.filter(uuid=found.ours).first() if found.ours else None


def answer(payment: Payment, found: Refund) -> Answer:
    """What a collector's word of a refund says of the payment it was made for: one that fails after it was paid came back."""
    if found.outcome == Word.FAILED:
        came_back = payment.state in (Payment.State.CONFIRMED, Payment.State.RETURNED)
        outcome = Outcome.RETURNED if came_back else Outcome.FAILED
        return Answer(
            outcome, found.external_id, "REFUND_FAILED", found.message or "The card's bank did not take it"
        )
    if found.outcome == Word.SUCCEEDED:
        return Answer(Outcome.CONFIRMED, found.external_id, message=f"Refund {found.external_id}.")
    return Answer(Outcome.SENT, found.external_id)


def _deposit(payment: Payment) -> Deposit:
    deposit = payment.withdrawal.beneficiary.deposit
    assert deposit is not None, "a beneficiary of a card or PayPal has its deposit"
    return deposit
