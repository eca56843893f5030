"""The event log: appended with the change, sequenced after the commit, chained, and tamper-evident."""

import contextlib
import hashlib
import json
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from backoffice import events, sequencer
from backoffice.database import uuid7
from backoffice.models import Event
from backoffice.who import By

NOW = datetime(2026, 11, 21, 9, 0, 0, 123456, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def record(**given):
    values = {"subject_type": "thing", "subject_id": uuid7(), "by": By.system("tester"), "at": NOW, **given}
    return events.record(values.pop("name", "thing.happened"), **values)


def tamper(sql, *params):
    """Change the log as only somebody with the database's own powers can."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, params)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_positions_are_gapless_and_the_chain_holds():
    for _ in range(5):
        record(payload={"amount": Decimal("1.10"), "state": "open", "count": 3, "nothing": None})
    assert sequencer.sequence().positions == [1, 2, 3, 4, 5]
    assert sequencer.sequence().positions == []
    record()
    assert sequencer.sequence().positions == [6]
    found = sequencer.verify()
    assert (found.checked, found.first_break, found.waiting) == (6, None, 0)


def test_a_pass_takes_no_more_than_its_limit_and_says_whose_events_they_are():
    client = uuid7()
    record(client_id=client)
    record()
    record()
    done = sequencer.sequence(2)
    assert (done.positions, done.clients) == ([1, 2], {str(client)})
    assert sequencer.verify().waiting == 1


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda word: word not in events.FORBIDDEN),
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.decimals(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
        | st.lists(st.sampled_from(["a", "[", "{"]), max_size=3),
        max_size=4,
    ).filter(lambda payload: not any("\x00" in word or any("\ud800" <= c <= "\udfff" for c in word) for word in payload))
)  # fmt: skip
def test_whatever_a_payload_holds_its_hash_is_found_again(payload):
    with transaction.atomic():
        record(payload=payload)
        sequencer.sequence()
        assert sequencer.verify().first_break is None


@pytest.mark.parametrize(
    ("sql", "position", "reason"),
    [
        (
            'UPDATE backoffice_event SET payload = \'{"amount": "2"}\' WHERE position = 2',
            2,
            "not what was sealed",
        ),
        (
            "UPDATE backoffice_event SET at = at + interval '1 microsecond' WHERE position = 3",
            3,
            "not what was sealed",
        ),
        ("UPDATE backoffice_event SET \"by\" = 'system:nobody' WHERE position = 1", 1, "not what was sealed"),
        ("DELETE FROM backoffice_event WHERE position = 2", 2, "missing"),
        ("UPDATE backoffice_event SET hash = sha256('x') WHERE position = 4", 4, "not what was sealed"),
    ],
)
def test_tampering_is_found_where_it_was_done(sql, position, reason):
    for _ in range(4):
        record(payload={"amount": Decimal("1")})
    sequencer.sequence()
    tamper(sql)
    found = sequencer.verify()
    assert found.first_break is not None
    assert (found.first_break.position, reason in found.first_break.reason) == (position, True)
    with pytest.raises(CommandError) as raised:
        call_command("verify_events")
    assert raised.value.returncode == 1


def test_cutting_the_end_off_is_seen_by_who_kept_the_head():
    for _ in range(3):
        record()
    sequencer.sequence()
    before = sequencer.verify()
    tamper("DELETE FROM backoffice_event WHERE position = 3")
    after = sequencer.verify()
    assert (before.checked, after.checked) == (3, 2) and before.head != after.head


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE backoffice_event SET name = 'x'",
        "UPDATE backoffice_event SET position = NULL, hash = NULL WHERE position IS NOT NULL",
        "UPDATE backoffice_event SET position = position + 100 WHERE position IS NOT NULL",
        "DELETE FROM backoffice_event",
        "TRUNCATE backoffice_event CASCADE",
        "INSERT INTO backoffice_event (name, version, subject_type, subject_id, by, at, key, correlation_id, payload, position) "
        "VALUES ('x', 1, 't', gen_random_uuid(), 'x', now(), '', '', '{}', 99)",
    ],
)
def test_the_database_refuses_any_change_of_the_log(sql):
    record()
    sequencer.sequence()
    before = list(Event.objects.values_list("name", "position"))
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert list(Event.objects.values_list("name", "position")) == before


@pytest.mark.parametrize(
    "payload", [{"email": "a@b.c"}, {"token": "x"}, {"amount": 1.5}, {"thing": object()}]
)
def test_personal_data_secrets_and_floats_never_enter_the_log(payload):
    with pytest.raises(ValueError):
        record(payload=payload)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_gets_a_later_position_and_is_not_lost():
    begun, finish = threading.Event(), threading.Event()

    def slow():
        try:
            with transaction.atomic():
                record(name="slow")
                begun.set()
                finish.wait(10)
        finally:
            connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    begun.wait(10)
    record(name="quick")
    assert sequencer.sequence().positions == [1]
    last = Event.objects.latest("position")
    finish.set()
    thread.join()
    assert sequencer.sequence().positions == [2]
    # Who goes on from the last position misses nothing; the twin, who goes on from the last id, skips an event.
    assert [event.name for event in Event.objects.filter(position__gt=last.position)] == ["slow"]
    assert not Event.objects.filter(id__gt=last.id).exists()
    assert list(Event.objects.order_by("position").values_list("name", flat=True)) == ["quick", "slow"]
    assert Event.objects.get(name="slow").pk < Event.objects.get(name="quick").pk
    assert sequencer.verify().first_break is None


@pytest.mark.django_db(transaction=True)
def test_many_sequencers_at_once_give_each_event_one_position():
    for _ in range(200):
        record()

    def work():
        try:
            while Event.objects.unsequenced().exists():
                sequencer.sequence(7)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sequencer.verify()
    assert (found.checked, found.first_break, found.waiting) == (200, None, 0)


def test_the_hash_is_that_of_the_stored_event_as_json_with_times_in_utc():
    """The format is for good: whoever holds a head today must be able to compute it in ten years, in any language."""
    client = uuid7()
    made = record(
        client_id=client, key="[not json", payload={"b": ["y", "x"], "ä": "1.10", "aa": None, "c": True}
    )
    sequencer.sequence()
    made.refresh_from_db()
    content = [
        1, made.pk, "thing.happened", 1, "thing", str(made.subject_id), None, str(client), "system:tester", None,
        "2026-11-21T09:00:00.123456+00:00", made.recorded_at.isoformat(timespec="microseconds"), "[not json",
        made.correlation_id, {"b": ["y", "x"], "ä": "1.10", "aa": None, "c": True},
    ]  # fmt: skip
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert bytes(made.hash) == hashlib.sha256(bytes(32) + text.encode()).digest()


def test_events_written_together_are_one_statement_in_their_order(django_assert_num_queries):
    with django_assert_num_queries(4), transaction.atomic(), events.together():  # two of them the savepoint
        for name in ("first", "second", "third"):
            assert record(name=name, reason=f"Because of {name}.").pk is None
    rows = Event.objects.order_by("id").select_related("reason")
    assert [(row.name, row.reason.text) for row in rows] == [
        (name, f"Because of {name}.") for name in ("first", "second", "third")
    ]


def test_what_was_recorded_in_a_savepoint_that_was_rolled_back_is_not_written_with_the_others():
    with transaction.atomic(), events.together():
        record(name="before")
        with contextlib.suppress(LookupError), transaction.atomic():
            record(name="undone")
            with transaction.atomic():
                record(name="undone with it")
            raise LookupError
        with transaction.atomic(), events.together():
            record(name="kept")
        record(name="after")
        assert not Event.objects.exists()
    assert list(Event.objects.order_by("id").values_list("name", flat=True)) == ["before", "kept", "after"]


def test_after_an_exception_nothing_is_written_and_the_next_event_is_written_at_once():
    with contextlib.suppress(LookupError), transaction.atomic(), events.together():
        record(name="undone")
        raise LookupError
    assert not Event.objects.exists()
    assert record(name="alone").pk is not None


@pytest.mark.django_db(transaction=True)
def test_events_are_written_together_only_where_they_commit_together():
    with pytest.raises(RuntimeError), events.together():
        record()
    assert not Event.objects.exists()
