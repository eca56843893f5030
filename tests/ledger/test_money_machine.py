"""Random lives of two clients' money against a model in plain Python: deposits, withdrawals, payments, transfers, refunds,
chargebacks, debts, adjustments and their reversals.

The whole run is one database transaction and each history a savepoint in it. After each operation the wallets equal the
model: what is posted, held and owed. A refused operation is of the kind the model says, and has moved nothing.
"""

import itertools
from decimal import Decimal
from typing import Any, Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from backoffice.errors import DomainError, MoveNotAllowed
from compliance.models import Approval, Client, MonitoringRule
from ledger import adjustments, clawbacks, debts, deposits, exchange, payments, withdrawals
from ledger.collecting import refunding, taking
from ledger.collecting.port import Found, Outcome
from ledger.models import Account, Deposit, Fee, Payment, Withdrawal
from ledger.providers import Answer, AnswerLost, NotSent, Refused
from ledger.providers import Outcome as Said
from ledger.refusals import InsufficientFunds
from ledger.verify import verify
from tests import world
from tests.ledger import paying, till, transferring
from tests.ledger import payments as desk
from tests.ledger.paying import BY, NOW, D

OPERATIONS: Final = 1_000
STEPS: Final = 60
FEE: Final = D("1.50")
counted = itertools.count()
seen: dict[str, int] = {}

amounts = st.sampled_from(["5.00", "7.01", "10.00", "33.33", "60.00", "99.99", "150.00"]).map(D)
who = st.sampled_from([0, 1])


class Scripted(paying.Wire):
    """A provider that answers as it is told: pays, says no, is not there, or loses its answer after paying or before."""

    name, label = "scripted", "Scripted"
    next_answer = "sent"
    paid: set[str] = set()

    def send(self, payment: Payment) -> Answer:
        if self.next_answer == "refused":
            raise Refused("NO", "It says no")
        if self.next_answer == "not_sent":
            raise NotSent("AWAY", "It is away")
        if self.next_answer != "lost_before":
            assert payment.end_to_end_id not in self.paid, "paid twice"
            self.paid.add(payment.end_to_end_id)
        if self.next_answer.startswith("lost"):
            raise AnswerLost("LOST", "")
        return Answer(Said.SENT, payment.end_to_end_id)

    def status(self, payment: Payment) -> Answer:
        return Answer(Said.CONFIRMED if payment.end_to_end_id in self.paid else Said.NOT_KNOWN)


