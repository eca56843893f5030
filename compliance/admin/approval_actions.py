"""What staff do with approvals: agree, say no, take in hand and let go; and agree to several, their total shown first."""

import hashlib
import re
import uuid
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from backoffice.admin import show
from backoffice.admin.actions import DialogForm, Done, ReasonForm, dialog_action
from backoffice.admin.many import Results, each
from backoffice.admin.taking import take_actions
from backoffice.who import By
from compliance import approval_kinds, approvals
from compliance.admin.approval_rows import dress, money
from compliance.approval_votes import check_may_try_again, check_may_vote, decidable
from compliance.models import Approval, Client

PERMISSION: Final = "compliance.decide_approval"
AT_ONCE: Final = 50  # offered in one dialog, the oldest first
PREVIEWED: Final = 10  # of them, those whose effect is shown: each is tried and undone for it
SHOWN: Final = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{64}"
)  # an approval and its content, see `_value`


class VoteForm(ReasonForm):
    """A vote with its reason."""

    def check(self, row: Approval) -> None:
        check_may_vote(row, self.reader, at=timezone.now())


class ApproveForm(DialogForm):
    """A vote for the content this dialog showed; a reason if one wants to give it."""

    content_hash = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=200, required=False, widget=UnfoldAdminTextareaWidget({"rows": 2}), label="Note",
        help_text="If something should be remembered; kept with your vote.",
    )  # fmt: skip
    check = VoteForm.check

    def fit(self, row: Approval) -> None:
        self.fields["content_hash"].initial = row.content_hash


def preview(row: Approval) -> SafeString | str:
    """What it does when it is done, as its kind tells; and whether it is still what was asked for."""
    kind = approval_kinds.find(row.kind)
    if kind is None or row.state not in Approval.WAITING:
        return ""
    subject = getattr(row, "subject_shown", None) or kind.subjects_of([row.subject_id]).get(row.subject_id)
    if subject is None:
        return ""
    if approval_kinds.digest(kind.content(subject)) != row.content_hash:
        return format_html(
            '<div class="c-refusal" role="alert"><b>{}</b><span>{} <code>{}</code></span></div>',
            "What was asked for has changed since.", "Nobody can agree to it any more; it can be rejected.",
            approvals.ContentChanged.code,
        )  # fmt: skip
    return kind.preview(subject)


def preview_card(row: Approval) -> SafeString | str:
    """The same on the record's page."""
    shown = preview(row)
    return format_html('<section class="c-card"><h3>What it does</h3>{}</section>', shown) if shown else ""


def _inbox() -> str:
    return f"{reverse('admin:compliance_approval_changelist')}?queue=unassigned"


def _by(request: HttpRequest) -> By:
    return By.user(request.user)  # type: ignore[arg-type]


def _is_open(row: Approval) -> bool:
    return row.state == Approval.State.OPEN


def _named(row: Approval) -> str:
    if row.amount is None or row.currency is None:
        return row.title
    return f"{show.tidy(row.amount, row.currency.exponent)} {row.currency_id}: {row.title}"


def _said(row: Approval) -> str:
    """What became of it after a vote for it."""
    S = Approval.State
    match row.state:
        case S.OPEN:
            more = row.needed - row.votes.filter(verdict="approve").count()
            return f"Your vote counts; {more} more must agree."
        case S.APPLIED:
            return "Agreed to, and done."
        case S.APPROVED:
            return "Agreed to; a worker does it within moments."
        case _:
            return f"Agreed to, but it could not be done: {row.message} ({row.code}). Nothing moved."


@dialog_action(
    ApproveForm, title="Approve", button=lambda row: f"Approve {_named(row)}", permission=PERMISSION, icon="check",
    description="It is looked at once more when it is done. A vote is not taken back.", applies=_is_open, effect=preview,
)  # fmt: skip
def approve_this(admin: Any, request: HttpRequest, row: Approval, form: Any) -> Done:
    data = form.cleaned_data
    row = approvals.approve(
        row, content_hash=data["content_hash"], by=_by(request), at=timezone.now(), key=data["key"], reason=data["reason"]
    )  # fmt: skip
    return Done(f"{row.title}: {_said(row)}", _inbox())


