"""Which contract at the venue is the purchase whose answer was lost."""

import json
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokerage import reconciliation, trades, venue
from brokerage.matching import Candidate, fits
from tests import world
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
START = int(NOW.timestamp()) + 2


def candidate(shortcode=f"CALL_R_100_19.53_{START}_5T_S0P_0", price="10.00", after=2):
    return Candidate(4711, shortcode, Decimal(price), int((NOW + timedelta(seconds=after)).timestamp()))


@pytest.fixture
def lost():
    return trades.mark_uncertain(world.submitting(), code="NO_ANSWER", message="", by=TESTER, at=NOW)


def test_a_contract_with_the_same_terms_bought_while_the_trade_was_sent_fits(lost):
    assert fits(lost, candidate())


@pytest.mark.parametrize(
    "other",
    [
        {"shortcode": f"PUT_R_100_19.53_{START}_5T_S0P_0"},
        {"shortcode": f"CALL_R_50_19.53_{START}_5T_S0P_0"},
        {"shortcode": f"CALL_R_100_19.53_{START}_6T_S0P_0"},
        {"shortcode": f"CALL_R_100_19.53_{START}_{START + 5}_S0P_0"},
        {"shortcode": "something else"},
        {"price": "10.01"},
        {"price": "9.00"},
        {"after": -6},
        {"after": 16},
    ],
)
def test_a_contract_with_any_other_term_does_not_fit(lost, other):
    assert not fits(lost, candidate(**other))


class Venue(threading.Thread):
    """Answers every question about an account for a moment, with nothing in its books; or with an error."""

    def __init__(self, redis, account, error=None):
        super().__init__(daemon=True)
        self._redis, self._link, self.asked = redis, venue.list_name(str(account.pk)), []
        self._answer, self.over = {"error": error} if error else {"result": []}, False
        self.start()

    def run(self):
        while not self.over:
            if found := self._redis.blpop([self._link], timeout=0.2):
                question = json.loads(found[1])
                self.asked.append(question["call"])
                self._redis.rpush(venue.reply_name(question["id"]), json.dumps(self._answer))

    def stop(self):
        self.over = True
        self.join()
        return self.asked


def looked(redis, trade, times, error=None):
    """What the venue was asked by so many looks in a row."""
    answering = Venue(redis, trade.account, error)
    for _ in range(times):
        reconciliation.reconcile(trade, now=lambda: NOW)
    return answering.stop()


def test_many_looks_in_a_row_ask_the_venue_once(redis, lost):
    lost.deadline_at = timezone.now() + timedelta(minutes=1)  # so that finding nothing proves nothing yet
    lost.save()
    assert looked(redis, lost, times=5) == ["portfolio", "profit_table", "statement"]
    redis.delete(f"reconcile:{lost.pk}")
    assert len(looked(redis, lost, times=5)) == 3, "and once more when its time has come"


def test_a_look_for_which_the_venue_could_not_be_asked_does_not_count(redis, lost):
    away = {"class": "NotSent", "code": "NO_CONNECTION", "message": "", "field": None}
    assert looked(redis, lost, times=3, error=away) == ["portfolio"] * 3


def test_seconds_are_compared_by_the_length_between_start_and_expiry():
    trade = world.submitting(world.placed(duration=2, duration_unit="m"))
    assert fits(trade, candidate(f"CALL_R_100_19.53_{START}_{START + 120}_S0P_0"))
    assert not fits(trade, candidate(f"CALL_R_100_19.53_{START}_{START + 60}_S0P_0"))
    assert not fits(trade, candidate(f"CALL_R_100_19.53_{START}_120T_S0P_0"))


def test_two_candidates_are_flagged_once_and_left_to_a_person(lost):
    flagged = trades.flag(lost, code="TWO_CANDIDATES", message="2 contracts fit.", by=TESTER, at=NOW)
    again = trades.flag(flagged, code="TWO_CANDIDATES", message="2 contracts fit.", by=TESTER, at=NOW)
    assert (again.state, again.version, again.why) == ("uncertain", flagged.version, "2 contracts fit.")
