"""Accounts shared by two `streams` processes, one of them killed: `make accounts` does the same with 200."""

import pytest

from brokerage.streams.budget import limits_name
from tests.faults import accounts
from tests.faults.stage import stage

pytestmark = pytest.mark.processes
ACCOUNTS = 24


@pytest.fixture(scope="module")
def story(django_db_setup, django_db_blocker, tmp_path_factory):
    from tests.running import inside

    with (
        stage(tmp_path_factory.mktemp("accounts"), django_db_blocker, limits=True) as found,
        inside(found.running.database, django_db_blocker),
    ):
        told = accounts.share(found, ACCOUNTS, watched_seconds=1.0)
        yield told, found.redis.hgetall(limits_name("v3"))


def test_each_account_has_one_connection_throughout_and_a_killed_process_is_followed_within_15_seconds(
    story,
):
    report, _ = story
    assert report.problems == []
    assert (report.most, report.refused) == (1, {})
    assert report.picked_up_after < 15


def test_two_processes_share_the_accounts_evenly(story):
    report, _ = story
    assert report.parts == [12, 13], "the public prices are a link too"
    assert report.lost in (11, 12, 13), "so either process held half of the 24"


def test_what_the_venue_said_of_its_limits_is_known_to_every_process(story):
    _, limits = story
    assert limits == {"general": "180", "pricing": "80", "outcome": "25"}