@dialog_action(
    VoteForm, title="Reject", button=lambda row: f"Reject {_named(row)}", permission=PERMISSION, icon="close", danger=True,
    description="One no ends it. Who asked can ask again.", applies=_is_open,
)  # fmt: skip
def reject_this(admin: Any, request: HttpRequest, row: Approval, form: Any) -> Done:
    data = form.cleaned_data
    approvals.reject(row, reason=data["reason"], by=_by(request), at=timezone.now(), key=data["key"])
    return Done(f"{row.title}: rejected.", _inbox())


class TryAgainForm(DialogForm):
    """Nothing to fill in."""

    def check(self, row: Approval) -> None:
        check_may_try_again(row, self.reader, at=timezone.now())


@dialog_action(
    TryAgainForm, title="Try again", button="Look again, and do it", permission=PERMISSION, icon="replay",
    description="The votes that were given stand. Everything is looked at once more; what is still in the way is said, and nothing moves.",
    applies=lambda row: row.state == Approval.State.FAILED, effect=preview,
)  # fmt: skip
def try_this_again(admin: Any, request: HttpRequest, row: Approval, form: Any) -> str:
    return _said(approvals.try_again(row, by=_by(request), at=timezone.now()))


class SubjectAgainForm(DialogForm):
    """The same from the page of what it is about."""

    def check(self, row: Any) -> None:
        check_may_try_again(_failed(row), self.reader, at=timezone.now())

    def effect(self, row: Any) -> SafeString | str:
        found = failed_of(row)
        return preview(found) if found is not None else ""


def failed_of(row: Any) -> Approval | None:
    """The approval of this row that could not be done and waits, if there is one; asked once for a page.

    A row that keeps its approval has one that is over: it does so when it was done, or refused.
    """
    if getattr(row, "approval_id", None) is not None:
        return None
    if not hasattr(row, "_approval_failed"):
        row._approval_failed = Approval.objects.failed().filter(subject_id=row.uuid).order_by("-id").first()
    return row._approval_failed  # type: ignore[no-any-return]


def _failed(row: Any) -> Approval:
    found = failed_of(row)
    if found is None:
        raise approvals.ApprovalOver("Nothing about it waits to be tried again.")
    return found


def why(row: Any) -> str:
    """Why something is where it is: where others agreed to it and it could not be done, that, and what comes next."""
    found = None if row.state in type(row).FINAL else failed_of(row)
    return found.why if found is not None else row.why  # type: ignore[no-any-return]


@dialog_action(
    SubjectAgainForm, title="Try again", button="Look again, and do it", permission=PERMISSION, icon="replay",
    description="It was agreed to, and those votes stand. Everything is looked at once more; what is still in the way is said, and nothing moves.",
    applies=lambda row: failed_of(row) is not None,
)  # fmt: skip
def try_subject_again(admin: Any, request: HttpRequest, row: Any, form: Any) -> str:
    return _said(approvals.try_again(_failed(row), by=_by(request), at=timezone.now()))


class TakeForm(DialogForm):
    """Nothing to fill in."""

    check = VoteForm.check


taking = take_actions(
    permission=PERMISSION, take=approvals.take, let_go=approvals.let_go, take_next=approvals.take_next, waits=_is_open,
    form=TakeForm,
)  # fmt: skip


