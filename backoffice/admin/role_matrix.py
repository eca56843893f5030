"""Who may do what: every permission that a role gives, in words, against every role; from the database, to read."""

from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.utils.html import format_html

from backoffice.admin import ports, show

# Tables nobody is given rights on by a role are left out: the framework's own, and old versions.
OURS: Final = (
    "backoffice", "compliance", "ledger", "brokerage", "affiliates", "lending", "signals_hub", "jobs", "auth",
)  # fmt: skip
VERBS: Final = {"view": "See", "add": "Add", "change": "Change"}
ELSEWHERE: Final = "Elsewhere"


def offered() -> Any:
    """The permissions a role may give, in an order that keeps together what is about one thing."""
    return (
        Permission.objects.filter(content_type__app_label__in=OURS)
        .exclude(codename__contains="historical")
        .exclude(codename__startswith="delete_")  # nothing is deleted in the console
        .select_related("content_type")
        .order_by("content_type__app_label", "content_type__model", "codename")
    )


def held(role: Group) -> Any:
    """What a role gives, of what can be offered."""
    return offered().filter(group=role)


def in_words(right: Permission) -> str:
    """“See trades”, “Sell a trade early”."""
    verb, _, noun = right.codename.partition("_")
    model = right.content_type.model_class()
    if noun == right.content_type.model and verb in VERBS and model is not None:
        return f"{VERBS[verb]} {_called(model)}"
    words = right.name.removeprefix("Can ")
    return words[:1].upper() + words[1:]


def has_effect(right: Permission) -> bool:
    """Whether anything asks for it: of what Django makes for every table, much is asked for by nothing here."""
    verb, _, noun = right.codename.partition("_")
    if noun != right.content_type.model:
        return True
    console: Any = admin.site._registry.get(right.content_type.model_class())  # type: ignore[arg-type]
    if console is None:
        return False
    fields = {"view": True, "add": bool(console.add_fields), "change": bool(console.edit_fields)}
    return (
        fields.get(verb, False) or f"{right.content_type.app_label}.{right.codename}" in _asked_by_actions()
    )


def _asked_by_actions() -> set[str]:
    names = ("actions_list", "actions_row", "actions_detail")
    return {
        getattr(console, name).permission
        for console in admin.site._registry.values()
        for kind in names
        for name in getattr(console, kind)
        if isinstance(name, str)
    }


def groups() -> list[tuple[str, list[tuple[str, list[bool]]]]]:
    """The rows, by the job as the sidebar has it: what, and for each role whether it gives it. Three questions."""
    roles = list(Group.objects.order_by("name"))
    held = set(Group.permissions.through.objects.values_list("group_id", "permission_id"))  # type: ignore[attr-defined]
    jobs = {entry.permission: entry.group for entry in ports.sidebar if entry.permission}
    found: dict[str, list[tuple[str, list[bool]]]] = {}
    for right in offered():
        cells = [(role.pk, right.pk) in held for role in roles]
        if any(cells) and has_effect(right):
            job = jobs.get(f"{right.content_type.app_label}.view_{right.content_type.model}", ELSEWHERE)
            found.setdefault(job, []).append((in_words(right), cells))
    return [(job, found[job]) for job in (*ports.GROUPS, ELSEWHERE) if job in found]


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The page, for whoever may see roles."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET"])
    if not request.user.has_perm("auth.view_group"):
        raise PermissionDenied
    yes, no = (
        format_html('<b class="c-text-green">{}</b><span class="c-unseen">{}</span>', "●", "Yes"),
        show.NOTHING,
    )
    shown = [
        (job or "Home", [(words, [yes if given else no for given in cells]) for words, cells in rows])
        for job, rows in groups()
    ]
    roles = [show.link(role.name, f"../{role.pk}/change/") for role in Group.objects.order_by("name")]
    context |= {"title": "Who may do what", "roles": roles, "jobs": shown, "across": len(roles) + 1}
    return TemplateResponse(request, "console/role_matrix.html", context)


def _called(model: Any) -> str:
    name = str(model._meta.verbose_name_plural)
    return "roles" if model is Group else name if name.isupper() else name[:1].lower() + name[1:]
