"""Request budgets: never one too many in any window, never a place left empty, in all processes together."""

import asyncio
import threading

import pytest
from django.conf import settings as configured
from hypothesis import given, settings
from hypothesis import strategies as st

from backoffice import metrics
from backoffice.cache import async_redis, redis_client
from brokerage.deriv.budgets import Allowance
from brokerage.streams import budget
from brokerage.streams.budget import AccountBudget, take

SMALL = Allowance(5, seconds=8, reserved=2)
WINDOW = 8 + budget.WIRE_SECONDS


def in_loop(work):
    async def run():
        client = async_redis()
        try:
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(run())


def admitted(client, count, account="7", generation="v3", group="outcome", **given):
    """How many of so many requests get a place at once."""

    async def all_of_them():
        return sum(
            [(await take(client, account, generation, group, **given)).is_admitted for _ in range(count)]
        )

    return all_of_them()


class Model:
    """The same by the plainest means: all instants that ever were let through."""

    def __init__(self, allowance):
        self.allowance, self.left = allowance, []

    def take(self, at, urgent):
        count = self.allowance.count - (0 if urgent else self.allowance.reserved)
        recent = [each for each in self.left if each > at - WINDOW]
        if len(recent) < count:
            self.left.append(at)
            return True, at
        return False, recent[len(recent) - count] + WINDOW


