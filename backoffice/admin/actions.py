"""Doing something from the console: a dialog that shows the effect, asks why, and posts one change.

    sell = dialog_action(
        SellForm, title="Sell now", button="Sell now", permission="brokerage.sell_trade_early",
        check=check_may_sell, effect=what_a_sale_does,
    )(_sell)

The function decorated is given the admin, request, row (None for an action of a list) and the valid form; it calls
one verb and returns the sentence that says what happened. Nothing changes on GET. A refusal is shown in the dialog
with its code; whatever was begun is undone.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from backoffice.admin import elevating
from backoffice.database import uuid7
from backoffice.errors import DomainError


class DialogForm(forms.Form):
    """The least a dialog asks: a key, so that the same dialog sent twice acts once."""

    key = forms.CharField(max_length=100, widget=forms.HiddenInput)
    # Who opened the dialog, for what only some may see.
    user: Any = None

    def effect(self, row: Any) -> Any:
        """What will happen, shown before the act, where that depends on who asks. Called after `fit`."""
        return ""

    def fit(self, row: Any) -> None:
        """Fit the fields to the row the dialog is about: its choices. Called before the form is shown or checked."""


class ReasonForm(DialogForm):
    """Asks why. The reason is kept beside the event that it explains."""

    reason = forms.CharField(
        min_length=5,
        max_length=200,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text="Kept with the event. Say what an auditor would ask.",
    )


# Answers with the sentence that says what happened; with an address beside it, that is the page that follows.
Do = Callable[[Any, HttpRequest, Any, Any], str | tuple[str, str]]
Effect = Callable[[Any], Any]
MARK: Final = "is_dialog_action"


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
) -> Callable[[Do], Any]:
    """Make a function an action with a dialog, for `actions_list`, `actions_row` or `actions_detail`.

    `permission` is a full name (`brokerage.sell_trade_early`). `check` raises the refusal the verb would raise;
    `applies` says for which rows the button is shown at all; `effect` gives what will happen, shown before the act.
    `elevated` (of all rows, or of those for which it says so) asks staff to prove themselves again before the dialog opens. `leads_to` is the page that follows, where that is not the row's own.
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
            if request.method == "POST":
                form = form_class(request.POST, request.FILES)
                form.user = request.user
                form.fit(row)
                if form.is_valid():
                    try:
                        with transaction.atomic():
                            said = do(self, request, row, form)
                    except DomainError as found:
                        refusal = found
                    else:
                        sentence, url = said if isinstance(said, tuple) else (said, "")
                        messages.success(request, sentence)
                        url = url or (leads_to(row) if leads_to else self.after_action(row))
                        return _leave(request, url)
            else:
                form = form_class(initial={"key": f"console-{uuid7()}"})
                form.user = request.user
                form.fit(row)
                refusal = _refusal(check, row)
            context = {
                **({} if request.headers.get("HX-Request") else self.admin_site.each_context(request)),
                "opts": self.model._meta,
                "title": title,
                "dialog_title": f"{title}: {row}" if row is not None else title,
                "description": description,
                "form": form,
                "effect": effect(row) if effect else form.effect(row),
                "button": button(row) if callable(button) else button,
                "danger": danger,
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


def _refusal(check: Callable[[Any], None] | None, row: Any) -> DomainError | None:
    if check is not None:
        try:
            check(row)
        except DomainError as found:
            return found
    return None


def _leave(request: HttpRequest, url: str) -> HttpResponse:
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
