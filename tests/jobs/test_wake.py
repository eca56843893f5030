"""Nudges after commit: none before it, none after a rollback, and no harm without Redis."""

import json
import logging
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings
from redis import Redis

from backoffice import cache
from backoffice.logs import bind
from backoffice.wake import notify, wake, wake_swept
from tests.jobs.conftest import Working


def queued(redis: Redis, queue: str) -> list[dict[str, Any]]:
    """The messages on a queue, in the order they came."""
    ids = redis.lrange(f"dramatiq:{queue}", 0, -1)
    return [json.loads(redis.hget(f"dramatiq:{queue}.msgs", one) or "{}") for one in ids]


@pytest.mark.django_db(transaction=True)
def test_a_nudge_leaves_when_the_transaction_commits_and_not_before(redis: Redis, working: Working) -> None:
    with transaction.atomic():
        wake(f"{working.queue}.submit", 7, "a")
        assert queued(redis, working.queue) == []
    message = queued(redis, working.queue)[0]
    assert (message["actor_name"], message["queue_name"]) == (f"{working.queue}.submit", working.queue)
    assert message["args"] == [7, "a"]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_sends_nothing(redis: Redis, working: Working) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        wake(f"{working.queue}.submit", 7)
        notify("live:trades", {"id": 7})
        raise RuntimeError("rolled back")
    assert queued(redis, working.queue) == []


def test_outside_of_a_transaction_a_nudge_leaves_at_once_and_needs_no_database(
    redis: Redis, working: Working
) -> None:
    wake(f"{working.queue}.submit", 7)
    assert len(queued(redis, working.queue)) == 1


def test_a_nudge_carries_the_correlation_id_of_its_caller(redis: Redis, working: Working) -> None:
    with bind("corr-from-request"):
        wake(f"{working.queue}.submit", 7)
    assert queued(redis, working.queue)[0]["options"]["correlation_id"] == "corr-from-request"


def test_what_a_sweep_finds_again_while_its_job_waits_is_not_put_on_the_queue_twice(
    redis: Redis, working: Working
) -> None:
    name = working.declare("submit", working.ran.append)
    wake_swept(name, 7)
    wake_swept(name, 7)
    wake_swept(name, 8)
    assert [message["args"] for message in queued(redis, working.queue)] == [[7], [8]]
    working.start()
    working.broker.join(working.queue, timeout=10_000)
    assert working.ran == [7, 8] or working.ran == [8, 7]
    working.worker.pause()
    wake_swept(name, 7)  # the job has begun since: what it left undone may be woken at once
    assert redis.keys("waits:*") == [f"waits:{name}:7"]
    assert 0 < redis.ttl(f"waits:{name}:7") <= 20


def test_a_notice_reaches_whoever_listens(redis: Any) -> None:
    with redis.pubsub(ignore_subscribe_messages=True) as listening:
        listening.subscribe("live:trades")
        listening.get_message(timeout=5)  # the confirmation
        notify("live:trades", {"id": 7})
        heard = listening.get_message(timeout=5)
    assert json.loads(heard["data"]) == {"id": 7}


def test_without_redis_a_nudge_is_logged_and_nothing_raised(
    working: Working,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nowhere = Redis.from_url(f"unix://{tmp_path}/nobody.sock", decode_responses=True)
    monkeypatch.setattr(working.broker, "client", nowhere)
    scripts = {
        name: nowhere.register_script(script.script) for name, script in working.broker.scripts.items()
    }
    monkeypatch.setattr(working.broker, "scripts", scripts)
    cache._pool.cache_clear()
    try:
        with override_settings(REDIS_URL=f"unix://{tmp_path}/nobody.sock"), caplog.at_level(logging.WARNING):
            wake(f"{working.queue}.submit", 7)
            notify("live:trades", {"id": 7})
    finally:
        cache._pool.cache_clear()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert f"{working.queue}.submit was not woken" in caplog.messages[0]
