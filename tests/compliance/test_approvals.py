"""Approvals: who may agree to what, what happens when enough have, and what ends one otherwise."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from backoffice.errors import InvalidInput, KeyReused
from backoffice.models import Event
from backoffice.who import By
from compliance import approvals
from compliance.approval_kinds import canonical, digest
from compliance.models import Approval, ApprovalPolicy, Client, Desk, Vote
from tests import world
from tests.compliance import notes
from tests.edges.staff import fingerprint
from tests.world import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
LATER = NOW + timedelta(minutes=5)


def officer():
    return world.staff("Compliance officer")


def agree(row, user, **given):
    values = {"content_hash": row.content_hash, "by": By.user(user), "at": LATER, "key": world.key(), **given}
    return approvals.approve(row, **values)


def decline(row, user, **given):
    values = {"reason": "Not this one.", "by": By.user(user), "at": LATER, "key": world.key(), **given}
    return approvals.reject(row, **values)


def refuses(refusal, call, *args, **given):
    """The call is refused, and nothing at all has changed."""
    before = fingerprint()
    with pytest.raises(refusal):
        call(*args, **given)
    assert fingerprint() == before


def risk(row):
    return Client.objects.get(uuid=row.subject_id).risk_rating


def names(row):
    return list(Event.objects.about("approval", row.uuid).values_list("name", flat=True))


# ── agreeing ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_policy_one_person_must_agree_never_nobody():
    row = notes.asked()
    assert (row.state, row.needed, row.policy, risk(row)) == ("open", 1, None, "low")
    user = officer()
    row = agree(row, user)
    assert (row.state, risk(row), row.decided_at) == ("applied", "high", LATER)
    vote = Vote.objects.get()
    assert (vote.by_user, vote.verdict, vote.content_hash) == (user, "approve", row.content_hash)
    assert names(row) == ["approval.requested", "approval.voted", "approval.applied"]


def test_who_asks_never_decides_not_even_a_superuser():
    for user in (officer(), world.staff(is_superuser=True)):
        row = notes.asked(By.user(user))
        refuses(approvals.OwnRequest, agree, row, user)
        refuses(approvals.OwnRequest, decline, row, user)


def test_two_of_two_are_two_people():
    notes.policy(approvers=2)
    row, first = notes.asked(), officer()
    assert agree(row, first).state == "open"
    refuses(approvals.AlreadyVoted, agree, row, first)
    assert risk(row) == "low"
    assert agree(row, officer()).state == "applied"
    assert Event.objects.filter(name="note.applied").count() == 1


def test_the_same_dialog_twice_acts_once_and_its_key_is_for_nothing_else():
    notes.policy(approvers=2)
    row, user, key = notes.asked(), officer(), world.key()
    agree(row, user, key=key)
    assert agree(row, user, key=key).state == "open"
    assert Vote.objects.count() == 1
    refuses(KeyReused, agree, row, user, key=key, content_hash="x")


def test_one_no_ends_it_and_its_kind_is_told():
    notes.policy(approvers=2)
    row = notes.asked()
    agree(row, officer())
    row = decline(row, officer())
    assert (row.state, row.message, risk(row)) == ("rejected", "Not this one.", "low")
    assert Event.objects.get(name="note.refused").payload == {"ended": "rejected"}
    assert Event.objects.get(name="approval.voted", payload__verdict="reject").reason.text == "Not this one."
    refuses(approvals.ApprovalOver, agree, row, officer())


def test_a_no_needs_a_reason():
    row = notes.asked()
    refuses(InvalidInput, decline, row, officer(), reason=" ")


def test_only_people_with_the_kind_s_permission_vote():
    row = notes.asked()
    for user in (world.staff("Support"), world.staff("Auditor"), world.staff("")):
        refuses(approvals.NotYourRole, agree, row, user)
    refuses(approvals.NotYourRole, agree, row, world.client().user)
    refuses(approvals.NotYourRole, agree, row, officer(), by=world.TESTER)


def test_the_role_a_policy_names_is_needed_of_a_superuser_too():
    notes.policy(role=Group.objects.get(name="Compliance officer"))
    row = notes.asked()
    assert row.role.name == "Compliance officer"
    for user in (world.staff("Payments approver"), world.staff(is_superuser=True)):
        refuses(approvals.NotYourRole, agree, row, user)
    assert agree(row, officer()).state == "applied"


# ── what is agreed to ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_edited_since_cannot_be_agreed_to():
    row = notes.asked()
    Client.objects.filter(uuid=row.subject_id).update(country="KE")
    refuses(approvals.ContentChanged, agree, row, officer())


def test_what_was_not_shown_cannot_be_agreed_to():
    row = notes.asked()
    refuses(approvals.ContentChanged, agree, row, officer(), content_hash="0" * 64)


def test_asking_again_after_an_edit_voids_the_first_with_its_votes():
    notes.policy(approvers=2)
    client = world.client().client
    row = notes.asked(client=client)
    agree(row, officer())
    assert notes.asked(client=client) == row, "the same again is the same"
    client.country = "KE"
    client.save()
    anew = notes.asked(client=client)
    row.refresh_from_db()
    assert (row.state, row.code, anew.state, anew.votes.count()) == ("voided", "CONTENT_CHANGED", "open", 0)
    assert agree(anew, officer()).state == "open", "the vote for what it was does not count"


def test_content_is_the_same_however_its_numbers_are_written_and_its_words_ordered():
    assert canonical({"a": Decimal("10.00")}) == {"a": "10"}
    assert digest({"a": Decimal("10.0"), "b": 1}) == digest({"b": 1, "a": Decimal("10.000000000000000000")})
    assert digest({"a": Decimal(10)}) != digest({"a": Decimal("10.01")})
    for wrong in (1.5, object(), NOW.replace(tzinfo=None)):
        with pytest.raises(TypeError):
            canonical({"a": wrong})


def test_calling_off_ends_what_is_asked():
    row = notes.asked()
    client = Client.objects.get(uuid=row.subject_id)
    assert (
        approvals.void(notes.NAME, client, by=world.TESTER, at=LATER, reason="Called off.").state == "voided"
    )
    assert approvals.void(notes.NAME, client, by=world.TESTER, at=LATER) is None
    refuses(approvals.ApprovalOver, agree, row, officer())


# ── doing it ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_done_any_more_fails_with_the_refusal_s_code_and_nothing_moved():
    row = notes.asked()
    Client.objects.filter(uuid=row.subject_id).update(status="suspended")
    row = agree(row, officer())
    assert (row.state, row.code, row.message) == ("failed", "NOT_NOW", "The client is suspended.")
    assert (risk(row), Event.objects.filter(name="note.applied").count()) == ("low", 0)


def test_a_refusal_half_way_undoes_the_half():
    row = agree(notes.asked(client=world.client(last_name="Refused").client), officer())
    assert (row.state, row.code, row.message) == ("failed", "NOT_NOW", "Not with that name.")
    assert (risk(row), Event.objects.filter(name="note.applied").count()) == ("low", 0)
    assert row.votes.count() == 1


def test_when_the_database_is_in_trouble_the_vote_stands_and_a_worker_does_it_later():
    client = world.client(last_name="Deadlock").client
    row = agree(notes.asked(client=client), officer())
    assert (row.state, row.votes.count(), risk(row)) == ("approved", 1, "low")
    assert approvals.apply_due(at=LATER) == 0
    Client.objects.filter(pk=client.pk).update(last_name="Fine")
    assert approvals.apply_due(at=LATER) == 1
    assert approvals.apply_due(at=LATER) == 0
    row.refresh_from_db()
    assert (row.state, risk(row)) == ("applied", "high")
    assert Event.objects.filter(name="note.applied").count() == 1


def test_what_changed_between_the_vote_and_the_deed_is_voided_not_done():
    client = world.client(last_name="Deadlock").client
    row = agree(notes.asked(client=client), officer())
    Client.objects.filter(pk=client.pk).update(last_name="Fine", country="KE")
    approvals.apply_due(at=LATER)
    row.refresh_from_db()
    assert (row.state, row.code, risk(row)) == ("voided", "CONTENT_CHANGED", "low")


# ── policies ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_where_the_policy_asks_nobody_it_is_done_at_once_and_says_by_which_policy():
    policy = notes.policy(approvers=0)
    row = notes.asked()
    assert (row.state, row.policy, row.needed, risk(row)) == ("applied", policy, 0, "high")
    assert names(row) == ["approval.requested", "approval.applied"]
    row = notes.asked(client=world.client(last_name="Refused").client)
    assert (row.state, row.code, risk(row)) == ("failed", "NOT_NOW", "low")


def test_the_highest_step_reached_of_the_currency_s_own_applies_else_of_any_currency():
    def applying(amount, currency):
        found = ApprovalPolicy.objects.applying(notes.NAME, amount and Decimal(amount), currency)
        return found and found.approvers

    assert applying("5", "USD") is None
    notes.policy(approvers=1)
    notes.policy(approvers=3, from_amount=1000)
    notes.policy(approvers=0, currency_id="USD", from_amount=10)
    notes.policy(approvers=2, currency_id="USD", from_amount=500)
    notes.policy(approvers=5, currency_id="USD", from_amount=100, is_active=False)
    asked = [
        ("499.99", "USD"),
        ("500", "USD"),
        ("5000", "USD"),
        ("9.99", "USD"),
        ("1000", "EUR"),
        ("1", "EUR"),
    ]
    assert [applying(*each) for each in asked] == [0, 2, 2, 1, 3, 1]
    assert applying(None, None) == 1


def test_a_policy_that_changes_leaves_what_was_asked_before_as_it_was():
    policy = notes.policy(approvers=2)
    row = notes.asked()
    policy.approvers = 0
    policy.save()
    assert agree(row, officer()).state == "open"


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_nobody_decides_in_time_expires_and_its_kind_is_told():
    notes.policy(hours=2)
    row, other = notes.asked(), notes.asked(client=world.client(last_name="Gone").client)
    end = NOW + timedelta(hours=2)
    assert approvals.expire_due(at=end - timedelta(seconds=1)) == 0
    refuses(approvals.ApprovalExpired, agree, row, officer(), at=end)
    assert approvals.expire_due(at=end) == 2
    assert approvals.expire_due(at=end) == 0
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.state, risk(row), row.code) == ("expired", "low", "")
    assert (other.state, other.code, other.message) == ("expired", "NOT_NOW", "It went on without it.")
    assert Event.objects.filter(name="note.refused").count() == 1


# ── turns ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_one_is_the_oldest_that_is_mine_to_decide_and_in_nobody_s_hands():
    user, other = officer(), officer()
    notes.asked(By.user(user))
    first, second = notes.asked(), notes.asked()
    assert approvals.take_next(by=By.user(user), at=LATER) == first
    assert approvals.take_next(by=By.user(user), at=LATER) == first, "what is in hand comes first"
    assert approvals.take_next("another.kind", by=By.user(other), at=LATER) is None
    taken = approvals.take_next(notes.NAME, by=By.user(other), at=LATER)
    assert taken != first and taken.taken_by == other
    agree(second, other)
    assert approvals.take_next(by=By.user(world.staff("Support")), at=LATER) is None


def test_what_somebody_has_in_hand_nobody_else_decides_until_that_ends_by_itself():
    row, user, other = notes.asked(), officer(), officer()
    approvals.take(row, by=By.user(user), at=LATER)
    refuses(approvals.TakenBySomebody, agree, row, other)
    for verb in (approvals.take, approvals.let_go):
        refuses(approvals.TakenBySomebody, verb, row, by=By.user(other), at=LATER)
    over = LATER + timedelta(minutes=15)
    assert approvals.take(row, by=By.user(other), at=over).taken_by == other
    assert approvals.let_go(row, by=By.user(other), at=over).taken_by is None
    assert agree(row, user, at=over).state == "applied"


def test_staff_of_a_desk_are_given_their_desk_s_clients_only():
    desk = Desk.objects.create(name="Desk")
    user = officer()
    desk.staff.add(user)
    notes.asked()
    assert approvals.take_next(by=By.user(user), at=LATER) is None
    client = world.client().client
    Client.objects.filter(pk=client.pk).update(desk=desk)
    mine = notes.asked(client=client)
    assert approvals.take_next(by=By.user(user), at=LATER) == mine
    assert list(Approval.objects.visible_to(user)) == [mine]
