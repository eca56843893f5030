"""Two at once at the door, with real threads: a code opens it once, and no failure is lost."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from backoffice.models import LogInLock
from backoffice.staff import codes, locks, second_factor
from backoffice.who import By
from tests import world
from tests.races.test_trade_races import at_once, count

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reference_data")]


def enrolled(at):
    user = world.staff("Support")
    secret = second_factor.begin(user, at=at).secret
    before = at - timedelta(hours=1)
    return user, secret, second_factor.confirm(user, codes.code_for(secret, codes.step_of(before)), at=before)


def test_the_same_code_sent_four_times_at_once_is_taken_once():
    at = timezone.now()
    user, secret, printed = enrolled(at)
    for code in (codes.code_for(secret, codes.step_of(at)), printed[0]):
        results = at_once(*[lambda code=code: second_factor.show(user, code, at=at) for _ in range(4)])
        assert [type(one) for one in results if one is not None] == [second_factor.WrongCode] * 3
    assert (second_factor.left(user), count("staff.recovery_code_used")) == (9, 1)


def test_failures_at_once_are_all_counted_and_lock_somebody_out_once():
    user, at, most = world.staff("Support"), timezone.now(), settings.CONFIG.staff_lock_failures
    results = at_once(*[lambda: locks.failed(user, by=By.user(user), at=at) for _ in range(most)])
    assert sorted(results) == [False] * (most - 1) + [True]
    assert (LogInLock.objects.get().failures, count("staff.locked_out")) == (most, 1)
