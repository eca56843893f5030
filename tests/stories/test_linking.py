"""A client links their accounts at Deriv, through the public API alone, told in order.

Amina has a demo account of ours. She goes to Deriv's sign-in, says yes, and comes back: her demo account and her real
one there are linked, and she trades with real money. She takes the permission away in the middle of a trade, gives it
back, and at last takes both accounts away.
"""

import re
from decimal import Decimal

import pytest

from backoffice.models import Event
from brokerage import proofs
from brokerage.models import Grant, GrantRequest, StatementProof, TradingAccount, VenueLine
from ledger.models import Account, Entry
from tests import world
from tests.running import HTTP, LiveApp, read_log, until
from tests.signing_in import approved

pytestmark = pytest.mark.processes
ACCOUNTS = (
    "{ tradingAccounts { id kind loginId currency generation isDefault state why balance { amount } } }"
)
ACCOUNT = "... on TradingAccountAnswer { account { id state isDefault balance { amount } } } ... on Problem { code message field }"
BEGIN = """mutation($input: BeginDerivLinkInput!) { beginDerivLink(input: $input) {
    ... on DerivLinkBegun { url expiresAt } ... on Problem { code field } } }"""
COMPLETE = """mutation($input: CompleteDerivLinkInput!) { completeDerivLink(input: $input) {
    ... on DerivLinked { accounts { id kind loginId state isDefault } skipped } ... on Problem { code field message } } }"""
UNLINK = (
    f"mutation($id: ID!, $key: String!) {{ unlinkDerivAccount(account: $id, key: $key) {{ {ACCOUNT} }} }}"
)
DEFAULT = f"mutation($id: ID!) {{ setDefaultAccount(account: $id) {{ {ACCOUNT} }} }}"
DEMO = f"mutation($key: String!) {{ createDemoAccount(key: $key) {{ {ACCOUNT} }} }}"
RESET = f"mutation($id: ID!, $key: String!) {{ resetDemoBalance(account: $id, key: $key) {{ {ACCOUNT} }} }}"


def begin(app: LiveApp) -> str:
    back = f"http://localhost:{app.running.port}/client/"
    return str(app.data(BEGIN, input={"redirectUrl": back})["url"])


def link(app: LiveApp, **given):
    state, code = approved(begin(app), **given)
    # The browser opens the address first: nothing of it may stay in a log.
    page = HTTP.get(f"{app.running.url}/client/", params={"state": state, "code": code})
    assert page.status_code == 200 and page.headers["referrer-policy"] in ("no-referrer", "same-origin")
    return app.data(COMPLETE, input={"state": state, "code": code})


def account_of(app: LiveApp, login_id: str):
    (found,) = [row for row in app.data(ACCOUNTS) if row["loginId"] == login_id]
    return found


def until_state(app: LiveApp, login_id: str, state: str):
    until(lambda: account_of(app, login_id)["state"] == state, f"{login_id} is {state}")
    return account_of(app, login_id)


def take_permission_away(app: LiveApp, login_id: str) -> None:
    answer = HTTP.delete(f"{app.running.sim_url}/simulator/accounts/{login_id}/permissions")
    assert answer.status_code == 204


def test_a_client_links_trades_loses_the_permission_gives_it_back_and_leaves(deployment):
    app = LiveApp(deployment).sign_up()
    ours = app.wait_for_account()

    linked = link(app)

    assert linked["skipped"] == []
    by_kind = {row["kind"]: row for row in linked["accounts"]}
    assert {kind: row["state"] for kind, row in by_kind.items()} == {"demo": "active", "real": "active"}
    real, demo = by_kind["real"], by_kind["demo"]
    shown = account_of(app, real["loginId"])
    assert (shown["generation"], shown["isDefault"], shown["balance"]["amount"]) == ("v4", False, "500.00")
    assert account_of(app, ours["loginId"])["isDefault"]
    row = TradingAccount.objects.get(login_id=real["loginId"])
    assert (row.cash.book, row.cash.posted) == ("real_mirror", Decimal("500.00"))

    # She trades with her real money.
    assert app.data(DEFAULT, id=real["id"])["account"]["isDefault"]
    trade = app.wait_final(app.place()["id"])
    assert trade["state"] in ("WON", "LOST")
    assert account_of(app, real["loginId"])["balance"]["amount"] == balance_at_venue(app, real)

    # In the middle of a trade she takes the permission away at Deriv.
    running = app.place(duration=15, durationUnit="SECONDS")
    until(lambda: app.trade(running["id"])["state"] == "OPEN", "the trade is open")
    take_permission_away(app, real["loginId"])
    lost = until_state(app, real["loginId"], "unreachable")
    assert "link it again" in lost["why"]
    assert account_of(app, demo["loginId"])["state"] == "unreachable"
    assert account_of(app, ours["loginId"])["state"] == "active"
    assert app.try_to_place()["code"] == "ACCOUNT_NOT_READY"
    assert app.data(UNLINK, id=real["id"], key=world.key())["code"] == "UNFINISHED_TRADES"
    before = Grant.objects.get(accounts=row)
    assert before.state == "refused"

    # She gives it back; the trade ended meanwhile, and everything is caught up with.
    again = link(app, login_id=real["loginId"])
    assert {row["loginId"] for row in again["accounts"]} == {real["loginId"], demo["loginId"]}
    assert app.wait_final(running["id"])["state"] in ("WON", "LOST")
    assert account_of(app, real["loginId"])["balance"]["amount"] == balance_at_venue(app, real)
    after = Grant.objects.get(accounts=row)
    assert (after.pk, after.state) == (before.pk, "active"), "the same grant, renewed"
    equal_to_the_statement(row)

    # She takes both away. The last one ends the grant, and its tokens are nobody's any more.
    tokens = after.access_token, after.refresh_token
    answer = app.data(UNLINK, id=real["id"], key=world.key())
    assert (answer["account"]["state"], answer["account"]["isDefault"]) == ("unlinked", False)
    assert account_of(app, ours["loginId"])["isDefault"], "another one is used from now on"
    assert Grant.objects.get(pk=after.pk).state == "active"
    app.data(UNLINK, id=demo["id"], key=world.key())
    ended = Grant.objects.get(pk=after.pk)
    assert (ended.state, ended.access_token, ended.refresh_token) == ("ended", None, None)
    until(lambda: revoked(app, tokens), "the tokens are revoked at the venue")

    # Linking once more brings them back, with their records.
    link(app, login_id=real["loginId"])
    assert until_state(app, real["loginId"], "active")["id"] == real["id"]
    nothing_told(app, tokens)


