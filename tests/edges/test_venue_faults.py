"""The console's page that has the simulated venue misbehave, against a real simulator."""

import pytest
from django.urls import reverse

from backoffice.models import Event
from brokerage import simulated_venue
from brokerage.simulated_venue import NotSimulated
from tests import world
from tests.brokerage.deriv.running import SimulatorProcess
from tests.edges import staff
from tests.world import NOW, TESTER

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("reference_data", "redis"),
    pytest.mark.processes,
]
REASON = "A drill with the dealing desk."


@pytest.fixture
def venue(tmp_path, settings):
    with SimulatorProcess(tmp_path / "venue.sqlite3", 20) as process:
        settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": process.port})
        yield process


def ask(browser, **given):
    data = {
        "kind": "lose_answer",
        "times": 3,
        "seconds": "2.5",
        "seed": 1,
        "key": world.key(),
        "reason": REASON,
    }
    return browser.post(
        reverse("admin:brokerage_venue_faults"), {**data, **given}, follow=True
    ).content.decode()


def test_a_fault_is_made_to_happen_is_seen_and_ends(venue):
    browser = staff.of_role("Administrator")
    page = reverse("admin:brokerage_venue_faults")
    assert "No rule is in force." in browser.get(page).content.decode()
    shown = ask(browser, login_id="VRTC1", key="once")
    assert "Lose answer: in force at the venue." in shown and "VRTC1" in shown
    ask(browser, login_id="VRTC1", key="once")
    (rule,) = venue.control("GET", "faults")["faults"]
    assert (rule["fault"], rule["login_id"], rule["times"], rule["seconds"]) == (
        "lose_answer",
        "VRTC1",
        3,
        2.5,
    )
    assert "Updating" in ask(browser, kind="updating", seconds=30)
    assert "At random, seed 7" in ask(browser, kind="random", seconds="0.5", seed=7)
    shown = browser.post(
        page, {"end": "1", "key": world.key(), "reason": REASON}, follow=True
    ).content.decode()
    assert "The venue behaves." in shown and "No rule is in force." in shown
    assert venue.control("GET", "chaos")["running"] is False
    told = [
        (event.name, event.payload.get("kind"), event.reason.text)
        for event in Event.objects.filter(name__startswith="venue.")
    ]
    assert told == [
        ("venue.misbehaves", "lose_answer", REASON), ("venue.misbehaves", "updating", REASON),
        ("venue.misbehaves", "random", REASON), ("venue.behaves", None, REASON),
    ]  # fmt: skip


def test_what_makes_no_sense_is_refused_beside_its_field(venue):
    browser = staff.of_role("Administrator")
    for given in ({"kind": "earthquake"}, {"times": 0}, {"seconds": "-1"}, {"reason": ""}):
        assert 'class="c-error"' in ask(browser, **given)
    assert (
        venue.control("GET", "faults")["faults"] == []
        and not Event.objects.filter(name__startswith="venue.").exists()
    )


def test_a_venue_that_is_away_is_said_to_be(settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": 1})
    browser = staff.of_role("Administrator")
    assert "VENUE_AWAY" in browser.get(reverse("admin:brokerage_venue_faults")).content.decode()
    assert "nothing was changed" in ask(browser)
    assert not Event.objects.filter(name__startswith="venue.").exists()


def test_a_real_venue_has_no_such_page_and_nobody_else_gets_in(settings):
    page = reverse("admin:brokerage_venue_faults")
    for role in ("Dealing desk", "Auditor", "Support"):
        assert staff.of_role(role).get(page).status_code == 403
    assert staff.browser(None).get(page).status_code == 302
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_url": "wss://example.com/websockets/v3"})
    assert staff.of_role("Administrator").get(page).status_code == 404
    with pytest.raises(NotSimulated):
        simulated_venue.misbehave("updating", by=TESTER, at=NOW, key="k", reason=REASON)
