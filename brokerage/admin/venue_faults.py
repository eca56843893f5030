"""Demo mode only: what goes wrong at the simulated venue, made to happen and ended by hand."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from backoffice.admin import ports, show
from backoffice.admin.actions import ReasonForm
from backoffice.admin.ports import Entry
from backoffice.database import uuid7
from backoffice.errors import DomainError
from backoffice.who import By
from brokerage import simulated_venue

PAGE = "admin:brokerage_venue_faults"
PERMISSION = "brokerage.set_venue_faults"
ASKED = ("kind", "login_id", "times", "seconds", "code", "seed")


def _words(kind: str) -> str:
    return kind.replace("_", " ").capitalize()


class MisbehaveForm(ReasonForm):
    """What goes wrong, for whom, how often and how long."""

    kind = forms.ChoiceField(
        label="What goes wrong",
        choices=[
            ("One account's calls and frames, or everybody's", [(kind, _words(kind)) for kind in simulated_venue.FAULTS]),
            ("The whole venue", [(kind, _words(kind)) for kind in simulated_venue.CONDITIONS]),
            ("By a seed", [(simulated_venue.RANDOM, "At random, for ten minutes")]),
        ],
        widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    login_id = forms.CharField(
        required=False, max_length=32, widget=UnfoldAdminTextInputWidget, label="Log-in id", help_text="Empty: everybody's."
    )  # fmt: skip
    times = forms.IntegerField(min_value=1, max_value=10_000, initial=1, widget=UnfoldAdminIntegerFieldWidget)
    seconds = forms.FloatField(
        min_value=0.1, max_value=3600, initial=3, widget=UnfoldAdminDecimalFieldWidget,
        help_text="How late, how long, or at random: how often.",
    )  # fmt: skip
    code = forms.CharField(
        required=False, max_length=40, widget=UnfoldAdminTextInputWidget, label="Error code", help_text="For a refusal."
    )  # fmt: skip
    seed = forms.IntegerField(
        initial=1, widget=UnfoldAdminIntegerFieldWidget, help_text="For what falls at random."
    )
    field_order = ("kind", "login_id", "times", "seconds", "code", "seed", "reason", "key")


class BehaveForm(ReasonForm):
    """Why everything ends."""


def urls(admin_view: Any, each_context: Any) -> list[URLPattern]:
    """The page, if the venue is the simulated one."""

    def page(request: HttpRequest) -> HttpResponse:
        if not simulated_venue.is_simulated():
            raise Http404("The venue is a real one.")
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        return _page(request, each_context(request))

    return [path("venue-faults/", admin_view(page), name="brokerage_venue_faults")]


def _page(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    ends = "end" in request.POST
    form: Any = (BehaveForm if ends else MisbehaveForm)(
        request.POST or None, initial={"key": f"console-{uuid7()}"}
    )
    refusal: DomainError | None = None
    if request.method == "POST" and form.is_valid():
        try:
            messages.success(request, _act(request, form, ends=ends))
            return HttpResponseRedirect(reverse(PAGE))
        except DomainError as found:
            refusal = found
    parts, away = _in_force()
    fresh = {"key": f"console-{uuid7()}"}
    context |= {
        "title": "Venue faults",
        "parts": parts,
        "form": MisbehaveForm(initial=fresh) if ends else form,
        "end_form": form if ends else BehaveForm(initial=fresh, prefix=None),
        "refusal": refusal or away,
    }
    return TemplateResponse(request, "console/venue_faults.html", context)


def _act(request: HttpRequest, form: Any, *, ends: bool) -> str:
    data = form.cleaned_data
    act: Any = {
        "by": By.user(request.user),  # type: ignore[arg-type]
        "at": timezone.now(),
        "key": data["key"],
        "reason": data["reason"],
    }
    if ends:
        simulated_venue.behave(**act)
        return "The venue behaves."
    simulated_venue.misbehave(**{name: data[name] for name in ASKED}, **act)
    return f"{_words(data['kind'])}: in force at the venue."


def _in_force() -> tuple[list[tuple[str, SafeString]], DomainError | None]:
    try:
        found = simulated_venue.misbehavior()
    except DomainError as refusal:
        return [], refusal
    rules = show.table(
        ["What", "Call or frame", "Log-in id", "Still", "Happened", "Seconds"],
        [[_words(rule["fault"]), rule["call"] or "Any", rule["login_id"] or "Everybody", show.number(rule["times"]),
          show.number(rule["hits"]), f"{rule['seconds']:g}"] for rule in found.rules],
        right=(3, 4, 5),
        empty="No rule is in force.",
    )  # fmt: skip
    whole = show.table(
        ["What", "Still"],
        [[_words(one["condition"]), show.span(one["seconds_left"])] for one in found.conditions],
        empty="The whole venue is as it should be.",
    )
    parts = [("Rules in force", rules), ("The whole venue", whole)]
    if found.chaos.get("running"):
        done = [[_words(one["what"]), f"{one['seconds']:g} s"] for one in found.chaos["done"][-15:]][::-1]
        table = show.table(["What fell, the latest first", "For"], done, empty="Nothing yet.")
        parts.append((f"At random, seed {found.chaos['seed']}", table))
    return parts, None


if simulated_venue.is_simulated():
    ports.sidebar.register(
        "venue_faults", Entry("Operations", "Venue faults", PAGE, "bolt", PERMISSION), order=90
    )
ports.subjects.register(
    "venue", lambda ids: {simulated_venue.VENUE: ("The simulated venue", reverse(PAGE))} if simulated_venue.VENUE in ids else {}
)  # fmt: skip
ports.words.register(
    "venue.misbehaves", lambda payload: f"Made to go wrong: {_words(str(payload['kind'])).lower()}"
)
ports.words.register("venue.behaves", "Everything that goes wrong ended")
