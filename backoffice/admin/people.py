"""Who logs in: staff, people acting for clients, and the sessions of client apps."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.forms import AdminPasswordChangeForm, UserCreationForm

from backoffice import sessions
from backoffice.admin import elevating, ports, show, timeline
from backoffice.admin.actions import dialog_action
from backoffice.admin.base import ConsoleAdmin, ReadOnlyAdmin, record_link, url_of
from backoffice.admin.fields import ReasonedForm
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record, Tab
from backoffice.models import LogInLock, Session, User
from backoffice.staff import locks, passwords, second_factor
from backoffice.staff import rights as staff_rights
from backoffice.who import By


class NewStaffForm(UserCreationForm):
    """A new member of staff: clients' people sign up by themselves."""

    class Meta:
        model = User
        fields = ("email", "full_name")

    def save(self, commit: bool = True) -> User:
        self.instance.kind = User.Kind.STAFF
        return super().save(commit)  # type: ignore[no-any-return]


class StaffForm(ReasonedForm):
    """Roles are for staff only; whoever acts for a client has none."""

    class Meta:
        model = User
        fields = "__all__"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "groups" in self.fields:
            self.fields["groups"].label, self.fields["groups"].help_text = "Roles", ""
            self.fields["groups"].queryset = Group.objects.order_by("name")  # type: ignore[attr-defined]


def _is_locked(user: User) -> bool:
    lock = getattr(user, "log_in_lock", None)
    return lock is not None and lock.locked_until is not None and lock.locked_until > timezone.now()


@dialog_action(
    title="Lift the lock",
    button="Let them try again",
    description="They may log in again at once. Ask them whether the failed log-ins were theirs.",
    permission="backoffice.change_user",
    check=lambda user: locks.check_may_lift(user, at=timezone.now()),
    applies=_is_locked,
    icon="lock_open",
    elevated=True,
)
def lift_lock(admin: Any, request: HttpRequest, row: User, form: Any) -> str:
    by = By.user(request.user)  # type: ignore[arg-type]
    locks.lift(row, by=by, at=timezone.now(), reason=form.cleaned_data["reason"])
    return f"{row} may log in again."


@dialog_action(
    title="Remove the second factor",
    button="Remove it and end their sessions",
    description="Make sure that it is them who ask: by seeing them, or by calling a number you know. Their sessions end at once, "
    "their recovery codes are void, and they enroll another second factor at their next log-in.",
    permission="backoffice.change_user",
    check=second_factor.check_may_remove,
    applies=lambda user: (
        getattr(user, "second_factor", None) is not None and user.second_factor.confirmed_at is not None
    ),
    icon="phonelink_erase",
    danger=True,
    elevated=True,
)
def remove_second_factor(admin: Any, request: HttpRequest, row: User, form: Any) -> str:
    if row.is_superuser and not request.user.is_superuser:  # type: ignore[union-attr]
        raise PermissionDenied
    by = By.user(request.user)  # type: ignore[arg-type]
    second_factor.remove(row, by=by, at=timezone.now(), reason=form.cleaned_data["reason"])
    return f"The second factor of {row} is gone, and their sessions have ended."


