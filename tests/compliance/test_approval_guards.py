"""What the database refuses of approvals and votes, whatever code does."""

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction

from backoffice.who import By
from compliance import approvals
from compliance.models import Approval, Vote
from tests import world
from tests.compliance import notes
from tests.edges.staff import fingerprint
from tests.world import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def refused(sql, *values):
    before = fingerprint()
    with pytest.raises(IntegrityError) as found, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(sql, values)
    assert fingerprint() == before
    return str(found.value)


def vote(row, user, verdict="approve", content_hash=""):
    return (
        "INSERT INTO compliance_vote (approval_id, by_user_id, verdict, reason, content_hash, at) "
        "VALUES (%s, %s, %s, '', %s, now())", row.pk, user.pk, verdict, content_hash or row.content_hash,
    )  # fmt: skip


def run(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_who_asks_does_not_vote():
    maker = world.staff(is_superuser=True)
    row = notes.asked(By.user(maker))
    assert "who asks never votes" in refused(*vote(row, maker))
    assert "who asks never votes" in refused(*vote(row, maker, "reject"))
    run(*vote(row, world.staff()))


def test_a_person_votes_once():
    row, user = notes.asked(), world.staff()
    run(*vote(row, user))
    assert "vote_once" in refused(*vote(row, user, "reject"))


def test_a_vote_is_for_the_content_the_approval_carries():
    row = notes.asked()
    assert "for the content" in refused(*vote(row, world.staff(), content_hash="0" * 64))


def test_nobody_votes_on_what_is_over():
    row = notes.asked()
    Approval.objects.filter(pk=row.pk).update(state="voided", decided_at=NOW)
    assert "open approval" in refused(*vote(row, world.staff()))


def test_votes_are_not_changed_or_taken_back():
    run(*vote(notes.asked(), world.staff()))
    for sql in ("UPDATE compliance_vote SET verdict = 'reject'", "DELETE FROM compliance_vote",
                "TRUNCATE compliance_vote"):  # fmt: skip
        assert "append-only" in refused(sql)


def test_nothing_is_approved_without_its_votes():
    notes.policy(approvers=2)
    row = notes.asked()
    agree = f"UPDATE compliance_approval SET state = 'approved', decided_at = now() WHERE id = {row.pk}"
    assert "too few" in refused(agree)
    run(*vote(row, world.staff()))
    run(*vote(row, world.staff(), "reject"))
    assert "too few" in refused(agree)
    run(*vote(row, world.staff()))
    run(agree)


def test_what_was_asked_for_never_changes():
    row = notes.asked()
    other = notes.asked()
    for change in (
        "amount = 1", "content = '{}'", "content_hash = ''", "needed = 5", "kind = 'other'", "title = ''",
        f"client_id = {other.client_id}", f"subject_id = '{other.subject_id}'", "requested_by = 'system:x'",
        f"requested_by_user_id = {world.staff().pk}", "expires_at = now()", f"role_id = {Group.objects.first().pk}",
    ):  # fmt: skip
        assert "never changes" in refused(f"UPDATE compliance_approval SET {change} WHERE id = {row.pk}"), (
            change
        )


def test_states_move_as_the_table_says_and_in_no_other_way():
    for state in Approval.MOVES:
        for to in Approval.State.values:
            row = in_state(state)
            sql = "UPDATE compliance_approval SET state = %s, decided_at = CASE WHEN %s = 'open' THEN NULL ELSE now() END WHERE id = %s"
            if to in {str(each) for each in Approval.MOVES[state]} | {str(state)}:
                run(sql, to, to, row.pk)
            else:
                assert "never becomes" in refused(sql, to, to, row.pk)


def in_state(state):
    row = notes.asked()
    S = Approval.State
    Vote.objects.create(
        approval=row, by_user=world.staff(), verdict="approve", content_hash=row.content_hash, at=NOW
    )
    ways = {
        S.OPEN: [],
        S.APPROVED: [S.APPROVED],
        S.APPLIED: [S.APPROVED, S.APPLIED],
        S.FAILED: [S.APPROVED, S.FAILED],
    }
    for step in ways.get(state, [state]):
        Approval.objects.filter(pk=row.pk).update(state=step, decided_at=NOW)
    return row


def test_approvals_are_not_deleted_and_begin_open():
    row = notes.asked()
    assert "append-only" in refused(f"DELETE FROM compliance_approval WHERE id = {row.pk}")
    assert "append-only" in refused("TRUNCATE compliance_approval, compliance_vote CASCADE")
    columns = ", ".join(
        field.column
        for field in Approval._meta.fields
        if field.column not in ("id", "uuid", "state", "decided_at", "subject_id", "needed")
    )
    copy = (
        f"INSERT INTO compliance_approval ({columns}, uuid, subject_id, state, decided_at, needed) SELECT {columns}, "
        f"gen_random_uuid(), gen_random_uuid(), '%s', now(), %s FROM compliance_approval WHERE id = {row.pk}"
    )
    assert "begins open" in refused(copy % ("approved", 1))
    assert "begins open" in refused(copy % ("applied", 1))
    assert "begins open" in refused(copy % ("approved", 0)), "no policy asks nobody here"


def test_one_thing_waits_once():
    row = notes.asked()
    assert approvals.request(
        notes.NAME, row.client, amount=row.amount, currency="USD", client=row.client, by=world.TESTER, at=NOW
    ) == row  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        Approval.objects.create(
            kind=row.kind, subject_type=row.subject_type, subject_id=row.subject_id, title="x", content={},
            content_hash="x", needed=1, requested_by="system:x", requested_at=NOW, expires_at=NOW,
        )  # fmt: skip
