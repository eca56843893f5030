"""Linking over the API: which form is taken, who may, what a refusal looks like, and that nothing secret is told."""

import json

import pytest
from django.conf import settings
from django.urls import reverse

from backoffice.models import Event
from brokerage.models import Grant, GrantRequest, TradingAccount
from compliance.models import Membership
from tests import world
from tests.brokerage.at_the_venue import nothing_moves
from tests.edges import staff
from tests.edges.api import PROBLEM, App, app_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]
ACCOUNT = f"... on TradingAccountAnswer {{ account {{ id state isDefault }} }} {PROBLEM}"
BEGIN = f"mutation($input: BeginDerivLinkInput!) {{ beginDerivLink(input: $input) {{ ... on DerivLinkBegun {{ url expiresAt }} {PROBLEM} }} }}"
COMPLETE = f"mutation($input: CompleteDerivLinkInput!) {{ completeDerivLink(input: $input) {{ ... on DerivLinked {{ accounts {{ id }} skipped }} {PROBLEM} }} }}"
UNLINK = f'mutation($id: ID!) {{ unlinkDerivAccount(account: $id, key: "unlink") {{ {ACCOUNT} }} }}'
DEFAULT = f"mutation($id: ID!) {{ setDefaultAccount(account: $id) {{ {ACCOUNT} }} }}"
DEMO = f'mutation {{ createDemoAccount(key: "demo") {{ {ACCOUNT} }} }}'
RESET = f'mutation($id: ID!) {{ resetDemoBalance(account: $id, key: "reset") {{ {ACCOUNT} }} }}'
MINE = "{ tradingAccounts { id kind currency generation isDefault state why } }"


def back():
    return settings.CONFIG.redirect_urls[0]


def every_mutation(account):
    """Each with what it is asked."""
    public_id = str(account.uuid)
    return [
        (BEGIN, {"input": {"redirectUrl": back()}}),
        (COMPLETE, {"input": {"personalToken": "t" * 20}}),
        (UNLINK, {"id": public_id}), (DEFAULT, {"id": public_id}), (DEMO, {}), (RESET, {"id": public_id}),
    ]  # fmt: skip


def test_nobody_who_is_not_logged_in_may_do_any_of_it():
    account = world.account()
    with nothing_moves():
        for query, given in every_mutation(account):
            assert App().data(query, **given)["code"] == "NOT_AUTHENTICATED"


def test_a_viewer_sees_the_accounts_and_may_do_nothing():
    account = world.account()
    Membership.objects.filter(client=account.client).update(role="viewer")
    app = app_of(account)
    assert len(app.data(MINE)) == 1
    with nothing_moves():
        assert {app.data(query, **given)["code"] for query, given in every_mutation(account)} == {
            "NOT_ALLOWED"
        }
    assert not GrantRequest.objects.exists()


def test_another_clients_account_looks_like_none():
    mine, theirs = world.account(), world.account()
    app = app_of(mine)
    with nothing_moves():
        for query in (UNLINK, DEFAULT, RESET):
            for unknown in (str(theirs.uuid), "not-an-id"):
                assert app.data(query, id=unknown)["code"] == "NOT_FOUND"
        given = {"redirectUrl": back(), "client": str(theirs.client.uuid)}
        refused = app.data(BEGIN, input=given)
        assert (refused["code"], refused["field"]) == ("NOT_FOUND", "client")


def test_an_owner_may_do_all_of_it():
    account = world.granted(kind="demo")
    app = app_of(account)
    public_id = str(account.uuid)
    assert app.data(BEGIN, input={"redirectUrl": back()})["url"].startswith(settings.CONFIG.venue_oauth_url)
    assert app.data(DEMO)["account"]["state"] == "opening"
    assert app.data(DEFAULT, id=public_id)["account"]["isDefault"]
    assert app.data(RESET, id=public_id)["account"]["state"] == "active"
    assert app.data(UNLINK, id=public_id)["account"] == {
        "id": public_id,
        "state": "unlinked",
        "isDefault": False,
    }


@pytest.mark.parametrize(
    "given",
    [
        {}, {"state": "s" * 20}, {"code": "c" * 20},
        {"state": "s" * 20, "code": "c" * 20, "personalToken": "t" * 20}, {"state": "s" * 20, "personalToken": "t" * 20},
    ],
)  # fmt: skip
def test_exactly_one_form_is_taken(given):
    app = app_of(world.account())
    with nothing_moves():
        assert app.data(COMPLETE, input=given)["code"] == "INVALID_INPUT"


def test_refusals_name_their_field():
    real = world.granted()
    app = app_of(real)
    with nothing_moves():
        for query, given, code, field in (
            (BEGIN, {"input": {"redirectUrl": "https://evil.example/"}}, "REDIRECT_NOT_ALLOWED", "redirectUrl"),
            (COMPLETE, {"input": {"state": "forged", "code": "c" * 20}}, "LINK_UNKNOWN", "state"),
            (COMPLETE, {"input": {"personalToken": "no"}}, "INVALID_INPUT", "personalToken"),
            (RESET, {"id": str(real.uuid)}, "NOT_DEMO", "account"),
        ):  # fmt: skip
            refused = app.data(query, **given)
            assert (refused["code"], refused["field"]) == (code, field)


def test_a_list_of_accounts_costs_two_queries_however_long_it_is(django_assert_num_queries):
    account = world.granted()
    app = app_of(account)
    app.data(MINE)
    with django_assert_num_queries(2):
        assert len(app.data(MINE)) == 2
    TradingAccount.objects.filter(pk=account.pk).update(state="unreachable", problem_code="InvalidToken")
    with django_assert_num_queries(2):
        (shown,) = [row for row in app.data(MINE) if row["state"] == "unreachable"]
    assert "link it again" in shown["why"] and shown["generation"] == "v4"


def test_beginning_and_choosing_ask_little(django_assert_max_num_queries):
    account = world.granted()
    app = app_of(account)
    with django_assert_max_num_queries(8):
        app.data(BEGIN, input={"redirectUrl": back()})
    with django_assert_max_num_queries(24):
        app.data(DEFAULT, id=str(account.uuid))


def test_nothing_secret_is_in_events_history_the_console_or_the_api(caplog):
    account = world.granted()
    app = app_of(account)
    url = app.data(BEGIN, input={"redirectUrl": back()})["url"]
    request, grant = GrantRequest.objects.latest("pk"), Grant.objects.get(accounts=account)
    state = url.split("state=")[1].split("&")[0]
    secret = [state, request.verifier, request.state_hash, grant.access_token, grant.refresh_token]
    assert all(secret)
    told = [json.dumps(app.data(MINE)), str(list(Event.objects.values())), caplog.text]
    told += [str(list(model.history.values())) for model in (Grant, TradingAccount)]
    browser = staff.browser(staff.superuser())
    for row in (grant, request, account):
        told.append(browser.get(staff.page(row)).content.decode())
        told.append(browser.get(reverse(staff.name(type(row), "changelist"))).content.decode())
    assert "••••" in told[5]
    assert not [one for one in secret for text in told if one in text]
