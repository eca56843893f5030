"""Lost answers and killed processes in the middle of a trade: bought once at most, settled, books equal.

Each test has a client of its own on one running deployment. Whatever falls over, afterwards the mirror of the
account equals the venue's own books, and the venue sold as many contracts as we have trades with one.
"""

from decimal import Decimal

import pytest

from brokerage import proofs
from brokerage.models import Trade, TradingAccount
from tests.running import LiveApp, until

pytestmark = pytest.mark.processes


@pytest.fixture
def app(deployment):
    app = LiveApp(deployment).sign_up()
    app.wait_for_account()
    return app


def state(trade):
    return Trade.objects.values_list("state", flat=True).get(uuid=trade["id"])


def check_books(app, *, bought):
    """Our mirror is the venue's own books, and the venue sold what we say it sold."""
    account = TradingAccount.objects.select_related("cash", "stakes").get(uuid=app.account()["id"])
    books = app.running.books(account.login_id)
    assert str(account.cash.posted.quantize(Decimal("0.01"))) == books["account"]["balance"]
    assert (account.cash.held, account.stakes.posted) == (0, 0)
    sold = sorted(contract["contract_id"] for contract in books["contracts"])
    ours = sorted(
        Trade.objects.filter(account=account, contract_id__isnull=False).values_list("contract_id", flat=True)
    )
    assert sold == ours and len(sold) == bought
    check_second_source(account)


def check_second_source(account):
    """The venue's own statement says the same of every trade, and nothing on it is left to explain."""
    until(
        lambda: not account.trades.filter(contract_id__isnull=False, confirmed_at__isnull=True).exists(),
        "the statement confirmed every trade", 60,
    )  # fmt: skip
    found = proofs.compare(account)
    assert (found.venue, found.unexplained, found.explanation) == (account.cash.posted, 0, [])
    assert not account.venue_lines.exclude(state__in=["opening", "matched"]).exists()
    assert not account.differences.exists()


@pytest.mark.parametrize("fault", ["lose_answer", "drop_after_purchase"])
def test_a_purchase_whose_answer_is_lost_is_found_at_the_venue_and_settles(app, fault):
    app.running.fault(fault, call="buy", login_id=app.account()["loginId"])
    trade = app.place()
    until(lambda: state(trade) == "uncertain", "the trade is uncertain")
    assert app.wait_final(trade["id"])["state"] in ("WON", "LOST")
    check_books(app, bought=1)


def test_a_purchase_lost_on_the_way_to_the_venue_was_never_placed(app):
    app.running.fault("drop_before_purchase", call="buy", login_id=app.account()["loginId"])
    trade = app.place()
    assert app.wait_final(trade["id"])["state"] == "NEVER_PLACED"
    assert app.account()["available"]["amount"] == "10000.00"
    check_books(app, bought=0)


def test_a_refused_purchase_is_rejected_with_the_venues_reason(app):
    app.running.fault("refuse", call="buy", login_id=app.account()["loginId"], code="MarketIsClosed")
    trade = app.wait_final(app.place()["id"])
    assert (trade["state"], trade["problemCode"]) == ("REJECTED", "MarketIsClosed")
    check_books(app, bought=0)


def test_a_busy_venue_is_asked_again_since_nothing_was_bought(app):
    app.running.fault("refuse", call="buy", login_id=app.account()["loginId"], code="RateLimit")
    assert app.wait_final(app.place()["id"])["state"] in ("WON", "LOST")
    check_books(app, bought=1)


@pytest.mark.parametrize("victim", ["workers", "streams"])
def test_killing_a_process_while_it_buys_buys_once(app, victim):
    running = app.running
    running.fault("delay", call="buy", login_id=app.account()["loginId"], seconds=1.5)
    trade = app.place()
    until(lambda: state(trade) == "submitting", "the purchase is on the wire")
    running.kill(victim)
    running.start(victim)
    final = app.wait_final(trade["id"], 90)
    # The venue had the purchase in hand or not: the answer is one of the two, never both and never twice.
    bought = len(running.books(app.account()["loginId"])["contracts"])
    assert final["state"] in (("WON", "LOST") if bought else ("NEVER_PLACED",))
    check_books(app, bought=bought)


@pytest.mark.parametrize("victim", ["workers", "streams", "simulator"])
def test_killing_a_process_while_a_contract_runs_settles_it_once(app, victim):
    running = app.running
    trade = app.place(duration=8)
    until(lambda: state(trade) == "open", "the trade is open")
    running.kill(victim)
    running.start(victim)
    assert app.wait_final(trade["id"], 90)["state"] in ("WON", "LOST")
    check_books(app, bought=1)


def test_selling_when_the_answer_is_lost_sells_once(app):
    running = app.running
    trade = app.place(symbol="1HZ100V", duration=60, durationUnit="SECONDS")
    until(lambda: state(trade) == "open", "the trade is open")
    running.fault("lose_answer", call="sell", login_id=app.account()["loginId"])
    sell = """mutation($id: ID!, $key: String!) { sellTrade(id: $id, key: $key) {
        ... on TradeAnswer { trade { state } } ... on Problem { code } } }"""

    def sold():
        app.data(sell, id=trade["id"], key="sell")
        return state(trade) == "sold"

    until(sold, "the trade is sold", 40)
    check_books(app, bought=1)


def test_afterwards_the_ledger_and_the_event_log_hold(deployment):
    from django.core.management import call_command

    from backoffice import sequencer
    from backoffice.models import Event

    until(lambda: not Event.objects.unsequenced().exists(), "every event has its position")
    assert sequencer.verify().first_break is None
    call_command("verify_ledger")
    assert not Trade.objects.exclude(state__in=Trade.FINAL).exists()
