"""Linking accounts at the venue: what arrives, and everything that is refused with nothing half done."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from backoffice.errors import InvalidInput, NotAllowed
from backoffice.models import Currency, Event
from backoffice.secrets import unseal
from brokerage import accounts, adopting, grant_requests, grants, linking, venue_rest
from brokerage.deriv.oauth import OAuth
from brokerage.models import GrantRequest, TradingAccount
from brokerage.offers import VenueUnavailable
from compliance.models import Membership
from tests import world
from tests.brokerage.at_the_venue import begun, complete, linked, nothing_moves, with_token
from tests.brokerage.deriv.running import free_port
from tests.signing_in import approved, decide, sent_back

pytestmark = [
    pytest.mark.django_db, pytest.mark.processes, pytest.mark.usefixtures("reference_data", "redis", "the_venue"),
]  # fmt: skip


def last_request():
    return GrantRequest.objects.latest("pk")


def test_both_accounts_arrive_each_in_its_mirror_with_the_venues_balance():
    opening = world.client()
    found = linked(opening)
    demo, real = sorted(found.accounts, key=lambda row: row.kind)
    assert [(row.kind, row.state, row.generation, row.cash.book) for row in (demo, real)] == [
        ("demo", "active", "v4", "demo_mirror"), ("real", "active", "v4", "real_mirror"),
    ]  # fmt: skip
    assert (demo.cash.posted, real.cash.posted) == (0, 0), "as they were when they were opened"
    demo.cash.refresh_from_db()
    real.cash.refresh_from_db()
    assert (demo.cash.posted, real.cash.posted) == (Decimal("10000.00"), Decimal("500.00"))
    assert {row.grant_id for row in found.accounts} == {found.grant.pk}
    assert real.secret == found.grant.access_token and real.token == ""
    assert accounts.credentials()[real.pk].token == found.grant.access_token
    request = last_request()
    assert (request.state, request.grant_id, request.verifier) == ("completed", found.grant.pk, None)
    names = list(Event.objects.filter(client_id=opening.client.uuid).values_list("name", flat=True))
    assert {"grant.begun", "grant.completed", "trading_account.granted", "trading_account.opened"} <= set(
        names
    )


def test_the_first_account_of_a_client_without_a_default_is_the_default():
    opening = world.client()
    TradingAccount.objects.filter(client=opening.client).update(is_default=False)
    found = linked(opening)
    assert [row.is_default for row in found.accounts].count(True) == 1


def test_linking_again_renews_the_same_grant_and_makes_no_account_twice():
    opening = world.client()
    first = linked(opening)
    again = linked(opening, login_id=first.accounts[0].login_id)
    assert again.grant.pk == first.grant.pk
    assert {row.pk for row in again.accounts} == {row.pk for row in first.accounts}
    assert again.grant.access_token != first.grant.access_token


def test_an_account_with_a_token_of_its_own_comes_under_the_grant_as_it_is(the_venue):
    opening = world.client()
    there = the_venue.open_account(world.key())
    own = accounts.confirm_opened(
        TradingAccount.objects.get(client=opening.client), login_id=there["login_id"], token=there["token"],
        balance=Decimal("10000.00"), by=world.TESTER, at=timezone.now(),
    )  # fmt: skip
    found = linked(opening, login_id=own.login_id)
    (row,) = found.accounts
    assert (row.pk, row.generation, row.token, row.grant_id) == (own.pk, "v4", "", found.grant.pk)
    row.cash.refresh_from_db()
    assert row.cash.posted == Decimal("10000.00"), "not mirrored a second time"
    assert row.is_default


# ── the state ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_forged_state_and_somebody_elses_look_alike():
    mine, theirs = world.client(), world.client()
    state, code = approved(begun(theirs))
    with nothing_moves():
        for tried in ("forged-state", state):
            with pytest.raises(grant_requests.LinkUnknown, match="You began no link like this"):
                complete(mine, tried, code)
    assert last_request().used_at is None, "it is still good for its own user"
    assert complete(theirs, state, code).accounts


def test_a_state_is_good_once_whatever_became_of_the_first():
    opening = world.client()
    state, code = approved(begun(opening))
    complete(opening, state, code)
    with nothing_moves(), pytest.raises(grant_requests.LinkUsed):
        complete(opening, state, code)
    failed, _ = approved(begun(opening))
    with nothing_moves():
        with pytest.raises(linking.LinkRefused):
            complete(opening, failed, "a-code-that-nobody-gave")
        with pytest.raises(grant_requests.LinkUsed):
            complete(opening, failed, "a-code-that-nobody-gave")
    assert (last_request().state, last_request().problem_code) == ("failed", "LINK_REFUSED")


def test_after_ten_minutes_a_state_has_lapsed_before_and_after_the_sweep():
    opening = world.client()
    state, code = approved(begun(opening))
    GrantRequest.objects.update(requested_at=timezone.now() - GrantRequest.LIFE)
    with nothing_moves(), pytest.raises(grant_requests.LinkLapsed):
        complete(opening, state, code)
    assert grant_requests.sweep(now=timezone.now) == 1
    assert (last_request().state, last_request().verifier) == ("lapsed", None)
    with nothing_moves(), pytest.raises(grant_requests.LinkLapsed):
        complete(opening, state, code)
    assert grant_requests.sweep(now=timezone.now) == 0


def test_what_died_between_use_and_end_fails_with_the_sweep():
    opening = world.client()
    state, _ = approved(begun(opening))
    grant_requests.use(opening.user, state, at=timezone.now())
    assert grant_requests.sweep(now=timezone.now) == 0, "it may still be under way"
    assert grant_requests.sweep(now=lambda: timezone.now() + timedelta(minutes=11)) == 1
    assert (last_request().state, last_request().problem_code) == ("failed", "NOT_FINISHED")


def test_a_code_made_for_another_state_is_refused_by_its_verifier():
    opening = world.client()
    state, _ = approved(begun(opening))
    _, code = approved(begun(opening))
    with nothing_moves(), pytest.raises(linking.LinkRefused):
        complete(opening, state, code)


def test_a_code_that_cannot_be_one_leaves_the_state_good():
    opening = world.client()
    state, code = approved(begun(opening))
    for nonsense in ("", "short", "with a space", "line\nbreak-" * 3, "x" * 5000):
        with nothing_moves(), pytest.raises(InvalidInput):
            complete(opening, state, nonsense)
    assert complete(opening, state, code).accounts


# ── who may, and where to ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://evil.example/",
        "http://localhost:8000/client/../x",
        "http://localhost:8000/client",
        "javascript:1",
    ],
)
def test_nobody_is_sent_back_to_an_address_that_is_not_listed_to_the_letter(address):
    opening = world.client()
    with nothing_moves(), pytest.raises(linking.RedirectNotAllowed):
        linking.begin(
            client=opening.client, user=opening.user, redirect_url=address, by=world.TESTER, at=timezone.now()
        )
    assert not GrantRequest.objects.exists()


def test_a_viewer_may_neither_begin_nor_complete():
    opening = world.client()
    state, code = approved(begun(opening))
    Membership.objects.filter(client=opening.client).update(role="viewer")
    with nothing_moves():
        for act in (
            lambda: begun(opening),
            lambda: complete(opening, state, code),
            lambda: with_token(opening, "t" * 20),
        ):
            with pytest.raises(NotAllowed):
                act()
    assert last_request().used_at is None


def test_who_says_no_at_the_venue_comes_back_with_nothing_to_use():
    opening = world.client()
    brought = sent_back(decide(begun(opening), decision="refuse"))
    assert (brought["error"], "code" in brought) == ("access_denied", False)


# ── what the client allowed ─────────────────────────────────────────────────────────────────────────────────────


def test_without_the_permission_to_trade_nothing_is_linked():
    opening = world.client()
    state, code = approved(begun(opening), allow=("payment",))
    with nothing_moves(), pytest.raises(linking.ScopeMissing):
        complete(opening, state, code)
    assert last_request().problem_code == "SCOPE_MISSING"


def test_an_account_of_another_client_is_refused_and_nothing_is_half_done(the_venue):
    theirs = linked()
    taken = theirs.accounts[0]
    opening = world.client()
    state, code = approved(begun(opening), login_id=taken.login_id)
    with nothing_moves(), pytest.raises(adopting.AccountOfAnotherClient):
        complete(opening, state, code)
    own = the_venue.open_account(world.key())
    theirs_now = TradingAccount.objects.get(pk=taken.pk)
    assert theirs_now.client_id == taken.client_id
    assert with_token(opening, own["token"]).accounts, "their own they may link"


def test_a_personal_token_links_and_does_not_run_out(the_venue):
    opening = world.client()
    token = the_venue.open_account(world.key())["token"]
    found = with_token(opening, token)
    assert (found.grant.kind, found.grant.expires_at, found.grant.refresh_token) == ("personal", None, None)
    assert [row.kind for row in found.accounts] == ["demo"]
    again = with_token(opening, token)
    assert (again.grant.pk, len(again.accounts)) == (found.grant.pk, 1)


def test_a_personal_token_that_is_none_or_may_not_trade_is_refused(the_venue):
    opening = world.client()
    reader = the_venue.open_account(world.key(), scopes=["read"])["token"]
    for token, refusal in (
        ("nobody-s-token", linking.LinkRefused), (reader, linking.ScopeMissing), ("no", InvalidInput),
        ("with\nanother: header", InvalidInput), ("ü" * 20, InvalidInput),
    ):  # fmt: skip
        with nothing_moves(), pytest.raises(refusal):
            with_token(opening, token)


def test_what_we_do_not_keep_is_left_out_with_a_sentence(the_venue):
    opening = world.client()
    Currency.objects.filter(code="USD").update(is_active=False)
    with (
        nothing_moves(),
        pytest.raises(linking.NothingToLink, match="is kept in USD, which is not offered here"),
    ):
        linked(opening)


def test_nobody_has_more_accounts_than_we_keep_for_one(monkeypatch):
    opening = world.client()
    monkeypatch.setattr(adopting, "MOST_ACCOUNTS", 2)
    with nothing_moves(), pytest.raises(accounts.TooManyAccounts):
        linked(opening)


# ── the venue ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_venue_that_is_away_links_nothing_and_the_client_begins_again(settings):
    opening = world.client()
    state, code = approved(begun(opening))
    settings.CONFIG = settings.CONFIG.model_copy(update={"deriv_sim_port": free_port()})
    with nothing_moves():
        with pytest.raises(VenueUnavailable):
            complete(opening, state, code)
        with pytest.raises(grant_requests.LinkUsed):
            complete(opening, state, code)


@pytest.mark.parametrize("fault", ["lose_answer", "refuse", "drop_before_purchase"])
def test_an_answer_that_is_lost_links_nothing(the_venue, fault):
    opening = world.client()
    state, code = approved(begun(opening))
    the_venue.control("POST", "faults", {"fault": fault, "call": "oauth_token"})
    with nothing_moves(), pytest.raises(VenueUnavailable):
        complete(opening, state, code)
    assert last_request().problem_code == "VENUE_UNAVAILABLE"


def test_tokens_that_were_granted_for_nothing_are_revoked(redis, django_capture_on_commit_callbacks):
    opening = world.client()
    state, code = approved(begun(opening), allow=("payment",))
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(linking.ScopeMissing):
        complete(opening, state, code)
    sent = [json.loads(text) for text in redis.hvals("dramatiq:grants.msgs")]
    assert [message["actor_name"] for message in sent] == ["grants.revoke"] * 2
    for message in sent:
        (sealed,) = message["args"]
        assert unseal(sealed) not in json.dumps(message), "it travels sealed"
        grants.revoke(sealed)
        grants.revoke(sealed)
        with pytest.raises(linking.LinkRefused):
            with_token(opening, unseal(sealed))


def test_the_address_carries_the_challenge_and_never_the_verifier():
    opening = world.client()
    url = begun(opening)
    request = last_request()
    assert request.verifier and request.verifier not in url
    assert "code_challenge_method=S256" in url and "scope=trade+account_manage+payment" in url
    state = url.split("state=")[1].split("&")[0]
    assert state not in str(list(GrantRequest.objects.values())), "only its hash is kept"
    assert isinstance(venue_rest.oauth(), OAuth)
