"""Which contract at the venue is the purchase whose answer was lost."""

from datetime import timedelta
from decimal import Decimal

import pytest

from brokerage import trades
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


def test_seconds_are_compared_by_the_length_between_start_and_expiry():
    trade = world.submitting(world.placed(duration=2, duration_unit="m"))
    assert fits(trade, candidate(f"CALL_R_100_19.53_{START}_{START + 120}_S0P_0"))
    assert not fits(trade, candidate(f"CALL_R_100_19.53_{START}_{START + 60}_S0P_0"))
    assert not fits(trade, candidate(f"CALL_R_100_19.53_{START}_120T_S0P_0"))


def test_two_candidates_are_flagged_once_and_left_to_a_person(lost):
    flagged = trades.flag(lost, code="TWO_CANDIDATES", message="2 contracts fit.", by=TESTER, at=NOW)
    again = trades.flag(flagged, code="TWO_CANDIDATES", message="2 contracts fit.", by=TESTER, at=NOW)
    assert (again.state, again.version, again.why) == ("uncertain", flagged.version, "2 contracts fit.")
