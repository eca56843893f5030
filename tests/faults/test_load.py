"""A few clients and an officer on a deployment with several processes of a kind, through PgBouncer where it is installed.

`make load` and `make scale` do the same with 200 clients for minutes, and judge what grows.
"""

import os

import psycopg2
import pytest

from tests.faults import load, pooler
from tests.running import inside, on_own_servers

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        "LOAD" not in os.environ,
        reason="A minute of load: `LOAD=1 make test`, or `make scale` for all of it.",
    ),
]
CLIENTS = 8


@pytest.fixture(scope="module")
def story(django_db_setup, django_db_blocker, tmp_path_factory):
    names = load.processes(webs=2, workers=2)
    with (
        on_own_servers(
            tmp_path_factory.mktemp("load"), django_db_blocker, names=names, pooled=pooler.PROGRAM is not None
        ) as running,
        inside(running.database, django_db_blocker),
    ):
        report = load.load(running, CLIENTS, seconds=6, every=3)
        through = running.environment["DATABASE_URL"]
        sessions = {url: _session(url) for url in (through, running.urls["DATABASE_URL"])}
        yield report, running, sessions


def _session(url):
    """How long a statement and a wait for a lock may last in a session that says nothing of it."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        return cursor.fetchone()


def test_nothing_fails_and_every_trade_ends_as_the_venue_says_while_an_officer_walks_through_the_console(
    story,
):
    report, _, _ = story
    assert report.problems == []
    assert report.findings.trades == len(report.seen.placed) >= CLIENTS
    assert set(report.states) <= {"won", "lost", "sold", "refunded"}
    assert {"console, log-in", "console, Home"} <= set(report.seen.took)


def test_clients_are_spread_over_both_web_processes_and_all_processes_are_watched(story):
    report, running, _ = story
    assert len(running.origins) == 2
    assert set(report.watched.processors) == set(running.names) >= {"web-2", "workers-2", "streams"}


@pytest.mark.skipif(pooler.PROGRAM is None, reason="no PgBouncer on this machine (package pgbouncer)")
def test_through_a_pooler_the_database_itself_limits_how_long_a_statement_and_a_lock_may_take(story):
    _, running, sessions = story
    assert set(sessions.values()) == {("30s", "10s")}
    assert running.environment["DATABASE_URL"] != running.urls["DATABASE_URL"]


def test_a_figure_grew_too_much_when_it_is_a_tenth_and_more_than_a_little_above_what_it_was():
    from tests.faults.footprint import Growth

    assert not Growth("web", "MB", 130, 140, 143).is_too_much
    assert Growth("web", "MB", 130, 140, 144).is_too_much
    assert not Growth("web", "files", 20, 30, 32).is_too_much, "a dozen files come and go"
    assert Growth("PostgreSQL", "connections", 20, 24, 27).is_too_much
