"""Roles: what staff may do, as data."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from backoffice.admin import ports, role_matrix, show, timeline
from backoffice.admin.base import ConsoleAdmin, record_link
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record, Tab
from backoffice.staff import rights
from backoffice.who import By

admin.site.unregister(Group) if admin.site.is_registered(Group) else None


@admin.register(Group)
class RoleAdmin(ConsoleAdmin):
    list_display = ("name", "people", "permissions_given")
    ordering = ("name",)
    search_fields = ("name",)
    edit_fields = add_fields = ("name", "permissions")
    filter_horizontal = ("permissions",)
    elevated = True
    subject_type = "role"
    list_intro = "A role is a set of permissions. Staff may do what any of their roles allows."

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .annotate(staff=Count("user", distinct=True), given=Count("permissions", distinct=True))
        )

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "permissions":
            kwargs["queryset"] = role_matrix.offered()
        made = super().formfield_for_manytomany(db_field, request, **kwargs)
        if db_field.name == "permissions":
            made.help_text = ""
            made.label_from_instance = lambda right: (
                f"{right.content_type.name.capitalize()}: {right.name.removeprefix('Can ')}"
            )
        return made

    def get_urls(self) -> list[URLPattern]:
        return [
            path("matrix/", self.admin_site.admin_view(self.matrix), name="role_matrix"),
            *super().get_urls(),
        ]

    def matrix(self, request: HttpRequest) -> HttpResponse:
        """Who may do what, on one page."""
        return role_matrix.page(request, self.admin_site.each_context(request))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        role = form.instance
        before = set(role_matrix.held(role)) if change else set()
        super().save_related(request, form, formsets, change)
        after = set(role_matrix.held(role))
        rights.role_changed(
            role,
            given=sorted(role_matrix.in_words(right) for right in after - before),
            taken=sorted(role_matrix.in_words(right) for right in before - after),
            by=By.user(request.user),  # type: ignore[arg-type]
            at=timezone.now(),
            reason=form.cleaned_data.get("change_reason") or "",
        )

    @admin.display(description="Staff")
    def people(self, role: Any) -> int:
        return int(role.staff)

    @admin.display(description="Permissions")
    def permissions_given(self, role: Any) -> int:
        return int(role.given)

    def record(self, request: HttpRequest, row: Group) -> Record:
        people = "1 person has this role" if row.staff == 1 else f"{row.staff} people have this role"  # type: ignore[attr-defined]
        return Record(
            title=row.name,
            why=f"{people}. A change counts from their next page on.",
            facts=_allowed(row),
            timeline=timeline.of("role", rights.role_id(row)),
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
    held = row.permissions.filter(content_type__app_label__in=role_matrix.OURS).exclude(
        codename__contains="historical"
    )
    apps_: dict[str, dict[str, list[str]]] = {}
    for right in held.select_related("content_type").order_by("content_type__app_label", "codename"):
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
ports.sidebar.register(
    "role_matrix",
    Entry("Settings", "Who may do what", "admin:role_matrix", "table_chart", "auth.view_group"),
    order=21,
)
ports.words.register("role.changed", "Role changed")