def balance_at_venue(app, real) -> str:
    return str(app.running.books(real["loginId"])["account"]["balance"])


def equal_to_the_statement(row: TradingAccount) -> None:
    until(lambda: row.trades.exclude(state__in=("won", "lost")).count() == 0, "all trades are final")
    until(lambda: not VenueLine.objects.filter(account=row, state="waiting").exists(), "no line waits")
    comparison = proofs.compare(row)
    assert comparison.unexplained == 0, comparison
    assert not StatementProof.objects.filter(account=row).exclude(unexplained=0).exists()
    assert Account.objects.get(pk=row.stakes_id).posted == 0
    assert not Entry.objects.filter(client_id=row.client.uuid, book="real").exists(), "it is not our money"


def revoked(app, tokens) -> bool:
    headers = {"Authorization": f"Bearer {tokens[0]}", "Deriv-App-ID": "1089"}
    answer = HTTP.get(f"{app.running.sim_url}/trading/v1/options/accounts", headers=headers)
    return answer.status_code == 401


def nothing_told(app, tokens) -> None:
    """No token, and nothing the client carried, is in the event log, in what the API says, or in any log."""
    secret = {*filter(None, tokens)}
    for grant in Grant.objects.exclude(access_token__isnull=True):
        secret |= {grant.access_token, grant.refresh_token} - {None}
    told = str(list(Event.objects.values_list("payload", flat=True))) + str(app.data(ACCOUNTS))
    names = ("web", "workers", "streams", "scheduler", "sequencer", "simulator")
    told += "".join((app.running.logs / f"{name}.log").read_text() for name in names)
    assert not [one for one in secret if one in told]
    assert read_log(app.running.logs, "workers")
    requests = GrantRequest.objects.filter(client__trading_accounts__login_id=account_login(app))
    assert requests.exists() and not requests.exclude(verifier__isnull=True).exists()
    assert not re.search(r"[?&]code=[\w-]{16,}", told)


def account_login(app) -> str:
    return str(app.data(ACCOUNTS)[0]["loginId"])


def test_a_token_is_renewed_before_it_runs_out_while_the_client_trades(deployment):
    app = LiveApp(deployment).sign_up()
    app.wait_for_account()
    assert HTTP.post(f"{deployment.sim_url}/simulator/tokens", json={"life_seconds": 4}).status_code == 201
    try:
        real = next(row for row in link(app)["accounts"] if row["kind"] == "real")
        grant = Grant.objects.get(accounts__login_id=real["loginId"])
        first = grant.access_token
        until(lambda: Grant.objects.get(pk=grant.pk).access_token != first, "the token is renewed", 60)
    finally:
        HTTP.post(f"{deployment.sim_url}/simulator/tokens", json={"life_seconds": 3600})
    app.data(DEFAULT, id=real["id"])
    assert app.wait_final(app.place()["id"])["state"] in ("WON", "LOST")
    assert account_of(app, real["loginId"])["state"] == "active"


@pytest.mark.parametrize("generation", ["v3", "v4"])
def test_a_demo_account_is_asked_for_and_brought_back_to_where_it_began(deployment, generation):
    app = LiveApp(deployment).sign_up()
    app.wait_for_account()
    key = world.key()
    asked = app.data(DEMO, key=key)["account"]
    assert app.data(DEMO, key=key)["account"]["id"] == asked["id"], "the same key is the same account"
    if generation == "v4":
        TradingAccount.objects.filter(uuid=asked["id"]).update(generation="v4")

    def login():
        (row,) = [row for row in app.data(ACCOUNTS) if row["id"] == asked["id"]]
        return row["state"] == "active" and row["loginId"]

    login_id = until(login, "the second demo account is active")
    deployment.control(f"accounts/{login_id}/activity", {"kind": "withdrawal", "amount": "2500.00"})
    until(lambda: account_of(app, login_id)["balance"]["amount"] == "7500.00", "the withdrawal is mirrored")
    app.data(RESET, id=asked["id"], key="reset")
    until(lambda: account_of(app, login_id)["balance"]["amount"] == "10000.00", "the balance is back")
    app.data(RESET, id=asked["id"], key="reset")
    lines = [line["amount"] for line in deployment.books(login_id)["lines"]]
    assert lines == ["10000.00", "-2500.00", "2500.00"], "asked for once"
