"""Demo accounts: asked for within a limit and once a key, and brought back to where they began."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from backoffice.errors import KeyReused
from backoffice.models import Event
from brokerage import accounts, demo_accounts
from brokerage.deriv.errors import NotSent
from brokerage.models import Grant, TradingAccount
from tests import world
from tests.brokerage.at_the_venue import linked, nothing_moves
from tests.brokerage.deriv.running import free_port
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


@pytest.fixture
def real_venue(the_venue, settings):
    """A deployment whose venue is no simulator of its own; it answers on the simulator's port all the same."""
    address = f"http://127.0.0.1:{the_venue.port}"
    settings.CONFIG = settings.CONFIG.model_copy(
        update={"deriv_rest_url": address, "deriv_oauth_url": address}
    )


def demos(client):
    return TradingAccount.objects.filter(client=client, kind="demo").count()


def test_the_same_key_is_the_same_account_and_another_key_another():
    client = world.client().client
    first = accounts.request_demo(client=client, by=TESTER, at=NOW, key="k")
    assert accounts.request_demo(client=client, by=TESTER, at=NOW, key="k").pk == first.pk
    assert accounts.request_demo(client=client, by=TESTER, at=NOW, key="k2").pk != first.pk
    assert demos(client) == 3
    other = world.client().client
    with nothing_moves(), pytest.raises(KeyReused):
        accounts.request_demo(client=other, by=TESTER, at=NOW, key="k")


def test_a_client_has_so_many_demo_accounts_and_no_more():
    client = world.client().client
    for number in range(accounts.MOST_DEMO_ACCOUNTS - 1):
        accounts.request_demo(client=client, by=TESTER, at=NOW, key=f"k{number}")
    with nothing_moves(), pytest.raises(accounts.TooManyAccounts):
        accounts.request_demo(client=client, by=TESTER, at=NOW, key="one-more")
    again = accounts.request_demo(client=client, by=TESTER, at=NOW, key="k0")
    assert again.kind == "demo", "a key that was used answers as before"


@pytest.mark.usefixtures("real_venue")
def test_at_a_real_venue_signing_up_opens_nothing_and_asking_needs_a_grant():
    opening = world.client()
    assert demos(opening.client) == 0
    with nothing_moves(), pytest.raises(accounts.GrantNeeded):
        accounts.request_demo(client=opening.client, by=TESTER, at=NOW, key="k")
    only_trade = linked(opening, allow=("trade",))
    assert only_trade.grant.scopes == "trade"
    with nothing_moves(), pytest.raises(accounts.GrantNeeded):
        accounts.request_demo(client=opening.client, by=TESTER, at=NOW, key="k")


@pytest.mark.usefixtures("real_venue")
def test_at_a_real_venue_the_clients_own_grant_opens_the_account(the_venue):
    opening = world.client()
    real = the_venue.open_account(world.key(), is_demo=False, balance="5.00")
    found = linked(opening, login_id=real["login_id"])
    assert [row.kind for row in found.accounts] == ["real"]
    asked = accounts.request_demo(client=opening.client, by=TESTER, at=timezone.now(), key="k")
    opened = demo_accounts.open_at_venue(asked, now=timezone.now)
    opened.cash.refresh_from_db()
    assert (opened.state, opened.generation, opened.grant_id, opened.token) == (
        "active", "v4", found.grant.pk, "",
    )  # fmt: skip
    assert (opened.cash.book, opened.cash.posted) == ("demo_mirror", Decimal("10000.00"))
    # There is one of each kind at the venue: asking for another gives the same, so that request is closed.
    another = accounts.request_demo(client=opening.client, by=TESTER, at=timezone.now(), key="k2")
    assert demo_accounts.open_at_venue(another, now=timezone.now).state == "closed"
    assert demo_accounts.open_at_venue(another, now=timezone.now).state == "closed"


@pytest.mark.usefixtures("real_venue")
def test_a_grant_that_is_gone_by_then_closes_the_request():
    opening = world.client()
    found = linked(opening)
    asked = accounts.request_demo(client=opening.client, by=TESTER, at=timezone.now(), key="k")
    accounts.grant_states.refuse(found.grant, code="InvalidToken", by=TESTER, at=timezone.now())
    assert demo_accounts.open_at_venue(asked, now=timezone.now).state == "closed"


