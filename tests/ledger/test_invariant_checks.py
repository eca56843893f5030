"""What must hold in the books is checked, and whatever breaks it is kept with its age until it is gone."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from backoffice.models import Event
from ledger import accounts, holds, journal
from ledger.control import assertions, checks, closing, invariants
from ledger.models import Account, InvariantOffender
from ledger.vitals import INVARIANT_OFFENDERS
from tests.ledger.test_verify import tamper
from tests.ledger.world import BY, NOON, D, World, move, new_key

LATER = NOON + timedelta(days=3)


def with_port(monkeypatch, port, name, item):
    """Another item in a port, for one test."""
    monkeypatch.setitem(port._items, name, (100, item))


def run(name, at=LATER):
    return invariants.run(name, by=BY, at=at)


def offenders(name, at=LATER):
    run(name, at)
    return [(row.subject, row.subject_pk, row.says) for row in invariants.standing(name)]


@pytest.fixture
def busy(world: World) -> Account:
    ada, ben = world.wallet("ada", funds=100), world.wallet("ben")
    move(ada, ben, 5)
    move(ben, ada, 2)
    return ada


def test_sound_books_break_nothing(busy: Account) -> None:
    rows = invariants.run_all(nightly=True, by=BY, at=timezone.now())
    assert {row.invariant for row in rows} == set(invariants.invariants.names())
    broken = {row.invariant for row in rows if row.found}
    assert broken == set(), [row.says for row in InvariantOffender.objects.all()]
    quick = invariants.run_all(nightly=False, by=BY, at=timezone.now())
    assert {row.invariant for row in rows} - {row.invariant for row in quick} == {"ledger_verifies"}


BROKEN = {
    "UPDATE ledger_account SET posted = posted + 1 WHERE purpose = 'bank'": {
        "books_balance", "balances_follow", "ledger_verifies",
    },
    "UPDATE ledger_posting SET balance_after = 1 WHERE id = (SELECT min(id) FROM ledger_posting)": {
        "balances_follow", "ledger_verifies",
    },
    "UPDATE ledger_account SET held = 11 WHERE purpose = 'wallet' AND posted > 50": {
        "held_is_in_holds", "ledger_verifies",
    },
    "ALTER TABLE ledger_account DROP CONSTRAINT account_covers_holds;"
    "UPDATE ledger_account SET posted = -3 WHERE purpose = 'wallet' AND posted > 50": {
        "books_balance", "balances_follow", "nothing_overdrawn", "ledger_verifies",
    },
}  # fmt: skip


@pytest.mark.parametrize("change", BROKEN)
def test_what_was_tampered_with_breaks_what_it_should(busy: Account, change: str) -> None:
    tamper(change)
    rows = invariants.run_all(nightly=True, by=BY, at=timezone.now())
    assert {row.invariant for row in rows if row.found} == BROKEN[change]


def test_an_offender_keeps_its_age_until_it_is_gone_and_both_are_events(busy: Account) -> None:
    tamper("UPDATE ledger_account SET held = 11 WHERE purpose = 'wallet' AND posted > 50")
    run("held_is_in_holds", LATER)
    run("held_is_in_holds", LATER + timedelta(hours=1))
    (row,) = invariants.standing("held_is_in_holds")
    assert (row.subject, row.subject_pk) == ("ledger.account", str(busy.pk))
    assert (row.since, row.seen_at) == (LATER, LATER + timedelta(hours=1))
    assert ({"invariant": "held_is_in_holds"}, 1.0) in INVARIANT_OFFENDERS.read()
    tamper("UPDATE ledger_account SET held = 0 WHERE purpose = 'wallet' AND posted > 50")
    assert run("held_is_in_holds", LATER + timedelta(hours=2)).found == 0
    row.refresh_from_db()
    assert row.gone_at == LATER + timedelta(hours=2)
    assert ({"invariant": "held_is_in_holds"}, 0.0) in INVARIANT_OFFENDERS.read()
    events = Event.objects.filter(subject_type="invariant_run").order_by("id").values_list("name", flat=True)
    assert list(events) == ["invariant.broken", "invariant.mended"]


def test_a_hold_that_nobody_knows_the_reason_of_is_named_with_its_age(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = world.wallet("ada", funds=100)
    hold = world.hold(ada, 10, subject=("thing", uuid.uuid4()))
    known = world.hold(ada, 10, subject=("alive", uuid.uuid4()))
    over = world.hold(ada, 10, subject=("alive", uuid.uuid4()))
    with_port(monkeypatch, checks.live_subjects, "alive", lambda ids: ids & {known.subject_id})
    found = offenders("holds_have_a_reason")
    assert {(subject, key) for subject, key, _ in found} == {
        ("ledger.hold", str(hold.pk)),
        ("ledger.hold", str(over.pk)),
    }
    assert invariants.standing("holds_have_a_reason").first().since == NOON


def test_a_hold_that_ends_while_its_reason_is_asked_for_is_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = world.hold(world.wallet("ada", funds=100), 10, subject=("alive", uuid.uuid4()))

    def ends(ids: set[uuid.UUID]) -> set[uuid.UUID]:
        holds.release(hold, by=BY, at=LATER)
        return set()

    with_port(monkeypatch, checks.live_subjects, "alive", ends)
    assert offenders("holds_have_a_reason") == []


def test_client_money_that_is_not_at_banks_is_named_by_currency(world: World) -> None:
    world.wallet("ada", funds=100, book="real")
    assert offenders("client_money_covered") == []
    bank = world.bank(book="real")
    fees = accounts.house("real", "USD", "bank_fees", "expense")
    lines = [journal.debit(fees, D(3)), journal.credit(bank, D(3))]
    journal.post(kind="fee", lines=lines, by=BY, at=NOON, key=new_key())
    ((subject, key, says),) = offenders("client_money_covered")
    assert (subject, key) == ("", "real USD")
    assert says == "Clients are owed 100 USD, and 97 is at banks."


def test_what_waits_too_long_in_suspense_is_named_from_when_it_came(world: World) -> None:
    suspense = accounts.house("demo", world.currency(), "suspense", "liability")
    world.wallet("ada", funds=1)

    def arrive(amount: int, at: object) -> None:
        lines = [journal.debit(world.bank(), D(amount)), journal.credit(suspense, D(amount))]
        journal.post(kind="arrival", lines=lines, by=BY, at=at, key=new_key())  # type: ignore[arg-type]

    arrive(10, NOON)
    lines = [journal.debit(suspense, D(10)), journal.credit(world.bank(), D(10))]
    journal.post(kind="sent_back", lines=lines, by=BY, at=NOON, key=new_key())
    arrive(7, NOON + timedelta(days=2))
    assert offenders("suspense_is_young", NOON + timedelta(days=7)) == []
    assert len(offenders("suspense_is_young", NOON + timedelta(days=8))) == 1
    assert invariants.standing("suspense_is_young").get().since == NOON + timedelta(days=2)


def test_a_close_that_was_changed_or_a_closed_day_that_was_booked_on_is_named(busy: Account) -> None:
    made = closing.close("demo", NOON.date(), by=BY, at=LATER, key=new_key())
    assert offenders("closed_days_stand") == []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE ledger_account SET posted = posted + 1 WHERE id = %s", [busy.pk])
        cursor.execute("SET LOCAL session_replication_role = origin")
    ((subject, key, _),) = offenders("closed_days_stand")
    assert (subject, key) == ("ledger.closing", str(made.pk))


def test_failing_assertions_and_waiting_events_are_named(busy: Account) -> None:
    row = assertions.enter(busy, on=NOON.date(), amount="1", by=BY, at=LATER, key=new_key())
    ((subject, key, says),) = offenders("assertions_hold")
    assert (subject, key) == ("ledger.balanceassertion", str(row.pk)) and "Asserted 1" in says
    assert offenders("events_sequenced", timezone.now()) == []
    assert len(offenders("events_sequenced", timezone.now() + timedelta(minutes=5))) == 1
    late = offenders("nothing_stuck", LATER + timedelta(days=2))
    assert [subject for subject, _, _ in late] == ["ledger.balanceassertion"]


def test_a_check_that_fails_is_itself_an_offender(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(at: object) -> list[invariants.Offender]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        return []

    with_port(monkeypatch, invariants.invariants, "wrong", invariants.Invariant("It can be checked.", wrong))
    assert run("wrong").found == 1
    assert "could not be checked" in invariants.standing("wrong").get().says
