"""The way into the console: the log-in page in its steps, the session behind every page, and the way out.

Between the steps nobody is logged in: the browser's session only remembers whose password was right, for minutes.
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, login, logout
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.safestring import mark_safe

from backoffice import addresses
from backoffice.errors import DomainError
from backoffice.models import Session, User
from backoffice.staff import codes, console_sessions, logging_in, second_factor
from backoffice.who import By

SESSION: Final = "console_session"
PENDING: Final = "console_pending"
ENDED: Final = "console_ended"
BETWEEN_STEPS: Final = timedelta(minutes=10)
SAID: Final = {
    Session.End.IDLE: "You were logged out, since nothing was done for a while.",
    Session.End.EXPIRED: "You were logged out: a session of the console has a longest time.",
    Session.End.CLOSED: "This session was ended. Log in again.",
    Session.End.DEACTIVATED: "This session was ended. Log in again.",
    Session.End.CREDENTIALS: "This session was ended: the password or the second factor changed, or one is asked for now.",
}


class PasswordForm(forms.Form):
    """The first step."""

    username = forms.CharField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput({"autocomplete": "username", "autofocus": True, "class": "c-input"}),
    )
    password = forms.CharField(
        max_length=200,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password", "class": "c-input"}),
    )


class CodeForm(forms.Form):
    """The second step, and the end of enrolling."""

    code = forms.CharField(
        max_length=40,
        widget=forms.TextInput(
            {"autocomplete": "one-time-code", "autofocus": True, "class": "c-input", "spellcheck": "false"}
        ),
    )


class ConsoleSessionMiddleware:
    """Behind every page of the console stands an open session of the person; without one nobody is logged in there.

    The person's row is read with the session's, so who was deactivated, or lost a role, has lost it at this page.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.console_session = None  # type: ignore[attr-defined]
        if request.path.startswith(reverse("admin:index")) and SESSION_KEY in request.session:
            found = _resume(request, timezone.now())
            if isinstance(found, Session):
                request.console_session = found  # type: ignore[attr-defined]
                request.user = found.user
            else:
                logout(request)
                request.user = AnonymousUser()
                if found != Session.End.LOGGED_OUT:
                    request.session[ENDED] = str(found)
        elif request.path.startswith(reverse("admin:index")):
            request.user = AnonymousUser()
        if (
            request.path.startswith(reverse("admin:index"))
            and not request.user.is_authenticated
            and request.headers.get("HX-Request")
        ):
            # A dialog or a tab of somebody who is not logged in any more: the whole page goes to the log-in.
            return HttpResponse(headers={"HX-Redirect": reverse("admin:login")})
        return self.get_response(request)


def _resume(request: HttpRequest, at: datetime) -> Session | Session.End:
    try:
        found = console_sessions.resume(
            uuid.UUID(request.session.get(SESSION, "")), int(request.session[SESSION_KEY]), at=at
        )
    except ValueError:
        return Session.End.CLOSED
    if isinstance(found, Session):
        kept = str(request.session.get(HASH_SESSION_KEY, ""))
        if not constant_time_compare(kept, found.user.get_session_auth_hash()):
            console_sessions.finish(found, Session.End.CREDENTIALS, by=console_sessions.CONSOLE, at=at)
            return Session.End.CREDENTIALS
    return found


# ── the log-in page ─────────────────────────────────────────────────────────────────────────────────────────────


def page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """The log-in page at the step this browser is at. A POST takes one step."""
    if request.user.is_authenticated and getattr(request, "console_session", None) is not None:
        return HttpResponseRedirect(next_page(request))
    now = timezone.now()
    user = _pending(request, now)
    if request.method == "POST" and request.POST.get("step") == "back":
        request.session.pop(PENDING, None)
        return HttpResponseRedirect(_here(request))
    if user is None:
        return _password_step(request, context, now)
    if logging_in.needs_code(user):
        return _code_step(request, context, user, now)
    return _enrolling_step(request, context, user, now)


