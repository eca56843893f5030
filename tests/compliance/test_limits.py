"""Limits of levels and of single clients: what is allowed, used and left, and who allowed otherwise until when."""

from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

import fixtures
from backoffice.database import uuid7
from backoffice.errors import InvalidInput, KeyReused
from backoffice.models import Currency, Event
from backoffice.money import InvalidAmount
from compliance import decisions, defaults, limits
from compliance.models import Limit, LimitOverride, MonitoringRule
from tests import world
from tests.counting import questions
from tests.edges.staff import fingerprint
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def level(client, number):
    client.kyc_level = number
    client.save()
    return client


def someone(number=1):
    return level(world.client().client, number)


def allowed(client, kind="withdrawal", currency="USD", at=NOW):
    return {int(room.window): room.allowed for room in limits.of(client, kind, currency, at=at)}


def override(client, amount="5000.00", **given):
    values = {"kind": "withdrawal", "currency": Currency.objects.get(code="USD"), "window": 24,
              "expires_at": NOW + timedelta(days=7), "by": TESTER, "at": NOW, "key": world.key(),
              "reason": "Sold a house.", **given}  # fmt: skip
    kind, currency, window = values.pop("kind"), values.pop("currency"), values.pop("window")
    return limits.override(client, kind, currency, window, amount, **values)


def test_a_deployment_starts_with_limits_for_usd_eur_and_btc_that_grow_with_the_level():
    for code in ("USD", "EUR", "BTC"):
        for kind in ("deposit", "transfer"):
            steps = [allowed(someone(number), kind, code)[24] for number in range(4)]
            assert steps == sorted(steps) and steps[0] > 0
        assert allowed(someone(0), "withdrawal", code) == {}
        steps = [allowed(someone(number), "withdrawal", code)[0] for number in (1, 2, 3)]
        assert steps == sorted(steps) and steps[0] > 0
    assert allowed(someone(1)) == {0: 1000, 24: 2000, 720: 10000}


def test_at_level_0_money_out_is_blocked_by_a_rule_and_the_client_told_what_to_do():
    asked = decisions.Asked("withdrawal", someone(0), "USD", Decimal("1.00"), ("test", uuid7()))
    decision = decisions.decide(asked, by=TESTER, at=NOW)
    assert (decision.outcome, decision.codes[0]) == ("block", "LEVEL_NEEDED")
    assert decision.told == "Confirm your identity first; then you can withdraw."


def test_what_staff_changed_stands_however_often_the_defaults_are_loaded():
    assert defaults.load() == []
    Limit.objects.filter(kind="withdrawal").update(amount=1)
    MonitoringRule.objects.update(is_active=False)
    assert defaults.load() == []
    assert set(Limit.objects.filter(kind="withdrawal").values_list("amount", flat=True)) == {1}
    assert len(fixtures.read("limits")["rules"]) == MonitoringRule.objects.count()


def test_the_command_makes_what_is_missing_and_says_so():
    def said():
        call_command("load_roles", stdout=(out := StringIO()))
        return out.getvalue().strip()

    assert said() == "Nothing to make."
    MonitoringRule.objects.filter(code="NEW_CLIENT").delete()
    assert said() == "Made: Client is new."
    assert MonitoringRule.objects.get(code="NEW_CLIENT").threshold == 72


def test_a_client_s_own_limit_takes_the_place_of_the_level_s_until_it_expires_and_the_latest_counts():
    client = someone()
    own = override(client)
    rooms = {int(room.window): room for room in limits.of(client, "withdrawal", "USD", at=NOW)}
    assert (rooms[24].allowed, rooms[24].override) == (5000, own.pk)
    assert (rooms[0].allowed, rooms[0].override) == (1000, None)
    override(client, "10.00", expires_at=NOW + timedelta(days=1), at=NOW + timedelta(minutes=1))
    assert allowed(client, at=NOW + timedelta(minutes=2))[24] == 10
    assert allowed(client, at=NOW + timedelta(days=1))[24] == 5000
    assert allowed(client, at=NOW + timedelta(days=7))[24] == 2000
    assert allowed(someone())[24] == 2000, "nobody else's"


