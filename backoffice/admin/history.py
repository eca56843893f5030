"""The history of a configuration record as a reader wants it: who, when, why, and what was different."""

from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from backoffice.admin import show

HIDDEN = {"id", "uuid", "password", "token", "last_login"}
KINDS = {"+": "Made", "~": "Changed", "-": "Deleted"}


def shown(row: Any, *, at_most: int) -> SafeString:
    """The latest versions of a record, newest first, each with its differences from the one before."""
    versions = list(
        row.history.select_related("history_user").order_by("-history_date", "-history_id")[: at_most + 1]
    )
    rows = []
    for number, version in enumerate(versions[:at_most]):
        before = versions[number + 1] if number + 1 < len(versions) else None
        who = version.history_user or "The system"
        rows.append(
            [
                show.at(version.history_date),
                who,
                _differences(version, before) if before else KINDS[version.history_type],
                version.history_change_reason or show.NOTHING,
            ]
        )
    return show.table(
        ["When", "By", "What changed", "Why"], rows, empty="Nobody has changed this since it was made."
    )


def _differences(version: Any, before: Any) -> SafeString:
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
    if not changes:
        return format_html('<span class="c-quiet">{}</span>', "Saved without a difference")
    return format_html_join("", '<div class="c-diff"><b>{}</b> <del>{}</del> → <ins>{}</ins></div>', changes)


def _word(version: Any, column: Any, value: Any) -> str:
    if value is not None and column.is_relation:
        found = column.related_model._base_manager.filter(pk=value).first()
        return str(found) if found else "something that is gone"
    if getattr(column, "choices", None):
        return str(dict(column.flatchoices).get(value, value)) if value != "" else "nothing"
    return show.plain(value)
