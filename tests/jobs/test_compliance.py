"""The sweeps of compliance: what nobody decided in time, and what was agreed to and not done."""

from datetime import timedelta

import pytest
from django.utils import timezone

from backoffice.who import By
from compliance import approvals
from compliance.models import Client
from jobs.actors import compliance
from tests import world
from tests.compliance import notes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def test_the_sweep_ends_what_is_past_its_time_and_nothing_else():
    now = timezone.now()
    old, new = notes.asked(at=now - timedelta(hours=72)), notes.asked(at=now)
    compliance.expire.fn()
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.state, new.state) == ("expired", "open")


def test_the_sweep_does_what_was_agreed_to_and_one_that_breaks_keeps_no_other_back():
    rows = []
    for _ in range(3):
        row = notes.asked(client=world.client(last_name="Deadlock").client, at=timezone.now())
        by = By.user(world.staff("Compliance officer"))
        rows.append(
            approvals.approve(row, content_hash=row.content_hash, by=by, at=timezone.now(), key=world.key())
        )
    assert [row.state for row in rows] == ["approved"] * 3
    Client.objects.filter(uuid=rows[0].subject_id).update(last_name="Broken")
    Client.objects.exclude(uuid=rows[0].subject_id).update(last_name="Fine")
    with pytest.raises(ZeroDivisionError):
        compliance.apply_due.fn()
    for row in rows:
        row.refresh_from_db()
    assert [row.state for row in rows] == ["approved", "applied", "applied"]