ARRIVALS = st.lists(st.tuples(st.integers(0, 4_000), st.booleans()), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(arrivals=ARRIVALS, waits=st.booleans())
def test_no_window_holds_one_too_many_and_no_free_place_is_refused(arrivals, waits):
    """Each arrival is milliseconds after the one before; who finds no place may come again when told."""
    redis_client().flushdb()

    async def work(client):
        model, at = Model(SMALL), 1_000_000.0
        for gap, urgent in arrivals:
            at = round(at + gap / 1000, 3)
            taken = await take(client, "7", "v3", "general", urgent=urgent, at=at, allowance=SMALL)
            assert (taken.is_admitted, pytest.approx(taken.at)) == model.take(at, urgent)
            if waits and not taken.is_admitted:
                at = round(taken.at, 3)
                again = await take(client, "7", "v3", "general", urgent=urgent, at=at, allowance=SMALL)
                assert again.is_admitted and model.take(at, urgent)[0], (
                    "the told instant is when there is a place"
                )
        for instant in model.left:
            assert sum(instant <= other < instant + WINDOW for other in model.left) <= SMALL.count

    in_loop(work)


def test_a_clock_that_is_set_back_does_not_begin_a_window_anew(redis):
    async def work(client):
        given = {"urgent": True, "allowance": SMALL}
        assert await admitted(client, 9, group="general", at=1000.0, **given) == 5
        assert await admitted(client, 9, group="general", at=500.0, **given) == 0

    in_loop(work)


def many_threads(work):
    """Eight threads, each with an event loop and a connection of its own, begin at once; what each returned."""
    begin, found = threading.Barrier(8), []

    def thread():
        async def story(client):
            await client.ping()
            begin.wait()
            return await work(client)

        found.append(in_loop(story))

    threads = [threading.Thread(target=thread) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found


def test_if_counting_and_writing_were_two_steps_there_would_be_too_many(redis):
    async def in_two_steps(client):
        found = 0
        for _ in range(30):
            if await client.llen("log") < 25:
                await client.rpush("log", 1)
                found += 1
        return found

    assert sum(many_threads(in_two_steps)) > 25


def test_all_processes_share_one_budget(redis):
    assert sum(many_threads(lambda client: admitted(client, 30))) == 25


def test_accounts_groups_and_generations_have_budgets_of_their_own(redis):
    async def work(client):
        assert await admitted(client, 26) == 25
        assert await admitted(client, 26, account="8") == 25
        assert await admitted(client, 31, generation="v4") == 30
        assert await admitted(client, 100, group="pricing") == 72

    in_loop(work)


def test_the_last_places_are_kept_for_orders(redis):
    async def work(client):
        assert await admitted(client, 200, group="general") == 150
        assert await admitted(client, 200, group="general", urgent=True) == 30
        assert await admitted(client, 400, generation="v4", group="trading", urgent=True) == 360
        assert await admitted(client, 1, generation="v4", group="trading") == 0

    in_loop(work)


def test_limits_the_venue_tells_hold_for_everybody_from_then_on(redis):
    async def work(client):
        await budget.learn(client, "v3", {"general": 90, "outcome": 3, "pricing": 0, "unheard": 5})
        assert await admitted(client, 30) == 3
        assert await admitted(client, 100, account="8") == 3
        assert await admitted(client, 100, group="general") == 75, "the reserve shrinks with it"
        assert await admitted(client, 100, group="pricing") == 72, "no limit at all is not believed"
        assert await admitted(client, 100, generation="v4") == 30
        await budget.learn(client, "v3", {"outcome": 10})
        assert await admitted(client, 30) == 7
        assert budget.used(["7", "9"]) == {
            "7": {"v3 outcome": 1.0, "v3 general": 75 / 90, "v3 pricing": 0.9, "v4 outcome": 1.0}, "9": {}
        }  # fmt: skip

    in_loop(work)


async def asked(client, seconds, *calls, account="7", generation="v3"):
    """What becomes of so many requests put at once that want an answer within so many seconds."""
    admission = AccountBudget(client, account, generation)
    until = asyncio.get_running_loop().time() + seconds
    answers = await asyncio.gather(
        *(admission.admit(call, until=until, urgent=call == "buy") for call in calls), return_exceptions=True
    )
    return admission, ["admitted" if answer is None else answer.code for answer in answers]


def test_what_finds_no_place_in_time_fails_at_once_and_is_not_counted(redis):
    async def work(client):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        _, answers = await asked(client, 30, *["statement"] * 200)
        assert (answers.count("admitted"), answers.count("BUDGET")) == (25, 175)
        assert loop.time() - begun < 10, "nobody waits for what cannot come in time"
        assert redis.llen(budget.log_name("7", "v3", "outcome")) == 25

    in_loop(work)


def test_who_waits_gets_the_place_that_becomes_free(redis):
    async def work(client):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        _, answers = await asked(client, 6, *["ping"] * 12, generation="v4")
        assert answers == ["admitted"] * 12
        assert 3.0 <= loop.time() - begun < 6.0, "ten a second, and two seconds more for the wire"

    in_loop(work)


def test_an_order_does_not_stand_behind_questions_that_wait(redis):
    async def work(client):
        _, answers = await asked(client, 2, *["balance"] * 200, "buy")
        assert answers[-1] == "admitted" and answers.count("admitted") == 150

    in_loop(work)


def test_after_a_refusal_the_group_rests_for_everybody_longer_each_time_until_the_venue_takes_one(redis):
    async def work(client):
        admission, _ = await asked(client, 5, "statement")
        for _ in range(3):
            assert await budget.block(client, "7", "v3", "outcome") == 2.0, "a burst of refusals is one"
        _, answers = await asked(client, 0.5, "portfolio", "buy", "proposal")
        assert answers == ["BUDGET", "admitted", "admitted"]
        assert (await asked(client, 0.5, "statement", account="8"))[1] == ["admitted"]
        rests = budget.standing(["7"])["7"]["v3 outcome"].rests_for
        assert 0 < rests <= 2.0
        _, answers = await asked(client, 2.5, "statement", "statement")
        assert answers == ["admitted", "BUDGET"], "one tries for all"
        assert await budget.block(client, "7", "v3", "outcome") == 4.0
        admission, answers = await asked(client, 5, "statement")
        admission.accepted("statement")
        await asyncio.gather(*admission._telling)
        assert await admitted(client, 5) == 5
        assert await budget.block(client, "7", "v3", "outcome") == 2.0, "and all is forgotten"

    in_loop(work)


@pytest.mark.django_db
def test_the_venues_refusal_is_counted_and_remembered(redis):
    async def work(client):
        admission, _ = await asked(client, 5, "statement")
        admission.refused("statement")
        await asyncio.gather(*admission._telling)
        admission, answers = await asked(client, 0.2, "statement")
        await asyncio.gather(*admission._telling)
        assert answers == ["BUDGET"]

    metrics.flush()
    redis.flushdb()
    in_loop(work)
    text = metrics.render().decode()
    assert 'venue_rate_refusals_total{generation="v3",group="outcome"} 1.0' in text
    assert 'venue_budget_shortages_total{generation="v3",group="outcome"} 1.0' in text


def test_with_redis_away_nothing_leaves_but_a_heartbeat(monkeypatch):
    monkeypatch.setattr(configured, "REDIS_URL", "redis://127.0.0.1:1/0")

    async def work(client):
        assert (await asked(client, 1, "buy", "proposal", "ping"))[1] == [
            "BUDGET_UNKNOWN",
            "BUDGET_UNKNOWN",
            "admitted",
        ]

    in_loop(work)
