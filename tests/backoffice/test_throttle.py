"""Tries are counted for all processes together, and no more of them get through than may."""

import itertools
import threading

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backoffice import throttle
from backoffice.throttle import TooManyRequests

_people = itertools.count(1)


@pytest.fixture
def who(redis):
    return f"person-{next(_people)}@example.com"


def tries(who, count, *, limit=3, seconds=60):
    passed = 0
    for _ in range(count):
        try:
            throttle.take("test", who, limit=limit, seconds=seconds)
        except TooManyRequests:
            continue
        passed += 1
    return passed


def test_one_too_many_is_refused_and_says_when_to_come_back(who):
    assert tries(who, 3) == 3
    with pytest.raises(TooManyRequests, match=r"^Too many tries\. Try again in (59|60) s\.$") as refusal:
        throttle.take("test", who, limit=3, seconds=60)
    assert refusal.value.wait_seconds in (59, 60)
    assert tries(who, 5) == 0, "a refused try is not counted, and none gets through before its time"


def test_everybody_and_everything_is_counted_apart_and_spelling_does_not_matter(who):
    assert tries(who, 3) == 3
    assert tries(f"another-{who}", 1) == 1
    throttle.take("another test", who, limit=3, seconds=60)
    assert tries(f" {who.upper()} ", 1) == 0


def test_a_limit_that_was_lowered_holds_at_once(who):
    assert tries(who, 5, limit=5) == 5
    assert tries(who, 1, limit=2) == 0


def test_who_proved_who_they_are_begins_anew(who):
    assert tries(who, 4) == 3
    throttle.forget("test", who)
    assert tries(who, 4) == 3


def test_no_address_is_kept_and_what_is_kept_ends(who, redis):
    throttle.take("test", who, limit=3, seconds=60)
    names = list(redis.scan_iter("throttle:*"))
    assert names and not any("example" in name for name in names)
    assert all(0 < redis.pttl(name) <= 60_000 for name in names)


def test_of_many_at_the_same_time_no_more_get_through_than_may(who):
    passed = []
    threads = [threading.Thread(target=lambda: passed.append(tries(who, 10, limit=7))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 7


def test_with_redis_away_nobody_is_refused(who, monkeypatch):
    nowhere = Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(throttle, "redis_client", lambda: nowhere)
    assert tries(who, 5) == 5
    throttle.forget("test", who)
