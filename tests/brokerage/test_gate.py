"""The order gate: the strictest setting that applies decides, and nothing leaves on a reading that is old."""

import asyncio
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backoffice.errors import InvalidInput, KeyReused
from backoffice.models import Event
from brokerage import execution, gate, placing
from brokerage.deriv.errors import Halted, NotSent
from brokerage.gate import Closed
from brokerage.models import OrderGate, Trade
from brokerage.streams.gate_watch import GateWatch
from tests import world
from tests.world import NOW, TESTER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data")]
SCOPES = ("everything", "symbol", "client", "account")
HERE = {"everything": "", "symbol": "R_100", "client": "3", "account": "7"}


def halt(target=None, state="halted"):
    return gate.change(target, state, by=TESTER, at=NOW, key=world.key(), reason="The feed is wrong.")


def let_through(rows, *, is_sale):
    try:
        gate.check_may_send(rows, symbol="R_100", client_id=3, account_id=7, is_sale=is_sale)
    except (gate.TradingHalted, gate.TradingReducing):
        return False
    return True


states = st.sampled_from(["active", "reducing", "halted"])


@given(own=st.tuples(states, states, states, states), others=st.lists(st.sampled_from(SCOPES[1:])))
def test_the_strictest_setting_that_applies_decides(own, others):
    rows = [
        Closed(scope, HERE[scope], state)
        for scope, state in zip(SCOPES, own, strict=True)
        if state != "active"
    ]
    rows += [Closed(scope, "another", "halted") for scope in others]
    assert let_through(rows, is_sale=False) == (set(own) == {"active"})
    assert let_through(rows, is_sale=True) == ("halted" not in own)


@pytest.mark.parametrize("scope", SCOPES)
def test_halted_refuses_purchases_and_sales_and_moves_nothing(scope):
    trade = world.opened()
    targets = {
        "everything": None, "symbol": trade.instrument, "client": trade.client, "account": trade.account,
    }  # fmt: skip
    halt(targets[scope])
    with pytest.raises(gate.TradingHalted):
        world.placed(trade.account)
    with pytest.raises(gate.TradingHalted):
        placing.request_sale(trade, by=TESTER, at=NOW, key="sell")
    trade.refresh_from_db()
    assert (Trade.objects.count(), trade.sale_requested_at) == (1, None)
    halt(targets[scope], "reducing")
    with pytest.raises(gate.TradingReducing):
        world.placed(trade.account)
    assert placing.request_sale(trade, by=TESTER, at=NOW, key="sell").sale_requested_at == NOW
    halt(targets[scope], "active")
    assert world.placed(trade.account).state == "queued"


def test_a_queued_trade_is_denied_and_its_stake_is_free():
    trade = world.placed()
    halt()
    trade = execution.submit(trade, now=lambda: NOW)
    trade.account.cash.refresh_from_db()
    assert (trade.state, trade.problem_code, trade.account.cash.held) == ("denied", "TRADING_HALTED", 0)


def test_a_change_is_an_event_with_its_reason_and_the_same_again_is_none():
    first = halt()
    assert halt().pk == first.pk and OrderGate.objects.count() == 1
    event = Event.objects.get(name="order_gate.changed")
    assert (event.payload["before"], event.payload["state"], event.reason.text) == (
        "active", "halted", "The feed is wrong.",
    )  # fmt: skip
    assert [row.state for row in first.history.order_by("history_id")] == ["halted"]


def test_a_change_needs_a_reason_a_state_and_a_key_of_its_own():
    with pytest.raises(InvalidInput):
        gate.change(None, "halted", by=TESTER, at=NOW, key="k", reason=" ")
    with pytest.raises(InvalidInput):
        gate.change(None, "shut", by=TESTER, at=NOW, key="k", reason="x")
    gate.change(None, "halted", by=TESTER, at=NOW, key="k", reason="x")
    with pytest.raises(KeyReused):
        gate.change(None, "active", by=TESTER, at=NOW, key="k", reason="x")
    assert OrderGate.objects.get().state == "halted"


def test_a_stricter_change_returns_when_no_older_reading_is_trusted_any_more(
    django_capture_on_commit_callbacks,
):
    begun = time.monotonic()
    with django_capture_on_commit_callbacks(execute=True):
        halt()
    assert time.monotonic() - begun >= gate.FRESH_SECONDS
    with django_capture_on_commit_callbacks() as waits:
        halt(state="reducing")
        halt(state="active")
    assert [wait for wait in waits if "sleep" in wait.__code__.co_names] == [], (
        "letting more through needs no wait"
    )


# ── the last look in streams ────────────────────────────────────────────────────────────────────────────────────

ORDER = {"gate": {"symbol": "R_100", "client_id": 3, "account_id": 7}}


def test_the_last_look_trusts_a_fresh_reading_only(monkeypatch):
    answers = itertools.chain([[], [Closed("everything", "", "halted")]])

    async def work():
        watch = GateWatch(lambda: next(answers))
        with pytest.raises(NotSent, match="GATE_UNKNOWN"):
            watch.check("buy", ORDER)
        await watch.watch()
        watch.check("buy", ORDER)
        watch._begun -= gate.FRESH_SECONDS
        with pytest.raises(NotSent, match="GATE_UNKNOWN"):
            watch.check("buy", ORDER)
        await watch.watch()
        with pytest.raises(Halted, match="TRADING_HALTED"):
            watch.check("buy", ORDER)

    asyncio.run(work())


def test_a_reading_counts_from_before_it_began(monkeypatch):
    async def work():
        def slow():
            time.sleep(gate.FRESH_SECONDS)
            return []

        watch = GateWatch(slow)
        await watch.watch()
        assert not watch.is_fresh, "what was committed while it was read may not be in it"

    asyncio.run(work())
