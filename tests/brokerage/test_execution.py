"""The sweeps: whatever a lost nudge or a dead process left behind is picked up, and nothing that is not due."""

import json
import threading
from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
from django.conf import settings

from backoffice.cache import redis_client
from brokerage import execution, placing, trades, venue
from brokerage.deriv.serial import to_json
from brokerage.deriv.types import ContractState, Proposal
from tests import world
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]


def woken(redis, capture, work):
    """What `work` enqueued after its commit: actors with their first argument."""
    redis.flushdb()
    with capture(execute=True):
        work()
    messages = [json.loads(text) for text in redis.hvals("dramatiq:trading.msgs")]
    return sorted((message["actor_name"], *message["args"]) for message in messages)


def at(seconds):
    return lambda: NOW + timedelta(seconds=seconds)


def test_a_sweep_picks_up_what_is_due_and_leaves_the_rest(redis, django_capture_on_commit_callbacks):
    account = world.account()
    queued = world.placed(account, stake="1.00")
    sent = world.submitting(world.placed(account, stake="2.00"))
    running = world.opened(world.placed(account, stake="3.00"), expires_at=NOW + timedelta(seconds=30))
    expired = world.opened(world.placed(account, stake="4.00"))
    unsold = world.opened(world.placed(account, stake="5.00"), expires_at=NOW + timedelta(minutes=5))
    placing.request_sale(unsold, by=TESTER, at=NOW, key=world.key())
    waiting = world.client().client.trading_accounts.get()

    def sweep(seconds):
        return woken(redis, django_capture_on_commit_callbacks, lambda: execution.sweep(now=at(seconds)))

    assert sweep(1) == [("trading.open_account", waiting.pk)]
    assert sweep(11) == [("trading.open_account", waiting.pk), ("trading.submit", queued.pk)]
    due = sweep(25)
    assert ("trading.follow_up", expired.pk) in due and ("trading.follow_up", running.pk) not in due
    assert ("trading.sell", unsold.pk) in due
    sent.refresh_from_db()
    assert (sent.state, sent.problem_code) == ("uncertain", "NO_ANSWER"), (
        "nobody waits for its answer any more"
    )
    assert ("trading.reconcile", sent.pk) in due
    assert woken(redis, django_capture_on_commit_callbacks, execution.sweep_uncertain) == [
        ("trading.reconcile", sent.pk)
    ]


def test_a_trade_that_waited_too_long_is_denied_and_never_bought_late():
    trade = world.placed()
    trade = execution.submit(trade, now=at(45))
    assert (trade.state, trade.problem_code) == ("denied", "NOT_BOUGHT_IN_TIME")
    trade.account.cash.refresh_from_db()
    assert trade.account.cash.held == 0


def test_without_a_connection_a_trade_stays_queued_and_says_why(redis, monkeypatch):
    monkeypatch.setattr(execution, "PRICE_SECONDS", -0.9)
    trade = execution.submit(world.placed(), now=at(1))
    assert (trade.state, trade.problem_code) == ("queued", "NO_CONNECTION")
    assert trade.why == execution.WAITING
    assert settings.CONFIG.venue_timeout_seconds > 0


class Answers(threading.Thread):
    """Stands where `streams` stands: gives each call the same answer every time, and counts the calls."""

    def __init__(self, redis, account, **answers):
        super().__init__()
        self.redis, self.link, self.answers = redis, str(account.pk), answers
        self.asked, self.ended = Counter(), threading.Event()

    def run(self):
        while not self.ended.is_set():
            if found := self.redis.blpop([venue.list_name(self.link)], timeout=0.1):
                question = json.loads(found[1])
                self.asked[question["call"]] += 1
                self.redis.rpush(venue.reply_name(question["id"]), json.dumps(self.answers[question["call"]]))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *problem):
        self.ended.set()
        self.join()


OFFER = Proposal("p1", Decimal("1.00"), Decimal("1.95"), Decimal("100.00"), 5, 5, "words")
SHORT = {"error": {"class": "RetryLater", "code": "BUDGET", "message": "too many", "field": None}}


@pytest.mark.parametrize(
    "answers", [{"proposal": SHORT}, {"proposal": {"result": to_json(OFFER)}, "buy": SHORT}]
)
def test_a_trade_for_which_the_account_asked_too_often_waits_and_is_tried_again_by_the_sweep_alone(
    redis, django_capture_on_commit_callbacks, answers
):
    account = world.account()
    trade, other = world.placed(account, stake="1.00"), world.placed(account, stake="1.00", side="PUT")
    with (
        Answers(redis_client(), account, **answers) as streams,
        django_capture_on_commit_callbacks(execute=True),
    ):
        found = execution.submit(trade, now=at(1))
    assert (found.state, found.problem_code) == ("queued", "BUDGET")
    assert streams.asked == dict.fromkeys(answers, 1)
    messages = [json.loads(text) for text in redis.hvals("dramatiq:trading.msgs")]
    assert [message["args"] for message in messages if message["args"] == [other.pk]] == [], "no ping-pong"

    def sweep():
        execution.sweep(now=at(11))

    assert woken(redis, django_capture_on_commit_callbacks, sweep) == [
        ("trading.submit", trade.pk), ("trading.submit", other.pk)
    ]  # fmt: skip


def test_only_a_sold_contract_settles_and_an_expired_one_does_not():
    trade = world.opened()
    frame = {
        "contract_id": trade.contract_id, "status": "open", "is_sold": False, "is_expired": True,
        "is_valid_to_sell": False, "contract_type": "CALL", "symbol": "R_100", "currency": "USD",
        "buy_price": trade.buy_price, "bid_price": None, "payout": trade.payout, "sell_price": None, "sell_time": None,
        "purchase_time": 1, "date_start": 1, "date_expiry": 2, "entry_spot": None, "entry_spot_at": None,
        "exit_spot": None, "exit_spot_at": None, "current_spot": None, "current_spot_at": None, "profit": None,
        "buy_transaction_id": 1, "sell_transaction_id": None, "commission": None, "app_markup_amount": None,
        "shortcode": "", "longcode": "",
    }  # fmt: skip
    assert execution.observe(trade.account, ContractState(**frame), now=at(20)).state == "open"
    ended = {**frame, "status": "won", "is_sold": True, "sell_price": trade.payout, "sell_time": 3}
    assert execution.observe(trade.account, ContractState(**ended), now=at(21)).state == "won"
    assert execution.observe(trade.account, ContractState(**{**ended, "contract_id": 1}), now=at(22)) is None


def test_a_connection_that_is_back_has_everything_unfinished_looked_at(
    redis, django_capture_on_commit_callbacks
):
    account = world.account()
    queued = world.placed(account, stake="1.00")
    lost = trades.mark_uncertain(
        world.submitting(world.placed(account)), code="x", message="", by=TESTER, at=NOW
    )
    expired = world.opened(world.placed(account, stake="4.00"))
    found = woken(redis, django_capture_on_commit_callbacks, lambda: execution.catch_up(account, now=at(60)))
    assert found == [
        ("trading.follow_up", expired.pk), ("trading.read_statement", account.pk), ("trading.reconcile", lost.pk),
        ("trading.submit", queued.pk),
    ]  # fmt: skip
