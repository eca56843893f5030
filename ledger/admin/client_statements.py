"""A client's statement in the console: to read, to download as PDF or CSV, and to compare with one that was given out."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import accessing, ports, show
from backoffice.errors import DomainError
from compliance.models import Client
from ledger import client_statement as statements
from ledger.models import Account, Book
from ledger.statement_pdf import as_pdf

PERMISSION = "ledger.view_entry"
SHOWN = 500


def urls() -> list[URLPattern]:
    """The page's address: `?client=` says whose."""
    return [path("client-statement/", admin.site.admin_view(page), name="ledger_client_statement")]


def page(request: HttpRequest) -> HttpResponse:
    """The statement of one of a client's wallets over some days, or the file of it."""
    if request.method not in ("GET", "HEAD") or not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    context: dict[str, Any] = {**admin.site.each_context(request), "title": "Client statement"}
    if "client" in request.GET:
        client = _client(request)
        accessing.note(request, client, "record")
        wallets = list(
            Account.objects.filter(book=Book.REAL, purpose="wallet", owner_type="client", owner_id=client.uuid)
            .order_by("currency_id").values_list("currency_id", flat=True)
        )  # fmt: skip
        last = _day(request, "last") or datetime.now(UTC).date() - timedelta(days=1)
        first = _day(request, "first") or last.replace(day=1)
        currency = request.GET.get("currency") or str(wallets[0] if wallets else client.base_currency_id)
        context |= {"client": client, "wallets": wallets, "currency": currency, "first": first, "last": last,
                    "proof": request.GET.get("proof", "").strip()}  # fmt: skip
        try:
            found = statements.client_statement(client, currency, (first, last))
        except DomainError as refusal:
            context["refusal"] = refusal
        else:
            if (kind := request.GET.get("as")) in ("pdf", "csv"):
                return _file(found, kind)
            context |= {
                "statement": found,
                "lines": _lines(found),
                "verdict": _verdict(found, context["proof"]),
            }
    return TemplateResponse(request, "console/client_statement.html", context)


def _client(request: HttpRequest) -> Client:
    try:
        return ports.visible(request.user, Client.objects.all()).get(uuid=request.GET["client"])  # type: ignore[no-any-return]
    except (Client.DoesNotExist, ValueError):
        raise Http404("There is no such client, or you may not see them.") from None


def _day(request: HttpRequest, name: str) -> date | None:
    try:
        found = date.fromisoformat(request.GET.get(name, ""))
    except ValueError:
        return None
    return found if date(1970, 1, 1) < found < date(9000, 1, 1) else None


def _lines(found: statements.ClientStatement) -> SafeString:
    def money(value: Any) -> SafeString:
        return show.money(value, found.currency, found.exponent)

    late = {line.entry for line in found.late}
    rows: list[list[Any]] = [[f"{found.first}", "Opening balance", "", "", money(found.opening)]]
    rows += [
        [show.at(line.at), format_html("{} {}", line.words, show.badge("Booked late", show.MINE)) if line.entry in late else line.words,
         line.reference, money(line.amount), money(line.balance)]
        for line in found.lines[:SHOWN]
    ]  # fmt: skip
    if (more := len(found.lines) - SHOWN) > 0:
        rows.append(["", f"And {more:,} more lines; download them.", "", "", ""])
    rows.append([f"{found.last}", "Closing balance", "", "", money(found.closing)])
    return show.table(["When", "What", "Reference", "Amount", "Balance"], rows, right=(3, 4))


def _verdict(found: statements.ClientStatement, proof: str) -> SafeString | str:
    """Whether a statement with the hash that was typed in said the same."""
    if not proof:
        return ""
    if found.is_as_proved(proof):
        return show.badge("The same content", show.DONE)
    if not found.late:
        return show.badge("Another content: not a statement of this wallet and period", show.WRONG)
    said = f"Another content: {len(found.late):,} of its lines were booked after the period had ended"
    return show.badge(said, show.WRONG)


def _file(found: statements.ClientStatement, kind: str) -> HttpResponse:
    name = f"statement-{found.currency}-{found.first}-{found.last}.{kind}"
    content: Any = as_pdf(found) if kind == "pdf" else statements.as_csv(found)
    answer = HttpResponse(
        content, content_type="application/pdf" if kind == "pdf" else "text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
