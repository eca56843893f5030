"""The life of a grant: renewed in time, refused, compared with the venue, given up; and accounts taken away."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from backoffice.errors import KeyReused
from backoffice.models import Event
from backoffice.who import By
from brokerage import accounts, adopting, grants, trades
from brokerage.deriv.opening import ACCOUNT_REFUSED, Credentials
from brokerage.deriv.types import VenueAccount
from brokerage.models import Grant, TradingAccount
from compliance.clients import Opening
from tests import world
from tests.brokerage.at_the_venue import linked, nothing_moves
from tests.brokerage.deriv.running import free_port
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
venue = pytest.mark.usefixtures("the_venue")


def due(grant):
    """The grant, its token about to run out, given long enough ago that what the venue says now is said of it."""
    Grant.objects.filter(pk=grant.pk).update(
        expires_at=timezone.now() + timedelta(minutes=4), granted_at=timezone.now() - timedelta(hours=1)
    )
    return Grant.objects.get(pk=grant.pk)


def tokens(grant):
    row = Grant.objects.get(pk=grant.pk)
    return row.access_token, row.refresh_token, row.expires_at, row.state


def refused(account, at=None):
    return accounts.mark_unreachable(
        account, code="InvalidToken", generation="v4", by=TESTER, at=at or timezone.now()
    )


def state_of(account):
    return TradingAccount.objects.get(pk=account.pk).state


# ── renewing ────────────────────────────────────────────────────────────────────────────────────────────────────


@venue
def test_a_token_is_renewed_five_minutes_before_it_runs_out_and_the_pair_is_new():
    found = linked()
    before = tokens(found.grant)
    grants.refresh(found.grant, now=timezone.now)
    assert tokens(found.grant) == before, "it is not due"
    assert grants.refresh_due(now=timezone.now) == 0
    due(found.grant)
    assert grants.refresh_due(now=timezone.now) == 1
    grants.refresh(found.grant, now=timezone.now)
    after = tokens(found.grant)
    assert after[0] != before[0] and after[1] != before[1]
    assert after[2] > timezone.now() + timedelta(minutes=50) and after[3] == "active"
    assert grants.refresh_due(now=timezone.now) == 0
    assert accounts.credentials()[found.accounts[0].pk].token == after[0]


@venue
def test_a_renewal_writes_no_version_of_the_history():
    found = linked()
    due(found.grant)
    before = Grant.history.count()
    grants.refresh(found.grant, now=timezone.now)
    assert Grant.history.count() == before
    assert Event.objects.filter(name="grant.renewed").count() == 1


@venue
def test_a_used_refresh_token_is_refused_and_the_accounts_wait_for_the_client(the_venue):
    found = linked()
    used = due(found.grant).refresh_token
    grants.refresh(found.grant, now=timezone.now)
    Grant.objects.filter(pk=found.grant.pk).update(refresh_token=used)
    due(found.grant)
    assert grants.refresh(found.grant, now=timezone.now).state == "refused"
    rows = [TradingAccount.objects.get(pk=row.pk) for row in found.accounts]
    assert {row.state for row in rows} == {"unreachable"}
    assert all("link it again" in row.why for row in rows)
    assert grants.refresh(found.grant, now=timezone.now).state == "refused", "nothing more is asked"
    assert linked_again(found).grant.state == "active"


def linked_again(found):
    client = found.grant.client
    opening = Opening(client, client.membership_set.get().user, TESTER, NOW)
    again = linked(opening, login_id=found.accounts[0].login_id)
    assert {row.pk for row in again.accounts} == {row.pk for row in found.accounts}
    assert {state_of(row) for row in again.accounts} == {"active"}
    return again


@venue
@pytest.mark.parametrize("fault", ["refuse", "drop_before_purchase"])
def test_a_venue_that_is_busy_leaves_the_grant_and_it_is_tried_again(the_venue, fault):
    found = linked()
    before = tokens(due(found.grant))
    the_venue.control("POST", "faults", {"fault": fault, "call": "oauth_token"})
    grants.refresh(found.grant, now=timezone.now)
    assert tokens(found.grant) == before
    grants.refresh(found.grant, now=timezone.now)
    assert tokens(found.grant)[0] != before[0]


@venue
def test_a_lost_answer_leaves_the_grant_until_the_venue_says_that_the_token_is_used(the_venue):
    found = linked()
    before = tokens(due(found.grant))
    the_venue.control("POST", "faults", {"fault": "lose_answer", "call": "oauth_token"})
    grants.refresh(found.grant, now=timezone.now)
    assert tokens(found.grant) == before
    assert grants.refresh(found.grant, now=timezone.now).state == "refused"


@venue
def test_a_renewal_that_died_on_its_way_is_taken_over_after_a_minute():
    found = linked()
    due(found.grant)
    Grant.objects.filter(pk=found.grant.pk).update(renewing_since=timezone.now() - timedelta(seconds=30))
    before = tokens(found.grant)
    grants.refresh(found.grant, now=timezone.now)
    assert tokens(found.grant) == before, "somebody is at it"
    Grant.objects.filter(pk=found.grant.pk).update(renewing_since=timezone.now() - timedelta(seconds=61))
    grants.refresh(found.grant, now=timezone.now)
    assert tokens(found.grant)[0] != before[0]


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_grant_the_venue_refuses_takes_all_its_accounts_along_and_nobody_elses():
    opening = world.client()
    own, first = world.account(opening), world.granted(opening)
    adopting.adopt(
        first.grant, (VenueAccount("CR1", "USD", Decimal("5.00"), False, True), shown(first)),
        unlinked_too=True, by=TESTER, at=NOW,
    )  # fmt: skip
    other = world.granted()
    later = NOW + timedelta(minutes=10)
    assert refused(first, later).state == "unreachable"
    assert {row.state for row in TradingAccount.objects.filter(grant=first.grant)} == {"unreachable"}
    assert Grant.objects.get(pk=first.grant_id).state == "refused"
    assert (state_of(own), state_of(other), Grant.objects.get(pk=other.grant_id).state) == ("active",) * 3
    refused(first, later)
    assert Event.objects.filter(name="grant.refused").count() == 1
    assert Event.objects.filter(name="trading_account.unreachable").count() == 2


def shown(account, is_active=True):
    return VenueAccount(account.login_id, "USD", Decimal("500.00"), account.kind == "demo", is_active)


@pytest.mark.parametrize("minutes", [0, 61])
def test_what_the_venue_says_of_a_token_that_was_just_replaced_or_has_run_out_is_not_believed(minutes):
    account = world.granted()
    with nothing_moves():
        refused(account, NOW + timedelta(minutes=minutes))
    assert state_of(account) == "active"


def test_an_account_that_the_venue_refuses_alone_leaves_the_grant_and_the_others():
    opening = world.client()
    one = world.granted(opening)
    other = VenueAccount("CR1", "USD", Decimal("5.00"), False, True)
    adopting.adopt(one.grant, (other, shown(one)), unlinked_too=True, by=TESTER, at=NOW)
    later = NOW + timedelta(minutes=10)
    accounts.mark_unreachable(one, code=ACCOUNT_REFUSED, generation="v4", by=TESTER, at=later)
    assert (state_of(one), Grant.objects.get(pk=one.grant_id).state) == ("unreachable", "active")
    assert TradingAccount.objects.get(login_id="CR1").state == "active"
    adopting.adopt(one.grant, (other, shown(one)), unlinked_too=False, by=TESTER, at=later)
    assert state_of(one) == "active", "a sync that finds it active brings it back"


def test_a_connection_outlives_its_token_in_v4_only():
    before, after = Credentials("v4", "CR1", "a"), Credentials("v4", "CR1", "b")
    assert after.opens_the_same(before) and not Credentials("v4", "CR2", "a").opens_the_same(before)
    assert not Credentials("v3", "CR1", "b").opens_the_same(Credentials("v3", "CR1", "a"))
    assert not Credentials("v3", "CR1", "a").opens_the_same(before)


def test_an_account_that_was_taken_away_meanwhile_stays_away():
    account = world.granted()
    grants.unlink(account, by=TESTER, at=NOW, key="k")
    with nothing_moves():
        refused(account, NOW + timedelta(minutes=10))


# ── compared ────────────────────────────────────────────────────────────────────────────────────────────────────


@venue
def test_a_sync_notes_balances_and_takes_away_nothing(the_venue):
    found = linked()
    real = next(row for row in found.accounts if row.kind == "real")
    demo = next(row for row in found.accounts if row.kind == "demo")
    grants.unlink(demo, by=TESTER, at=timezone.now(), key="k")
    the_venue.control("POST", f"accounts/{real.login_id}/activity", {"kind": "deposit", "amount": "25.00"})
    grants.sync(found.grant, now=timezone.now)
    assert TradingAccount.objects.get(pk=real.pk).venue_balance == Decimal("525.00")
    real.cash.refresh_from_db()
    assert real.cash.posted == Decimal("500.00"), "the mirror moves with the statement only"
    assert state_of(demo) == "unlinked", "what the client took away stays away"


@venue
def test_a_sync_that_is_refused_refuses_the_grant_and_one_that_cannot_ask_changes_nothing(
    the_venue, settings
):
    found = linked()
    Grant.objects.update(granted_at=timezone.now() - timedelta(hours=1))
    right = settings.CONFIG
    settings.CONFIG = right.model_copy(update={"deriv_sim_port": free_port()})
    with nothing_moves():
        grants.sync(found.grant, now=timezone.now)
    settings.CONFIG = right
    the_venue.control("DELETE", f"accounts/{found.accounts[0].login_id}/permissions")
    assert grants.sync(found.grant, now=timezone.now).state == "refused"
    with nothing_moves():
        grants.sync(found.grant, now=timezone.now)


def test_an_account_that_the_venue_closes_for_a_while_comes_back_by_itself():
    account = world.granted()
    adopting.adopt(account.grant, (shown(account, is_active=False),), unlinked_too=False, by=TESTER, at=NOW)
    row = TradingAccount.objects.get(pk=account.pk)
    assert (row.state, "comes back by itself" in row.why) == ("unreachable", True)
    adopting.adopt(account.grant, (shown(account),), unlinked_too=False, by=TESTER, at=NOW)
    assert state_of(account) == "active"


def test_what_is_new_at_the_venue_appears_and_what_is_odd_does_not():
    account = world.granted()
    listed = (
        shown(account),
        VenueAccount("CR77", "USD", Decimal("7.00"), False, True),
        VenueAccount("CR78", "XXX", Decimal("7.00"), False, True),
        VenueAccount("CR79", "USD", Decimal("7.001"), False, True),
        VenueAccount("CR80", "USD", Decimal("-7.00"), False, True),
        VenueAccount("no login", "USD", Decimal("7.00"), False, True),
        VenueAccount("CR77", "USD", Decimal("7.00"), False, True),
    )
    found = adopting.adopt(account.grant, listed, unlinked_too=False, by=TESTER, at=NOW)
    assert [row.login_id for row in found.arrived] == ["CR77"]
    assert len(found.skipped) == 4


# ── taken away ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_account_with_a_trade_that_is_not_final_cannot_be_taken_away():
    account = world.granted()
    trade = world.opened(world.placed(account))
    with nothing_moves(), pytest.raises(grants.UnfinishedTrades):
        grants.unlink(account, by=TESTER, at=NOW, key="k")
    trades.settle(trade, world.outcome(), by=TESTER, at=NOW)
    assert grants.unlink(account, by=TESTER, at=NOW, key="k").state == "unlinked"


def test_taking_away_is_done_once_and_the_key_is_for_one_account():
    opening = world.client()
    one, two = world.granted(opening), world.granted(opening)
    for _ in range(2):
        assert grants.unlink(one, by=TESTER, at=NOW, key="k").state == "unlinked"
    assert Event.objects.filter(name="trading_account.unlinked").count() == 1
    with nothing_moves(), pytest.raises(KeyReused):
        grants.unlink(two, by=TESTER, at=NOW, key="k")


def test_what_is_being_opened_or_closed_cannot_be_taken_away():
    account = TradingAccount.objects.get(client=world.client().client)
    with nothing_moves(), pytest.raises(accounts.AccountNotReady):
        grants.unlink(account, by=TESTER, at=NOW, key="k")


def test_the_last_account_ends_the_grant_and_no_token_is_kept():
    opening = world.client()
    account = world.granted(opening)
    grants.unlink(account, by=TESTER, at=NOW, key="k")
    grant = Grant.objects.get(pk=account.grant_id)
    assert (grant.state, grant.access_token, grant.refresh_token) == ("ended", None, None)
    row = TradingAccount.objects.get(pk=account.pk)
    assert (row.grant_id, row.secret, row.pk in accounts.credentials()) == (None, "", False)
    assert row.cash.posted == Decimal("500.00"), "its records stay"


def test_another_account_becomes_the_default_when_the_default_goes():
    opening = world.client()
    own, other = world.account(opening), world.granted(opening)
    assert own.is_default
    grants.unlink(own, by=TESTER, at=NOW, key="k")
    assert TradingAccount.objects.get(client=opening.client, is_default=True).pk == other.pk
    grants.unlink(other, by=TESTER, at=NOW, key="k2")
    assert not TradingAccount.objects.filter(client=opening.client, is_default=True).exists()


def test_only_an_active_account_becomes_the_default():
    opening = world.client()
    own, other = world.account(opening), world.granted(opening)
    by = By.user(opening.user)
    assert accounts.set_default(other, by=by, at=NOW).is_default
    accounts.set_default(other, by=by, at=NOW)
    assert Event.objects.filter(name="trading_account.made_default").count() == 1
    assert not TradingAccount.objects.get(pk=own.pk).is_default
    grants.unlink(own, by=TESTER, at=NOW, key="k")
    with nothing_moves(), pytest.raises(accounts.AccountNotReady):
        accounts.set_default(own, by=by, at=NOW)


# ── what the database refuses ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE brokerage_grant SET state = 'ended', ended_at = now() WHERE id = %(grant)s",
        "UPDATE brokerage_grant SET access_token = NULL WHERE id = %(grant)s",
        "UPDATE brokerage_grant SET kind = 'personal' WHERE id = %(grant)s",
        "UPDATE brokerage_grant SET ended_at = now() WHERE id = %(grant)s",
        "UPDATE brokerage_tradingaccount SET grant_id = %(grant)s, generation = 'v4' WHERE id = %(stranger)s",
        "UPDATE brokerage_tradingaccount SET generation = 'v3' WHERE id = %(account)s",
        "UPDATE brokerage_tradingaccount SET state = 'unlinked' WHERE id = %(account)s",
        "UPDATE brokerage_tradingaccount SET reset_requested_at = now() WHERE id = %(account)s",
        "UPDATE brokerage_grantrequest SET used_at = now() WHERE id = %(request)s",
        "UPDATE brokerage_grantrequest SET state = 'lapsed' WHERE id = %(request)s",
    ],
)
def test_what_must_never_be_false_is_refused_by_the_database(statement):
    account, stranger, request = world.granted(), world.account(), world.request()
    named = {
        "grant": account.grant_id, "account": account.pk, "stranger": stranger.pk, "request": request.pk,
    }  # fmt: skip
    with nothing_moves(), pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, named)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
