"""Several at once on one approval, with real threads: each vote counts once, and what was asked for is done once."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from backoffice.who import By
from compliance import approvals
from compliance.models import Approval, Client, Vote
from tests import world
from tests.compliance import notes
from tests.races.test_trade_races import at_once, count
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data", "redis")]
LATER = NOW + timedelta(minutes=5)


def officers(many):
    return [By.user(world.staff("Compliance officer")) for _ in range(many)]


def agree(row, by, key=""):
    return approvals.approve(row, content_hash=row.content_hash, by=by, at=LATER, key=key or world.key())


def without_locks(monkeypatch):
    """`select_for_update` does nothing, and both threads read the approval before either writes."""
    both_have_read, seen = threading.Barrier(2), threading.local()
    plain_get = QuerySet.get

    def get(self, *args, **given):
        found = plain_get(self, *args, **given)
        is_theirs = isinstance(found, Approval) and threading.current_thread() is not threading.main_thread()
        if is_theirs and not getattr(seen, "once", False):
            seen.once = True
            both_have_read.wait(10)
        return found

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    monkeypatch.setattr(QuerySet, "get", get)


def stuck_approval():
    """Agreed to while the database was in trouble; nothing is in the way any more."""
    client = world.client(last_name="Deadlock").client
    row = agree(notes.asked(client=client), *officers(1))
    assert row.state == "approved"
    Client.objects.filter(pk=client.pk).update(last_name="Fine")
    return row


def test_twin_without_the_locks_two_workers_do_it_twice(monkeypatch):
    stuck_approval()
    without_locks(monkeypatch)
    at_once(*[lambda: approvals.apply_due(at=LATER) for _ in range(2)])
    assert count("note.applied") == 2, "without the locks the second one did it again"


def test_twin_without_the_locks_the_database_stops_the_second_vote(monkeypatch):
    row, people = notes.asked(), officers(2)
    without_locks(monkeypatch)
    results = at_once(*[lambda by=by: agree(row, by) for by in people])
    assert [type(one) for one in results if isinstance(one, Exception)] == [IntegrityError]
    assert (Vote.objects.count(), count("note.applied")) == (1, 1)


def test_several_workers_do_it_once():
    row = stuck_approval()
    at_once(*[lambda: approvals.apply_due(at=LATER) for _ in range(4)])
    row.refresh_from_db()
    assert (row.state, count("note.applied"), count("approval.applied")) == ("applied", 1, 1)


def test_of_two_who_agree_at_once_where_one_is_enough_one_does_it():
    row = notes.asked()
    results = at_once(*[lambda by=by: agree(row, by) for by in officers(4)])
    assert [type(one) for one in results if isinstance(one, Exception)] == [approvals.ApprovalOver] * 3
    assert (Vote.objects.count(), count("note.applied")) == (1, 1)


def test_two_of_two_at_once_count_both_and_do_it_once():
    notes.policy(approvers=2)
    row = notes.asked()
    results = at_once(*[lambda by=by: agree(row, by) for by in officers(2)])
    assert not [one for one in results if isinstance(one, Exception)]
    row.refresh_from_db()
    assert (row.state, Vote.objects.count(), count("note.applied")) == ("applied", 2, 1)


def test_one_person_who_agrees_in_several_windows_has_one_vote():
    notes.policy(approvers=3)
    row, (by,) = notes.asked(), officers(1)
    results = at_once(*[lambda: agree(row, by) for _ in range(4)])
    assert [type(one) for one in results if isinstance(one, Exception)] == [approvals.AlreadyVoted] * 3
    assert Vote.objects.count() == 1


def test_the_same_dialog_sent_several_times_at_once_acts_once_and_all_are_told_so():
    row, (by,) = notes.asked(), officers(1)
    results = at_once(*[lambda: agree(row, by, "one-key") for _ in range(4)])
    assert [one.state for one in results] == ["applied"] * 4
    assert (Vote.objects.count(), count("note.applied")) == (1, 1)


def test_a_yes_a_no_and_calling_it_off_at_once_are_one_end():
    for _ in range(5):
        row, (yes, no) = notes.asked(), officers(2)
        done_before = count("note.applied")

        def call_off(row=row):
            with transaction.atomic():
                client = Client.objects.select_for_update(no_key=True).get(uuid=row.subject_id)
                return approvals.void(notes.NAME, client, by=TESTER, at=LATER)

        results = at_once(
            lambda row=row, yes=yes: agree(row, yes),
            lambda row=row, no=no: approvals.reject(
                row, reason="Not this.", by=no, at=LATER, key=world.key()
            ),
            call_off,
        )
        row.refresh_from_db()
        refused = [one for one in results[:2] if isinstance(one, Exception)]
        assert all(isinstance(one, approvals.ApprovalOver) for one in refused)
        ends = [
            not isinstance(results[0], Exception),
            not isinstance(results[1], Exception),
            results[2] is not None,
        ]
        assert sum(ends) == 1, results
        assert row.state == ("applied", "rejected", "voided")[ends.index(True)]
        assert count("note.applied") - done_before == ends[0]


def test_a_vote_in_the_last_moment_and_the_sweep_are_one_end():
    row, (by,) = notes.asked(), officers(1)
    at_once(
        lambda: agree(row, by),
        lambda: approvals.expire_due(at=row.expires_at),
        lambda: approvals.expire_due(at=row.expires_at),
    )
    row.refresh_from_db()
    assert (row.state, count("note.applied"), count("note.refused")) in (("applied", 1, 0), ("expired", 0, 1))


def test_those_who_take_the_next_at_once_are_given_different_ones():
    rows, people = [notes.asked() for _ in range(4)], officers(4)
    results = at_once(*[lambda by=by: approvals.take_next(by=by, at=LATER) for by in people])
    assert {row.pk for row in results} == {row.pk for row in rows}


def test_one_taken_by_several_at_once_is_in_one_s_hands():
    row, people = notes.asked(), officers(4)
    results = at_once(*[lambda by=by: approvals.take(row, by=by, at=LATER) for by in people])
    assert [type(one) for one in results if isinstance(one, Exception)] == [approvals.TakenBySomebody] * 3
    assert count("approval.taken") == 1
