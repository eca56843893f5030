"""Sockets that wait for the same share each reading: no nudge is lost, and nobody takes another's answer away."""

import asyncio
import threading

import pytest

from graphql_api import live, sharing

pytestmark = pytest.mark.usefixtures("redis")
TOPIC = "trade:1"


class Readings:
    """What was read, and how often; a reading can be held up."""

    def __init__(self):
        self.many, self.go_on = 0, threading.Event()
        self.go_on.set()
        self.begun = threading.Event()

    def __call__(self, seen):
        self.many += 1
        number = self.many
        self.begun.set()
        assert self.go_on.wait(20)
        if seen == "nonsense":
            raise ValueError("no such cursor")
        return (seen, number)


def in_a_loop(story):
    """Run a story on a hub of its own; nothing of it goes on afterwards."""

    async def whole():
        hub = live.Hub()
        try:
            await asyncio.wait_for(story(hub, Readings()), 30)
        finally:
            while hub._tasks:  # the Redis client takes a cancellation for itself at times
                for task in list(hub._tasks):
                    task.cancel()
                await asyncio.wait(list(hub._tasks), timeout=0.1)

    asyncio.run(whole())


async def waits(*coroutines):
    """The coroutines as tasks that have gone as far as they get by themselves."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    await asyncio.sleep(0)
    return tasks


def test_those_who_ask_the_same_share_one_reading_for_each_nudge():
    async def story(hub, readings):
        with hub.listening([TOPIC]) as one, hub.listening([TOPIC]) as other:
            first = await one.read(readings, 0)
            assert await other.read(readings, 0) is first
            tasks = await waits(one.next(readings, 0), other.next(readings, 0), other.next(readings, 1))
            hub._nudge(frozenset([TOPIC]))
            mine, theirs, another = await asyncio.gather(*tasks)
            assert mine is theirs and mine != first
            assert another[0] == 1 and readings.many == 3

    in_a_loop(story)


def test_what_happens_while_somebody_reads_is_looked_at_again_at_once():
    async def story(hub, readings):
        with hub.listening([TOPIC]) as one:
            await one.read(readings, 0)
            readings.go_on.clear()
            readings.begun.clear()
            (task,) = await waits(one.next(readings, 0))
            hub._nudge(frozenset([TOPIC]))
            await asyncio.get_running_loop().run_in_executor(None, readings.begun.wait, 20)
            hub._nudge(frozenset([TOPIC]))  # the reading under way may not have seen this
            readings.go_on.set()
            assert await task == (0, 2)
            assert await one.next(readings, 0) == (0, 3)

    in_a_loop(story)


def test_a_socket_that_goes_away_takes_nobody_s_answer_with_it():
    async def story(hub, readings):
        with hub.listening([TOPIC]) as stays:
            readings.go_on.clear()
            with hub.listening([TOPIC]) as goes:
                going, staying = await waits(goes.read(readings, 0), stays.read(readings, 0))
                going.cancel()
                await asyncio.gather(going, return_exceptions=True)
            readings.go_on.set()
            assert await staying == (0, 1)
        assert not hub._waiting and not hub._with and not hub._known and not hub._asked

    in_a_loop(story)


def test_a_refusal_is_told_to_everybody_who_asked():
    async def story(hub, readings):
        with hub.listening([TOPIC]) as one, hub.listening([TOPIC]) as other:
            tasks = await waits(one.next(readings, "nonsense"), other.next(readings, "nonsense"))
            hub._nudge(frozenset([TOPIC]))
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert [str(error) for error in found] == ["no such cursor"] * 2
            assert readings.many == 1

    in_a_loop(story)


def test_a_nudge_of_another_topic_wakes_nobody():
    async def story(hub, readings):
        with hub.listening([TOPIC, "client:2"]) as both:
            (task,) = await waits(both.next(readings, 0))
            hub._hear("live:trades", {"trade": "7"})
            await asyncio.sleep(0)
            assert not task.done() and readings.many == 0
            hub._hear("live:events", {"clients": ["2", "3"]})
            assert await task == (0, 1)

    in_a_loop(story)


def test_a_shared_message_is_encoded_once_and_sent_under_each_id():
    data = sharing.SharedData({"tradeStatus": {"version": 2}})
    texts = [sharing.encode({"id": name, "type": "next", "payload": {"data": data}}) for name in ("1", 'a"b')]
    assert texts[0] == '{"id":"1","type":"next","payload":{"data":{"tradeStatus":{"version":2}}}}'
    assert texts[1] == '{"id":"a\\"b","type":"next","payload":{"data":{"tradeStatus":{"version":2}}}}'
    with_error = {"id": "1", "type": "next", "payload": {"data": data, "errors": [{"message": "No."}]}}
    assert '"errors":[{"message":"No."}]' in sharing.encode(with_error)