@pytest.mark.usefixtures("real_venue")
@pytest.mark.parametrize("fault", ["refuse", "drop_before_purchase", "rate_limit"])
def test_a_venue_that_cannot_be_asked_leaves_the_account_opening(the_venue, fault):
    opening = world.client()
    linked(opening, login_id=the_venue.open_account(world.key(), is_demo=False)["login_id"])
    asked = accounts.request_demo(client=opening.client, by=TESTER, at=timezone.now(), key="k")
    the_venue.control("POST", "faults", {"fault": fault, "call": "create_account"})
    with pytest.raises(NotSent):
        demo_accounts.open_at_venue(asked, now=timezone.now)
    assert TradingAccount.objects.get(pk=asked.pk).state == "opening"
    assert demo_accounts.open_at_venue(asked, now=timezone.now).state == "active"


@pytest.mark.usefixtures("real_venue")
def test_a_token_that_is_refused_then_refuses_the_grant(the_venue):
    opening = world.client()
    found = linked(opening)
    asked = accounts.request_demo(client=opening.client, by=TESTER, at=timezone.now(), key="k")
    Grant.objects.update(granted_at=NOW)
    the_venue.control("DELETE", f"accounts/{found.accounts[0].login_id}/permissions")
    demo_accounts.open_at_venue(asked, now=timezone.now)
    assert Grant.objects.get(pk=found.grant.pk).state == "refused"
    assert demo_accounts.open_at_venue(asked, now=timezone.now).state == "closed"


# ── resetting ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_real_account_and_one_that_is_not_open_are_not_reset():
    real, opening = world.granted(), TradingAccount.objects.get(client=world.client().client)
    with nothing_moves():
        with pytest.raises(demo_accounts.NotDemo):
            demo_accounts.request_reset(real, by=TESTER, at=NOW, key="k")
        with pytest.raises(accounts.AccountNotReady):
            demo_accounts.request_reset(opening, by=TESTER, at=NOW, key="k")
    assert demo_accounts.sweep_resets() == 0


def test_asking_twice_with_one_key_is_once_and_the_key_is_for_one_account():
    one, two = world.account(), world.account()
    for _ in range(2):
        demo_accounts.request_reset(one, by=TESTER, at=NOW, key="k")
    assert Event.objects.filter(name="trading_account.reset_requested").count() == 1
    with nothing_moves(), pytest.raises(KeyReused):
        demo_accounts.request_reset(two, by=TESTER, at=NOW, key="k")
    assert demo_accounts.sweep_resets() == 1


@pytest.mark.usefixtures("the_venue")
def test_a_reset_is_asked_for_until_the_venue_answered_and_not_again(the_venue, settings):
    found = linked()
    demo = next(row for row in found.accounts if row.kind == "demo")
    the_venue.control("POST", f"accounts/{demo.login_id}/activity", {"kind": "deposit", "amount": "50.00"})
    demo_accounts.request_reset(demo, by=TESTER, at=timezone.now(), key="k")
    right = settings.CONFIG
    settings.CONFIG = right.model_copy(update={"deriv_sim_port": free_port()})
    demo_accounts.reset_at_venue(demo, now=timezone.now)
    assert TradingAccount.objects.get(pk=demo.pk).reset_requested_at is not None
    settings.CONFIG = right
    for _ in range(2):
        demo_accounts.reset_at_venue(demo, now=timezone.now)
    demo_accounts.request_reset(demo, by=TESTER, at=timezone.now(), key="k")
    assert TradingAccount.objects.get(pk=demo.pk).reset_requested_at is None
    lines = [line["amount"] for line in the_venue.books(demo.login_id)["lines"]]
    assert lines == ["10000.00", "50.00", "-50.00"]
    demo.cash.refresh_from_db()
    assert demo.cash.posted == Decimal("10000.00"), "money moves with the statement, not with the reset"


def test_a_reset_that_could_not_be_asked_for_in_ten_minutes_is_given_up():
    account = world.account()
    demo_accounts.request_reset(account, by=TESTER, at=NOW, key="k")
    demo_accounts.reset_at_venue(account, now=lambda: NOW + timedelta(minutes=11))
    assert TradingAccount.objects.get(pk=account.pk).reset_requested_at is None
    assert Event.objects.filter(name="trading_account.reset_refused").count() == 1
