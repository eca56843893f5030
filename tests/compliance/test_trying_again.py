"""What was agreed to and could not be done: it waits, is tried again with its votes, is called off, or ends by itself."""

from datetime import timedelta

import pytest

from backoffice.models import Event
from backoffice.who import By
from compliance import approvals
from compliance.models import Approval, Client
from tests import world
from tests.compliance import notes
from tests.compliance.test_approvals import LATER, agree, names, officer, refuses, risk
from tests.edges.staff import fingerprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def failed():
    """Agreed to, and refused: the client was suspended meanwhile."""
    row = notes.asked()
    mend(row, "suspended")
    row = agree(row, officer())
    assert (row.state, row.code) == ("failed", "NOT_NOW")
    return row


def mend(row, status="active"):
    Client.objects.filter(uuid=row.subject_id).update(status=status)


def again(row, user=None, at=LATER):
    return approvals.try_again(row, by=By.user(user or officer()), at=at)


def test_it_says_why_it_waits_and_is_done_with_its_votes_when_that_is_mended():
    row = failed()
    assert row.why == (
        "It was agreed to, and could not be done: The client is suspended. Try again when that is mended, or call it off; else "
        "it ends by itself."
    )
    mend(row)
    done = again(row)
    assert (done.state, done.code, risk(row), done.votes.count()) == ("applied", "", "high", 1)
    assert names(row)[-3:] == ["approval.failed", "approval.tried_again", "approval.applied"]
    user = officer()
    before = fingerprint()
    assert again(row, user).state == "applied" and fingerprint() == before, (
        "done once, however often it is pressed"
    )


def test_what_is_still_in_the_way_is_said_and_nothing_moves():
    row = again(failed())
    assert (row.state, row.message, risk(row)) == ("failed", "The client is suspended.", "low")
    assert Event.objects.filter(name="note.applied").count() == 0


def test_another_content_is_voided_and_never_done():
    row = failed()
    Client.objects.filter(uuid=row.subject_id).update(status="active", country="KE")
    assert (again(row).state, risk(row)) == ("voided", "low")


def test_only_who_may_decide_the_kind_tries_again_and_only_what_failed_and_is_in_time():
    row, other, user = failed(), notes.asked(), officer()
    mend(row)
    refuses(approvals.NotYourRole, again, row, world.staff("Support"))
    refuses(approvals.NotYourRole, approvals.try_again, row, by=By.system("test"), at=LATER)
    refuses(approvals.ApprovalExpired, again, row, user, at=row.expires_at)
    refuses(approvals.ApprovalOver, again, other, user)
    assert (Approval.objects.get(pk=row.pk).state, risk(row)) == ("failed", "low")


def test_calling_it_off_ends_it_and_asking_again_begins_anew():
    row = failed()
    client = Client.objects.get(uuid=row.subject_id)
    assert (
        approvals.void(notes.NAME, client, by=world.TESTER, at=LATER, reason="Called off.").state == "voided"
    )
    other = failed()
    mend(other)
    client = Client.objects.get(uuid=other.subject_id)
    new = approvals.request(
        notes.NAME, client, amount=other.amount, currency="USD", client=client, by=world.TESTER, at=LATER
    )
    assert (new.pk != other.pk, new.state, Approval.objects.get(pk=other.pk).state) == (
        True,
        "open",
        "voided",
    )
    refuses(approvals.ApprovalOver, again, other, officer())


def test_its_time_ends_it_and_tells_its_kind():
    row = failed()
    assert approvals.expire_due(at=row.expires_at - timedelta(seconds=1)) == 0
    assert approvals.expire_due(at=row.expires_at) == 1
    row = Approval.objects.get(pk=row.pk)
    assert (row.state, row.why) == ("expired", "It was not done in time: The client is suspended.")
    assert Event.objects.get(name="note.refused").payload["ended"] == "expired"
