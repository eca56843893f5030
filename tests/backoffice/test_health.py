"""Health, metrics and the request's correlation id, over HTTP."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from redis import Redis

from backoffice import cache, heartbeat, metrics
from backoffice.configuration import configuration
from backoffice.health import PROCESSES


@pytest.mark.django_db
def test_ready_is_503_with_a_sentence_for_each_process_that_is_silent_and_200_once_all_beat(
    client: Client, redis: Redis
) -> None:
    answer = client.get("/health/ready")
    checks = json.loads(answer.content)["checks"]
    assert answer.status_code == 503
    assert checks["worker"] == {"ok": False, "reason": "No worker process has been heard of lately."}
    assert checks["database"] == checks["redis"] == checks["migrations"] == {"ok": True, "reason": ""}
    for kind in PROCESSES:
        heartbeat.beat(heartbeat.own_name(kind))
    assert client.get("/health/ready").status_code == 200
    heartbeat.leave(heartbeat.own_name("streams"))
    assert client.get("/health/ready").status_code == 503


@pytest.mark.django_db
def test_a_database_that_never_gives_up_waiting_is_not_ready(client: Client, redis: Redis) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")  # as through a pooler, where the role has no limit
    found = json.loads(client.get("/health/ready").content)["checks"]["database"]
    assert not found["ok"]
    assert "statement_timeout" in found["reason"]
    assert "lock_timeout" not in found["reason"]


@pytest.mark.django_db
def test_without_redis_ready_is_503_and_live_is_still_200(
    client: Client, tmp_path: Any, redis: Redis
) -> None:
    cache._pool.cache_clear()
    try:
        with override_settings(REDIS_URL=f"unix://{tmp_path}/nobody.sock"):
            answer = client.get("/health/ready")
            assert answer.status_code == 503
            assert json.loads(answer.content)["checks"]["redis"]["reason"].startswith("Redis does not answer")
            assert client.get("/health/live").status_code == 200
            assert client.get("/metrics").status_code == 503
    finally:
        cache._pool.cache_clear()


@pytest.mark.django_db
def test_metrics_ask_for_their_token_where_one_is_set(
    client: Client, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/metrics").status_code == 200
    monkeypatch.setattr(configuration(), "metrics_token", "scraper-token")
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    answer = client.get("/metrics", headers={"Authorization": "Bearer scraper-token"})
    assert answer.status_code == 200
    assert b"process_heartbeat_age_seconds" in answer.content


@pytest.mark.django_db
def test_counts_and_times_of_all_processes_add_up(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_counters", dict(metrics._counters))  # what a test declares is not ours
    monkeypatch.setattr(metrics, "_histograms", dict(metrics._histograms))
    metrics.flush()
    redis.flushdb()
    counter = metrics.Counter("test_things_total", "Things", ("kind",))
    timing = metrics.Histogram("test_seconds", "Seconds", ("kind",))
    counter.add(kind="a")
    counter.add(2, kind="a")
    redis.hincrbyfloat("metric:test_things_total", "a", 10)  # another process
    timing.observe(0.03, kind="a")
    timing.observe(99.0, kind="a")
    text = metrics.render().decode()
    assert 'test_things_total{kind="a"} 13.0' in text
    assert 'test_seconds_bucket{kind="a",le="0.025"} 0.0' in text
    assert 'test_seconds_bucket{kind="a",le="0.05"} 1.0' in text
    assert 'test_seconds_count{kind="a"} 2.0' in text
    assert 'test_seconds_sum{kind="a"} 99.03' in text


def test_a_request_keeps_the_correlation_id_it_came_with_and_gets_one_if_it_had_none(client: Client) -> None:
    assert (
        client.get("/health/live", headers={"X-Request-ID": "from-outside-1"})["X-Request-ID"]
        == "from-outside-1"
    )
    assert len(client.get("/health/live", headers={"X-Request-ID": "bad id;"})["X-Request-ID"]) == 32
    first, second = (client.get("/health/live")["X-Request-ID"] for _ in range(2))
    assert first != second


def test_the_generated_documents_are_what_the_code_says() -> None:
    from backoffice.configuration import ROOT
    from backoffice.documents import documents

    for name in documents.names():
        assert (ROOT / name).read_text() == documents.get(name)(), name
