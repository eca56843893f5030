"""Vital signs: what is past its limit says so, keeps traffic away where it must, and has its alarm and its runbook."""

import json
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from backoffice import heartbeat, metrics, monitoring, sequencer
from backoffice.documents import documents
from backoffice.health import PROCESSES
from backoffice.vitals import readings, vitals
from backoffice.wake import wake
from brokerage import connections
from brokerage.connections import LinkFacts
from jobs.models import FailedJob, Schedule
from tests import architecture as house
from tests import world
from tests.edges import staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("reference_data", "redis")]


def value(name, **labels):
    (reading,) = [each for each in readings([vitals.get(name)])[0] if each.labels.items() >= labels.items()]
    return reading


def not_ready(client):
    for kind in PROCESSES:
        heartbeat.beat(heartbeat.own_name(kind))
    answer = client.get("/health/ready")
    checks = json.loads(answer.content)["checks"]
    found = {name: check["reason"] for name, check in checks.items() if not check["ok"]}
    assert answer.status_code == (503 if found else 200)
    return found


def test_a_lagging_sequencer_keeps_traffic_away_until_it_has_caught_up(client: Client):
    from django.db import connection

    world.placed()
    sequencer.sequence()
    assert not_ready(client) == {}
    world.placed()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "UPDATE backoffice_event SET recorded_at = now() - interval '40 s' WHERE position IS NULL"
        )
        cursor.execute("SET LOCAL session_replication_role = origin")
    found = not_ready(client)
    assert re.fullmatch(
        r"Events wait for their position, the oldest for 4\d s: the sequencer lags\.",
        found.pop("events_waiting_seconds"),
    )
    assert found == {}
    sequencer.sequence()
    assert not_ready(client) == {}


def test_a_queue_that_is_not_worked_off_keeps_traffic_away(
    client: Client, redis, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        wake("trading.sweep")
    assert not_ready(client) == {}
    (message_id,) = redis.lrange("dramatiq:trading", 0, -1)
    message = json.loads(redis.hget("dramatiq:trading.msgs", message_id))
    message["message_timestamp"] -= 90_000
    redis.hset("dramatiq:trading.msgs", message_id, json.dumps(message))
    assert value("queue_oldest_seconds", queue="trading").value >= 90
    (sentence,) = not_ready(client).values()
    assert sentence.startswith("The queue trading is not worked off: its next job has waited for 9")


def test_silent_prices_keep_traffic_away_and_a_link_that_is_down_does_not(client: Client, redis):
    now = timezone.now().timestamp()
    quiet = LinkFacts(True, now - 500, 1, now - 100, "v4")
    down = LinkFacts(False, now - 5, 1, None, "v4", "LOST")
    redis.set(f"{connections.PREFIX}one", connections.told({"public": quiet, "7": down}, site="up"))
    (sentence,) = not_ready(client).values()
    assert re.fullmatch(r"The venue's prices have told nothing for 10\d s\.", sentence)
    assert not value("venue_links_down").is_well
    heard = LinkFacts(True, now - 500, 1, now - 1, "v4")
    redis.set(f"{connections.PREFIX}one", connections.told({"public": heard, "7": down}, site="up"))
    assert not_ready(client) == {}


def test_what_people_must_decide_is_told_without_keeping_traffic_away(client: Client):
    now = timezone.now()
    FailedJob.objects.create(queue="a", actor="a.job", message_id="m", error="Boom", failed_at=now)
    Schedule.objects.create(name="late", actor="a.job", every=60, next_run_at=now - timedelta(minutes=5))
    trade = world.placed()  # placed by the clock of tests, long ago
    assert not_ready(client) == {}
    assert value("dead_letters_open").sentence == "1 jobs failed for good and wait for a decision."
    assert value("schedule_overdue_seconds").value >= 300
    assert value("stuck_rows", what=str(trade._meta.verbose_name_plural)).value == 1


def test_without_redis_a_sign_is_not_known_instead_of_well(tmp_path, settings):
    from backoffice import cache

    cache._pool.cache_clear()
    try:
        settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
        found, unread = readings([vitals.get("queue_oldest_seconds")])
        assert found == [] and unread[0].endswith("not known, ConnectionError.")
    finally:
        cache._pool.cache_clear()


def test_every_vital_sign_has_a_runbook_an_alarm_and_a_panel():
    operations = (house.DOCS / "operations.md").read_text()
    alarms, dashboard = documents.get("docs/alarms.yml")(), json.loads(documents.get("docs/dashboard.json")())
    shown = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ()))
    for vital in vitals:
        assert f"**{vital.runbook}**" in operations, vital.runbook
        assert f"expr: {vital.name} > {vital.most:g}" in alarms
        assert vital.name in shown
        assert "{value}" not in alarms and not re.search(r"(?<!\{)\{(kind|queue|what)\}", alarms)


def test_every_metric_is_on_the_dashboard():
    monitoring.load()
    text = documents.get("docs/dashboard.json")()
    declared = {name for name, (kind, _) in metrics.names().items() if kind != "gauge"}
    assert {"verb_seconds", "api_seconds", "job_seconds", "venue_call_seconds", "sockets_total"} <= declared
    assert [name for name in declared if name not in text] == []


def test_the_health_page_says_what_is_wrong_where_to_look_and_how_long_things_take(redis):
    trade = world.placed()
    metrics.flush()
    page = staff.browser(world.staff("Auditor")).get(reverse("admin:health"))
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))
    assert (
        "Not ready: no traffic should come" in text and "No worker process has been heard of lately." in text
    )
    assert "1 trades are past the age their state allows. Something is stuck" in text
    assert re.search(r"trade\.place · done \d+ ", text)
    assert str(trade.uuid) not in text
    assert staff.browser(world.staff("")).get(reverse("admin:health")).status_code == 403
    assert staff.browser(world.staff("Auditor")).post(reverse("admin:health")).status_code == 405


def test_a_verb_is_counted_by_how_it_ended(redis):
    from backoffice.errors import InvalidInput

    @metrics.verb("test.verb")
    def act(how):
        if how == "refuse":
            raise InvalidInput("No.", field="how")
        return 1 / how

    assert act(2) == 0.5
    for how, error in (("refuse", InvalidInput), (0, ZeroDivisionError)):
        with pytest.raises(error):
            act(how)
    metrics.flush()
    found = {
        (labels["verb"], labels["outcome"]): many for labels, _, many in metrics.quantile(metrics.VERBS, 0.5)
    }
    assert {outcome: found["test.verb", outcome] for outcome in ("done", "refused", "failed")} == {
        "done": 1, "refused": 1, "failed": 1,
    }  # fmt: skip
