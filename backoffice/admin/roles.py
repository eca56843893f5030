"""Roles: what staff may do, as data."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db.models import Count
from django.http import HttpRequest
from django.utils.safestring import SafeString

from backoffice.admin import ports, show
from backoffice.admin.base import ConsoleAdmin, record_link
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record, Tab

admin.site.unregister(Group) if admin.site.is_registered(Group) else None
# Tables nobody is given rights on by a role: the framework's own.
OURS = (
    "backoffice",
    "compliance",
    "ledger",
    "brokerage",
    "affiliates",
    "lending",
    "signals_hub",
    "jobs",
    "auth",
)


@admin.register(Group)
class RoleAdmin(ConsoleAdmin):
    list_display = ("name", "people", "rights")
    ordering = ("name",)
    search_fields = ("name",)
    edit_fields = add_fields = ("name", "permissions")
    filter_horizontal = ("permissions",)
    list_intro = "A role is a set of permissions. Staff may do what any of their roles allows."

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .annotate(staff=Count("user", distinct=True), given=Count("permissions", distinct=True))
        )

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "permissions":
            kwargs["queryset"] = (
                Permission.objects.filter(content_type__app_label__in=OURS)
                .exclude(codename__contains="historical")
                .exclude(codename__startswith="delete_")  # nothing is deleted in the console
                .select_related("content_type")
                .order_by("content_type__app_label", "content_type__model", "codename")
            )
        made = super().formfield_for_manytomany(db_field, request, **kwargs)
        if db_field.name == "permissions":
            made.help_text = ""
            made.label_from_instance = lambda right: (
                f"{right.content_type.name.capitalize()}: {right.name.removeprefix('Can ')}"
            )
        return made

    @admin.display(description="Staff")
    def people(self, role: Any) -> int:
        return int(role.staff)

    @admin.display(description="Permissions")
    def rights(self, role: Any) -> int:
        return int(role.given)

    def record(self, request: HttpRequest, row: Group) -> Record:
        people = "1 person has this role" if row.staff == 1 else f"{row.staff} people have this role"  # type: ignore[attr-defined]
        return Record(
            title=row.name,
            why=f"{people}. A change counts from their next page on.",
            facts=_allowed(row),
            tabs=[Tab("Staff", lambda: self._staff(row))],
        )  # fmt: skip

    @staticmethod
    def _staff(row: Group) -> SafeString:
        return show.table(
            ["Name", "E-mail"],
            [[record_link(user), user.email] for user in row.user_set.order_by("full_name")[:100]],
            empty="Nobody has this role yet. Give it to staff under Users and staff.",
        )


def _allowed(row: Group) -> list[tuple[str, list[tuple[str, Any]]]]:
    """What a role allows, by app and by what it is about, in words."""
    rights = row.permissions.filter(content_type__app_label__in=OURS).exclude(codename__contains="historical")
    apps_: dict[str, dict[str, list[str]]] = {}
    for right in rights.select_related("content_type").order_by("content_type__app_label", "codename"):
        verb, _, noun = right.codename.partition("_")
        model = right.content_type
        plain = noun == model.model
        words = verb if plain else right.name.removeprefix("Can ")
        apps_.setdefault(model.app_label, {}).setdefault(model.name.capitalize(), []).append(words)
    return [
        (
            app.replace("_", " ").capitalize(),
            [(noun, ", ".join(words)) for noun, words in sorted(nouns.items())],
        )
        for app, nouns in apps_.items()
    ]


ports.sidebar.register(
    "roles", Entry("Settings", "Roles", "admin:auth_group_changelist", "badge", "auth.view_group"), order=20
)
