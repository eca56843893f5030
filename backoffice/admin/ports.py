"""Places in the console that apps fill from their own `admin` package; nothing central knows them all.

sidebar.register("trades", Entry("Trading", "Trades", "admin:brokerage_trade_changelist", "swap_vert",
                                 "brokerage.view_trade"), order=10)
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice.admin import show
from backoffice.models import User
from backoffice.registry import Port

# The sidebar's groups, by the job to be done, in their order.
GROUPS: Final = (
    "", "My work", "Clients", "Payments", "Trading", "Compliance", "Lending", "Affiliates",
    "Signals and alerts", "Books", "Operations", "Settings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the sidebar. `count` says how many wait there for this person; 0 shows nothing.

    Without a permission all staff have it, and its page shows each what they may see. `queue` is the tab it opens.
    """

    group: str
    title: str
    url: str
    icon: str
    permission: str
    count: Callable[[HttpRequest], int] | None = None
    tone: str = "warning"
    queue: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Work that waits for the reader: how much, how old, and where it is."""

    title: str
    url: str
    count: int
    oldest: datetime | None = None
    is_overdue: bool = False
    note: str = ""

    @property
    def oldest_age(self) -> str:
        """How long the oldest has waited, in words: “3 min”."""
        return "" if self.oldest is None else show.span((timezone.now() - self.oldest).total_seconds())


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that moves, with the rows behind it."""

    title: str
    value: SafeString | str
    note: SafeString | str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars over time; each opens the rows behind it."""

    title: str
    labels: list[str]
    values: list[int]
    urls: list[str]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is watched: fine, or wrong in one sentence."""

    title: str
    sentence: SafeString | str
    url: str = ""
    is_wrong: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A hit of the search; where it tells of a client, which."""

    title: str
    description: str
    link: str
    icon: str = "search"
    client: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the client's page. `show` is given the request and the client."""

    title: str
    permission: str
    show: Callable[[HttpRequest, Any], SafeString | str]


@dataclass(frozen=True, slots=True)
class Card:
    """A part of Home for those with a permission, or for all; `read` gives rows of the kind its port holds."""

    permission: str
    read: Callable[[HttpRequest], Iterable[Any]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A kind of thing that has an age limit while it is not final (`PATIENCE`): how the page of stuck things shows it."""

    model: type[Model]
    title: str
    permission: str
    related: tuple[str, ...] = ()
    show: Callable[[Any], SafeString | str] | None = None


sidebar: Port[Entry] = Port("sidebar entries")
# Home, row by row: what waits for me, what moves, charts of it, and what is wrong.
waiting: Port[Card] = Port("what waits")
figures: Port[Card] = Port("figures")
charts: Port[Card] = Port("charts")
troubles: Port[Card] = Port("what is watched")
unfinished: Port[Unfinished] = Port("what is not final")
client_panels: Port[Panel] = Port("panels of the client's page")
# Given what was typed and how many hits are wanted.
search: Port[Callable[[HttpRequest, str, int], list[Found]]] = Port("search")
# By kind of subject: what the things with these public ids are called, and where they are.
subjects: Port[Callable[[set[uuid.UUID]], dict[uuid.UUID, tuple[str, str]]]] = Port("subjects")
# By event name: what happened, in words; a function is given the event's payload.
words: Port[str | Callable[[dict[str, Any]], str]] = Port("events in words")
# By the name of a part of events' payloads: what its value means, in words; empty text where that says nothing.
phrases: Port[Callable[[Any], str]] = Port("parts of events in words")
# By model label: which rows a member of staff may see, where the model itself cannot know.
limits: Port[Callable[[User, QuerySet[Any]], QuerySet[Any]]] = Port("which rows staff may see")
# By model label: the public ids of the clients a row is about, where its own columns do not say.
clients_of: Port[Callable[[Any], list[uuid.UUID]]] = Port("which clients a row is about")
# Where the client app is shown as a client sees it, by the client's public id; the edge that has it says so.
client_views: Port[Callable[[uuid.UUID], str]] = Port("client views")


def visible(user: Any, queryset: QuerySet[Any]) -> QuerySet[Any]:
    """The rows of a queryset that this member of staff may see: by the queryset's own word, or a registered limit."""
    if hasattr(queryset, "visible_to"):
        return queryset.visible_to(user)  # type: ignore[no-any-return]
    model: type[Model] = queryset.model
    if model._meta.label_lower in limits.names():
        return limits.get(model._meta.label_lower)(user, queryset)
    return queryset


def names(pairs: Iterable[tuple[str, uuid.UUID | None]]) -> dict[uuid.UUID, tuple[str, str]]:
    """What subjects are called and where they are, one question per kind. Unknown ones are left out."""
    wanted: dict[str, set[uuid.UUID]] = {}
    for kind, public_id in pairs:
        if public_id is not None and kind:
            wanted.setdefault(kind, set()).add(public_id)
    known = subjects.names()
    found: dict[uuid.UUID, tuple[str, str]] = {}
    for kind, ids in wanted.items():
        if kind in known:
            found |= subjects.get(kind)(ids)
    return found
