"""A rule tried on the past: what it would have said of what clients did, with nothing changed by asking."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from backoffice.database import uuid7
from compliance import decisions, trials
from compliance.models import Activity, Client, Desk, MonitoringRule, Outcome
from tests import world
from tests.edges import staff
from tests.edges.staff import fingerprint
from tests.world import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture(autouse=True)
def no_other_rules():
    MonitoringRule.objects.update(is_active=False)


def client():
    """A client of KYC level 3, so that no limit speaks."""
    found = world.client().client
    Client.objects.filter(pk=found.pk).update(kyc_level=3)
    return Client.objects.get(pk=found.pk)


def asked(of, amount, *, at=NOW, kind="withdrawal"):
    what = decisions.Asked(kind, of, "USD", Decimal(amount), ("test", uuid7()))
    return decisions.decide(what, by=world.TESTER, at=at)


def rule(condition="amount", threshold="100", outcome="review", **given):
    return MonitoringRule(
        name="Tried",
        code="TRIED",
        condition=condition,
        threshold=Decimal(threshold),
        outcome=outcome,
        **given,
    )


def tried(one, *, days=30, reader=None, at=NOW):
    return trials.run(one, days=days, reader=reader or world.staff("Compliance officer"), at=at)


def test_it_says_how_many_it_would_have_spoken_of_and_how_all_would_have_ended():
    of = client()
    for amount in ("50", "100", "250"):
        asked(of, amount)
    reader = world.staff("Compliance officer")
    before = fingerprint()
    found = tried(rule(), reader=reader)
    assert fingerprint() == before
    assert (found.looked_at, found.is_all, len(found.came)) == (3, True, 2)
    assert (found.was, found.would_be) == ({Outcome.ALLOW: 3}, {Outcome.ALLOW: 1, Outcome.REVIEW: 2})
    assert [(one.activity.amount, one.message) for one in found.came] == [
        (250, "250 USD, 100 or more"), (100, "100 USD, 100 or more"),
    ]  # fmt: skip
    assert tried(rule(outcome="block")).would_be == {Outcome.ALLOW: 1, Outcome.BLOCK: 2}
    assert len(tried(rule(kind="deposit")).came) == 0


def test_what_else_spoke_against_it_then_stands_and_its_own_word_is_left_out():
    one = rule()
    one.save()
    of = client()
    assert asked(of, "150").outcome == "review"
    found = tried(one)
    assert (found.was, found.would_be) == ({Outcome.ALLOW: 1}, {Outcome.REVIEW: 1})
    other = rule(outcome="block")
    other.code, other.name = "OTHER", "Other"
    assert tried(other).was == {Outcome.REVIEW: 1}


def test_each_is_judged_as_of_then_and_only_those_days_are_looked_at():
    of = client()
    for hours in (0, 1, 2):
        asked(of, "10", at=NOW + timedelta(hours=hours))
    asked(of, "10", at=NOW - timedelta(days=40))
    found = tried(rule("often", "3"), at=NOW + timedelta(hours=3))
    assert found.looked_at == 3
    assert [one.activity.at for one in found.came] == [NOW + timedelta(hours=2)], (
        "the third of that day, not the first"
    )


def test_a_desk_tries_it_on_its_own_clients():
    asked(client(), "150")
    reader = world.staff("Compliance officer")
    Desk.objects.create(name="Elsewhere").staff.add(reader)
    assert tried(rule(), reader=reader).looked_at == 0


def test_the_page_of_a_rule_tries_it_with_other_figures_and_saves_nothing():
    one = rule(threshold="1000")
    one.save()
    asked(client(), "150", at=timezone.now())
    browser = staff.of_role("Auditor")
    page = browser.get(staff.page(one)).content.decode()
    url = reverse("admin:compliance_monitoringrule_try_rule", args=[one.pk])
    assert url in page
    before = fingerprint()
    data = {"key": world.key(), "days": "7", "threshold": "100", "outcome": "block"}
    said = browser.post(url, data).content.decode()
    assert (
        "It would have come true for 1 of 1" in said
        and "With it: 0 allowed, 0 to be looked at, 1 blocked" in said
    )
    assert "allowed → blocked" in said and "Amina Odhiambo" in said
    assert 'class="c-error"' in browser.post(url, {**data, "days": "0"}).content.decode()
    assert fingerprint() == before and Activity.objects.count() == 1
    assert staff.of_role("Support").get(url).status_code == 403
