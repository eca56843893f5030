"""What the command palette finds: pages by their title, then whatever the apps' own searches know."""

from typing import Any, Final

from django.http import HttpRequest

from backoffice.admin import accessing
from backoffice.admin.ports import Found, search

AT_MOST: Final = 8  # per search


def found(request: HttpRequest, term: str, navigation: list[dict[str, Any]]) -> list[Found]:
    """At most `AT_MOST` hits of each search, pages first."""
    wanted = term.lower()
    hits = [
        Found(str(item["title"]), group["title"] or "Page", str(item["link"]), item["icon"])
        for group in navigation
        for item in group["items"]
        if wanted in str(item["title"]).lower()
    ][:AT_MOST]
    for ask in search:
        hits.extend(ask(request, term, AT_MOST)[:AT_MOST])
    accessing.note_found(request, [hit.client for hit in hits if hit.client is not None])
    return hits
