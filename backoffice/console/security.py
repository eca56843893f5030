"""A member of staff's own page: their second factor, and where they are logged in."""

import contextlib
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from backoffice.admin import show
from backoffice.admin.elevating import asked
from backoffice.console import entering
from backoffice.console.entering import CodeForm
from backoffice.errors import DomainError
from backoffice.models import SecondFactor, Session, User
from backoffice.staff import console_sessions, elevation, second_factor
from backoffice.who import By


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """GET shows it; each POST does one thing, named by `do`."""
    user, here = request.user, reverse("admin:security")
    assert isinstance(user, User)
    if request.method not in ("GET", "HEAD", "POST"):
        return HttpResponseNotAllowed(["GET", "POST"])
    shown: dict[str, Any] = {}
    if request.method == "POST":
        do = request.POST.get("do", "")
        if (do == "print" or "elevate" in request.POST) and (
            answer := asked(request, context, "Print new recovery codes", here)
        ):
            return answer
        try:
            shown = _do(request, user, do)
        except DomainError as found:
            shown = {"refusal": found}
        if not shown:
            return HttpResponseRedirect(here)
    factor = SecondFactor.objects.filter(user=user).first()
    enrolled = factor is not None and factor.confirmed_at is not None
    begun = factor is not None and not enrolled
    open_ones = Session.objects.filter(user=user, ended_at__isnull=True).order_by("-refreshed_at")[:50]
    sessions = [_row(row, request) for row in open_ones]
    context |= {
        "title": "Your security",
        "here": here,
        "factor": factor if enrolled else None,
        "left": second_factor.left(user) if enrolled else 0,
        "begun": begun,
        "form": CodeForm(),
        "sessions": sessions,
        "more_than_one": len(sessions) > 1,
        "waived": not settings.CONFIG.staff_second_factor,
        **(entering.enrolling(factor.secret, user) if factor is not None and begun else {}),
        **shown,
    }
    return TemplateResponse(request, "console/security.html", context)


def _do(request: HttpRequest, user: User, do: str) -> dict[str, Any]:
    """What the page shows afterwards; nothing where it is only loaded again."""
    now, by = timezone.now(), By.user(user)
    here: Session = request.console_session  # type: ignore[attr-defined]
    if do == "begin":
        second_factor.begin(user, at=now)
    elif do == "confirm":
        codes = second_factor.confirm(user, request.POST.get("code", ""), at=now)
        Session.objects.filter(pk=here.pk).update(second_factor=True)
        return {"codes": codes}
    elif do == "print":
        return {"codes": second_factor.print_codes(user, at=now)}
    elif do == "end":
        console_sessions.end_own(user, request.POST.get("session", ""), at=now)
        messages.success(request, "That session has ended.")
    elif do == "end_others":
        many = console_sessions.end_all(user, Session.End.LOGGED_OUT, by=by, at=now, but=here)
        messages.success(request, f"{many} other session{'' if many == 1 else 's'} ended.")
    return {}


def end_elevation(request: HttpRequest) -> HttpResponse:
    """Close the most sensitive actions before their time."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    # It may have closed by itself meanwhile: then what was asked for is so.
    with contextlib.suppress(elevation.NotElevated):
        elevation.end(request.console_session, at=timezone.now())  # type: ignore[attr-defined]
    messages.success(request, "The most sensitive actions are closed again.")
    return HttpResponseRedirect(entering.next_page(request))


def _row(session: Session, request: HttpRequest) -> dict[str, Any]:
    return {
        "began": show.at(session.started_at),
        "seen": show.when(session.refreshed_at),
        "kind": session.get_kind_display(),
        "agent": session.agent,
        "address": session.address or "–",
        "factor": "Password and code" if session.second_factor else "Password",
        "uuid": session.uuid,
        "is_this": session.pk == request.console_session.pk,  # type: ignore[attr-defined]
    }
