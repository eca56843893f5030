"""A collector that keeps its books in memory: what a client pays by card in tests that are not about any wire."""

import itertools
from typing import Any, ClassVar

from compliance.models import Client
from ledger import deposits
from ledger.collecting import taking
from ledger.collecting.port import (
    AnswerLost,
    Collect,
    Collector,
    Found,
    GiveBack,
    Outcome,
    Refund,
    Refused,
    collectors,
)
from ledger.models import Deposit, Method
from tests import world
from tests.ledger.payments import BY, NOW, D

_numbers = itertools.count(1)


class Till(Collector):
    """Gives back what it is asked for, unless it is told to say no, or to lose its answer before or after."""

    name, label, method = "till", "Till", Method.CARD
    next_answer: ClassVar[str] = "done"
    given: ClassVar[dict[str, Refund]] = {}
    came_by: ClassVar[dict[str, int]] = {}

    def currencies(self) -> frozenset[str]:
        return frozenset()  # it is offered to nobody, so that it may stay registered

    def begin(self, deposit: Deposit) -> Collect:
        return Collect(f"till-{deposit.uuid}")

    def status(self, deposit: Deposit) -> Found:
        return Found(outcome=Outcome.SUCCEEDED, amount=deposit.amount, currency=deposit.currency_id)

    def give_up(self, deposit: Deposit) -> bool:
        return False

    def refund(self, wish: GiveBack) -> Refund:
        if self.next_answer == "refused":
            raise Refused("NO", "It says no")
        if self.next_answer != "lost_before":
            assert str(wish.uuid) not in self.given, "given back twice"
            self.came_by[str(wish.uuid)] = wish.deposit.pk
            self.given[str(wish.uuid)] = Refund(
                external_id=f"re-{wish.uuid}", amount=wish.amount, currency="EUR", outcome=Outcome.SUCCEEDED,
                ours=wish.uuid,
            )  # fmt: skip
        if self.next_answer.startswith("lost"):
            raise AnswerLost("LOST", "")
        return self.given[str(wish.uuid)]

    def refunds(self, deposit: Deposit) -> list[Refund]:
        return [one for name, one in self.given.items() if self.came_by[name] == deposit.pk]

    def verify(self, headers: Any, body: bytes, *, at: Any) -> list[Any]:
        return []


def by_card(client: Client, amount: str = "100.00") -> Deposit:
    """A deposit by card whose money came."""
    if Till.name not in collectors.names():
        collectors.register(Till.name, Till())
    row = deposits.create(
        client,
        method="card",
        currency="EUR",
        amount=amount,
        by=BY,
        at=NOW,
        key=world.key(),
        collector=Till.name,
    )
    row = deposits.begin(row, external_id=f"till-{row.uuid}", by=BY, at=NOW)
    word = Found(outcome=Outcome.SUCCEEDED, amount=D(amount), currency="EUR")
    return taking.settle(row, word, by=BY, at=NOW)
