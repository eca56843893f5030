"""Coins paid out by the custodian, each under its end-to-end id."""

from ledger.custodian import client
from ledger.custody import custody
from ledger.models import Account, Method, Payment
from ledger.providers.port import Answer, AnswerLost, CalledProvider, Outcome

_OUTCOMES = {"accepted": Outcome.SENT, "confirmed": Outcome.CONFIRMED, "failed": Outcome.FAILED}


class Crypto(CalledProvider):
    """Sent once. The custodian's own memory of ids is not relied on: it may be short."""

    name = "crypto"
    label = "Custodian of coins"
    methods = frozenset({Method.CRYPTO})

    def settles_from(self, payment: Payment) -> Account:
        return custody(payment.currency_id)

    def send(self, payment: Payment) -> Answer:
        to = payment.withdrawal.beneficiary
        return _answer(payment, client.pay(
            payment.end_to_end_id, currency=payment.currency_id, network=to.network, address=to.number,
            amount=f"{payment.amount:.{payment.currency.exponent}f}",
        ))  # fmt: skip

    def status(self, payment: Payment) -> Answer:
        found = client.payout(payment.end_to_end_id)
        return Answer(Outcome.NOT_KNOWN) if found is None else _answer(payment, found)


def _answer(payment: Payment, found: client.Payout) -> Answer:
    if (found.id, found.currency, found.amount) != (
        payment.end_to_end_id,
        payment.currency_id,
        payment.amount,
    ):
        raise AnswerLost("OTHER_PAYOUT", "The custodian told of another payout than this.")
    outcome = _OUTCOMES.get(found.state, Outcome.SENT)
    message = (
        "The custodian says that its chain did not take it."
        if outcome == Outcome.FAILED
        else f"Transaction {found.txid}."
    )
    return Answer(outcome, reference=found.txid, code=found.code, message=message)
