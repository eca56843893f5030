"""Trading over the API: what an app gets, what is refused, and what it costs."""

import pytest

from brokerage import placing, trades
from brokerage.models import Trade
from compliance.models import Membership
from ledger.models import Entry, Hold
from tests import world
from tests.edges.api import PROBLEM, TRADE, App, app_of
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
SELL = f"mutation($id: ID!, $key: String!) {{ sellTrade(id: $id, key: $key) {{ {TRADE} }} }}"
CANCEL = f"mutation($id: ID!, $key: String!) {{ cancelTrade(id: $id, key: $key) {{ {TRADE} }} }}"
ONE = "query($id: ID!) { trade(id: $id) { id state why } }"
PAGE = """query($first: Int, $after: String, $last: Int, $before: String, $filter: TradeFilter, $order: TradeOrder! = NEWEST_FIRST) {
    trades(first: $first, after: $after, last: $last, before: $before, filter: $filter, order: $order) {
        edges { cursor node { id state stake { amount } account { balance { amount } } instrument { symbol } } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


def moved():
    return Trade.objects.count(), Entry.objects.count(), Hold.objects.count()


def test_placing_a_trade_answers_with_it_and_the_balances_after():
    answer = app_of(world.account()).place()
    assert answer["trade"]["state"] == "QUEUED"
    assert answer["trade"]["stake"] == {"amount": "10.00", "currency": "USD"}
    assert answer["account"]["available"] == {"amount": "9990.00"}


def test_the_same_key_is_the_same_trade_and_other_content_is_refused():
    app = app_of(world.account())
    first = app.place(key="k")
    before = moved()
    assert app.place(key="k")["trade"]["id"] == first["trade"]["id"]
    refused = app.place(key="k", stake="11.00")
    assert (refused["code"], refused["field"], moved()) == ("KEY_REUSED", "key", before)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"symbol": "NOPE"}, "UNKNOWN_INSTRUMENT", "symbol"),
        ({"stake": "0.01"}, "STAKE_OUT_OF_RANGE", "stake"),
        ({"stake": "99999"}, "STAKE_OUT_OF_RANGE", "stake"),
        ({"stake": "1.234"}, "INVALID_AMOUNT", "stake"),
        ({"duration": 11}, "DURATION_NOT_OFFERED", "duration"),
        ({"duration": 1, "durationUnit": "SECONDS"}, "DURATION_NOT_OFFERED", "duration"),
        ({"account": "not-an-id"}, "NOT_FOUND", "account"),
        ({"account": "01a1fd60-ec97-70b3-8b6f-351f1099426d"}, "NOT_FOUND", "account"),
    ],
)
def test_what_cannot_be_placed_names_its_field_and_moves_nothing(given, code, field):
    app = app_of(world.account())
    before = moved()
    refused = app.place(**given)
    assert (refused["code"], refused["field"], moved()) == (code, field, before)


def test_more_than_is_available_cannot_be_staked():
    app = app_of(world.account(balance="5.00"))
    assert app.place()["code"] == "INSUFFICIENT_FUNDS"


def test_another_clients_account_and_trade_look_like_none():
    mine, theirs = world.account(), world.opened()
    app = app_of(mine)
    assert app.place(account=str(theirs.account.uuid))["code"] == "NOT_FOUND"
    assert app.data(ONE, id=str(theirs.uuid)) is None
    assert app.data(ONE, id="01a1fd60-ec97-70b3-8b6f-351f1099426d") is None
    for mutation in (SELL, CANCEL):
        refused = app.data(mutation, id=str(theirs.uuid), key="k")
        assert (refused["code"], refused["message"]) == ("NOT_FOUND", "There is no such trade.")
    theirs.refresh_from_db()
    assert theirs.sale_requested_at is None
    assert app.data(PAGE, first=10)["edges"] == []


def test_a_viewer_sees_and_does_not_trade():
    account = world.account()
    trade = world.opened(world.placed(account))
    Membership.objects.filter(client=account.client).update(role="viewer")
    app = app_of(account)
    before = moved()
    assert app.data(ONE, id=str(trade.uuid))["state"] == "OPEN"
    assert app.place()["code"] == "NOT_ALLOWED"
    assert app.data(SELL, id=str(trade.uuid), key="k")["code"] == "NOT_ALLOWED"
    assert moved() == before


def test_selling_is_asked_for_once_however_often_the_app_asks():
    trade = world.opened()
    app = app_of(trade.account)
    first = app.data(SELL, id=str(trade.uuid), key="k")["trade"]
    assert (first["state"], app.data(SELL, id=str(trade.uuid), key="k")["trade"]["version"]) == (
        "OPEN",
        first["version"],
    )
    other = world.opened(world.placed(trade.account, stake="12.00"))
    assert app.data(SELL, id=str(other.uuid), key="k")["code"] == "KEY_REUSED"


def test_a_queued_trade_can_be_cancelled_and_an_open_one_not():
    account = world.account()
    app = app_of(account)
    queued = app.place()["trade"]
    assert app.data(CANCEL, id=queued["id"], key="c1")["trade"]["state"] == "WITHDRAWN"
    opened = world.opened(world.placed(account))
    assert app.data(CANCEL, id=str(opened.uuid), key="c2")["code"] == "NOT_QUEUED"


def test_pages_follow_each_other_both_ways_without_a_gap():
    account = world.account()
    placed = [str(world.placed(account).uuid) for _ in range(5)]
    newest = sorted(placed, reverse=True)
    app = app_of(account)
    one = app.data(PAGE, first=2)
    two = app.data(PAGE, first=2, after=one["pageInfo"]["endCursor"])
    three = app.data(PAGE, first=2, after=two["pageInfo"]["endCursor"])
    pages = [[edge["node"]["id"] for edge in page["edges"]] for page in (one, two, three)]
    assert pages == [newest[:2], newest[2:4], newest[4:]]
    assert [page["pageInfo"]["hasNextPage"] for page in (one, two, three)] == [True, True, False]
    back = app.data(PAGE, last=2, before=three["pageInfo"]["startCursor"])
    assert [edge["node"]["id"] for edge in back["edges"]] == newest[2:4]
    oldest = app.data(PAGE, first=5, order="OLDEST_FIRST")
    assert [edge["node"]["id"] for edge in oldest["edges"]] == newest[::-1]


def test_filters_choose_by_state_symbol_account_and_finality():
    account = world.account()
    won = trades.settle(world.opened(world.placed(account)), world.outcome(), by=TESTER, at=NOW)
    queued = world.placed(account, symbol="R_50")
    app = app_of(account)

    def ids(**given):
        return [edge["node"]["id"] for edge in app.data(PAGE, first=10, filter=given)["edges"]]

    assert ids(state=["WON"]) == ids(isFinal=True) == ids(symbol="R_100") == [str(won.uuid)]
    assert ids(isFinal=False) == ids(symbol="R_50") == [str(queued.uuid)]
    assert ids(account=str(world.account().uuid)) == []
    assert ids(placedBefore=NOW.isoformat()) == []


@pytest.mark.parametrize("given", [{"first": 101}, {"first": -1}, {"first": 1, "last": 1}, {"after": "!"}])
def test_a_page_that_cannot_be_given_is_refused(given):
    assert app_of(world.account()).code(PAGE, **given) == "INVALID_INPUT"


def test_a_page_of_trades_costs_two_queries_however_long_it_is(django_assert_num_queries):
    account = world.account()
    app = app_of(account)
    for _ in range(3):
        world.placed(account)
    app.data(PAGE, first=50)  # currencies are read once a minute
    with django_assert_num_queries(2):  # who asks, and the page
        assert len(app.data(PAGE, first=50)["edges"]) == 3
    for _ in range(7):
        world.placed(account)
    with django_assert_num_queries(2):
        assert len(app.data(PAGE, first=50)["edges"]) == 10


def test_a_sale_of_a_trade_that_is_not_open_is_refused():
    trade = world.placed()
    app = app_of(trade.account)
    assert app.data(SELL, id=str(trade.uuid), key="k")["code"] == "NOT_OPEN"
    with pytest.raises(placing.NotOpen):
        placing.request_sale(trade, by=TESTER, at=NOW, key="k2")


def test_instruments_are_listed_with_their_limits():
    rows = app_of(world.account()).data("{ instruments { symbol minStake maxTicks isOpen } }")
    assert {"symbol": "R_100", "minStake": "0.35", "maxTicks": 10, "isOpen": True} in rows
    assert (
        App().data(f"mutation {{ logOut {{ ... on LoggedOut {{ loggedOut }} {PROBLEM} }} }}")["code"]
        == "NOT_AUTHENTICATED"
    )