def test_a_client_may_have_a_limit_where_their_level_has_none():
    client = someone(0)
    override(client, "0", window=0)
    assert allowed(client) == {0: 0}
    with pytest.raises(limits.OverLimit):
        limits.check(client, "withdrawal", "USD", Decimal("0.01"), at=NOW)
    assert sorted({(kind, room.currency) for kind, room in limits.every(client, at=NOW)}) == [
        *[("deposit", code) for code in ("BTC", "EUR", "USD")],
        *[("transfer", code) for code in ("BTC", "EUR", "USD")], ("withdrawal", "USD"),
    ]  # fmt: skip


def test_what_is_lowered_below_what_was_used_leaves_nothing_and_never_less():
    client = someone()
    decisions.decide(
        decisions.Asked("withdrawal", client, "USD", Decimal("1000.00"), ("test", uuid7())), by=TESTER, at=NOW
    )
    override(client, "400.00")
    room = next(room for room in limits.of(client, "withdrawal", "USD", at=NOW) if room.window == 24)
    assert (room.allowed, room.used, room.left) == (400, 1000, 0)
    assert limits.sentence(room) == "0 of 400 USD may still be moved in 24 hours."


def test_the_same_again_changes_nothing_and_its_key_is_for_nothing_else():
    client = someone()
    own = override(client, key="one")
    before = fingerprint()
    assert override(client, key="one") == own
    with pytest.raises(KeyReused):
        override(client, "6000.00", key="one")
    assert fingerprint() == before
    (event,) = Event.objects.filter(name="limit_override.set")
    assert (event.payload["amount"], event.payload["window"], event.reason.text) == (
        "5000.00",
        24,
        "Sold a house.",
    )


@pytest.mark.parametrize(
    ("refusal", "given"),
    [
        (InvalidAmount, {"amount": "1.001"}),
        (InvalidAmount, {"amount": "NaN"}),
        (InvalidInput, {"amount": "-1.00"}),
        (InvalidInput, {"reason": "  "}),
        (InvalidInput, {"expires_at": NOW}),
        (InvalidInput, {"expires_at": NOW + timedelta(days=367)}),
        (InvalidInput, {"kind": "gift"}),
        (InvalidInput, {"window": 25}),
        (InvalidInput, {"key": ""}),
    ],
)
def test_nonsense_is_refused_and_leaves_nothing(refusal, given):
    client = someone()
    before = fingerprint()
    with pytest.raises(refusal):
        override(client, **given)
    assert fingerprint() == before


def test_a_client_s_own_limit_is_ended_once_with_a_reason():
    client = someone()
    own, later = override(client), NOW + timedelta(hours=1)
    with pytest.raises(InvalidInput):
        limits.end_override(own, by=TESTER, at=later, key="k", reason="")
    for _ in range(2):
        limits.end_override(own, by=TESTER, at=later, key="k", reason="No longer needed.")
    assert Event.objects.filter(name="limit_override.ended").count() == 1
    assert (allowed(client, at=later)[24], LimitOverride.objects.get().expires_at) == (2000, later)
    before = fingerprint()
    with pytest.raises(limits.OverrideOver):
        limits.end_override(own, by=TESTER, at=later, key="other", reason="Again.")
    assert fingerprint() == before


def test_limits_are_two_questions_however_many_there_are_and_however_much_was_moved():
    client = someone(2)
    for number in range(3):
        override(client, f"{number + 1}00.00", window=(0, 24, 168)[number])
        decisions.decide(
            decisions.Asked("withdrawal", client, "USD", Decimal("1.00"), ("test", uuid7())),
            by=TESTER,
            at=NOW,
        )
    with questions() as asked:
        rooms = limits.of(client, "withdrawal", "USD", at=NOW)
    with questions() as asked_of_all:
        every = limits.every(client, at=NOW)
    assert (len(asked), len(asked_of_all)) == (2, 2)
    assert len(every) > len(rooms) > 2 and {room.used for room in rooms if room.window} == {3}
