"""A record page: who or what, its state, and one sentence on why it is where it is; facts, timeline, tabs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.utils.safestring import SafeString

from backoffice.admin.timeline import Happening

Value = SafeString | str


@dataclass(frozen=True, slots=True)
class Tab:
    """A part below the facts. Its content is made by `read`, once, when the page is."""

    title: str
    read: Callable[[], Value]


@dataclass(frozen=True, slots=True)
class Record:
    """What a record page shows. Facts stand in groups, each answering one question."""

    title: Value
    badge: Value = ""
    amount: Value = ""
    why: Value = ""
    facts: list[tuple[str, list[tuple[str, Value]]]] = field(default_factory=list)
    timeline: list[Happening] | None = None
    tabs: list[Tab] = field(default_factory=list)
    above: Value = ""

    def filled(self) -> "list[tuple[str, list[tuple[str, Value]]]]":
        """The groups that say something: a fact that is not known yet is left out."""
        from backoffice.admin.show import NOTHING

        groups: list[tuple[str, list[tuple[str, Any]]]] = []
        for heading, rows in self.facts:
            known = [(label, value) for label, value in rows if value not in ("", None, NOTHING)]
            if known:
                groups.append((heading, known))
        return groups
