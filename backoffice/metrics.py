"""Prometheus metrics of the whole deployment, from any one web process.

Counters and histograms are added up in Redis, so it does not matter how many processes count or which one is
scraped. Each process gathers for up to a second before it writes; with Redis gone it keeps gathering. Gauges
are functions asked at scrape time.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import redis
from django.db import DatabaseError
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from backoffice.cache import redis_client
from backoffice.errors import DomainError

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger(__name__)
_SEPARATOR: Final = "\x1f"
_WRITE_EVERY_SECONDS: Final = 1.0
_AFTER_ERROR_SECONDS: Final = 5.0

Labelled = Iterable[tuple[dict[str, str], float]]


class _Buffer:
    """What this process has counted and not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[tuple[str, str], float] = {}
        self._next_write = 0.0
        self.writes_when_due = True

    def add(self, changes: dict[tuple[str, str], float]) -> None:
        with self._lock:
            for place, amount in changes.items():
                self._pending[place] = self._pending.get(place, 0.0) + amount
            due = self.writes_when_due and time.monotonic() >= self._next_write
        if due:
            self.write()

    def write(self) -> None:
        """Add what was gathered to Redis. If Redis is gone it is kept for later, and the next try waits."""
        with self._lock:
            pending, self._pending = self._pending, {}
            self._next_write = time.monotonic() + _WRITE_EVERY_SECONDS
        if not pending:
            return
        try:
            with redis_client().pipeline(transaction=True) as pipe:
                for (metric, field), amount in pending.items():
                    pipe.hincrbyfloat(f"metric:{metric}", field, amount)
                pipe.execute()
        except redis.RedisError as error:
            _log.warning("metrics wait for Redis: %s", error)
            with self._lock:
                self._next_write = time.monotonic() + _AFTER_ERROR_SECONDS
                for place, amount in pending.items():
                    self._pending[place] = self._pending.get(place, 0.0) + amount


_buffer = _Buffer()
_counters: dict[str, "Counter"] = {}
_histograms: dict[str, "Histogram"] = {}
_gauges: dict[str, tuple[str, Callable[[], Labelled]]] = {}


def flush() -> None:
    """Write what this process gathered now: at its end, and now and then where it may fall idle."""
    _buffer.write()


def write_in_background() -> None:
    """For processes that count on an event loop, which must not wait for Redis: a thread writes once a second."""

    def write() -> None:
        while True:
            time.sleep(_WRITE_EVERY_SECONDS)
            flush()

    _buffer.writes_when_due = False
    threading.Thread(target=write, name="metrics", daemon=True).start()


atexit.register(flush)


class Counter:
    """Something that only grows, over all processes and restarts. `labels` are fixed names, few values each."""

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        _counters[name] = self

    def add(self, amount: float = 1, **labels: str) -> None:
        _buffer.add({(self.name, _SEPARATOR.join(labels[name] for name in self.labels)): amount})


