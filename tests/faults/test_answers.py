"""What the fault matrix does not say of trades under faults: the venue's own refusal, and a sale whose answer is lost.

Afterwards the mirror of the account equals the venue's own books, and the venue sold as many contracts as we have
trades with one.
"""

from decimal import Decimal

import pytest

from brokerage import proofs
from brokerage.models import Trade, TradingAccount
from tests.running import until

pytestmark = pytest.mark.processes


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


def test_a_refused_purchase_is_rejected_with_the_venues_reason(app):
    app.running.fault("refuse", call="buy", login_id=app.account()["loginId"], code="MarketIsClosed")
    trade = app.wait_final(app.place()["id"])
    assert (trade["state"], trade["problemCode"]) == ("REJECTED", "MarketIsClosed")
    check_books(app, bought=0)


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


def test_what_a_client_does_at_the_venue_without_us_is_booked_as_theirs_and_the_mirror_stays_equal(app):
    login_id = app.account()["loginId"]
    app.wait_final(app.place()["id"])
    purchase = {"kind": "buy", "contract_type": "CALL", "symbol": "1HZ100V", "stake": "7.00", "duration": 2,
                "duration_unit": "t", "app_id": 99}  # fmt: skip
    for body in ({"kind": "deposit", "amount": "5.00"}, {"kind": "withdrawal", "amount": "2.50"}, purchase):
        app.running.control(f"accounts/{login_id}/activity", body)
    until(
        lambda: all(each["status"] != "open" for each in app.running.books(login_id)["contracts"]),
        "it is over",
    )
    account = TradingAccount.objects.get(login_id=login_id)
    lines = account.venue_lines.filter(state="outside")
    until(lambda: lines.count() == 4, "the deposit, the withdrawal, the purchase and its end are known", 60)
    assert sorted(lines.values_list("action", flat=True)) == ["buy", "deposit", "sell", "withdrawal"]

    def is_equal():
        cash = TradingAccount.objects.select_related("cash").get(pk=account.pk).cash
        return str(cash.posted.quantize(Decimal("0.01"))) == app.running.books(login_id)["account"]["balance"]

    until(is_equal, "our mirror is the venue's balance")
    found = proofs.compare(TradingAccount.objects.select_related("cash").get(pk=account.pk))
    assert (found.unexplained, found.explanation) == (0, []) and not account.differences.exists()


def test_afterwards_the_ledger_and_the_event_log_hold(deployment):
    from django.core.management import call_command

    from backoffice import sequencer
    from backoffice.models import Event

    until(lambda: not Event.objects.unsequenced().exists(), "every event has its position")
    assert sequencer.verify().first_break is None
    call_command("verify_ledger")
    assert not Trade.objects.exclude(state__in=Trade.FINAL).exists()
