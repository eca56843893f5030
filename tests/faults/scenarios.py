"""The faults: how each falls on a client who trades. What must hold afterwards is the same for all (`checks`).

A fault that concerns one account may fall beside others; one that everybody feels falls alone.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.faults.crashing import STEPS
from tests.faults.stage import Client, Stage, trade_of
from tests.running import until

Fall = Callable[[Stage, Client], None]
# Ways to lose the answer to a purchase, done or not done.
LOST: Final = ("lose_answer", "drop_before_purchase", "drop_after_purchase")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault, in words, and how it falls. `alone`: everybody feels it."""

    name: str
    words: str
    fall: Fall
    alone: bool = False


SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(words: str, *, alone: bool = False) -> Callable[[Fall], Fall]:
    def declare(fall: Fall) -> Fall:
        SCENARIOS[fall.__name__] = Scenario(fall.__name__, words, fall, alone)
        return fall

    return declare


def on_one_call(name: str, words: str, fault: str, **given: Any) -> None:
    """A fault of the simulator that hits one of a client's purchases, drawn by the seed."""

    def fall(stage: Stage, client: Client) -> None:
        hit = client.draw.randrange(3)
        for number in range(3):
            if number == hit:
                stage.fault(client, fault, **given)
            trade = client.place()
            if number == hit:
                client.reaches(trade, "UNCERTAIN", "OPEN")
        if client.draw.random() < 0.3:
            client.sell(trade)

    fall.__name__ = name
    scenario(words)(fall)


on_one_call("dropped_before", "the socket dropped before the purchase", "drop_before_purchase")
on_one_call("dropped_after", "the socket dropped after the purchase", "drop_after_purchase")
on_one_call("answer_lost", "the answer to a purchase lost", "lose_answer", call="buy")
on_one_call(
    "answer_late", "the answer to a purchase later than anybody waits", "delay_answer", call="buy", seconds=5
)
on_one_call("proposal_lost", "the answer to a price lost", "lose_answer", call="proposal")
on_one_call("wrong_price", "a price that was not for what was asked", "wrong_proposal")
on_one_call("rate_limit", "one call too many", "rate_limit", call="buy")
on_one_call("late_settlement", "a contract settled late", "late_settlement", seconds=4)
on_one_call("refund", "a contract cancelled and refunded", "refund")


@scenario("the answer to a purchase, its frames and its jobs delivered twice")
def delivered_twice(stage: Stage, client: Client) -> None:
    stage.fault(client, "duplicate", call="buy", times=3)
    for kind in ("transaction", "proposal_open_contract"):
        stage.fault(client, "duplicate_frames", call=kind, times=50)
    for _ in range(2):
        trade = trade_of(client, client.place())
        for actor in ("submit", "follow_up", "submit", "reconcile", "sell", "submit"):
            stage.send_again(f"trading.{actor}", trade)
            time.sleep(client.draw.uniform(0, 0.15))
    for actor in ("read_statement", "lay_lines", "read_statement"):
        stage.send_again(f"trading.{actor}", client.pk)


@scenario("frames lost, late and out of order")
def frames_astray(stage: Stage, client: Client) -> None:
    stage.fault(client, "lose_frames", call="transaction", times=client.draw.randrange(1, 4))
    stage.fault(client, "lose_frames", call="proposal_open_contract", times=client.draw.randrange(1, 9))
    stage.fault(client, "delay_frames", call="transaction", times=2, seconds=1.5)
    stage.fault(client, "reorder_frames", call="proposal_open_contract", times=5, seconds=1)
    for _ in range(3):
        client.place()


@scenario("the lease lost while a purchase is on the wire")
def lease_lost(stage: Stage, client: Client) -> None:
    client.place()
    stage.fault(client, "delay", call="buy", seconds=1.0)
    trade = client.place()
    until(lambda: client.trade(trade)["state"] != "QUEUED", "the purchase is on its way", 60)
    time.sleep(client.draw.uniform(0, 0.8))
    if client.draw.random() < 0.5:
        stage.redis.delete(f"venue:lease:{client.pk}")
    else:
        # Somebody else takes the account for a moment, as after a long pause of the whole process.
        stage.redis.set(f"venue:lease:{client.pk}", "somebody else", px=int(client.draw.uniform(500, 3000)))
    client.place()


