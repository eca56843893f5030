"""Doing something from the console: a dialog that shows the effect, asks why, and posts one change.

    sell = dialog_action(
        SellForm, title="Sell now", button="Sell now", permission="brokerage.sell_trade_early",
        check=check_may_sell, effect=what_a_sale_does,
    )(_sell)

The function decorated is given the admin, request, row (None for an action of a list) and the valid form; it calls
one verb and returns the sentence that says what happened (`Done`: and where to go on; `many.Results`: one for each row).
Nothing changes on GET. A refusal is shown in the dialog with its code; whatever was begun is undone.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from backoffice.admin import elevating
from backoffice.admin.many import Results
from backoffice.database import uuid7
from backoffice.errors import DomainError
from backoffice.models import User


class DialogForm(forms.Form):
    """The least a dialog asks: a key, so that the same dialog sent twice acts once."""

    key = forms.CharField(max_length=100, widget=forms.HiddenInput)
    # Who reads the dialog; known before `fit`.
    reader: User

    def fit(self, row: Any) -> None:
        """Fit the fields to the row the dialog is about: its choices. Called before the form is shown or checked."""

    def check(self, row: Any) -> None:
        """Raise the refusal that the verb would raise for this reader, so that the dialog offers no button."""

    def effect(self, row: Any) -> Any:
        """What will happen, where that depends on the reader or on what is chosen. Called when the form is shown."""
        return ""

    def is_shown(self) -> bool:
        """Whether its reader has seen what exactly this does."""
        return True


class ShownFirst(DialogForm):
    """A dialog whose effect depends on what is typed. Its first press shows that, and moves nothing; the second does it.

    `decides` names the fields the effect depends on: typed otherwise meanwhile, it is shown anew. What stands in them when
    the dialog opens is shown at once, so that whoever leaves it presses once.
    """

    decides: ClassVar[tuple[str, ...]]
    seen = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def is_shown(self) -> bool:
        """Marks what is about to be shown, so that the same is done when it comes back."""
        if not self.is_bound:
            given = [str(self.get_initial_for_field(self.fields[name], name) or "") for name in self.decides]
            is_given = any(given) and all(
                value or not self.fields[name].required
                for name, value in zip(self.decides, given, strict=True)
            )
            mark = self._mark(given) if is_given else ""
            self.fields["seen"].initial = mark
            return bool(mark)
        if not self.is_valid():
            return False
        mark = self._mark([str(self.data.get(self.add_prefix(name), "")) for name in self.decides])
        was_shown = self.cleaned_data["seen"] == mark
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        data[self.add_prefix("seen")] = mark
        self.data = data
        return was_shown

    def begin_with_first(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        """Offer these choices, and begin with the first of them."""
        field: Any = self.fields[name]
        field.choices = choices
        field.initial = choices[0][0] if choices else ""

    def chosen(self, name: str) -> str:
        """What is chosen; while nothing good was sent, what the dialog begins with."""
        if self.is_bound and self.is_valid():
            return str(self.cleaned_data[name])
        return str(self.fields[name].initial or "")

    @staticmethod
    def _mark(given: list[str]) -> str:
        return hashlib.sha256(json.dumps(given).encode()).hexdigest()


class ReasonForm(DialogForm):
    """Asks why. The reason is kept beside the event that it explains."""

    reason = forms.CharField(
        min_length=5,
        max_length=200,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Kept with the event. Say what an auditor would ask.",
    )


@dataclass(frozen=True, slots=True)
class Done:
    """What happened, and the page to go on with."""

    said: str
    url: str


Do = Callable[[Any, HttpRequest, Any, Any], str | Done | Results]
Effect = Callable[[Any], Any]
MARK: Final = "is_dialog_action"
LOOK: Final = "Show what it does"


def dialog_action(
    form_class: type[DialogForm] = ReasonForm,
    *,
    title: str,
    button: str | Callable[[Any], str],
    permission: str,
    description: str = "",
    icon: str = "",
    check: Callable[[Any], None] | None = None,
    applies: Callable[[Any], bool] | None = None,
    effect: Effect | None = None,
    danger: bool = False,
    elevated: bool | Callable[[Any], bool] = False,
    leads_to: Callable[[Any], str] | None = None,
    url_path: str = "",
    many: bool = False,
) -> Callable[[Do], Any]:
    """Make a function an action with a dialog, for `actions_list`, `actions_row` or `actions_detail`.

    `permission` is a full name (`brokerage.sell_trade_early`). `check` raises the refusal the verb would raise;
    `applies` says for which rows the button is shown at all; `effect` gives what will happen, shown before the act.
    `elevated` (of all rows, or of those for which it says so) asks staff to prove themselves again before the dialog opens. `leads_to` is the page that follows, where that is not the row's own.
    With `many` no transaction is opened around the whole: it is about many rows, each of which has one of its own.
    """

    def declare(do: Do) -> Any:
        @wraps(do)
        def view(self: Any, request: HttpRequest, object_id: str | None = None, **_: Any) -> HttpResponse:
            if request.method not in ("GET", "HEAD", "POST"):
                return HttpResponseNotAllowed(["GET", "POST"])
            if not request.user.has_perm(permission):
                raise PermissionDenied
            row = None
            if object_id is not None:
                row = self.get_object(request, object_id)
                if row is None:
                    raise Http404("There is no such record, or you may not see it.")
            if elevated(row) if callable(elevated) else elevated:
                context = self.admin_site.each_context(request)
                if (answer := elevating.asked(request, context, title, self.after_action(row))) is not None:
                    return answer
            refusal: DomainError | None = None
            results: Results | None = None
            sent = (request.POST, request.FILES) if request.method == "POST" else ()
            form = form_class(*sent, initial={"key": f"console-{uuid7()}"})
            form.reader = request.user  # type: ignore[assignment]
            form.fit(row)
            is_shown = form.is_shown()
            if request.method == "POST":
                if form.is_valid() and is_shown:
                    try:
                        with nullcontext() if many else transaction.atomic():
                            said = do(self, request, row, form)
                    except DomainError as found:
                        refusal = found
                    else:
                        if not isinstance(said, Results):
                            return _leave(
                                request, said, leads_to(row) if leads_to else self.after_action(row)
                            )
                        results = said
            else:
                refusal = _refusal(check or form.check, row)
            context = {
                **({} if request.headers.get("HX-Request") else self.admin_site.each_context(request)),
                "opts": self.model._meta,
                "title": title,
                "dialog_title": f"{title}: {row}" if row is not None else title,
                "description": description,
                "form": form,
                "effect": "" if results else effect(row) if effect else form.effect(row),
                "results": results,
                "button": _label(button, row) if is_shown or (form.is_bound and form.is_valid()) else LOOK,
                "danger": danger and (is_shown or form.is_bound),
                "refusal": refusal,
                "blocked": refusal is not None and request.method != "POST",
                "back": self.after_action(row),
            }
            template = (
                "console/dialog.html" if request.headers.get("HX-Request") else "console/dialog_page.html"
            )
            return TemplateResponse(request, template, context)

        setattr(view, MARK, True)
        view.elevated = elevated  # type: ignore[attr-defined]
        view.permission = permission  # type: ignore[attr-defined]
        view.applies = applies  # type: ignore[attr-defined]
        view.short_description = title  # type: ignore[attr-defined]
        view.icon = icon  # type: ignore[attr-defined]
        view.attrs = {}  # type: ignore[attr-defined]
        view.dialog = {"title": title}  # type: ignore[attr-defined]
        view.variant = ActionVariant.DEFAULT  # type: ignore[attr-defined]  # red is for the act, in the dialog
        view.url_path = url_path or do.__name__.strip("_").replace("_", "-")  # type: ignore[attr-defined]
        view.original_function_name = do.__name__  # type: ignore[attr-defined]
        return view

    return declare


def _label(button: str | Callable[[Any], str], row: Any) -> str:
    return button(row) if callable(button) else button


def _refusal(check: Callable[[Any], None], row: Any) -> DomainError | None:
    try:
        check(row)
    except DomainError as found:
        return found
    return None


def _leave(request: HttpRequest, said: str | Done, url: str) -> HttpResponse:
    if isinstance(said, Done):
        url = said.url
        said = said.said
    messages.success(request, said)
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