@admin.register(User)
class UserAdmin(ConsoleAdmin, DjangoUserAdmin):  # type: ignore[misc]
    list_display = ("email", "full_name", "kind_shown", "may_log_in", "last_seen")
    list_display_links = ("email",)
    ordering = ("-id",)
    search_fields = ("email", "full_name")
    search_help_text = "The beginning of an e-mail address"
    list_filter = (
        choice_filter("kind", "kind", User.Kind.choices),
        choice_filter("is_active", "log-in", [("True", "May log in"), ("False", "May not log in")]),
    )
    filter_horizontal = ()
    fieldsets = (
        ("Who", {"fields": ("full_name", "phone", "locale", "time_zone")}),
        ("May", {"fields": ("is_active", "groups")}),
    )
    edit_fields = ("full_name",)
    add_fields = ("email", "full_name", "password1", "password2")
    add_fieldsets = ((None, {"fields": ("email", "full_name", "password1", "password2")}),)
    add_form, form, change_password_form = NewStaffForm, StaffForm, AdminPasswordChangeForm
    change_user_password_template = None
    actions_detail = ("lift_lock", "remove_second_factor")
    lift_lock, remove_second_factor = lift_lock, remove_second_factor
    record_related = ("log_in_lock", "second_factor")
    subject_type = "user"
    list_intro = "Staff are added here and get their permissions from roles. People acting for clients sign up by themselves."

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Nobody lifts themself above their own rights by changing somebody who has more.
        if obj is not None and obj.is_superuser and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def needs_elevation(self, row: Any) -> bool:
        return row is None or row.kind == User.Kind.STAFF

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = StaffForm if obj is not None else NewStaffForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        groups = [*self.fieldsets, ("Why", {"fields": ("change_reason",)})]
        if obj.kind == User.Kind.CLIENT:
            groups[1] = ("May", {"fields": ("is_active",)})
        return groups

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """A new password for a member of staff. A client's own password is reset by themself, never by us."""
        user = self.get_object(request, id)
        if user is None:
            raise Http404
        if user.kind != User.Kind.STAFF or not self.has_change_permission(request, user):
            raise PermissionDenied
        context = self.admin_site.each_context(request)
        if (
            answer := elevating.asked(request, context, f"Set a password for {user}", self.record_url(user))
        ) is not None:
            return answer
        before = user.password
        answer = super().user_change_password(request, id, form_url)
        if user.password != before:
            passwords.changed(user, by=By.user(request.user), at=timezone.now())  # type: ignore[arg-type]
        return answer

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        by, now = By.user(request.user), timezone.now()  # type: ignore[arg-type]
        if change and {"is_active", "groups"} & set(form.changed_data):
            staff_rights.changed(obj, _rights(form), by=by, at=now, reason=form.cleaned_data["change_reason"])
        elif not change:
            staff_rights.added(obj, by=by, at=now)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        term = search_term.strip()
        return (queryset.filter(email__istartswith=term) if term else queryset), False

    @admin.display(description="Kind")
    def kind_shown(self, user: User) -> str:
        return "Superuser" if user.is_superuser else str(user.get_kind_display())

    @admin.display(description="Log-in")
    def may_log_in(self, user: User) -> SafeString:
        return show.badge("May log in", show.DONE) if user.is_active else show.badge("May not", show.WRONG)

    @admin.display(description="Last in the console")
    def last_seen(self, user: User) -> SafeString:
        return show.when(user.last_login)

    def buttons(self, request: HttpRequest, row: User) -> list[tuple[str, str]]:
        if row.pk == request.user.pk:
            return [("Your security", reverse("admin:security"))]
        if row.kind == User.Kind.STAFF and self.has_change_permission(request, row):
            return [("Set a password", reverse("admin:auth_user_password_change", args=[row.pk]))]
        return []

    def record(self, request: HttpRequest, row: User) -> Record:
        roles = ", ".join(row.groups.order_by("name").values_list("name", flat=True))
        return Record(
            title=row.get_full_name(),
            badge=show.badge("May log in", show.DONE) if row.is_active else show.badge("May not log in", show.WRONG),
            why="Enters the console with the roles below." if row.is_staff
            else "Acts for a client over the API; never enters the console.",
            facts=[
                ("Who is it?", [
                    ("E-mail", row.email), ("Name", row.full_name), ("Phone", row.phone),
                    ("Kind", self.kind_shown(row)), ("Language", row.locale), ("Time zone", row.time_zone),
                ]),
                ("What may they do?", [
                    ("Roles", roles or ("Everything: a superuser" if row.is_superuser else "None" if row.is_staff else "")),
                    ("E-mail verified", show.yes(row.email_verified)),
                ]),
                ("How do they log in?", _log_in(row) if row.is_staff else []),
                ("When?", [("Made", show.at(row.created_at)), ("Last in the console", show.at(row.last_login))]),
            ],
            timeline=timeline.of("user", row.uuid),
            tabs=[Tab("Sessions", lambda: _sessions(row))] if request.user.has_perm("backoffice.view_session") else [],
        )  # fmt: skip


def _rights(form: Any) -> staff_rights.Rights:
    """What the form changes of what somebody may do."""
    data, before = form.cleaned_data, form.initial
    after = {role.name for role in data.get("groups", ())}
    was = {role.name for role in before.get("groups", ())}
    return staff_rights.Rights(
        given=sorted(after - was), taken=sorted(was - after), may_log_in=data.get("is_active", True)
    )


def _log_in(user: User) -> list[tuple[str, Any]]:
    factor = getattr(user, "second_factor", None)
    lock: LogInLock | None = getattr(user, "log_in_lock", None)
    until = lock.locked_until if lock is not None and _is_locked(user) else None
    return [
        ("Second factor", show.at(factor.confirmed_at) if factor and factor.confirmed_at else "None enrolled"),
        ("Locked out", format_html("until {}, after {} failed log-ins", show.at(until), lock.failures) if lock is not None and until else ""),
    ]  # fmt: skip


def _sessions(user: User) -> SafeString:
    rows = list(Session.objects.filter(user=user).order_by("-id")[:20])
    return show.table(
        ["Began", "What", "Last seen", "From", "State"],
        [[record_link(row, show.at(row.started_at)), row.get_kind_display(), show.when(row.refreshed_at), row.address or "–", _state(row)]
         for row in rows],
        empty="They are not and were not logged in anywhere.",
    )  # fmt: skip


def _state(session: Session) -> SafeString:
    if session.ended_at is None:
        return show.badge("Open", show.DONE)
    return show.badge(
        session.get_end_display(), show.WRONG if session.end == Session.End.REUSED else show.WAITING
    )