class Money(RuleBasedStateMachine):
    """Operations are drawn freely; the model says which must be refused, and as what."""

    def __init__(self) -> None:
        super().__init__()
        self.scope = transaction.atomic()
        self.scope.__enter__()
        self.posted: dict[tuple[int, str], Decimal] = {}
        self.held: dict[tuple[int, str], Decimal] = {}
        self.owed = [D(0), D(0)]
        self.waiting: list[Deposit] = []
        self.cards: list[tuple[int, Deposit]] = []
        self.refunds: list[list[Any]] = []
        self.disputes: list[list[Any]] = []
        self.withdrawals: list[list[Any]] = []
        self.adjusted: list[list[Any]] = []
        self.numbers = itertools.count(1)

    @initialize()
    def begin(self) -> None:
        world.reference()
        paying.nothing_is_odd()
        MonitoringRule.objects.filter(code="HAS_DEBT").update(is_active=True)
        paying.route(least=D("5.00"))
        paying.policy(1)
        if Scripted.name not in paying.providers.names():
            paying.providers.register(Scripted.name, Scripted())
        paying.WithdrawalRoute.objects.update(provider=Scripted.name)
        Fee.objects.create(direction="out", method="bank", currency_id="EUR", fixed=FEE)
        transferring.rate()
        transferring.spread(50)
        self.approver, self.checker = paying.approver(), transferring.checker()
        self.clients: list[Client] = [desk.client("Ada"), desk.client("Ben")]
        for place, client in enumerate(self.clients):
            client.kyc_level = 3
            client.save()
            paying.beneficiary(client)
            for currency in ("EUR", "USD"):
                self.posted[place, currency] = self.held[place, currency] = D(0)

    # ── money in ────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(place=who, amount=amounts)
    def ask_for_a_deposit(self, place: int, amount: Decimal) -> None:
        self.waiting.append(self.do(None, lambda: desk.deposit(self.clients[place], f"{amount}")))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), cancelled=st.booleans(), twice=st.booleans())
    def money_comes(self, data: Any, cancelled: bool, twice: bool) -> None:
        """Also for one that was called off before (void, then late payment): it is the client's all the same, once."""
        row = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        if cancelled:
            self.do(None, lambda: deposits.cancel(row, by=BY, at=NOW))
        for _ in range(2 if twice else 1):
            self.do(None, lambda: desk.complete(row, f"{row.amount}", external_id="B-1"))
        self.gains(self.place(row.client_id), row.amount)

    @rule(place=who, amount=amounts)
    def pay_by_card(self, place: int, amount: Decimal) -> None:
        row = till.by_card(self.clients[place], f"{amount}")
        word = Found(outcome=Outcome.SUCCEEDED, amount=amount, currency="EUR")
        row = self.do(None, lambda: taking.settle(row, word, by=BY, at=NOW))
        self.gains(place, amount)
        self.cards.append((place, row))

    @precondition(lambda self: self.cards)
    @rule(data=st.data(), share=st.sampled_from([1, 1, 2]))
    def ask_for_a_refund(self, data: Any, share: int) -> None:
        place, row = data.draw(st.sampled_from(self.cards))
        left = clawbacks.refundable(row)
        amount = max(round(row.amount / share, 2), D("0.01"))
        expected: Any = None
        if left <= 0:
            expected = MoveNotAllowed
        elif amount > left:
            expected = clawbacks.RefundTooLarge
        elif self.free(place) < amount:
            expected = InsufficientFunds
        key = f"refund-{next(self.numbers)}"
        made = self.do(expected, lambda: clawbacks.ask_refund(row, amount=amount, by=BY, at=NOW, key=key))
        if made is not None:
            self.held[place, "EUR"] += amount
            again = self.do(None, lambda: clawbacks.ask_refund(row, amount=amount, by=BY, at=NOW, key=key))
            assert again.pk == made.pk
            self.refunds.append([place, made, "asked"])

    @precondition(lambda self: self.refunds)
    @rule(data=st.data(), answer=st.sampled_from(["done", "done", "refused", "lost_after", "lost_before"]))
    def a_worker_comes_for_a_refund(self, data: Any, answer: str) -> None:
        """It has it made, or asks; one whose answer was lost is never asked for a second time."""
        found = data.draw(st.sampled_from(self.refunds))
        place, row, state = found
        till.Till.next_answer = answer
        done = self.do(None, lambda: refunding.push(row, now=lambda: NOW))
        if state in ("asked", "unknown"):
            if done.state in ("done", "failed"):
                self.held[place, "EUR"] -= row.amount
            if done.state == "done":
                self.gains(place, -row.amount)
        assert done.state == state or state in ("asked", "unknown")
        found[2] = done.state

    @precondition(lambda self: any(one[2] in ("done", "failed") for one in self.refunds))
    @rule(data=st.data(), good=st.booleans())
    def what_became_of_a_refund_is_told_again(self, data: Any, good: bool) -> None:
        """Done twice is once; one that comes back after it was done is the client's again; done after it failed is refused."""
        found = data.draw(st.sampled_from([one for one in self.refunds if one[2] in ("done", "failed")]))
        place, row, state = found
        if good:
            expected = MoveNotAllowed if state == "failed" else None
            self.do(expected, lambda: clawbacks.done(row, external_id=f"re-{row.uuid}", by=BY, at=NOW))
            return
        self.do(None, lambda: clawbacks.fail(row, code="NO", message="The card is closed", by=BY, at=NOW))
        if state == "done":
            self.gains(place, row.amount)
        found[2] = "failed"

    @precondition(lambda self: self.cards)
    @rule(data=st.data(), twice=st.booleans())
    def a_card_is_charged_back(self, data: Any, twice: bool) -> None:
        """What is available is taken; what is not there is owed; what is held stays held."""
        place, row = self.cards.pop(data.draw(st.integers(0, len(self.cards) - 1)))
        amount, taken = row.amount, min(self.free(place), row.amount)
        name = f"dp_{row.uuid}"
        for _ in range(2 if twice else 1):
            made = self.do(None, lambda: clawbacks.take_back(
                row, "chargeback", external_id=name, amount=amount, by=BY, at=NOW
            ))  # fmt: skip
        self.gains(place, -taken)
        self.owed[place] += amount - taken
        self.disputes.append([place, made, amount - taken, "open"])

    @precondition(lambda self: self.disputes)
    @rule(data=st.data(), won=st.booleans())
    def a_dispute_ends(self, data: Any, won: bool) -> None:
        found = data.draw(st.sampled_from(self.disputes))
        place, row, owed, state = found
        verb, end = (clawbacks.win, "won") if won else (clawbacks.lose, "lost")
        expected = MoveNotAllowed if state not in ("open", end) else None
        if self.do(expected, lambda: verb(row, by=BY, at=NOW)) is None or state != "open":
            return
        found[3] = end
        if won:
            self.gains(place, row.amount - owed)
            self.owed[place] -= owed
            found[2] = D(0)

    @precondition(lambda self: any(one[2] for one in self.disputes))
    @rule(data=st.data())
    def what_is_owed_is_recovered(self, data: Any) -> None:
        found = data.draw(st.sampled_from([one for one in self.disputes if one[2]]))
        place, row, owed, _ = found
        taken = min(self.free(place), owed)
        expected = None if taken else debts.NothingToRecover
        key = f"recover-{next(self.numbers)}"
        for _ in range(2):
            self.do(expected, lambda: debts.recover(row.debt, by=BY, at=NOW, key=key))
        self.gains(place, -taken)
        self.owed[place] -= taken
        found[2] -= taken

    # ── money out ───────────────────────────────────────────────────────────────────────────────────────────────

    @rule(place=who, amount=amounts)
    def ask_for_a_withdrawal(self, place: int, amount: Decimal) -> None:
        """What is held already is not there to be asked for again."""
        expected = InsufficientFunds if self.free(place) < amount else None
        row = self.do(expected, lambda: paying.withdrawal(self.clients[place], f"{amount}"))
        if row is not None:
            self.held[place, "EUR"] += amount
            # Compliance stops whoever owes us something; that is decided about again when they do not.
            assert row.state == ("blocked" if self.owed[place] else "waiting")
            self.withdrawals.append([place, row.pk])

    @precondition(lambda self: self.withdrawals)
    @rule(data=st.data(), agreed=st.booleans())
    def a_withdrawal_is_decided(self, data: Any, agreed: bool) -> None:
        place, pk = data.draw(st.sampled_from(self.withdrawals))
        row = withdrawals.of_pk(pk)
        if agreed and not Approval.objects.of_subject("withdrawal", row.uuid).exists():
            return  # compliance stopped it: nobody was asked
        if agreed:
            expected = None if row.state == "waiting" else DomainError
            self.do(expected, lambda: paying.approve(row, self.approver))
            return
        ok = row.state in ("blocked", "waiting", "rejected")
        self.do(None if ok else MoveNotAllowed, lambda: withdrawals.reject(row, reason="No", by=BY, at=NOW))
        if row.state in ("blocked", "waiting"):
            self.held[place, "EUR"] -= row.amount

    @precondition(lambda self: self.withdrawals)
    @rule(data=st.data())
    def a_withdrawal_is_called_off(self, data: Any) -> None:
        """Twice is once; after its money left, or after it was rejected, it is refused."""
        place, pk = data.draw(st.sampled_from(self.withdrawals))
        row = withdrawals.of_pk(pk)
        expected = None if row.state in (*Withdrawal.HOLDING, "cancelled") else MoveNotAllowed
        for _ in range(2):
            self.do(expected, lambda: withdrawals.cancel(row, by=BY, at=NOW))
        if row.state in Withdrawal.HOLDING:
            self.held[place, "EUR"] -= row.amount

    @precondition(
        lambda self: Payment.objects.filter(state__in=["queued", "sending", "unknown", "sent"]).exists()
    )
    @rule(
        data=st.data(),
        answer=st.sampled_from(["sent", "sent", "refused", "not_sent", "lost_after", "lost_before"]),
    )
    def a_worker_comes(self, data: Any, answer: str) -> None:
        """It hands over, or asks; an error reply that moved money is not taken for one that did not."""
        rows = list(Payment.objects.filter(state__in=["queued", "sending", "unknown", "sent"]).order_by("pk"))
        row = data.draw(st.sampled_from(rows))
        owner, Scripted.next_answer = row.withdrawal, answer
        place = self.place(owner.client_id)
        done = self.do(None, lambda: payments.push(row, now=lambda: NOW))
        if row.state == "queued" and done.state != "queued":
            self.held[place, "EUR"] -= owner.amount
            self.gains(place, -owner.amount)
        if done.state == "failed":
            assert row.end_to_end_id not in Scripted.paid
            self.gains(place, owner.amount)

    @precondition(lambda self: Payment.objects.filter(state__in=["unknown", "sent"]).exists())
    @rule(data=st.data())
    def evidence_settles_it(self, data: Any) -> None:
        row = data.draw(
            st.sampled_from(list(Payment.objects.filter(state__in=["unknown", "sent"]).order_by("pk")))
        )
        paid, key = row.end_to_end_id in Scripted.paid, f"settle-{next(self.numbers)}"
        for _ in range(2):
            self.do(None, lambda: payments.settle(
                row, was_paid=paid, evidence="The provider's portal", by=BY, at=NOW, key=key
            ))  # fmt: skip
        if not paid:
            self.gains(self.place(row.withdrawal.client_id), row.withdrawal.amount)

    @precondition(lambda self: Payment.objects.filter(state__in=["confirmed", "failed", "returned"]).exists())
    @rule(data=st.data(), end=st.sampled_from(["confirm", "fail", "back"]))
    def what_ended_is_told_again(self, data: Any, end: str) -> None:
        """Failed after it was paid, paid after it failed, returned twice: told again nothing moves, told otherwise it is refused."""
        rows = Payment.objects.filter(state__in=["confirmed", "failed", "returned"]).order_by("pk")
        row = data.draw(st.sampled_from(list(rows)))
        verbs = {
            "confirm": ("confirmed", lambda: payments.confirm(row, evidence="Again", by=BY, at=NOW)),
            "fail": ("failed", lambda: payments.fail(row, code="NO", message="No", by=BY, at=NOW)),
            "back": ("returned", lambda: payments.bring_back(row, code="AC04", message="", by=BY, at=NOW)),
        }
        state, verb = verbs[end]
        fits = row.state == state or (end == "back" and row.state == "confirmed")
        self.do(None if fits else MoveNotAllowed, verb)
        if end == "back" and row.state == "confirmed":
            self.gains(self.place(row.withdrawal.client_id), row.amount)

    # ── between wallets ─────────────────────────────────────────────────────────────────────────────────────────

    @rule(place=who, amount=amounts)
    def send_to_the_other(self, place: int, amount: Decimal) -> None:
        to = 1 - place
        expected = InsufficientFunds if self.free(place) < amount else None
        key = f"send-{next(self.numbers)}"
        for _ in range(2):
            done = self.do(
                expected,
                lambda: transferring.sent(self.clients[place], self.clients[to], f"{amount}", key=key),
            )
        if done is not None:
            self.gains(place, -amount)
            self.gains(to, amount)

    @rule(place=who, amount=amounts)
    def exchange(self, place: int, amount: Decimal) -> None:
        quote = transferring.quote(self.clients[place], f"{amount}")
        rate = exchange.Fraction("1.1")
        made = exchange.exchanged(amount, mid=rate, spread_bps=50, exponent=2)
        assert (quote.got, quote.spread) == (made.got, made.spread)
        expected = InsufficientFunds if self.free(place) < amount else None
        if self.do(expected, lambda: transferring.exchange(quote)) is not None:
            self.gains(place, -amount)
            self.gains(place, quote.got, "USD")
            self.do(DomainError, lambda: transferring.exchange(quote))

    # ── adjustments ─────────────────────────────────────────────────────────────────────────────────────────────

    @rule(place=who, amount=amounts, direction=st.sampled_from(["credit", "debit"]))
    def adjust(self, place: int, amount: Decimal, direction: str) -> None:
        row = transferring.adjustment(self.clients[place], f"{amount}", direction=direction, by=BY)
        self.adjusted.append([place, row.pk, amount if direction == "credit" else -amount])

    @precondition(lambda self: self.adjusted)
    @rule(data=st.data())
    def somebody_agrees_to_an_adjustment(self, data: Any) -> None:
        place, pk, change = data.draw(st.sampled_from(self.adjusted))
        row = adjustments.locked(pk)
        if row.state != "waiting" or transferring.waiting(row).state != "open":
            return
        transferring.approve(row, self.checker)
        row = adjustments.locked(pk)
        # What is not there cannot be taken: the approval has failed, and nothing moved.
        assert (row.state == "applied") is (change > 0 or self.free(place) >= -change)
        if row.state == "applied":
            self.gains(place, change)
        next(counted)

    @precondition(lambda self: self.adjusted)
    @rule(data=st.data())
    def an_adjustment_is_reversed(self, data: Any) -> None:
        place, pk, change = data.draw(st.sampled_from(self.adjusted))
        row = adjustments.locked(pk)
        expected: Any = None
        if row.state != "applied" or row.reverses_id:
            expected = MoveNotAllowed
        elif row.reversals.filter(state__in=["waiting", "applied"]).exists():
            expected = adjustments.AdjustmentReversed
        key = f"reverse-{next(self.numbers)}"
        made = self.do(expected, lambda: adjustments.reverse(row, reason="A mistake", by=BY, at=NOW, key=key))
        if made is not None:
            self.adjusted.append([place, made.pk, -change])

    # ── what holds after each ───────────────────────────────────────────────────────────────────────────────────

    def free(self, place: int, currency: str = "EUR") -> Decimal:
        return self.posted[place, currency] - self.held[place, currency]

    def gains(self, place: int, amount: Decimal, currency: str = "EUR") -> None:
        self.posted[place, currency] += amount

    def place(self, client_pk: int) -> int:
        return next(place for place, client in enumerate(self.clients) if client.pk == client_pk)

    def do(self, expected: Any, verb: Any) -> Any:
        """Run the verb; it must be refused as expected, or answer."""
        next(counted)
        if expected is None:
            return verb()
        with pytest.raises(expected) as caught, transaction.atomic():
            verb()
        name = type(caught.value).__name__
        seen[name] = seen.get(name, 0) + 1
        return None

    @invariant()
    def wallets_are_as_the_model_says(self) -> None:
        if not self.posted:
            return
        rows = Account.objects.filter(purpose="wallet", client_id__in=[one.uuid for one in self.clients])
        found = {(row.client_id, row.currency_id): (row.posted, row.held) for row in rows}
        for (place, currency), posted in self.posted.items():
            stands = found.get((self.clients[place].uuid, currency), (D(0), D(0)))
            assert stands == (posted, self.held[place, currency]), (place, currency)
        owed = Account.objects.filter(purpose="receivable", client_id__in=[one.uuid for one in self.clients])
        by_client = {row.client_id: row.posted for row in owed}
        assert [by_client.get(one.uuid, D(0)) for one in self.clients] == self.owed

    def teardown(self) -> None:
        try:
            assert [one.name for one in verify(limit=5) if one.differences] == []
        finally:
            transaction.set_rollback(True)
            self.scope.__exit__(None, None, None)


@pytest.mark.django_db
@pytest.mark.usefixtures("redis")
def test_no_life_of_a_clients_money_breaks_the_books():
    while next(counted) < OPERATIONS:
        run_state_machine_as_test(
            Money,
            settings=settings(
                max_examples=6, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True,
                phases=[Phase.generate],  # a failing history is short enough to be read as it is
            ),
        )  # fmt: skip
    assert {"InsufficientFunds", "MoveNotAllowed"} <= set(seen), seen
