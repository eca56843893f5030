"""Decisions: the worst of what came true counts, every reason is kept, and what came to nothing takes no room."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from backoffice.database import uuid7
from backoffice.errors import InvalidInput
from backoffice.models import Event
from backoffice.money import InvalidAmount
from compliance import decisions, limits
from compliance.decisions import Asked, Facts
from compliance.models import Activity, Client, Decision, Limit, MonitoringRule
from tests import world
from tests.edges.staff import fingerprint
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis", "nothing_limited")]
C = MonitoringRule.Condition


@pytest.fixture
def nothing_limited(reference_data):
    """No limit and no rule but what a test makes."""
    Limit.objects.update(is_active=False)
    MonitoringRule.objects.update(is_active=False)


def rule(condition, threshold=0, outcome="review", **given):
    code = f"RULE_{'ABCDEFGHIJ'[MonitoringRule.objects.filter(code__startswith='RULE_').count()]}"
    values = {"name": f"Rule {code} {condition}", "code": code, "condition": condition, "threshold": threshold,
              "outcome": outcome, "told": f"Told of {code}.", **given}  # fmt: skip
    return MonitoringRule.objects.create(**values)


def limit(amount, window=24, kind="withdrawal", level=0, currency="USD"):
    return Limit.objects.update_or_create(
        kind=kind, kyc_level=level, currency_id=currency, window=window,
        defaults={"amount": Decimal(amount), "is_active": True},
    )[0]  # fmt: skip


def ask(client, amount="100.00", *, at=NOW, kind="withdrawal", subject=None, facts=None, currency="USD"):
    asked = Asked(kind, client, currency, Decimal(amount), ("test", subject or uuid7()), facts or Facts())
    return decisions.decide(asked, by=TESTER, at=at)


def someone(**given):
    found = world.client().client
    for name, value in given.items():
        setattr(found, name, value)
    found.save()
    return found


def used(client, window=24, at=NOW, kind="withdrawal"):
    return {room.window: room.used for room in limits.of(client, kind, "USD", at=at)}[window]


# ── outcomes ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_nothing_speaks_against_is_allowed_and_counts():
    decision = ask(someone())
    assert (decision.outcome, decision.reasons, decision.told) == ("allow", [], "")
    assert decision.activity.counts
    event = Event.objects.get(name="activity.decided")
    assert (event.payload["outcome"], event.payload["codes"], event.payload["amount"]) == (
        "allow",
        [],
        "100.00",
    )


def test_the_worst_of_what_came_true_counts_and_all_reasons_are_kept():
    rule(C.AMOUNT, 50)
    rule(C.AMOUNT, 80, "block", told="")
    rule(C.AMOUNT, 500, "block")
    decision = ask(someone())
    assert (decision.outcome, decision.codes) == ("block", ["RULE_A", "RULE_B"])
    assert decision.reasons[0] == {
        "code": "RULE_A", "outcome": "review", "message": "Rule RULE_A amount: 100 USD, 50 or more", "told": "Told of RULE_A.",
    }  # fmt: skip
    assert not decision.activity.counts, "what is blocked takes no room"


def test_the_client_is_told_nothing_of_what_was_suspected():
    rule(C.HIGH_RISK, 0, "block", told="")
    rule(C.AMOUNT, 0, "review", told="")
    decision = ask(someone(risk_rating="high"))
    assert decision.told == decisions.NOT_POSSIBLE
    assert "risk" not in decision.told and "risk" in decision.reasons[0]["message"]
    MonitoringRule.objects.filter(outcome="block").update(is_active=False)
    assert ask(someone(risk_rating="high")).told == decisions.WE_LOOK


@pytest.mark.parametrize(
    ("condition", "threshold", "client", "asked", "message"),
    [
        (C.LEVEL_BELOW, 1, {}, {}, "KYC level 0, below 1"),
        (C.ACCOUNT_AGE, 24, {"opened_at": NOW - timedelta(hours=23)}, {}, "Client 23 hours old"),
        (C.BENEFICIARY_AGE, 72, {}, {"facts": Facts(NOW - timedelta(hours=50))}, "Beneficiary 2 days old"),
        (C.AMOUNT, "100.00", {}, {}, "100 USD, 100 or more"),
        (C.TURNOVER, 100, {}, {}, "100 USD in and out within 30 days"),
        (C.OFTEN, 1, {}, {}, "1 times within 24 hours"),
        (C.CRYPTO, 0, {}, {"facts": Facts(is_crypto=True)}, "Crypto, 100 USD"),
        (C.HIGH_RISK, 100, {"risk_rating": "high"}, {}, "Client of high risk, 100 USD"),
        (C.NOT_ACTIVE, 0, {"status": "suspended"}, {}, "Client is suspended"),
    ],
)
def test_each_condition_comes_true_at_its_threshold(condition, threshold, client, asked, message):
    made = rule(condition, threshold)
    decision = ask(someone(**client), **asked)
    assert [reason["message"] for reason in decision.reasons] == [f"{made.name}: {message}"]


@pytest.mark.parametrize(
    ("condition", "threshold", "client", "asked"),
    [
        (C.LEVEL_BELOW, 1, {"kyc_level": 1}, {}),
        (C.ACCOUNT_AGE, 24, {"opened_at": NOW - timedelta(hours=24)}, {}),
        (C.BENEFICIARY_AGE, 72, {}, {"facts": Facts(NOW - timedelta(hours=72))}),
        (C.BENEFICIARY_AGE, 72, {}, {}),
        (C.AMOUNT, "100.01", {}, {}),
        (C.TURNOVER, "100.01", {}, {}),
        (C.OFTEN, 2, {}, {}),
        (C.CRYPTO, 0, {}, {}),
        (C.CRYPTO, 101, {}, {"facts": Facts(is_crypto=True)}),
        (C.HIGH_RISK, 0, {"risk_rating": "medium"}, {}),
        (C.NOT_ACTIVE, 0, {}, {}),
    ],
)
def test_and_not_before(condition, threshold, client, asked):
    rule(condition, threshold, "block")
    assert ask(someone(**client), **asked).outcome == "allow"


def test_a_rule_watches_its_kind_and_currency_only():
    rule(C.AMOUNT, 0, "block", kind="deposit")
    rule(C.AMOUNT, 0, "block", currency_id="EUR")
    client = someone()
    assert ask(client).outcome == "allow"
    assert ask(client, kind="deposit").codes == ["RULE_A"]
    assert ask(client, currency="EUR").codes == ["RULE_B"]


def test_turnover_is_what_went_in_and_out_within_30_days_whatever_the_kind_and_not_what_was_moved_within():
    made = rule(C.TURNOVER, 300)
    client = someone()
    ask(client, "500.00", at=NOW - timedelta(days=30))
    ask(client, "100.00", kind="deposit", at=NOW - timedelta(days=29))
    ask(client, "500.00", kind="transfer")
    ask(client, "500.00", currency="EUR")
    assert ask(client, "199.99").outcome == "allow"
    assert ask(client, "0.01").reasons[0]["message"] == f"{made.name}: 300 USD in and out within 30 days"


def test_a_level_is_as_old_as_its_last_change_says():
    made = rule(C.LEVEL_AGE, 48)
    client = someone(opened_at=NOW - timedelta(days=90))
    history = client.history.model.objects
    history.update(history_date=NOW - timedelta(days=90))
    client.kyc_level = 2
    client.save()
    history.filter(kyc_level=2).update(history_date=NOW - timedelta(hours=5))
    client.country = "KE"
    client.save()
    assert ask(client).reasons[0]["message"] == f"{made.name}: KYC level 5 hours old"
    assert ask(client, at=NOW + timedelta(hours=43)).outcome == "allow"


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_limit_blocks_what_has_no_room_and_says_what_is_left():
    limit("150")
    client = someone()
    assert ask(client, "100.00").outcome == "allow"
    decision = ask(client, "50.01")
    assert (decision.outcome, decision.codes) == ("block", ["OVER_LIMIT"])
    assert decision.told == "Your limit: 50 of 150 USD may still be moved in 24 hours."
    assert ask(client, "50.00").outcome == "allow", "what was blocked took no room"
    assert used(client) == 150


def test_what_came_to_nothing_takes_no_room_any_more():
    limit("150")
    client, subject = someone(), uuid7()
    ask(client, "150.00", subject=subject)
    assert ask(client, "1.00").outcome == "block"
    released = decisions.release(("test", subject), by=TESTER, at=NOW)
    assert (released.counts, released.released_at, used(client)) == (False, NOW, 0)
    before = fingerprint()
    decisions.release(("test", subject), by=TESTER, at=NOW + timedelta(hours=1))
    assert decisions.release(("test", uuid7()), by=TESTER, at=NOW) is None
    with pytest.raises(decisions.Released):
        decisions.decide_again(released, Facts(), by=TESTER, at=NOW)
    assert fingerprint() == before
    assert ask(client, "150.00").outcome == "allow"


def test_windows_roll_by_the_caller_s_clock_and_end_at_the_second():
    limit("100")
    client = someone()
    ask(client, "100.00")
    assert ask(client, "1.00", at=NOW + timedelta(hours=24) - timedelta(seconds=1)).outcome == "block"
    assert ask(client, "100.00", at=NOW + timedelta(hours=24)).outcome == "allow"


def test_each_window_counts_for_itself():
    for window, amount in ((0, "60"), (24, "100"), (168, "150"), (720, "200")):
        limit(amount, window)
    client = someone()
    assert ask(client, "61.00").outcome == "block"
    for hours, amount, outcome in ((0, 60, "allow"), (1, 50, "block"), (25, 60, "allow"), (50, 31, "block"),
                                   (50, 30, "allow"), (200, 50, "allow"), (201, 1, "block")):  # fmt: skip
        decision = ask(client, f"{amount}.00", at=NOW + timedelta(hours=hours))
        assert decision.outcome == outcome, hours
    rooms = limits.of(client, "withdrawal", "USD", at=NOW + timedelta(hours=201))
    assert [(int(room.window), room.used, room.left) for room in rooms] == [
        (0, 0, 60), (24, 50, 50), (168, 80, 70), (720, 200, 0),
    ]  # fmt: skip


def test_without_a_row_for_level_kind_and_currency_nothing_is_limited():
    limit("1", level=1)
    limit("1", currency="EUR")
    limit("1", kind="deposit")
    assert limits.of(someone(), "withdrawal", "USD", at=NOW) == []
    assert ask(someone(), "1000000.00").outcome == "allow"


def test_other_clients_kinds_and_currencies_use_no_room():
    limit("100")
    client = someone()
    ask(someone(), "100.00")
    ask(client, "100.00", kind="deposit")
    ask(client, "100.00", currency="EUR")
    assert used(client) == 0


# ── again ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_subject_again_gets_its_decision_and_another_ask_of_it_is_refused():
    client, subject = someone(), uuid7()
    first = ask(client, subject=subject)
    before = fingerprint()
    assert ask(client, subject=subject, at=NOW + timedelta(hours=1)) == first
    for given in ({"amount": "99.00"}, {"kind": "deposit"}, {"currency": "EUR"}):
        with pytest.raises(decisions.AskedOtherwise):
            ask(client, subject=subject, **given)
    assert fingerprint() == before


def test_a_client_whose_level_rises_is_asked_about_again_and_both_decisions_stay():
    rule(C.LEVEL_BELOW, 1, "block")
    client = someone()
    blocked = ask(client)
    asked_again = []

    def ask_again(changed, by, at):
        for activity in Activity.objects.filter(client=changed, counts=False, released_at=None):
            asked_again.append(decisions.decide_again(activity, Facts(), by=by, at=at))

    decisions.rechecks.register("test", ask_again)
    try:
        decisions.client_changed(client, by=TESTER, at=NOW)
        assert asked_again == [blocked], "nothing else is said, so nothing else is stored"
        client.kyc_level = 1
        client.save()
        decisions.client_changed(client, by=TESTER, at=NOW + timedelta(hours=1))
    finally:
        decisions.rechecks._items.pop("test")
    assert [(row.outcome, row.codes) for row in blocked.activity.decisions.order_by("id")] == [
        ("block", ["RULE_A"]), ("allow", []),
    ]  # fmt: skip
    assert Activity.objects.get().counts


def test_an_activity_asked_about_again_does_not_stand_in_its_own_way():
    limit("100")
    decision = ask(someone(), "100.00")
    assert decisions.decide_again(decision.activity, Facts(), by=TESTER, at=NOW).outcome == "allow"
    assert Decision.objects.count() == 1


# ── what is no question, and what the database refuses ──────────────────────────────────────────────────────────


def test_nonsense_is_refused_and_leaves_nothing():
    client = someone()
    before = fingerprint()
    for amount in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(InvalidAmount):
            ask(client, amount)
    with pytest.raises(InvalidInput):
        ask(client, kind="gift")
    assert fingerprint() == before


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE compliance_decision SET outcome = 'allow', reasons = '[]'",
        "DELETE FROM compliance_decision",
        "TRUNCATE compliance_decision CASCADE",
        "UPDATE compliance_activity SET amount = 1",
        "UPDATE compliance_activity SET client_id = client_id + 1",
        "UPDATE compliance_activity SET released_at = NULL",
        "UPDATE compliance_activity SET counts = true",
        "DELETE FROM compliance_activity",
    ],
)
def test_what_was_done_and_decided_is_not_changed_past_the_verbs(sql):
    rule(C.AMOUNT, 0, "block")
    ask(someone(), subject=(subject := uuid7()))
    decisions.release(("test", subject), by=TESTER, at=NOW)
    before = fingerprint()
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {sql}")
    assert fingerprint() == before


def test_rules_and_limits_watch_the_client_as_they_are_now():
    limit("10", level=0)
    limit("1000", level=2)
    client = someone()
    Client.objects.filter(pk=client.pk).update(kyc_level=2)  # the caller's object is older
    assert ask(client, "500.00").outcome == "allow"
