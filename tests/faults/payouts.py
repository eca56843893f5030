"""Payments out under faults: withdrawals agreed to and paid while everything on the way is killed, cut or silent.

`make payouts` runs it on real processes; `test_payouts` runs a few in workers that are forked and killed.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from backoffice.who import By
from compliance.models import MonitoringRule
from ledger import beneficiaries, deposits, withdrawals
from ledger.control.invariants import invariants
from ledger.custodian.simulator.addresses import made
from ledger.custody import custody
from ledger.models import Account, Hold, Payment, Withdrawal, WithdrawalRoute
from tests import world
from tests.faults import crashing_payments
from tests.ledger.custodian import Desk
from tests.ledger.paying import policy

BY = By.system("campaign")
CURRENCY, NETWORK = "BTC", "bitcoin"
NONE = "none"
AT_CUSTODIAN = {
    "lose_answer": "paid, and the answer lost",
    "drop": "the connection cut before anything was done",
    "error_before": "an error, and nothing was done",
    "error_after": "an error after it was paid",
    "late": "paid, and answered when nobody waits any more",
    "slow": "paid only when nobody waits any more",
    "refuse": "refused",
    "fail": "taken, and failed afterwards",
}
WORDS = {NONE: "nothing of its own", **AT_CUSTODIAN, **crashing_payments.STEPS}
# Of a hundred payments so many meet a fault at the custodian, and so many a worker that dies.
SHARES = (("custodian", 45), ("worker", 8))
DONE = (Payment.State.CONFIRMED, Payment.State.FAILED)


def drawn(draw: random.Random, count: int) -> list[str]:
    """A fault for each payment, or none."""
    found = []
    for _ in range(count):
        number = draw.randrange(100)
        if number < SHARES[0][1]:
            found.append(draw.choice(list(AT_CUSTODIAN)))
        elif number < SHARES[0][1] + SHARES[1][1]:
            found.append(draw.choice(list(crashing_payments.STEPS)))
        else:
            found.append(NONE)
    return found


@dataclass
class Findings:
    """What must be empty at the end, by what it would mean."""

    asked: int = 0
    by_fault: dict[str, Counter[str]] = field(default_factory=dict)
    paid_twice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    not_final: list[str] = field(default_factory=list)
    unequal: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return [*self.paid_twice, *self.lost, *self.not_final, *self.unequal]


class Payouts:
    """Clients with coins, and what they take out."""

    def __init__(self, desk: Desk, crashes: Path, draw: random.Random, *, clients: int = 10) -> None:
        self.desk, self.crashes, self.draw = desk, crashes, draw
        self.faults: dict[str, str] = {}  # by end-to-end id
        now = timezone.now()
        policy(0)
        MonitoringRule.objects.update(is_active=False)  # compliance is not what is on trial here
        WithdrawalRoute.objects.create(
            method="crypto", currency_id=CURRENCY, provider="crypto", cool_off_hours=0
        )
        self._to = [self._beneficiary(number, now) for number in range(clients)]
        self.desk.mine()

    def _beneficiary(self, number: int, now: Any) -> Any:
        client = world.client(at=now).client
        client.kyc_level = 3
        client.save()
        row = deposits.create(
            client, method="crypto", currency=CURRENCY, amount="5", by=BY, at=now, key="coins"
        )
        deposits.complete(row, amount=Decimal(5), source=custody(CURRENCY), by=BY, at=now)
        self.desk.send(self.desk.address(str(client.uuid)), "5")
        return beneficiaries.add(
            client, method="crypto", currency=CURRENCY, holder=client.name, by=BY, at=now, key="there",
            number=made(NETWORK, f"somewhere else {number}"), network=NETWORK,
        )  # fmt: skip

    def ask(self, key: str, fault: str) -> Payment:
        """One more withdrawal, agreed to by policy, with what is to fall on it. With the same key the same one."""
        to = self._to[self.draw.randrange(len(self._to))]
        amount = f"0.0{self.draw.randrange(1_000_000, 9_999_999)}"
        return self.once(lambda: self._ask(to, amount, key, fault))

    def once(self, do: Callable[[], Payment]) -> Payment:
        """A place where a run that kills servers may try again."""
        return do()

    def _ask(self, to: Any, amount: str, key: str, fault: str) -> Payment:
        with transaction.atomic():  # what is to fall is set before any worker can see the payment
            row = withdrawals.request(to, amount=amount, by=BY, at=timezone.now(), key=key)
            payment = row.payments.get()
            name = payment.end_to_end_id
            if name not in self.faults and fault in AT_CUSTODIAN:
                self.desk.fault(fault, id=name)
            elif name not in self.faults and fault != NONE:
                crashing_payments.arm(self.crashes, fault, name)
            self.faults[name] = fault
        return payment

    def arm_again(self) -> None:
        """What falls at the custodian, after it was killed: its rules are in memory. What was met before is met no more."""
        waiting = {
            row.end_to_end_id
            for row in self.rows()
            if row.state in (Payment.State.QUEUED, Payment.State.SENDING)
        }
        for name, fault in self.faults.items():
            if fault in AT_CUSTODIAN and name in waiting:
                self.desk.fault(fault, id=name)

    def rows(self) -> list[Payment]:
        return list(Payment.objects.filter(end_to_end_id__in=self.faults).select_related("withdrawal"))

    def check(self) -> Findings:
        """The custodian's own books beside ours, payment by payment and in total."""
        books = self.desk.books()
        paid = [row for row in books["payouts"] if row["state"] != "failed"]
        times, amounts = (
            Counter(row["id"] for row in paid),
            {row["id"]: Decimal(row["amount"]) for row in paid},
        )
        found = Findings(len(self.faults))
        found.paid_twice = [f"{name} was paid {many} times" for name, many in times.items() if many > 1]
        found.lost = [
            f"{name} was paid, and we know of no such payment" for name in times if name not in self.faults
        ]
        rows = self.rows()
        if missing := set(self.faults) - {row.end_to_end_id for row in rows}:
            found.lost += [f"{name} is not in our books" for name in missing]
        for row in rows:
            fault = self.faults[row.end_to_end_id]
            found.by_fault.setdefault(fault, Counter())[row.state] += 1
            if row.state not in DONE:
                found.not_final.append(f"{row} after “{WORDS[fault]}” is {row.state}: {row.why}")
            elif (row.state == Payment.State.CONFIRMED) != (row.end_to_end_id in amounts):
                found.lost.append(
                    f"{row} is {row.state}, and the custodian paid {amounts.get(row.end_to_end_id, 0)}"
                )
            elif row.state == Payment.State.CONFIRMED and amounts[row.end_to_end_id] != row.amount:
                found.unequal.append(f"{row} is of {row.amount}, and {amounts[row.end_to_end_id]} was paid")
        found.unequal += self._totals(books)
        return found

    def _totals(self, books: Any) -> list[str]:
        ours, theirs = custody(CURRENCY), Decimal(books["balances"][CURRENCY])
        wrong = []
        if ours.posted != theirs:
            wrong.append(f"we say that the custodian keeps {ours.posted}, it says {theirs}")
        for row in Account.objects.filter(purpose="payments_out", currency=CURRENCY).exclude(posted=0):
            wrong.append(f"{row.posted} {CURRENCY} is on its way out, and nothing is")
        if held := Hold.objects.open().filter(purpose="withdrawal").count():
            wrong.append(f"{held} holds of withdrawals are open")
        unpaid = Withdrawal.objects.exclude(
            state__in=[Withdrawal.State.PAID, Withdrawal.State.FAILED]
        ).filter(payments__end_to_end_id__in=self.faults)
        return wrong + [f"{row} is {row.state}" for row in unpaid]


def broken_invariants(*, but: tuple[str, ...] = ()) -> list[str]:
    """What every invariant of the books finds, the nightly ones too."""
    now = timezone.now()
    return [
        f"{name}: {offender.says}"
        for name in invariants.names()
        if name not in but
        for offender in invariants.get(name).check(now)
    ]


def told(found: Findings) -> str:
    """The run as a table and what was wrong."""
    lines = [f"{'what fell':<58} {'payments':>8} {'confirmed':>9} {'failed':>6} {'open':>5}"]
    for fault, words in WORDS.items():
        if (states := found.by_fault.get(fault)) is not None:
            ended = [states[state] for state in DONE]
            lines.append(
                f"{words:<58} {states.total():>8} {ended[0]:>9} {ended[1]:>6} {states.total() - sum(ended):>5}"
            )
    lines += [
        "", f"{found.asked} payments: {len(found.paid_twice)} paid twice, {len(found.lost)} lost, {len(found.not_final)} not final, "
        f"{len(found.unequal)} unequal", *(f"! {each}" for each in found.problems),
    ]  # fmt: skip
    return "\n".join(lines)
