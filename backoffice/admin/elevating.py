"""Asking staff to prove themselves again before the most sensitive actions, where the action itself would be."""

from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget

from backoffice.errors import DomainError
from backoffice.models import User
from backoffice.staff import elevation, second_factor


class ElevationForm(forms.Form):
    """Who it is, and why they need it."""

    elevate = forms.CharField(widget=forms.HiddenInput, initial="yes")
    proof = forms.CharField(max_length=200, strip=False)
    elevation_reason = forms.CharField(
        label="Reason",
        min_length=5,
        max_length=200,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Why you need it; kept with the event.",
    )

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        has_factor = second_factor.of(user) is not None
        kept = {"class": "c-input", "spellcheck": "false", "autocomplete": "one-time-code"}
        self.fields["proof"].label = "Code of your authenticator app" if has_factor else "Your password"
        self.fields["proof"].widget = (
            forms.TextInput(kept)
            if has_factor
            else forms.PasswordInput({"class": "c-input", "autocomplete": "current-password"})
        )


def asked(request: HttpRequest, context: dict[str, Any], title: str, back: str) -> HttpResponse | None:
    """The page or dialog that asks; None where the most sensitive actions are open already.

    Posted with a good proof, the same address is asked for again, which then shows what was wanted.
    """
    session = getattr(request, "console_session", None)
    now, refusal = timezone.now(), None
    if elevation.is_open(session, at=now):
        return None
    posted = request.method == "POST" and "elevate" in request.POST
    assert isinstance(request.user, User)
    form = ElevationForm(request.user, request.POST if posted else None)
    if posted and form.is_valid() and session is not None:
        data = form.cleaned_data
        try:
            elevation.begin(session, proof=data["proof"], reason=data["elevation_reason"], at=now)
        except DomainError as found:
            refusal = found
        else:
            # 303: the browser asks for the page itself, as a GET.
            return HttpResponseRedirect(request.get_full_path(), status=303)
    minutes = settings.CONFIG.staff_elevation_minutes
    context = {
        **context,
        "title": title,
        "dialog_title": title,
        "description": f"This is one of the most sensitive actions. Prove that it is you; such actions are then open for {minutes} minutes.",
        "form": form,
        "button": "Go on",
        "refusal": refusal,
        "back": back,
    }
    template = "console/dialog.html" if request.headers.get("HX-Request") else "console/dialog_page.html"
    return TemplateResponse(request, template, context)
