"""Two at once on one grant, with real threads: a state is used once, and a refresh token too."""

import threading
from datetime import timedelta

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from backoffice.models import Event
from brokerage import accounts, adopting, grant_requests, grants
from brokerage.models import Grant, GrantRequest, TradingAccount
from tests import world
from tests.brokerage.at_the_venue import begun, complete, linked
from tests.races.test_trade_races import at_once, count
from tests.signing_in import approved
from tests.world import NOW, TESTER

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.processes,
    pytest.mark.usefixtures("reference_data", "redis", "the_venue"),
]  # fmt: skip


def test_twin_without_the_row_lock_one_state_is_used_twice(monkeypatch):
    """The twin of what follows: `select_for_update` does nothing, and both threads read before either writes."""
    opening = world.client()
    state, _ = approved(begun(opening))
    both_have_read = threading.Barrier(2)
    plain_first = QuerySet.first

    def first(self):
        found = plain_first(self)
        if isinstance(found, GrantRequest):
            both_have_read.wait(10)
        return found

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **given: self)
    monkeypatch.setattr(QuerySet, "first", first)
    results = at_once(*[lambda: grant_requests.use(opening.user, state, at=timezone.now()) for _ in range(2)])
    assert not [one for one in results if isinstance(one, Exception)], "without the lock both may go on"


def test_one_state_completed_twice_at_once_is_completed_once():
    opening = world.client()
    state, code = approved(begun(opening))
    results = at_once(*[lambda: complete(opening, state, code) for _ in range(4)])
    refused = [one for one in results if isinstance(one, Exception)]
    assert [type(one) for one in refused] == [grant_requests.LinkUsed] * 3
    assert (Grant.objects.count(), count("grant.completed")) == (1, 1)
    assert TradingAccount.objects.filter(grant__isnull=False).count() == 2


def test_two_clients_who_link_one_account_at_once_do_not_share_it(the_venue):
    login_id = the_venue.open_account(world.key())["login_id"]
    one, two = world.client(), world.client()
    ways = [(opening, *approved(begun(opening), login_id=login_id)) for opening in (one, two)]
    results = at_once(*[lambda way=way: complete(*way) for way in ways])
    assert len([one for one in results if isinstance(one, adopting.AccountOfAnotherClient)]) == 1
    holders = TradingAccount.objects.filter(login_id=login_id)
    assert holders.count() == 1
    loser = ({one.client.pk, two.client.pk} - {holders.get().client_id}).pop()
    assert not Grant.objects.filter(client=loser).exists(), "nothing is half done"
    assert TradingAccount.objects.filter(client=loser, grant__isnull=False).count() == 0


def test_two_who_renew_one_grant_use_its_refresh_token_once():
    found = linked()
    Grant.objects.update(expires_at=timezone.now() + timedelta(minutes=1))
    results = at_once(*[lambda: grants.refresh(found.grant, now=timezone.now) for _ in range(4)])
    assert not [one for one in results if isinstance(one, Exception)]
    row = Grant.objects.get()
    assert (row.state, count("grant.renewed"), count("grant.refused")) == ("active", 1, 0)
    assert row.access_token != found.grant.access_token
    assert grants.venue_rest.accounts(row.access_token)


def test_an_account_unlinked_and_refused_at_once_ends_with_its_grant_ended():
    account = world.granted()
    later = NOW + timedelta(minutes=10)
    at_once(
        lambda: grants.unlink(account, by=TESTER, at=later, key="k"),
        lambda: accounts.mark_unreachable(account, code="InvalidToken", generation="v4", by=TESTER, at=later),
        lambda: grants.unlink(account, by=TESTER, at=later, key="k"),
        lambda: accounts.mark_unreachable(account, code="InvalidToken", generation="v4", by=TESTER, at=later),
    )
    assert TradingAccount.objects.get(pk=account.pk).state == "unlinked"
    assert Grant.objects.get(pk=account.grant_id).state == "ended"
    assert Event.objects.filter(name="trading_account.unlinked").count() == 1


def test_several_defaults_chosen_at_once_leave_one():
    opening = world.client()
    rows = [world.granted(opening) for _ in range(3)]
    results = at_once(*[lambda row=row: accounts.set_default(row, by=TESTER, at=NOW) for row in rows])
    assert not [one for one in results if isinstance(one, Exception)]
    assert TradingAccount.objects.filter(client=opening.client, is_default=True).count() == 1
