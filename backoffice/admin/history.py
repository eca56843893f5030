"""The history of a configuration record as a reader wants it: who, when, why, and what was different."""

from collections import defaultdict
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backoffice.admin import show

HIDDEN = {"id", "uuid", "password", "token", "last_login"}
Lists = defaultdict[tuple[int, str], set[str]]
KINDS = {"+": "Made", "~": "Changed", "-": "Deleted"}


def shown(row: Any, *, at_most: int) -> SafeString:
    """The latest versions of a record, newest first, each with its differences from the one before."""
    versions = list(
        row.history.select_related("history_user").order_by("-history_date", "-history_id")[: at_most + 1]
    )
    rows, lists = [], _listed(versions)
    for number, version in enumerate(versions[:at_most]):
        before = versions[number + 1] if number + 1 < len(versions) else None
        if before is not None and _is_echo(version, before, lists):
            continue
        who = version.history_user or "The system"
        rows.append(
            [
                show.at(version.history_date),
                who,
                _differences(version, before, lists) if before else KINDS[version.history_type],
                version.history_change_reason or show.NOTHING,
            ]
        )
    return show.table(
        ["When", "By", "What changed", "Why"], rows, empty="Nobody has changed this since it was made."
    )


def _is_echo(version: Any, before: Any, lists: Lists) -> bool:
    """Saving a form keeps one version for the record and one for what it lists; one without a difference says nothing."""
    if not getattr(version, "_history_m2m_fields", ()):
        return False
    same = all(
        getattr(before, column.attname) == getattr(version, column.attname)
        for column in version.tracked_fields
    )
    return same and not _changed_lists(version, before, lists)


def _differences(version: Any, before: Any, lists: Lists) -> SafeString:
    changes = []
    for column in version.tracked_fields:
        if column.name in HIDDEN:
            continue
        old, new = getattr(before, column.attname), getattr(version, column.attname)
        if old == new:
            continue
        label = str(column.verbose_name)
        changes.append(
            (label[:1].upper() + label[1:], _word(before, column, old), _word(version, column, new))
        )
    changes.extend(_changed_lists(version, before, lists))
    if not changes:
        return format_html('<span class="c-quiet">{}</span>', "Saved without a difference")
    return format_html_join("", '<div class="c-diff"><b>{}</b> <del>{}</del> → <ins>{}</ins></div>', changes)


def _changed_lists(version: Any, before: Any, lists: Lists) -> list[tuple[str, str, str]]:
    """What a record lists of others (a role's permissions, a person's roles): what went and what came."""
    changes = []
    for column in getattr(version, "_history_m2m_fields", ()):
        was, now = (lists[one.history_id, column.name] for one in (before, version))
        if was != now:
            label = str(column.verbose_name)
            gone, come = ", ".join(sorted(was - now)) or "nothing", ", ".join(sorted(now - was)) or "nothing"
            changes.append((label[:1].upper() + label[1:], gone, come))
    return changes


def _listed(versions: list[Any]) -> Lists:
    """What each version listed, by name: one question for each kind of list, however many versions."""
    found: Lists = defaultdict(set)
    for column in getattr(versions[0], "_history_m2m_fields", ()) if versions else ():
        other = column.m2m_reverse_field_name()
        kept = getattr(type(versions[0]), column.name).model
        rows = kept._base_manager.filter(history__in=[version.history_id for version in versions])
        for row in rows.select_related(other):
            named = getattr(row, other)
            found[row.history_id, column.name].add(str(getattr(named, "name", named)))
    return found


def _word(version: Any, column: Any, value: Any) -> str:
    if value is not None and column.is_relation:
        found = column.related_model._base_manager.filter(pk=value).first()
        return str(found) if found else "something that is gone"
    if getattr(column, "choices", None):
        return str(dict(column.flatchoices).get(value, value)) if value != "" else "nothing"
    return show.plain(value)
