"""The base of every admin class: a list, a record page, an edit form where somebody may edit, and no open back doors.

What Django, Unfold and simple-history leave open is closed here (see decision 10 in `docs/decisions/`): objects are loaded through
`get_queryset`, which is limited to what the reader may see; nothing is deleted; import, export and history ask for
permission; old versions cannot be posted back; actions have dialogs.
"""

from typing import Any, ClassVar

from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import strip_tags
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from backoffice.admin import accessing, elevating, history, ports, show
from backoffice.admin.actions import MARK
from backoffice.admin.fields import ReasonedForm, tidy_decimal
from backoffice.admin.paging import CappedPaginator
from backoffice.admin.record import Record, Tab


class _NotKept:
    """Unfold puts each request on the admin, which all threads share. Nothing is kept, and nothing is found."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        raise AttributeError("Admins are shared between threads and hold no request.")

    def __set__(self, instance: Any, value: Any) -> None:
        pass


class Named:
    """A row under the name its page gives it, for the trail above the page."""

    def __init__(self, row: models.Model, name: str) -> None:
        self._meta, self.pk, self._name = row._meta, row.pk, name

    def __str__(self) -> str:
        return self._name


class ConsoleAdmin(ModelAdmin):
    """A list and a record page for a model; an edit form for those who may change it.

    A subclass says what a row is (`record`), and which columns and filters help. `edit_fields` are what the form
    offers; without them nobody edits, whatever their permissions.
    """

    request = _NotKept()
    show_full_result_count = False
    show_facets = False
    list_per_page = 25
    list_max_show_all = 25
    paginator = CappedPaginator
    list_filter_submit = True
    list_filter_sheet = True
    list_fullwidth = True
    compressed_fields = True
    warn_unsaved_form = True
    save_on_top = False
    actions = ()
    list_before_template = "console/list_head.html"
    # What the list is for, in a sentence; and what an empty one means.
    list_intro: ClassVar[str] = ""
    empty_text: ClassVar[str] = "Nothing here yet."
    edit_fields: ClassVar[tuple[str, ...]] = ()
    add_fields: ClassVar[tuple[str, ...]] = ()
    # What a record page shows of other rows, fetched with its own.
    record_related: ClassVar[tuple[str, ...]] = ()
    # The kind of subject under which the event log knows these rows; empty: not at all.
    subject_type: ClassVar[str] = ""

    # Whether adding and editing ask staff to prove themselves again.
    elevated: ClassVar[bool] = False

    # ── who may ─────────────────────────────────────────────────────────────────────────────────────────────

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(self.add_fields) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return bool(self.edit_fields) and super().has_change_permission(request, obj)

    def has_export_permission(self, request: HttpRequest) -> bool:
        return False

    def has_import_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = ports.visible(request.user, super().get_queryset(request))
        related = self.record_related or self.list_select_related
        return rows.select_related(*related) if related else rows

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # Asked for several times while one page is made: loaded once, through `get_queryset`.
        kept: dict[Any, Any] = request.__dict__.setdefault("_console_rows", {})
        name = (self.model, str(object_id), from_field)
        if request.method != "GET" or name not in kept:
            kept[name] = super().get_object(request, unquote(str(object_id)), from_field)
        return kept[name]

    def _filter_unfold_actions_by_permissions(
        self, request: HttpRequest, actions: list[Any], object_id: Any = None
    ) -> list[Any]:
        """Which buttons this reader gets for this row; the dialogs ask again."""
        row = self.get_object(request, object_id) if object_id else None
        return [
            action
            for action in actions
            if getattr(action.method, MARK, False)
            and request.user.has_perm(action.method.permission)
            and (row is None or action.method.applies is None or action.method.applies(row))
        ]

    # ── the list ────────────────────────────────────────────────────────────────────────────────────────────

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        """Tabs above the list: title, link, whether active, count."""
        return []

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(  # type: ignore[no-any-return]
            request,
            {
                "title": str(self.opts.verbose_name_plural).capitalize(),
                "list_intro": self.list_intro,
                "console_tabs": self.tabs(request),
                **(extra_context or {}),
            },
        )

    # ── the record page ─────────────────────────────────────────────────────────────────────────────────────

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_edit"
        edit = path("<path:object_id>/edit/", self.admin_site.admin_view(self.edit_view), name=name)
        return [edit, *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The record, to read. Changes go to the edit form or through a dialog."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404("There is no such record, or you may not see it.")
        record = self.record(request, row)
        actions = self._get_actions_navigation(
            self.actions_detail, self.get_actions_detail(request, row.pk), str(row.pk)
        )
        tabs = [*record.tabs, *self._history_tab(row)]
        if (wanted := request.GET.get("tab", "")).isdigit():
            # The parts below the facts are read when somebody opens them; only the first comes with the page.
            return HttpResponse(tabs[int(wanted)].read() if int(wanted) < len(tabs) else "")
        accessing.note(request, row, "record")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": Named(row, strip_tags(str(record.title))),
            "title": strip_tags(str(record.title)),
            "record": record,
            "tabs": [
                (f"tab-{number}", tab.title, "" if number else tab.read()) for number, tab in enumerate(tabs)
            ],
            "actions_detail": actions,
            "edit_url": self._edit_url(row) if self.has_change_permission(request, row) else "",
            "record_buttons": self.buttons(request, row),
            "media": "",
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "console/record.html", context)

    def record(self, request: HttpRequest, row: Any) -> Record:
        """What the record page shows. By default every field of the model that is not a secret, tidily."""
        names = [
            f.name for f in self.opts.fields if f.name not in ("id", "uuid", "password", "token", "history")
        ]
        facts: list[tuple[str, SafeString | str]] = [
            (str(self.opts.get_field(name).verbose_name).capitalize(), show.field(row, name))
            for name in names
        ]
        return Record(title=str(row), facts=[("What it is", facts)])

    def buttons(self, request: HttpRequest, row: Any) -> list[tuple[str, str]]:
        """Further pages of a record: title and address."""
        return []

    def _history_tab(self, row: Any) -> list[Tab]:
        if not hasattr(self.model, "history"):
            return []
        return [Tab("Changes", lambda: history.shown(row, at_most=10))]

    def after_action(self, row: Any) -> str:
        """Where an action leads: the row's page, or the list."""
        return self.record_url(row) if row is not None else reverse(self._name("changelist"))

    def record_url(self, row: Any) -> str:
        return reverse(self._name("change"), args=[row.pk])

    def _edit_url(self, row: Any) -> str:
        return reverse(self._name("edit"), args=[row.pk])

    def _name(self, page: str) -> str:
        return f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{page}"

    # ── the edit form ───────────────────────────────────────────────────────────────────────────────────────

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form, for those who may change this row."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request):
            raise PermissionDenied if not self.has_view_permission(request) else Http404
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        if request.method == "GET":
            accessing.note(request, row, "edit")
        return self.changeform_view(request, object_id, "", {"title": f"Edit {row}"})  # type: ignore[no-any-return]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        row = self.get_object(request, object_id) if object_id else None
        allowed = self.has_change_permission(request, row) if object_id else self.has_add_permission(request)
        if allowed and self.needs_elevation(row):
            context, back = self.admin_site.each_context(request), self.after_action(row)
            what = f"Edit {row}" if row is not None else f"Add {self.opts.verbose_name}"
            if (answer := elevating.asked(request, context, what, back)) is not None:
                return answer
        one_way = {"show_save_and_continue": False, "show_save_and_add_another": False, "show_history": False}
        return super().changeform_view(request, object_id, form_url, {**one_way, **(extra_context or {})})

    def needs_elevation(self, row: Any) -> bool:
        """Whether the form of this row (None: of a new one) is open only to staff who proved themselves again."""
        return self.elevated

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs.setdefault("form", ReasonedForm if hasattr(self.model, "history") else self.form)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if self.fieldsets:
            groups = list(self.fieldsets)
        else:
            fields = self.edit_fields if obj is not None else self.add_fields
            groups = [(None, {"fields": fields})]
        if obj is not None and hasattr(self.model, "history"):
            groups.append(("Why", {"fields": ("change_reason",)}))
        return groups

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, models.DecimalField):
            return tidy_decimal(db_field)
        made = super().formfield_for_dbfield(db_field, request, **kwargs)
        if made is not None and hasattr(made.widget, "can_add_related"):
            # The little pencils and crosses beside a choice lead away from the task.
            made.widget.can_add_related = made.widget.can_change_related = False
            made.widget.can_view_related = made.widget.can_delete_related = False
        return made

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if hasattr(self.model, "history"):
            obj._change_reason = (form.cleaned_data.get("change_reason") or "")[:100]
            obj._history_user = request.user
        super().save_model(request, obj, form, change)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return HttpResponseRedirect(self.record_url(obj))

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        self.message_user(request, f"Saved. {obj} is as you see it here.")
        return self.response_post_save_change(request, obj)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if IS_POPUP_VAR in request.POST:
            return super().response_add(request, obj, post_url_continue)  # type: ignore[no-any-return]
        self.message_user(request, f"Added {obj}.")
        return HttpResponseRedirect(self.record_url(obj))

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry | None:
        return None  # the history and the event log say more

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> LogEntry | None:
        return None

    # ── history ─────────────────────────────────────────────────────────────────────────────────────────────

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Every change of a configuration record, to read only: who, when, why, and what was different."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None or not hasattr(self.model, "history"):
            raise Http404("There is no history of this.")
        accessing.note(request, row, "history")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": f"Changes of {row}",
            "changes": history.shown(row, at_most=200),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "console/history.html", context)


class ReadOnlyAdmin(ConsoleAdmin):
    """Records nobody changes in the console, superusers included: events, the ledger, trades."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


def record_link(row: models.Model | None, text: object | None = None) -> Any:
    """A link to a row's record page, by its name."""
    if row is None:
        return show.NOTHING
    return show.link(text if text is not None else row, url_of(row))


def url_of(row: models.Model) -> str:
    """The address of a row's record page; empty where there is none."""
    try:
        return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return ""
