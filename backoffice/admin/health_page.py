"""The page of how the deployment is: every vital sign with its limit, and how long things take."""

from collections.abc import Iterable

import redis
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice import metrics, monitoring
from backoffice.admin import ports, show
from backoffice.admin.ports import Entry
from backoffice.health import checks
from backoffice.vitals import Reading, readings

PAGE = "admin:health"
PERMISSION = "jobs.view_schedule"
INTRO = (
    "What a monitoring system is told, for people: each sign with its limit, and where docs/operations.md says what to do. "
    "Times are since Redis was last empty; half and 99 of 100 were quicker than the two limits shown."
)


def page(request: HttpRequest) -> list[tuple[str, SafeString]]:
    """The parts of the page: what is wrong first."""
    monitoring.load()
    found, unread = readings()
    wrong = [reading for reading in found if not reading.is_well]
    ready = [sentence for check in checks().values() if (sentence := check())]
    return [
        ("Fit to serve?", _ready(ready)),
        ("What is wrong" if wrong or unread else "Nothing is wrong", _wrong(wrong, unread)),
        ("Every sign", _signs(found)),
        *_times(),
    ]


def _ready(sentences: list[str]) -> SafeString:
    if not sentences:
        return show.badge("Ready: traffic may come", show.DONE)
    return show.lines([show.badge("Not ready: no traffic should come", show.WRONG), *sentences])


def _wrong(wrong: list[Reading], unread: list[str]) -> SafeString:
    rows: list[list[object]] = [[reading.sentence, reading.vital.runbook.rstrip(".")] for reading in wrong]
    rows += [[sentence, "Redis is away, or the database is away"] for sentence in unread]
    return show.table(
        ["What", "Look in docs/operations.md for"], rows, empty="Every sign is within its limit."
    )


def _signs(found: Iterable[Reading]) -> SafeString:
    return show.table(
        ["Sign", "Of", "Now", "Limit", "State"],
        [
            [reading.vital.help, ", ".join(reading.labels.values()), _figure(reading.value, reading.vital.name),
             _figure(reading.vital.most, reading.vital.name),
             show.badge("Well", show.DONE) if reading.is_well else show.badge("Past its limit", show.WRONG)]
            for reading in found
        ],
        right=(2, 3),
    )  # fmt: skip


def _times() -> list[tuple[str, SafeString]]:
    """A table for each histogram, the slowest first."""
    try:
        return [
            (metrics.names()[name][1], _table(histogram))
            for name, histogram in metrics.histograms().items()
        ]  # fmt: skip
    except redis.RedisError:
        return [("How long things take", show.badge("Redis does not answer", show.WRONG))]


def _table(histogram: metrics.Histogram) -> SafeString:
    half = {tuple(labels.items()): (limit, many) for labels, limit, many in metrics.quantile(histogram, 0.5)}
    most = {tuple(labels.items()): limit for labels, limit, _ in metrics.quantile(histogram, 0.99)}
    rows = [
        [
            " · ".join(value for _, value in labels) or "all",
            show.number(many),
            _time(limit),
            _time(most[labels]),
        ]
        for labels, (limit, many) in sorted(half.items(), key=lambda pair: -most[pair[0]])
    ]
    return show.table(
        ["What", "How many", "Half within", "99 of 100 within"], rows, right=(1, 2, 3), empty="None yet."
    )


def _figure(value: float, name: str) -> str:
    return show.span(value) if name.endswith("_seconds") else f"{value:,.0f}"


def _time(seconds: float) -> str:
    return (
        "over 30 s"
        if seconds == float("inf")
        else f"{seconds * 1000:,g} ms"
        if seconds < 1
        else f"{seconds:g} s"
    )


ports.sidebar.register("health", Entry("Operations", "Health", PAGE, "ecg_heart", PERMISSION), order=5)
