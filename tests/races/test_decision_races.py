"""Requests of one client at once, with real threads: what has room for one is not given to two."""

from decimal import Decimal

import pytest

from backoffice.database import uuid7
from compliance import decisions, limits
from compliance.decisions import Asked
from compliance.models import Activity, Decision
from tests import world
from tests.races.counting import without_locks_both_count_before_either_goes_on
from tests.races.test_trade_races import at_once, count
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data", "redis")]


def ask(client, amount="600.00", subject=None):
    """A deposit of a client of level 0, who may deposit 1,000 a day."""
    asked = Asked("deposit", client, "USD", Decimal(amount), ("test", subject or uuid7()))
    return decisions.decide(asked, by=TESTER, at=NOW)


def used(client):
    return next(room.used for room in limits.of(client, "deposit", "USD", at=NOW) if room.window == 24)


def test_twin_without_the_lock_two_requests_use_the_same_room(monkeypatch):
    client = world.client().client
    without_locks_both_count_before_either_goes_on(monkeypatch)
    results = at_once(*[lambda: ask(client) for _ in range(2)])
    assert [one.outcome for one in results] == ["allow", "allow"]
    monkeypatch.undo()
    assert used(client) == 1200, "without the lock more went through than the limit allows"


def test_of_several_requests_at_once_only_those_with_room_go_through():
    client = world.client().client
    results = at_once(*[lambda: ask(client) for _ in range(4)])
    assert sorted(one.outcome for one in results) == ["allow", "block", "block", "block"]
    assert used(client) == 600


def test_the_same_thing_asked_several_times_at_once_is_decided_once():
    client, subject = world.client().client, uuid7()
    results = at_once(*[lambda: ask(client, subject=subject) for _ in range(4)])
    assert len({one.pk for one in results}) == 1
    assert (Activity.objects.count(), Decision.objects.count(), count("activity.decided")) == (1, 1, 1)


def test_a_release_at_the_same_time_gives_its_room_once():
    client, subject = world.client().client, uuid7()
    ask(client, "1000.00", subject)
    at_once(*[lambda: decisions.release(("test", subject), by=TESTER, at=NOW) for _ in range(4)])
    assert (count("activity.released"), used(client)) == (1, 0)


def test_clients_do_not_wait_for_each_other():
    people = [world.client().client for _ in range(3)]
    results = at_once(*[lambda client=client: ask(client) for client in people])
    assert [one.outcome for one in results] == ["allow"] * 3
