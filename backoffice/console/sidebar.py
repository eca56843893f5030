"""The sidebar, by the job to be done: only what the reader may use, with counts where work waits."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from backoffice.admin.ports import GROUPS, sidebar
from backoffice.configuration import configuration


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Unfold's structure of groups and items. A group without an entry for this reader does not appear."""
    home = reverse("admin:index")
    under: dict[int, str] = {}
    groups: dict[str, list[dict[str, Any]]] = {
        "": [{"title": "Home", "icon": "home", "link": home, "active": request.path == home}]
    }
    for entry in sidebar:
        if entry.permission and not request.user.has_perm(entry.permission):
            continue
        link = reverse(entry.url)
        item: dict[str, Any] = {
            "title": entry.title, "icon": entry.icon, "link": link, "active": False,
        }  # fmt: skip
        under[id(item)] = link
        if entry.queue:
            item["link"] = f"{link}?queue={entry.queue}"
        if entry.count is not None and (count := entry.count(request)):
            item |= {"badge": f"{count:,}", "badge_variant": entry.tone}
        groups.setdefault(entry.group, []).append(item)
    # Of the addresses this page lies under, the longest is where the reader is.
    here = [
        item
        for items in groups.values()
        for item in items
        if request.path.startswith(under.get(id(item), "\0"))
    ]
    if request.path != home and here:
        max(here, key=lambda item: len(under[id(item)]))["active"] = True
    return [{"title": name, "items": groups[name]} for name in GROUPS if name in groups]


def environment(request: HttpRequest) -> list[str] | None:
    """A mark in the corner that this is a demo; production shows none."""
    return ["Demo", "warning"] if configuration().demo else None