class Histogram:
    """How long things take, in seconds."""

    BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

    def __init__(self, name: str, help_text: str, labels: tuple[str, ...] = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        _histograms[name] = self

    def observe(self, seconds: float, **labels: str) -> None:
        where = _SEPARATOR.join(labels[name] for name in self.labels)
        bucket = next((str(limit) for limit in self.BUCKETS if seconds <= limit), "+Inf")
        _buffer.add(
            {
                (self.name, f"{where}{_SEPARATOR}{bucket}"): 1,
                (self.name, f"{where}{_SEPARATOR}sum"): seconds,
            }
        )


def gauge(name: str, help_text: str, read: Callable[[], Labelled]) -> None:
    """Have `read` asked at each scrape: pairs of labels and value. The same name again replaces it."""
    _gauges[name] = (help_text, read)


def quantile(histogram: Histogram, share: float) -> list[tuple[dict[str, str], float, int]]:
    """For each combination of labels: the time within which `share` of all went (the limit of its bucket), and how many.

    Over everything since Redis was empty. Infinite where it is beyond the last bucket.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    found = []
    for where, parts in _series(_stored(redis_client(), histogram.name)).items():
        many = int(sum(count for limit, count in parts.items() if limit != "sum"))
        so_far = 0.0
        for limit in [*(str(limit) for limit in Histogram.BUCKETS), "+Inf"]:
            so_far += parts.get(limit, 0.0)
            if many and so_far >= share * many:
                labels = (
                    dict(zip(histogram.labels, where.split(_SEPARATOR), strict=True))
                    if histogram.labels
                    else {}
                )
                found.append((labels, float(limit), many))
                break
    return found


def names() -> dict[str, tuple[str, str]]:
    """Every metric declared here, by name: its kind and what it says."""
    return {
        **{name: ("counter", each.help_text) for name, each in _counters.items()},
        **{name: ("histogram", each.help_text) for name, each in _histograms.items()},
        **{name: ("gauge", help_text) for name, (help_text, _) in _gauges.items()},
    }


def histograms() -> dict[str, Histogram]:
    """Every histogram declared here, by name."""
    return dict(sorted(_histograms.items()))


def labels_of(name: str) -> tuple[str, ...]:
    """The labels of a counter or histogram; of anything else none."""
    declared = _counters.get(name) or _histograms.get(name)
    return declared.labels if declared else ()


def _series(stored: dict[str, float]) -> dict[str, dict[str, float]]:
    """A histogram's fields as they are kept, by combination of labels."""
    found: dict[str, dict[str, float]] = {}
    for field, value in stored.items():
        where, _, part = field.rpartition(_SEPARATOR)
        found.setdefault(where, {})[part] = value
    return found


def _stored(client: redis.Redis, metric: str) -> dict[str, float]:
    return {str(field): float(value) for field, value in client.hgetall(f"metric:{metric}").items()}


class _Collected(Collector):
    def collect(self) -> Iterable[Metric]:
        flush()
        client = redis_client()
        for counter in _counters.values():
            counted = CounterMetricFamily(counter.name, counter.help_text, labels=counter.labels)
            for field, value in _stored(client, counter.name).items():
                counted.add_metric(field.split(_SEPARATOR) if counter.labels else [], value)
            yield counted
        for histogram in _histograms.values():
            yield self._histogram(histogram, _stored(client, histogram.name))
        for name, (help_text, read) in _gauges.items():
            try:
                rows = list(read())
            except DatabaseError as error:  # the other figures are wanted most just then
                _log.warning("%s cannot be read: %s", name, type(error).__name__)
                continue
            labels = sorted(rows[0][0]) if rows else []
            now = GaugeMetricFamily(name, help_text, labels=labels)
            for where, value in rows:
                now.add_metric([where[label] for label in labels], value)
            yield now

    @staticmethod
    def _histogram(histogram: Histogram, stored: dict[str, float]) -> Metric:
        family = HistogramMetricFamily(histogram.name, histogram.help_text, labels=histogram.labels)
        for where, parts in _series(stored).items():
            total = 0.0
            buckets: list[tuple[str, float]] = []
            for limit in [*(str(limit) for limit in Histogram.BUCKETS), "+Inf"]:
                total += parts.get(limit, 0.0)
                buckets.append((limit, total))
            family.add_metric(
                where.split(_SEPARATOR) if histogram.labels else [], buckets, sum_value=parts.get("sum", 0.0)
            )
        return family


def render() -> bytes:
    """Every metric in Prometheus's text format.

    :raises redis.RedisError: if Redis cannot be asked.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected())
    return generate_latest(registry)


VERBS = Histogram("verb_seconds", "How long verbs took, by how they ended", ("verb", "outcome"))


def verb(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Measure a verb under this name: done, refused (a `DomainError`) or failed, and how long it took."""

    def measured(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            begun, outcome = time.perf_counter(), "failed"
            try:
                answer = function(*args, **kwargs)
                outcome = "done"
                return answer
            except DomainError:
                outcome = "refused"
                raise
            finally:
                VERBS.observe(time.perf_counter() - begun, verb=name, outcome=outcome)

        return call

    return measured


REQUESTS = Histogram("http_request_seconds", "How long HTTP requests took", ("method", "status"))


def _heartbeats() -> Labelled:
    from backoffice.heartbeat import alive

    return [({"process": name}, age) for name, age in alive().items()]


gauge("process_heartbeat_age_seconds", "Seconds since a process said it is alive", _heartbeats)
