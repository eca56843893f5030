"""How values look in the console: money, instants, states, links. Everything returned is safe HTML."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import models
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

NOTHING: Final = mark_safe('<span class="c-none">–</span>')
# One meaning each, everywhere: who has to do something, and how it went.
WAITING, MOVING, MINE, DONE, WRONG = "grey", "blue", "amber", "green", "red"


def tidy(value: Decimal, decimals: int | None = None) -> str:
    """A number for people: thousands separators, and no digits that say nothing.

    With `decimals` (a currency's) exactly as many, unless the value has more: nothing is rounded away.
    """
    text = f"{value:f}"
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if decimals is not None:
        fraction = fraction.ljust(decimals, "0")
    sign = "−" if whole.startswith("-") and (whole.strip("-0") or fraction.strip("0")) else ""
    whole = f"{int(whole.lstrip('-') or 0):,}"
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def money(value: Decimal | None, currency: str, decimals: int, *, tone: str = "") -> SafeString:
    """An amount with its currency: right-aligned digits that neither wrap nor lose a decimal."""
    if value is None:
        return NOTHING
    return format_html(
        '<span class="c-money{}">{} <span class="c-unit">{}</span></span>',
        f" c-text-{tone}" if tone else "", tidy(value, decimals), currency,
    )  # fmt: skip


def gain(value: Decimal | None, currency: str, decimals: int) -> SafeString:
    """A profit or loss: its sign written out, and colored."""
    if value is None:
        return NOTHING
    sign = "+" if value > 0 else ""
    tone = DONE if value > 0 else WRONG if value < 0 else ""
    return format_html(
        '<span class="c-money{}">{}{} <span class="c-unit">{}</span></span>',
        f" c-text-{tone}" if tone else "", sign, tidy(value, decimals), currency,
    )  # fmt: skip


def number(value: Decimal | int | None) -> SafeString:
    """A quantity, price or count."""
    return NOTHING if value is None else format_html('<span class="c-money">{}</span>', tidy(Decimal(value)))


def percent(value: Decimal | None) -> SafeString:
    """A rate as a percentage: 0.02 is 2 %."""
    return NOTHING if value is None else format_html('<span class="c-money">{} %</span>', tidy(value * 100))


def span(seconds: float) -> str:
    """How long, in the two words people use: “3 min”, “2 d”."""
    seconds = max(0.0, seconds)
    for limit, size, unit in (
        (90, 1, "s"),
        (5400, 60, "min"),
        (172800, 3600, "h"),
        (float("inf"), 86400, "d"),
    ):
        if seconds < limit:
            return f"{round(seconds / size)} {unit}"
    raise AssertionError("unreachable")


def ago(instant: datetime, now: datetime | None = None) -> str:
    """“3 min ago”, or “in 3 min”."""
    seconds = ((now or timezone.now()) - instant).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def exact(instant: datetime) -> str:
    """The instant in the reader's zone, and in UTC where that differs."""
    local = timezone.localtime(instant)
    text = f"{local:%Y-%m-%d %H:%M:%S} {local.tzname()}"
    return text if local.utcoffset() is None or not local.utcoffset() else f"{text} · {instant:%H:%M:%S} UTC"


def when(instant: datetime | None, *, tone: str = "", now: datetime | None = None) -> SafeString:
    """An instant as people say it, with the exact one on hover. `tone` colors an age that is too high."""
    if instant is None:
        return NOTHING
    return format_html(
        '<time class="c-time{}" datetime="{}" title="{}">{}</time>',
        f" c-text-{tone}" if tone else "", instant.isoformat(), exact(instant), ago(instant, now),
    )  # fmt: skip


def at(instant: datetime | None) -> SafeString:
    """An instant written out, in the reader's zone: for records, where the order of seconds matters."""
    if instant is None:
        return NOTHING
    local = timezone.localtime(instant)
    return format_html(
        '<time class="c-time" datetime="{}" title="{} · {}">{}</time>',
        instant.isoformat(), exact(instant), ago(instant), f"{local:%Y-%m-%d %H:%M:%S}",
    )  # fmt: skip


def badge(text: str, tone: str = WAITING) -> SafeString:
    """A state in its color."""
    return format_html('<span class="c-badge c-{}">{}</span>', tone, text)


def cut(text: object, whole: object = "") -> SafeString:
    """A sentence in a list, on one line: cut where its room ends, all of it at a hover. `whole` says more than fits."""
    return format_html('<span class="c-why-cell" title="{}">{}</span>', whole or text, text)


def yes(value: bool, *, good: str = "Yes", bad: str = "No") -> SafeString:
    """A yes or no, in words."""
    return format_html(
        '<span class="c-text-{}">{}</span>', DONE if value else WAITING, good if value else bad
    )


def link(text: object, url: str | None) -> SafeString:
    """A link to something named; plain text where the reader may not go there."""
    return format_html('<a class="c-link" href="{}">{}</a>', url, text) if url else format_html("{}", text)


def lines(rows: list[Any]) -> SafeString:
    """One thing under the other."""
    return format_html_join("", '<div class="c-line">{}</div>', ((row,) for row in rows))


def two(first: object, second: object) -> SafeString:
    """A main text with a quieter one below it."""
    return format_html('<span class="c-two"><span>{}</span><small>{}</small></span>', first, second)


def table(
    head: list[str], rows: list[list[Any]], *, right: tuple[int, ...] = (), empty: str = ""
) -> SafeString:
    """A plain table; the columns in `right` hold amounts. Without rows `empty` says what will appear."""
    if not rows:
        return format_html('<p class="c-empty">{}</p>', empty)
    side = dict.fromkeys(right, "c-right")
    return format_html(
        '<div class="c-scroll"><table class="c-table"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        format_html_join("", '<th scope="col" class="{}">{}</th>', ((side.get(i, ""), h) for i, h in enumerate(head))),
        format_html_join(
            "", "<tr>{}</tr>",
            ((format_html_join("", '<td class="{}">{}</td>', ((side.get(i, ""), c) for i, c in enumerate(row))),)
             for row in rows),
        ),
    )  # fmt: skip


def plain(value: Any) -> str:
    """Any value in plain words, without markup: what differences and messages show."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return tidy(value)
    if isinstance(value, datetime):
        return exact(value)
    if isinstance(value, date):
        return f"{value:%Y-%m-%d}"
    return str(value)


def field(obj: models.Model, name: str) -> SafeString:
    """A field of a row as a reader wants it: choices in words, numbers tidy, instants exact."""
    column = obj._meta.get_field(name)
    value = getattr(obj, name)
    if isinstance(column, models.ManyToManyField):
        return lines(list(value.all())) or NOTHING
    if value is None or value == "":
        return NOTHING
    if getattr(column, "choices", None):
        return format_html("{}", getattr(obj, f"get_{name}_display")())
    if isinstance(value, bool):
        return yes(value)
    if isinstance(value, datetime):
        return at(value)
    if isinstance(value, Decimal):
        return number(value)
    return format_html("{}", plain(value))


Words = Mapping[str, str | Callable[[Mapping[str, Any]], str]]