class SeveralForm(DialogForm):
    """Which, with the totals of exactly those; whoever chooses others sees their totals before anything is done."""

    chosen = forms.MultipleChoiceField(widget=UnfoldAdminCheckboxSelectMultipleWidget, label="Which?")
    reason = ApproveForm.base_fields["reason"]
    seen = forms.CharField(max_length=64, widget=forms.HiddenInput)
    field_order = ("chosen", "reason", "seen", "key")

    def fit(self, row: Any) -> None:
        now = timezone.now()
        rows = decidable(self.reader).free(now, but=self.reader)
        self.rows = {
            _value(one): one for one in rows.select_related("client", "currency").order_by("id")[:AT_ONCE]
        }
        dress(self.rows.values())
        field: Any = self.fields["chosen"]
        field.choices = [(value, _choice(one)) for value, one in self.rows.items()]
        field.initial = list(self.rows)
        field.label = f"Which? {len(self.rows)} wait for you, the oldest first"
        # What somebody decided meanwhile is still a choice: it is answered, not silently dropped.
        picked: list[str] = self.data.getlist("chosen") if self.is_bound else []  # type: ignore[attr-defined]
        field.choices += [
            (value, value) for value in picked if SHOWN.fullmatch(value) and value not in self.rows
        ]
        self.fields["seen"].initial = _digest(field.initial)

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        picked = found.get("chosen") or []
        if picked and found.get("seen") != _digest(picked):
            data = self.data.copy()  # type: ignore[attr-defined]
            data["seen"] = _digest(picked)
            self.data = data
            raise forms.ValidationError(
                "These are others than before. Look at their total, and approve them then."
            )
        return found

    def effect(self, row: Any) -> SafeString | str:
        """How many, and how much of each currency; then what each of them does, as its own dialog shows it."""
        picked = self.data.getlist("chosen") if self.is_bound else list(self.rows)  # type: ignore[attr-defined]
        rows = [self.rows[value] for value in picked if value in self.rows]
        totals: defaultdict[str, list[Approval]] = defaultdict(list)
        for one in rows:
            totals[one.currency_id or ""].append(one)
        table = show.table(
            ["Currency", "How many", "Total"],
            [
                [code or "Without an amount", show.number(len(those)),
                 show.money(sum((one.amount or Decimal(0) for one in those), Decimal(0)), code, those[0].currency.exponent)
                 if those[0].currency is not None else show.NOTHING]
                for code, those in sorted(totals.items())
            ],
            right=(1, 2),
            empty="Nothing waits for you.",
        )  # fmt: skip
        return format_html("{}{}", table, _effects(rows))


def _effects(rows: Sequence[Approval]) -> SafeString | str:
    """What each does, by itself, the first few opened up at a click: journal lines with balances before and after."""
    found = [(one.title, shown) for one in rows[:PREVIEWED] if (shown := preview(one))]
    if not found:
        return ""
    more = f"The first {PREVIEWED} of {len(rows)}; each page shows its own." if len(rows) > PREVIEWED else ""
    return format_html(
        '<div class="c-effects"><h4>What each of them does, by itself</h4>{}<p class="c-quiet">{}</p></div>',
        format_html_join("", "<details><summary>{}</summary>{}</details>", found), more,
    )  # fmt: skip


def _value(row: Approval) -> str:
    """An approval as it was shown: a vote for it is for this content."""
    return f"{row.uuid}:{row.content_hash}"


def _digest(values: Sequence[str]) -> str:
    return hashlib.sha256("|".join(sorted(values)).encode()).hexdigest()


def _choice(row: Approval) -> SafeString:
    words: list[str] = row.chips_shown  # type: ignore[attr-defined]
    return format_html(
        "{} · {}{}{}", row.title, money(row) if row.amount is not None else "no amount",
        f" · {row.client}" if row.client is not None else "", f" · {', '.join(words)}" if words else "",
    )  # fmt: skip


@dialog_action(
    SeveralForm, title="Approve several", button="Approve those chosen", permission=PERMISSION, icon="done_all", many=True,
    description="Each is done for itself: what one refuses keeps none of the others back.",
)  # fmt: skip
def approve_several(admin: Any, request: HttpRequest, row: None, form: Any) -> Results:
    data = form.cleaned_data
    shown = dict(value.split(":", 1) for value in data["chosen"])

    def approve(one: Approval) -> str:
        done = approvals.approve(
            one, content_hash=shown[str(one.uuid)], by=_by(request), at=timezone.now(), key=f"{data['key']}:{one.pk}",
            reason=data["reason"],
        )  # fmt: skip
        return _said(done)

    rows = Approval.objects.visible_to(request.user).filter(uuid__in=list(shown))  # type: ignore[arg-type]
    return each(rows.select_related("client", "currency").order_by("id"), approve, "agreed to", called=_named)


def found(rows: Any, term: str) -> Any:
    """What a search term means for an approval: its id, its subject's, or a client's name."""
    try:
        wanted = uuid.UUID(term)
    except ValueError:
        people = Client.objects.named(term).values_list("pk", flat=True)[:200]
        return rows.filter(client__in=list(people))
    return rows.filter(uuid=wanted) | rows.filter(subject_id=wanted)