@scenario("the account moved to the other generation while it buys and while a contract runs")
def generation_changed(stage: Stage, client: Client) -> None:
    other = "v3" if client.generation == "v4" else "v4"
    client.reaches(client.place(duration=8), "OPEN")
    stage.speak(client, other)
    stage.fault(client, "delay", call="buy", seconds=1.5)
    client.place()
    time.sleep(client.draw.uniform(0, 1.5))
    stage.speak(client, client.generation)
    client.place()


@scenario("the answer to one of several identical purchases lost")
def identical_beside(stage: Stage, client: Client) -> None:
    terms = {"side": "CALL", "stake": f"{client.draw.randrange(100, 900)}.00", "duration": 3}
    hit = client.draw.randrange(3)
    for number in range(3):
        if number == hit:
            stage.fault(client, client.draw.choice(LOST), call="buy")
        client.place(**terms)


def at_a_step(step: str, words: str) -> None:
    """A worker that dies at one exact step of a purchase, a sale or a settlement."""
    sells = step.startswith("sell")

    def fall(stage: Stage, client: Client) -> None:
        stage.arm(client, step)
        for _ in range(5):  # a worker that dies for somebody else may have taken this one's step with it
            trade = client.place_to_sell() if sells else client.place()
            if stage.has_fallen(client, step, trade, sells=sells):
                break
        client.place()

    fall.__name__ = step
    scenario(words)(fall)


for _step, _words in STEPS.items():
    at_a_step(_step, _words)


# ── what everybody feels ────────────────────────────────────────────────────────────────────────────────────────


def trading(client: Client) -> None:
    """Trades on their way, the moment drawn by the seed."""
    client.place()
    client.place(duration=8)
    time.sleep(client.draw.uniform(0, 1.2))


def while_buying(stage: Stage, client: Client) -> None:
    """A purchase on the wire, the moment drawn by the seed."""
    stage.fault(client, "delay", call="buy", seconds=client.draw.uniform(0.5, 2.0))
    for _ in range(5):  # what else falls over meanwhile may keep one from reaching the venue
        trade = client.place()
        until(
            lambda trade=trade: not stage.not_fallen(client) or client.trade(trade)["isFinal"],
            "the purchase has reached the venue, or will not",
            60,
            every=0.1,
        )  # type: ignore[misc]
        if not stage.not_fallen(client):
            break
    time.sleep(client.draw.uniform(0, 0.8))


@scenario("`streams` killed while it buys", alone=True)
def streams_killed_buying(stage: Stage, client: Client) -> None:
    while_buying(stage, client)
    stage.restart("streams")


@scenario("`streams` killed while a contract runs", alone=True)
def streams_killed_running(stage: Stage, client: Client) -> None:
    client.reaches(client.place(duration=8), "OPEN")
    stage.restart("streams")


@scenario("a worker killed while it waits for the venue", alone=True)
def worker_killed(stage: Stage, client: Client) -> None:
    while_buying(stage, client)
    stage.restart("workers")


@scenario("a worker killed while a contract runs", alone=True)
def worker_killed_running(stage: Stage, client: Client) -> None:
    client.reaches(client.place(duration=8), "OPEN")
    time.sleep(client.draw.uniform(0, 1.5))
    stage.restart("workers")


@scenario("Redis restarted", alone=True)
def redis_restarted(stage: Stage, client: Client) -> None:
    trading(client)
    stage.restart_redis()
    client.place()


@scenario("PostgreSQL restarted", alone=True)
def postgresql_restarted(stage: Stage, client: Client) -> None:
    trading(client)
    stage.restart_postgresql()
    client.place()


@scenario("the simulator killed and started again", alone=True)
def simulator_killed(stage: Stage, client: Client) -> None:
    trading(client)
    stage.restart("simulator")
    client.place()


@scenario("the venue away for a while", alone=True)
def venue_away(stage: Stage, client: Client) -> None:
    trading(client)
    stage.running.condition("restart", client.draw.uniform(0.5, 3))
    client.place()


@scenario("the feed standing still", alone=True)
def feed_frozen(stage: Stage, client: Client) -> None:
    client.place()
    stage.running.condition("frozen_feed", client.draw.uniform(2, 6))
    client.place()
    time.sleep(client.draw.uniform(0, 1))
    client.place()


@scenario("the venue updating", alone=True)
def venue_updating(stage: Stage, client: Client) -> None:
    trading(client)
    stage.running.condition("updating", client.draw.uniform(1, 4))
    client.place()
