"""Explain this balance: from an account's figure to its entries, what each was about, who caused it and why."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.admin import accessing, ports, show, timeline
from backoffice.admin.base import record_link
from ledger.admin import shown
from ledger.control.explain import Explained, Step, explain
from ledger.models import Account, Entry

PERMISSION = "ledger.view_entry"
INTRO = (
    "Where a balance comes from: each entry on the account, the newest first, with what it was about, who caused it and why. "
    "Open an account, or a client’s accounts, and follow a figure to get here."
)


def urls() -> list[URLPattern]:
    """The page's address: `?account=` says of what."""
    return [path("explain/", admin.site.admin_view(page), name="ledger_explain")]


def page(request: HttpRequest) -> HttpResponse:
    """The figure, then its entries, a page at a time."""
    if request.method not in ("GET", "HEAD") or not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    context = {**admin.site.each_context(request), "title": "Explain a balance", "intro": INTRO, "parts": []}
    if "account" in request.GET:
        found = _explained(request)
        account, steps = found.account, found.steps
        accessing.note(request, account, "record")
        named = ports.names(
            [
                (account.owner_type, account.owner_id),
                *((step.entry.subject_type, step.entry.subject_id) for step in steps),
            ]
        )
        context["title"] = f"Explain: {shown.account_name(account, named)}"
        context["parts"] = [
            ("What stands there", _figure(account, named)),
            ("Where it comes from", _steps(steps, account, named, found.more)),
        ]
    return TemplateResponse(request, "console/glance.html", context)


def _explained(request: HttpRequest) -> Explained:
    """What the reader asked for, as far as they may see it."""
    account, before = _number(request.GET["account"]), _number(request.GET.get("before", ""))
    found = explain(
        account or 0,
        accounts=ports.visible(request.user, Account.objects.all()),
        entries=ports.visible(request.user, Entry.objects.all()),
        before=before,
    )
    if found is None:
        raise Http404("There is no such account, or you may not see it.")
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _figure(account: Account, named: shown.Names) -> SafeString:
    return show.table(
        ["Account", "Book", "Posted", "Held", "Available"],
        [[shown.account_link(account, named), account.get_book_display(),
          *(show.money(value, account.currency_id, account.currency.exponent)
            for value in (account.posted, account.held, account.available))]],
        right=(2, 3, 4),
    )  # fmt: skip


def _steps(steps: list[Step], account: Account, named: shown.Names, more: int | None) -> SafeString:
    listed = show.table(
        ["When", "Entry", "About", "Debit", "Credit", "Balance after", "Who, and why", "What else is known"],
        [_row(step, account, named) for step in steps],
        right=(3, 4, 5),
        empty="Nothing is posted here yet. Entries appear with the first posting on this account.",
    )
    if more is None:
        return listed
    url = f"{reverse('admin:ledger_explain')}?account={account.pk}&before={more}"
    return format_html('{}<p><a class="c-button" href="{}">Earlier entries</a></p>', listed, url)


def _row(step: Step, account: Account, named: shown.Names) -> list[Any]:
    entry, posting = step.entry, step.posting
    about = named.get(entry.subject_id)  # type: ignore[arg-type]
    amount = show.money(posting.amount, account.currency_id, account.currency.exponent)
    return [
        show.at(entry.effective_at),
        show.two(
            record_link(entry, shown.kind_name(entry.kind)),
            " · ".join(filter(None, (entry.narration, entry.reference))),
        ),
        show.link(*about) if about else show.NOTHING,
        amount if posting.side == "debit" else "",
        amount if posting.side == "credit" else "",
        show.money(posting.balance_after, account.currency_id, account.currency.exponent),
        _who(step),
        show.lines([f"{label}: {value}" for label, value in step.facts if value]) or show.NOTHING,
    ]


def _who(step: Step) -> SafeString:
    """The event that caused it, by whom and with which reason; where none is known, who posted it."""
    if step.cause is None:
        by = str(step.entry.by_user) if step.entry.by_user else timeline.person(step.entry.by)
        return show.two(f"Posted · {by}", "")
    return show.two(f"{timeline.what(step.cause)} · {timeline.who(step.cause)}", timeline.why(step.cause))
