"""What happened to something, from the event log, in words: who, when, and under which correlation id."""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.models import Event

# Parts of a payload that are shown elsewhere or mean nothing to a reader.
SILENT: Final = {
    "state",
    "was",
    "kind",
    "steps",
    "user",
    "session",
    "known",
    "about",
    "key",
    "lines",
    "content_hash",
    "sha256",
}
FIRST: Final = ("amount", "given", "got", "stake", "fee")
AT_MOST: Final = 60
# An instant as the log keeps it.
NUMBER: Final = re.compile(r"-?\d+\.\d+|0")
INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


@dataclass(frozen=True, slots=True)
class Happening:
    """One event as a line of a timeline."""

    what: str
    detail: str
    who: str
    at: SafeString
    correlation_id: str
    event_id: int


def of(subject_type: str, subject_id: uuid.UUID) -> list[Happening]:
    """Everything that happened to one object, oldest first; the newest where there is very much."""
    rows = Event.objects.filter(subject_type=subject_type, subject_id=subject_id).select_related(
        "by_user", "reason"
    )
    known: dict[str, Any] = {}
    happenings = []
    for event in reversed(rows.order_by("-id")[:AT_MOST]):
        happenings.append(line(event, known))
        known |= event.payload
    return happenings


def of_client(client_id: uuid.UUID) -> list[Happening]:
    """The latest that happened to anything of a client, newest first; what was posted for it stands in the books."""
    rows = Event.objects.filter(client_id=client_id).exclude(subject_type__in=["entry", "hold"])
    rows = rows.select_related("by_user", "reason")
    return [line(event) for event in rows.order_by("-position")[:15]]


def line(event: Event, known: Mapping[str, Any] | None = None) -> Happening:
    """An event as a line. What earlier lines have said of the same thing (`known`) is not said again."""
    return Happening(
        what=what(event),
        detail=" · ".join(part for part in (detail(event.payload, known), why(event)) if part),
        who=who(event),
        at=show.at(event.at),
        correlation_id=event.correlation_id,
        event_id=event.pk,
    )


def what(event: Event) -> str:
    """The event's name as a sentence: “Sale requested”."""
    if event.name in ports.words.names():
        word = ports.words.get(event.name)
        return word if isinstance(word, str) else word(event.payload)
    _, _, verb = event.name.partition(".")
    return verb.replace("_", " ").capitalize()


def who(event: Event) -> str:
    """A person by name, a part of the system by what it is."""
    if event.by_user is not None:
        return str(event.by_user)
    return person(event.by)


def person(by: str) -> str:
    """`system:reconciler` in words."""
    kind, _, part = by.partition(":")
    return part.replace("_", " ").capitalize() if kind == "system" else kind.capitalize()


def why(event: Event) -> str:
    """The reason somebody gave, in quotes; it is kept beside the log."""
    reason = getattr(event, "reason", None)
    return f"“{reason}”" if reason is not None else ""


def detail(payload: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> str:
    """What an event says beside its name, in words: amounts with their currency, no zeros, nothing that is `known`.

    What a part of a payload means say the apps (`ports.phrases`). Never raw JSON.
    """
    known = known or {}
    of_amounts = {_currency_of(word, payload) for word, value in payload.items() if _is_amount(word, value)}
    return " · ".join(
        said
        for word, value in sorted(payload.items(), key=lambda part: _place(part[0]))
        if not _is_same(value, known.get(word))
        and word not in of_amounts
        and (said := _phrase(word, value, payload))
    )


def values(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All of an event's payload that means something to a reader, zeros too: labels and values."""
    return [
        (word.replace("_", " ").capitalize(), _value(value))
        for word, value in payload.items()
        if word not in SILENT and value not in (None, "", []) and not _is_id(value)
    ]


def _phrase(word: str, value: Any, payload: Mapping[str, Any]) -> str:
    if word in SILENT or value in (None, "", []) or _is_id(value):
        return ""
    if word in ports.phrases.names():
        return ports.phrases.get(word)(value)
    if _is_amount(word, value):
        if not Decimal(value):
            return ""
        currency = payload.get(_currency_of(word, payload), "")
        said = f"{show.tidy(Decimal(value), 2)} {currency}".strip()
        return said if word == "amount" and currency else f"{word.replace('_', ' ')} {said}"
    if value == 0 and not isinstance(value, bool):
        return ""
    return f"{word.replace('_', ' ')} {_value(value)}"


def _place(word: str) -> int:
    """The database gives a payload's parts in an order of its own: what matters first comes first."""
    return FIRST.index(word) if word in FIRST else len(FIRST)


def _is_same(value: Any, before: Any) -> bool:
    """120.00 and 120.000 are one amount."""
    if (
        isinstance(value, str)
        and isinstance(before, str)
        and NUMBER.fullmatch(value)
        and NUMBER.fullmatch(before)
    ):
        return Decimal(value) == Decimal(before)
    return bool(value == before)


def _is_amount(word: str, value: Any) -> bool:
    """A decimal, which the log keeps as text. Digits alone may be somebody's number of something, but of an amount."""
    return isinstance(value, str) and (
        NUMBER.fullmatch(value) is not None or (word == "amount" and value.isdigit())
    )


def _currency_of(word: str, payload: Mapping[str, Any]) -> str:
    """The part of a payload that says in which currency another is: its own, or that of all."""
    return f"{word}_currency" if f"{word}_currency" in payload else "currency"


def _is_id(value: Any) -> bool:
    """An internal id: what it names is linked where it has a name."""
    return isinstance(value, str) and len(value) == 36 and value.count("-") == 4


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, str) and INSTANT.fullmatch(value):
        return show.exact(datetime.fromisoformat(value))
    if isinstance(value, str) and "." in value:
        try:
            return show.tidy(Decimal(value), 2)
        except (InvalidOperation, ValueError):
            return value
    # Our own words are lower case (`contract_won`); a symbol of the venue (`R_100`) stays as it is.
    return value.replace("_", " ") if isinstance(value, str) and value == value.lower() else str(value)


def table(rows: Iterable[Happening]) -> SafeString:
    """Happenings as a table, where there is room for one."""
    return show.table(
        ["When", "What", "Detail", "By"],
        [
            [row.at, row.what, format_html('<span class="c-quiet">{}</span>', row.detail), row.who]
            for row in rows
        ],
        empty="Nothing has happened yet. Every request, decision and posting will be listed here.",
    )
