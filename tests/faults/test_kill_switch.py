"""The kill switch under load: no purchase leaves after it returns, and what was bought goes on and settles."""

import threading
import time

import pytest
from django.utils import timezone

from backoffice.who import By
from brokerage import gate
from brokerage.models import Trade
from tests import world
from tests.running import LiveApp, until

pytestmark = pytest.mark.processes
STAFF = By.system("tester")
CLIENTS = 3


def change(state):
    return gate.change(None, state, by=STAFF, at=timezone.now(), key=world.key(), reason="A drill.")


class Trader(threading.Thread):
    """A client app that places one trade after the other, whatever it is answered."""

    def __init__(self, running):
        super().__init__()
        self.app = LiveApp(running).sign_up()
        self.login_id = self.app.wait_for_account()["loginId"]
        self.answers, self.stopped = [], threading.Event()

    def run(self):
        side = 0
        while not self.stopped.is_set():
            side += 1
            answer = self.app.try_to_place(
                side="CALL" if side % 2 else "PUT", stake=f"{1 + side % 9}.00", duration=5
            )
            self.answers.append(answer.get("code") or "PLACED")

    def bought(self):
        return len(self.app.running.books(self.login_id)["contracts"])


@pytest.fixture
def traders(deployment):
    found = [Trader(deployment) for _ in range(CLIENTS)]
    yield found
    for trader in found:
        trader.stopped.set()
        trader.join(30)
    if gate.closed():
        change("active")


def test_no_purchase_leaves_after_the_kill_switch_returns_and_contracts_still_settle(traders):
    for trader in traders:
        trader.start()
    until(lambda: all(trader.bought() >= 3 for trader in traders), "every client has bought")
    begun = time.monotonic()
    change("halted")
    held_after, returned = time.monotonic() - begun, time.time()
    until(
        lambda: not Trade.objects.in_flight().exists() and not Trade.objects.queued().exists(),
        "what was on the wire is recorded, what was queued is denied",
    )
    bought = [trader.bought() for trader in traders]
    tried = [len(trader.answers) for trader in traders]
    until(
        lambda: all(len(trader.answers) > n + 10 for trader, n in zip(traders, tried, strict=True)),
        "the clients keep trying",
    )
    assert [trader.bought() for trader in traders] == bought
    arrived = [row["at"] for trader in traders for row in trader.app.running.received("buy", trader.login_id)]
    assert arrived and max(arrived) <= returned, "no purchase reached the venue after the switch returned"
    assert all(set(trader.answers[-10:]) == {"TRADING_HALTED"} for trader in traders)
    until(lambda: not Trade.objects.exclude(state__in=Trade.FINAL).exists(), "every contract settled", 60)
    assert held_after >= gate.FRESH_SECONDS, "it returns no sooner than it holds"
    change("active")
    until(
        lambda: all(trader.bought() > n for trader, n in zip(traders, bought, strict=True)), "trading goes on"
    )
