"""An account follows the venue from v3 to v4, and only then; what cannot be known changes nothing."""

import itertools

import pytest
from django.utils import timezone

from backoffice.models import Event
from backoffice.who import By
from brokerage import accounts, linking, migration
from brokerage.models import TradingAccount
from tests import world
from tests.brokerage.deriv.running import SimulatorProcess, free_port

pytestmark = [pytest.mark.django_db, pytest.mark.processes, pytest.mark.usefixtures("reference_data")]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with SimulatorProcess(tmp_path_factory.mktemp("desk") / "venue.sqlite3", 20, "--no-limits") as process:
        yield process


@pytest.fixture
def account(desk, settings):
    """An account on v3 whose login and token the simulator knows."""
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": desk.port})
    opened = desk.open_account(f"migrating-{next(_numbers)}")
    found = world.account()
    found.login_id, found.token, found.generation = opened["login_id"], opened["token"], "v3"
    found.save()
    return found


def status(desk, account, said):
    return desk.control("POST", f"accounts/{account.login_id}/migration", {"status": said})


def refused(account, generation="v3"):
    migration.after_refusal(account, code="InvalidToken", generation=generation, now=timezone.now)
    account.refresh_from_db()
    return account.state, account.generation


def events(account):
    return list(Event.objects.about("trading_account", account.uuid).values_list("name", flat=True))[2:]


def test_an_account_that_was_moved_speaks_v4_under_its_new_login(desk, account):
    old = account.login_id
    new = status(desk, account, "complete")["moves"][old]
    assert refused(account) == ("active", "v4")
    assert (account.login_id, account.old_login_id) == (new, old)
    assert account.migrated_at is not None
    assert events(account) == ["trading_account.migrated"]
    assert accounts.credentials_of(account).moved_at == int(account.migrated_at.timestamp())
    migration.move(account, None, by=migration.BY, at=timezone.now())
    assert events(account) == ["trading_account.migrated"], "twice is once"


def test_a_refusal_by_v3_that_is_told_after_the_move_changes_nothing(desk, account):
    before = TradingAccount.objects.get(pk=account.pk)
    status(desk, account, "complete")
    assert refused(account) == ("active", "v4")
    assert refused(account) == ("active", "v4"), "told again, and read after the move"
    late = accounts.mark_unreachable(
        before, code="InvalidToken", generation="v3", by=migration.BY, at=timezone.now()
    )
    assert (late.state, late.generation) == ("active", "v4"), "read before the move"
    assert events(account) == ["trading_account.migrated"]
    assert refused(account, "v4") == ("unreachable", "v4"), "v4 itself is believed"


def test_while_it_is_being_moved_nothing_changes(desk, account):
    status(desk, account, "pending")
    assert refused(account) == ("active", "v3")
    assert events(account) == []


def test_a_venue_that_cannot_be_asked_changes_nothing(account, settings):
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": free_port()})
    assert refused(account) == ("active", "v3")
    assert events(account) == []


@pytest.mark.parametrize("said", ["failed", "not_applicable"])
def test_a_token_refused_without_a_move_needs_the_client(desk, account, said):
    status(desk, account, said)
    assert refused(account) == ("unreachable", "v3")
    assert events(account) == ["trading_account.unreachable"]


def test_a_token_that_v4_does_not_know_either_needs_the_client(desk, account):
    status(desk, account, "complete")
    TradingAccount.objects.filter(pk=account.pk).update(token="nobody")
    account.refresh_from_db()
    assert refused(account) == ("unreachable", "v3")


def test_a_refused_token_on_v4_needs_the_client(account):
    TradingAccount.objects.filter(pk=account.pk).update(generation="v4")
    account.refresh_from_db()
    assert refused(account, "v4") == ("unreachable", "v4")


def test_where_two_accounts_could_be_it_nobody_guesses(desk, account):
    desk.open_account(f"second-{next(_numbers)}", same_user_as=account.login_id)
    status(desk, account, "complete")
    assert refused(account) == ("unreachable", "v3")
    (event,) = Event.objects.about("trading_account", account.uuid).filter(name="trading_account.unreachable")
    assert event.payload["code"] == "MOVED_AND_NOT_FOUND"


def test_a_move_is_noticed_before_v3_refuses(desk, account):
    migration.look(account, now=timezone.now)
    account.refresh_from_db()
    assert account.generation == "v3"
    status(desk, account, "complete")
    migration.look(account, now=timezone.now)
    account.refresh_from_db()
    assert (account.generation, account.state) == ("v4", "active")


def test_an_account_whose_old_token_says_nothing_is_found_again_when_the_client_links(desk, account):
    """As at Deriv: what opened v3 opens nothing on v4, and the client signs in there."""
    opened = desk.books(account.login_id)["account"]
    new = status(desk, account, "complete")["moves"][account.login_id]
    token = account.token
    TradingAccount.objects.filter(pk=account.pk).update(token="good on v3 only")
    account.refresh_from_db()
    assert refused(account) == ("unreachable", "v3")
    user = account.client.membership_set.get().user
    linked = linking.complete_with_token(
        client=account.client, user=user, token=token, by=By.user(user), now=timezone.now
    )
    assert account.pk in [row.pk for row in linked.accounts], (
        "it is the same account, with its trades and its books"
    )
    account.refresh_from_db()
    assert (account.state, account.generation, account.login_id) == ("active", "v4", new)
    assert account.old_login_id == opened["login_id"] and account.grant is not None
    assert TradingAccount.objects.filter(client=account.client, kind="demo").count() == 1
    assert events(account) == [
        "trading_account.unreachable", "trading_account.migrated", "trading_account.granted",
    ]  # fmt: skip