def _password_step(request: HttpRequest, context: dict[str, Any], now: datetime) -> HttpResponse:
    posted = request.method == "POST" and request.POST.get("step", "password") == "password"
    form, refusal = PasswordForm(request.POST if posted else None), None
    if posted and form.is_valid():
        try:
            user = logging_in.show_password(
                email=form.cleaned_data["username"],
                password=form.cleaned_data["password"],
                at=now,
                address=addresses.of(request),
            )
        except DomainError as found:
            refusal = found
        else:
            if logging_in.needs_code(user) or logging_in.needs_enrolling(user):
                request.session.cycle_key()
                request.session[PENDING] = {"user": user.pk, "at": now.isoformat()}
                return HttpResponseRedirect(_here(request))
            return _enter(request, user, now, with_code=False)
    ended = request.session.pop(ENDED, "") if not posted else ""
    said = SAID.get(Session.End(ended), "") if ended else ""
    waived = not settings.CONFIG.staff_second_factor
    return _answer(
        request,
        {**context, "step": "password", "form": form, "refusal": refusal, "said": said, "waived": waived},
    )


def _code_step(request: HttpRequest, context: dict[str, Any], user: User, now: datetime) -> HttpResponse:
    posted = request.method == "POST" and request.POST.get("step") == "code"
    form, refusal = CodeForm(request.POST if posted else None), None
    if posted and form.is_valid():
        try:
            logging_in.show_code(user, form.cleaned_data["code"], at=now)
        except logging_in.NoEntry:
            request.session.pop(PENDING, None)
            return HttpResponseRedirect(_here(request))
        except DomainError as found:
            refusal = found
        else:
            return _enter(request, user, now, with_code=True)
    return _answer(request, {**context, "step": "code", "form": form, "refusal": refusal})


def _enrolling_step(request: HttpRequest, context: dict[str, Any], user: User, now: datetime) -> HttpResponse:
    begun = second_factor.begin(user, at=now)
    posted = request.method == "POST" and request.POST.get("step") == "enroll"
    form, refusal = CodeForm(request.POST if posted else None), None
    if posted and form.is_valid():
        try:
            printed = second_factor.confirm(user, form.cleaned_data["code"], at=now)
        except DomainError as found:
            refusal = found
        else:
            _enter(request, user, now, with_code=True)
            return _answer(
                request, {**context, "step": "codes", "codes": printed, "go_on": next_page(request)}
            )
    return _answer(
        request,
        {**context, "step": "enroll", "form": form, "refusal": refusal, **enrolling(begun.secret, user)},
    )


def enrolling(secret: str, user: User) -> dict[str, Any]:
    """What the page to enroll shows: the QR code as a drawing made here, and the secret to type."""
    grouped = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    drawn = mark_safe(codes.drawn(codes.address(secret, user.email)))
    return {"qr": drawn, "secret": grouped, "account": user.email}


def _enter(request: HttpRequest, user: User, now: datetime, *, with_code: bool) -> HttpResponse:
    session = logging_in.enter(
        user, with_code=with_code, at=now, agent=request.headers.get("User-Agent", ""),
        address=addresses.of(request) or None,
    )  # fmt: skip
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session.pop(PENDING, None)
    request.session[SESSION] = str(session.uuid)
    return HttpResponseRedirect(next_page(request))


def leave(request: HttpRequest) -> None:
    """End the session behind this page, and what was opened from it."""
    session: Session | None = getattr(request, "console_session", None)
    if session is not None:
        by, now = By.user(session.user), timezone.now()
        console_sessions.finish(session, Session.End.LOGGED_OUT, by=by, at=now)
        console_sessions.end_all(
            session.user, Session.End.LOGGED_OUT, by=by, at=now, kinds=(Session.Kind.VIEW,)
        )


def _pending(request: HttpRequest, now: datetime) -> User | None:
    """Whose password was right in this browser a moment ago."""
    kept = request.session.get(PENDING)
    if not kept or now - datetime.fromisoformat(kept["at"]) > BETWEEN_STEPS:
        return None
    return User.objects.filter(pk=kept["user"], is_active=True, kind=User.Kind.STAFF).first()


def next_page(request: HttpRequest) -> str:
    """Where the person wanted to go, if that is on this site; else Home."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    good = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if good and wanted.startswith("/") else reverse("admin:index")


def _here(request: HttpRequest) -> str:
    query = f"?{urlencode({'next': next_page(request)})}" if request.GET.get("next") else ""
    return f"{reverse('admin:login')}{query}"


def _answer(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    context |= {"title": "Log in", "next": next_page(request), "here": _here(request)}
    return TemplateResponse(request, "console/login.html", context)
