"""Funding over the API: both ways, in one call each, and nobody else's money."""

from decimal import Decimal

import pytest

from brokerage.models import Funding
from compliance.models import Membership
from tests import world
from tests.brokerage.test_funding import code_of, money, nothing, push, real, rich
from tests.edges.api import PROBLEM, App, app_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis", "the_venue")]
ANSWER = f"... on FundingAnswer {{ funding {{ id state isFinal amount {{ amount currency }} codeUntil }} }} {PROBLEM}"
FUND = f"mutation($input: FundingInput!) {{ fundTradingAccount(input: $input) {{ {ANSWER} }} }}"
WITHDRAW = f"mutation($input: FundingInput!) {{ withdrawFromTradingAccount(input: $input) {{ {ANSWER} }} }}"
CONFIRM = (
    f"mutation($id: ID!, $code: String!) {{ confirmAccountWithdrawal(id: $id, code: $code) {{ {ANSWER} }} }}"
)
ONE = "query($id: ID!) { funding(id: $id) { id state direction why } }"
ALL = "{ fundings(first: 10) { edges { node { id state accountId direction } } } }"


def asked(account, amount="50.00", key="k"):
    return {"account": str(account.uuid), "amount": amount, "key": key}


def test_a_client_funds_an_account_and_takes_money_back(the_venue):
    account = rich(real())
    app = app_of(account)
    begun = app.data(FUND, input=asked(account))["funding"]
    assert (begun["state"], begun["amount"]) == ("QUEUED", {"amount": "50.00", "currency": "USD"})
    assert app.data(FUND, input=asked(account))["funding"]["id"] == begun["id"]
    push(Funding.objects.get(uuid=begun["id"]))
    assert app.data(ONE, id=begun["id"])["state"] == "DONE"
    back = app.data(WITHDRAW, input=asked(account, "20.00", "b"))["funding"]
    assert back["state"] == "CODE_WANTED" and back["codeUntil"]
    queued = app.data(CONFIRM, id=back["id"], code=code_of(the_venue, account))["funding"]
    assert (queued["state"], queued["codeUntil"]) == ("QUEUED", None)
    listed = [edge["node"]["direction"] for edge in app.data(ALL)["edges"]]
    assert listed == ["FROM_VENUE", "TO_VENUE"]
    assert money(account)[0] == Decimal(150)


def test_nobody_else_may_see_or_move_it(the_venue):
    account, stranger = rich(real()), world.account()
    begun = app_of(account).data(WITHDRAW, input=asked(account))["funding"]
    code = code_of(the_venue, account)
    before = nothing()
    for app in (App(), app_of(stranger)):
        refused = {
            app.data(FUND, input=asked(account, key="x"))["code"],
            app.data(WITHDRAW, input=asked(account, key="y"))["code"],
            app.data(CONFIRM, id=begun["id"], code=code)["code"],
        }
        assert refused <= {"NOT_AUTHENTICATED", "NOT_FOUND"}
    assert app_of(stranger).data(ONE, id=begun["id"]) is None
    assert app_of(stranger).data(ALL)["edges"] == []
    Membership.objects.filter(client=account.client).update(role="viewer")
    viewer = app_of(account)
    assert viewer.data(ONE, id=begun["id"])["state"] == "CODE_WANTED"
    assert {
        viewer.data(FUND, input=asked(account, key="x"))["code"],
        viewer.data(CONFIRM, id=begun["id"], code=code)["code"],
    } == {"NOT_ALLOWED"}
    assert nothing() == before


def test_refusals_name_their_field(the_venue):
    account = real()
    app = app_of(account)
    demo = account.client.trading_accounts.filter(kind="demo").first()
    before = nothing()
    for given, code, field in (
        (asked(demo), "NOT_FUNDABLE", "account"),
        (asked(account), "INSUFFICIENT_FUNDS", "amount"),
        (asked(account, "0"), "INVALID_INPUT", "amount"),
        (asked(account, "1.001"), "INVALID_AMOUNT", "amount"),
    ):
        refused = app.data(FUND, input=given)
        assert (refused["code"], refused["field"]) == (code, field)
    assert nothing() == before


def test_a_list_of_fundings_costs_two_queries_however_long_it_is(the_venue, django_assert_num_queries):
    account = rich(real())
    app = app_of(account)
    for number in range(3):
        app.data(FUND, input=asked(account, "1.00", f"k{number}"))
    app.data(ALL)
    with django_assert_num_queries(2):
        assert len(app.data(ALL)["edges"]) == 3