@dialog_action(
    title="Close session",
    button="Close the session",
    description="Its access and refresh tokens stop working at once; the person logs in again.",
    permission="backoffice.change_session",
    check=sessions.check_may_close,
    applies=lambda session: session.ended_at is None,
    icon="logout",
    danger=True,
)
def close_session(admin: Any, request: HttpRequest, session: Session, form: Any) -> str:
    by = By.user(request.user)  # type: ignore[arg-type]
    sessions.close(session, by=by, at=timezone.now(), reason=form.cleaned_data["reason"])
    return f"The session of {session.user} is closed."


_WHY = {
    Session.Kind.APP: "Logged in; its refresh token is swapped at each use.",
    Session.Kind.CONSOLE: "At work in the console; it ends by itself when nothing is done for a while.",
    Session.Kind.VIEW: "Looks at the client app as the client sees it, read only; it ends by itself within minutes.",
}


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("began", "who", "kind", "agent_shown", "address", "refreshed", "state_shown")
    list_display_links = ("began",)
    list_select_related = ("user",)
    ordering = ("-id",)
    list_filter = (
        choice_filter("kind", "what", Session.Kind.choices),
        choice_filter("end", "ended", Session.End.choices),
    )
    actions_detail = ("close_session",)
    close_session = close_session
    list_intro = "Log-ins of client apps over the API, of staff to the console, and looks at the client app as a client."
    empty_text = "Nobody has logged in yet."

    @admin.display(description="Began")
    def began(self, session: Session) -> SafeString:
        return show.at(session.started_at)

    @admin.display(description="Person")
    def who(self, session: Session) -> SafeString:
        return record_link(session.user)  # type: ignore[no-any-return]

    @admin.display(description="App")
    def agent_shown(self, session: Session) -> str:
        return session.agent[:60] or "Not said"

    @admin.display(description="Last seen")
    def refreshed(self, session: Session) -> SafeString:
        return show.when(session.refreshed_at)

    @admin.display(description="State")
    def state_shown(self, session: Session) -> SafeString:
        return _state(session)

    def record(self, request: HttpRequest, row: Session) -> Record:
        return Record(
            title=f"Session of {row.user}",
            badge=_state(row),
            why=_WHY[Session.Kind(row.kind)] if row.ended_at is None else "It has ended; nothing is told under it any more.",
            facts=[
                ("Whose?", [("Person", record_link(row.user)), ("What", row.get_kind_display()), ("As", str(row.viewed or "")), ("App", row.agent), ("Address", row.address or "")]),
                ("When?", [
                    ("Began", show.at(row.started_at)), ("Last seen", show.at(row.refreshed_at)),
                    ("Ended", show.at(row.ended_at)),
                ]),
            ],
        )  # fmt: skip


def _users(ids: set[uuid.UUID]) -> dict[uuid.UUID, tuple[str, str]]:
    return {row.uuid: (str(row), url_of(row)) for row in User.objects.filter(uuid__in=ids)}


ports.subjects.register("user", _users)
ports.sidebar.register(
    "users",
    Entry("Settings", "Users and staff", "admin:backoffice_user_changelist", "group", "backoffice.view_user"),
    order=10,
)
ports.sidebar.register(
    "sessions",
    Entry(
        "Operations",
        "Sessions",
        "admin:backoffice_session_changelist",
        "devices",
        "backoffice.view_session",
    ),
    order=50,
)
_WORDS: dict[str, str | Callable[[dict[str, Any]], str]] = {
    "user.logged_in": "Logged in",
    "user.logged_out": "Logged out",
    "user.log_in_failed": "A log-in failed",
    "user.session_closed": "Session closed by staff",
    "user.new_device": "Logged in from a new device",
    "user.password_reset_requested": "Asked for a new password",
    "user.password_reset": "Password reset by a mailed link",
    "user.email_verified": "E-mail address confirmed",
    "staff.logged_in": "Logged in to the console",
    "staff.logged_out": "Logged out of the console",
    "staff.log_in_failed": lambda payload: f"A log-in to the console failed at the {payload['step']}",
    "staff.locked_out": "Locked out",
    "staff.lock_lifted": "Lock lifted",
    "staff.session_ended": "Session of the console ended",
    "staff.password_changed": "Password changed",
    "staff.second_factor_enrolled": "Second factor enrolled",
    "staff.second_factor_removed": "Second factor removed",
    "staff.recovery_code_used": "Recovery code used",
    "staff.recovery_codes_printed": "New recovery codes printed",
    "staff.elevated": "Opened the most sensitive actions",
    "staff.elevation_ended": "Closed the most sensitive actions",
    "staff.added": "Member of staff added",
    "staff.rights_changed": "Roles or log-in changed",
}
for _name, _words in _WORDS.items():
    ports.words.register(_name, _words)
