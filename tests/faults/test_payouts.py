"""Twelve payments, each with another fault, pushed by workers that are forked and killed: none paid twice, none lost.

`make payouts` does it with 200 on real processes, while servers are restarted.
"""

import os
import random
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from ledger import payments
from ledger.models import Payment
from tests.faults import crashing, crashing_payments
from tests.faults.payouts import AT_CUSTODIAN, BY, DONE, NONE, Payouts, broken_invariants
from tests.ledger.custodian import CustodianProcess

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data")]
KINDS = [NONE, *AT_CUSTODIAN, "pay_before_wire", "pay_on_wire", "pay_answered"]


@pytest.fixture
def custodian(tmp_path, settings):
    """One that forgets ids at once: only we keep a payment from being made twice."""
    with CustodianProcess(tmp_path / "custodian.sqlite3", "--forgets") as process:
        settings.CONFIG = settings.CONFIG.model_copy(
            update={"custodian_url": process.url, "custodian_timeout_seconds": 0.4}
        )
        yield process


@pytest.fixture
def payouts(custodian, tmp_path, monkeypatch):
    monkeypatch.setattr(crashing, "FOLDER", tmp_path)
    monkeypatch.setattr(crashing_payments, "FOLDER", tmp_path)
    return Payouts(custodian, tmp_path, random.Random(7), clients=2)


def push(row: Payment, minutes: int) -> int:
    """One step by a worker of its own, which may die of it; its exit code. `minutes` later than now, by its clock."""
    connection.close()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            crashing_payments.install()
            payments.push(row, now=lambda: timezone.now() + timedelta(minutes=minutes))
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def campaign(payouts: Payouts, custodian: CustodianProcess) -> list[int]:
    """Every kind of fault once, two workers at every payment, the custodian killed in between; the exit codes."""
    rows = [payouts.ask(f"payout-{number}", fault) for number, fault in enumerate(KINDS)]
    codes = [push(row, 0) for row in rows for _ in range(2)]
    custodian.kill()
    codes += [push(row, 2) for row in unfinished(payouts)]
    custodian.start()
    for minutes in (4, 6):
        custodian.mine()
        codes += [push(row, minutes) for row in unfinished(payouts)]
    return codes


def unfinished(payouts: Payouts) -> list[Payment]:
    return [row for row in payouts.rows() if row.state not in DONE]


def settle_by_the_custodian_s_books(payouts: Payouts, custodian: CustodianProcess) -> int:
    """What the payments desk does with what the custodian never heard of; how many."""
    known = {row["id"] for row in custodian.books()["payouts"]}
    rows = [
        row for row in payouts.rows() if row.state == Payment.State.UNKNOWN and row.end_to_end_id not in known
    ]
    for row in rows:
        payments.settle(
            row, was_paid=False, evidence="It is not in the custodian's books.", by=BY, at=timezone.now(), key=str(row.uuid)
        )  # fmt: skip
    return len(rows)


def test_whatever_falls_each_payment_is_made_once_or_given_back_and_both_books_agree(payouts, custodian):
    codes = campaign(payouts, custodian)
    assert codes.count(137) == 3, "the three workers that were to die did"
    assert set(codes) == {0, 137}
    # Cut before anything was done (`drop`, an error, a worker that died before the wire): only a person can know.
    assert settle_by_the_custodian_s_books(payouts, custodian) >= 3
    found = payouts.check()
    assert found.problems == []
    assert (found.asked, len(found.by_fault)) == (12, 12)
    assert broken_invariants(but=("events_sequenced",)) == []


def test_twin_a_payment_sent_again_because_its_answer_was_lost_is_found_paid_twice(
    payouts, custodian, monkeypatch
):
    plain = payments.mark_unknown
    monkeypatch.setattr(
        payments, "mark_unknown",
        lambda row, **given: payments._hand_over(row, now=timezone.now) if given["code"] == "NO_ANSWER" else plain(row, **given),
    )  # fmt: skip
    row = payouts.ask("payout", "lose_answer")
    assert push(row, 0) == 0
    assert payouts.check().paid_twice == [f"{row.end_to_end_id} was paid 2 times"]
