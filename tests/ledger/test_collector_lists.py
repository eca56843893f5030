"""What collectors told beside what we booked of them."""

from datetime import timedelta

import pytest

from ledger import clawbacks, deposits
from ledger.bank import suspense
from ledger.collecting import taking
from ledger.collecting.accounts import receivable
from ledger.collecting.port import Found, Outcome, collectors
from ledger.control import reconciliation
from ledger.models import CollectorEvent
from tests.edges import staff
from tests.ledger import payments as desk
from tests.ledger.payments import BY, NOW, D
from tests.ledger.test_claims import line

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
LATER = NOW + timedelta(hours=1)


def came(amount="100.00", *, fee=None, number="1"):
    """A deposit by card that its collector said came, when it was asked."""
    row = deposits.create(
        desk.client(), method="card", currency="EUR", amount=amount, by=BY, at=NOW, key=f"card-{number}", collector="stripe"
    )  # fmt: skip
    row = deposits.begin(row, external_id=f"pi_{number}", by=BY, at=NOW)
    word = Found(outcome=Outcome.SUCCEEDED, amount=D(amount), currency="EUR", fee=D(fee) if fee else None)
    return taking.settle(row, word, by=BY, at=NOW)


def told(kind="succeeded", deposit=None, *, number="1", **given):
    values = {
        "collector": "stripe", "event_id": f"evt_{number}", "kind": kind, "deposit": deposit, "payment_id": f"pi_{number}",
        "amount": D("100.00"), "currency_code": "EUR", "state": "applied", "occurred_at": NOW, "received_at": NOW, "tried_at": NOW,
        "changed_at": NOW, **given,
    }  # fmt: skip
    return CollectorEvent.objects.create(**values)


def compare(at=LATER):
    """How many match, and what does not: its side, and what it is about."""
    rows = {row.counterpart: row for row in reconciliation.run("collectors", by=BY, at=at)}
    waits = [(one.side, one.subject, one.says) for one in reconciliation.standing("stripe")]
    return rows["stripe"].matched, waits


def test_one_that_never_took_anything_is_not_compared():
    assert reconciliation.run("collectors", by=BY, at=NOW) == []


def test_what_was_told_and_booked_matches_and_the_other_is_named_with_its_age_and_record():
    row = came()
    ((side, subject, says),) = compare()[1]
    assert (side, subject) == ("ours", "ledger.deposit") and "no event" in says
    assert compare(NOW + timedelta(minutes=20)) == (0, []), "events may be late"
    told(deposit=row)
    assert compare() == (1, [])
    failed = told(
        "dispute_opened",
        row,
        number="2",
        object_id="dp_1",
        state="failed",
        reason="The deposit is in another currency.",
    )
    matched, waits = compare()
    assert (matched, waits) == (
        1,
        [("theirs", "ledger.collectorevent", "Dispute opened: The deposit is in another currency.")],
    )
    (waiting,) = reconciliation.standing("stripe")
    assert (waiting.since, waiting.amount, waiting.subject_pk) == (NOW, D(100), str(failed.pk))
    page = staff.of_role("Payments operator").get(
        staff.page(reconciliation.latest().get(counterpart="stripe"))
    )
    assert staff.page(failed) in page.content.decode()


def test_what_waits_to_be_applied_is_theirs_alone_after_half_an_hour():
    row = came()
    told(deposit=row)
    told(number="2", state="received", amount=D("7.00"))
    assert compare(NOW + timedelta(minutes=20))[1] == []
    assert compare()[1] == [("theirs", "ledger.collectorevent", "Money came: not applied yet")]


def test_another_amount_and_a_fee_that_was_not_booked_are_unequal():
    first, second = came(fee="1.50"), came(number="2")
    told(deposit=first, amount=D("99.00"), fee=D("1.50"))
    told(deposit=second, number="2", fee=D("1.50"))
    assert compare()[1] == [
        ("unequal", "ledger.collectorevent", f"They told 99; 100 is booked for {first.reference}."),
        ("unequal", "ledger.collectorevent", f"Their fee for {second.reference} is in no entry."),
    ]


def test_money_taken_back_without_their_word_stands_on_our_list():
    row = came()
    told(deposit=row)
    taken = clawbacks.take_back(row, "chargeback", external_id="dp_1", amount=D(40), by=BY, at=NOW)
    assert compare()[1] == [
        ("ours", "ledger.clawback", f"{taken}: booked; no event of theirs has told of it.")
    ]
    told("dispute_opened", row, number="2", object_id="dp_1", amount=D(40))
    assert compare() == (2, [])


def test_what_they_owe_for_longer_than_a_week_is_named_until_their_payout_is_on_a_statement():
    told(deposit=came())
    week = NOW + timedelta(days=8)
    assert compare(week)[1] == [
        (
            "ours",
            "ledger.account",
            "They owe us 100 EUR by our books; no payout of theirs is on our bank's statements.",
        ),
    ]
    row = line("100.00", side="CRDT", text="STRIPE PAYOUT")
    stripe = collectors.get("stripe")
    suspense.claim(
        row, against=receivable("stripe", "EUR", at=NOW), kind="collector_payout", subject=("collector", stripe.uuid), by=BY, at=NOW
    )  # fmt: skip
    assert compare(week) == (2, []), "the event, and the payout"
