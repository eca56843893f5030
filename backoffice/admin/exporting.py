"""A list as CSV, as it is filtered: streamed, with formulas defused, allowed apart from looking, and written down.

class WithdrawalAdmin(Exported, ReadOnlyAdmin):
    exported = (("Reference", "reference"), ("Client", person("client")), ("Amount", "amount"))
    exported_clients = ("client__uuid",)
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, ClassVar, Final

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import Expression, F, QuerySet, Value
from django.db.models.functions import Concat
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from backoffice import access, events
from backoffice.admin import ports, show
from backoffice.csv_text import csv_lines
from backoffice.models import Access
from backoffice.who import By

PERMISSION: Final = "backoffice.export_lists"
# Rows fetched at once while a list is written.
CHUNK: Final = 2000


def person(relation: str) -> Expression:
    """The name of a client that a row refers to."""
    return Concat(F(f"{relation}__first_name"), Value(" "), F(f"{relation}__last_name"))


class Exported:
    """For an admin whose list staff take away: a button above it, for those who may see the list and may export.

    `exported` are heads and what stands under them, a lookup or an expression; choices are written in words.
    `exported_clients` are the lookups of the clients the rows are about: that somebody took theirs is in the access log.
    """

    exported: ClassVar[tuple[tuple[str, str | Expression], ...]] = ()
    exported_clients: ClassVar[tuple[str, ...]] = ()

    def has_export_permission(self: Any, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(PERMISSION) and self.has_view_permission(request))

    def get_urls(self: Any) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(self.export_view), name=name), *super().get_urls()]  # type: ignore[misc]

    def changelist_view(self: Any, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        url = (
            f"{reverse(self._name('export'))}?{request.GET.urlencode()}"
            if self.has_export_permission(request)
            else ""
        )
        return super().changelist_view(request, {"export_url": url, **(extra_context or {})})  # type: ignore[misc]

    def export_view(self: Any, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """The rows that the list shows under the same address, all of them, in its order. POST only."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_export_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse(self._name("changelist")))
        self._write_down(request, rows)
        answer = StreamingHttpResponse(self._lines(rows), content_type="text/csv; charset=utf-8")
        name = f"{self.opts.verbose_name_plural}-{timezone.localdate()}.csv".replace(" ", "-")
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer

    def _lines(self: Any, rows: QuerySet[Any]) -> Iterator[str]:
        heads, sources = zip(*self.exported, strict=True)
        tell = [_teller(self.model, source) for source in sources]
        found = rows.values_list(*sources).iterator(chunk_size=CHUNK)
        yield from csv_lines(
            heads, ([one(value) for one, value in zip(tell, row, strict=True)] for row in found)
        )

    def _write_down(self: Any, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """The event says which list and how many rows, and by what it was filtered, not for whom."""
        user: Any = request.user
        now, label = timezone.now(), self.opts.label_lower
        clients = {
            client
            for lookup in self.exported_clients
            for client in rows.order_by().exclude(**{lookup: None}).values_list(lookup, flat=True).distinct()
        }
        access.note(user, sorted(clients), Access.What.EXPORT, label, at=now)
        events.record(
            "list.exported", subject_type="user", subject_id=user.uuid, by=By.user(user), at=now,
            payload={"list": label, "rows": rows.order_by().count(), "filters": sorted(name for name, value in request.GET.items() if value)},
        )  # fmt: skip


def _teller(model: Any, source: str | Expression) -> Callable[[Any], Any]:
    """How the values of a column are written: a choice in words, an amount without the zeros the database keeps."""
    choices: dict[Any, str] = {}
    if isinstance(source, str):
        *relations, last = source.split("__")
        for relation in relations:
            model = model._meta.get_field(relation).related_model
        try:
            choices = dict(model._meta.get_field(last).flatchoices)
        except FieldDoesNotExist:
            choices = {}

    def tell(value: Any) -> Any:
        if isinstance(value, Decimal | bool):
            return show.plain(value) if isinstance(value, bool) else value.normalize()
        return str(choices.get(value, value)) if choices else value

    return tell


ports.words.register(
    "list.exported", lambda payload: f"Downloaded a list: {payload['list'].partition('.')[2]}"
)
