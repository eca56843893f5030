"""Suspense is worked by several: who takes a line has it alone for a while, and two who take the next get two."""

from datetime import timedelta

import pytest

from backoffice.errors import MoveNotAllowed
from backoffice.in_hand import TakenBySomebody
from backoffice.models import Event
from backoffice.who import By
from ledger.bank import suspense
from tests import world
from tests.ledger import payments as desk
from tests.ledger.payments import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def lines():
    rows = ("2026-11-20;10.00;one;A;", "2026-11-20;20.00;two;B;", "2026-11-20;-3.00;fee;Bank;")
    return list(desk.imported(desk.csv_file(*rows)).lines.order_by("id"))


def person():
    return By.user(world.staff("Payments operator"))


def test_two_who_take_the_next_get_two_the_oldest_first_and_then_nothing(lines):
    one, two, three = person(), person(), person()
    first = suspense.take_next(by=one, at=NOW)
    assert (first, suspense.take_next(by=one, at=NOW)) == (lines[0], lines[0]), "what is in hand comes first"
    assert suspense.take_next(by=two, at=NOW) == lines[1]
    assert suspense.take_next(by=three, at=NOW) is None
    assert suspense.take_next("unmatched_out", by=three, at=NOW) == lines[2]


def test_nobody_else_decides_about_what_is_in_hand_until_it_is_let_go_or_time_is_over(lines):
    mine, other = person(), person()
    suspense.take(lines[0], by=mine, at=NOW)
    with pytest.raises(TakenBySomebody):
        suspense.send_back(lines[0], by=other, at=NOW)
    with pytest.raises(TakenBySomebody):
        suspense.take(lines[0], by=other, at=NOW)
    with pytest.raises(TakenBySomebody):
        suspense.let_go(lines[0], by=other, at=NOW)
    lines[0].refresh_from_db()
    assert lines[0].state == "suspense"
    later = NOW + timedelta(minutes=15)
    assert suspense.take(lines[0], by=other, at=later).taken_by_id == other.user_id
    suspense.let_go(lines[0], by=other, at=later)
    done = suspense.send_back(lines[0], by=mine, at=later)
    assert (done.state, done.taken_by) == ("to_return", None)
    told = Event.objects.filter(subject_id=lines[0].uuid, name__startswith="bank_line.").order_by("id")
    assert list(told.values_list("name", flat=True)) == [
        "bank_line.taken", "bank_line.taken", "bank_line.let_go", "bank_line.to_return",
    ]  # fmt: skip


def test_what_is_done_is_not_taken(lines):
    done = suspense.book_fee(lines[2], by=person(), at=NOW)
    with pytest.raises(MoveNotAllowed):
        suspense.take(done, by=person(), at=NOW)
