"""Jobs that failed for good: the list with its queue, the record page, and what staff decide, singly and many at once."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import ReasonForm, dialog_action
from backoffice.admin.base import ReadOnlyAdmin
from backoffice.admin.filters import choice_filter, period_filter, queue_filter
from backoffice.admin.many import Results, each
from backoffice.admin.ports import Card, Entry, Trouble, Unfinished
from backoffice.admin.record import Record, Tab
from backoffice.admin.unfinished import tally
from backoffice.who import By, called
from jobs import dead_letters
from jobs.models import FailedJob

LIST = "admin:jobs_failedjob_changelist"
FAILED = FailedJob._meta.label_lower
PERMISSION = "jobs.decide_failedjob"
AT_ONCE = 100  # offered in one dialog, the oldest first
State = FailedJob.State
TONES = {
    State.OPEN: show.WRONG, State.REPLAYING: show.MOVING, State.REPLAYED: show.DONE, State.DISCARDED: show.WAITING,
}  # fmt: skip
TITLES = {"open": "Open", "": "All"}
Verb = Callable[..., FailedJob]


def badge(job: FailedJob) -> SafeString:
    if job.is_refusal:
        return show.badge("Refusal")
    return show.badge(job.get_state_display(), TONES[State(job.state)])


def _open(rows: Any, at: datetime) -> QuerySet[FailedJob]:
    return rows.open()  # type: ignore[no-any-return]


def _is_open(job: FailedJob) -> bool:
    return job.state == State.OPEN


def _decide(verb: Verb, request: HttpRequest, job: FailedJob, form: Any, key: str = "") -> FailedJob:
    data = form.cleaned_data
    by = By.user(request.user)  # type: ignore[arg-type]
    return verb(job, by=by, at=timezone.now(), key=key or data["key"], reason=data["reason"])


def _what_runs(job: FailedJob) -> SafeString:
    return format_html(
        "<dl><dt>Job</dt><dd>{}</dd><dt>Arguments</dt><dd>{}</dd><dt>Failed with</dt><dd>{}</dd></dl>",
        job.actor, arguments(job) or "None", job.error[:200],
    )  # fmt: skip


@dialog_action(
    title="Replay",
    button="Send it again",
    description="The same message goes out once more. Jobs do nothing twice: what was done already stays as it is.",
    permission=PERMISSION,
    check=dead_letters.check_may_replay,
    applies=_is_open,
    effect=_what_runs,
    icon="replay",
)
def replay_job(admin: Any, request: HttpRequest, row: FailedJob, form: Any) -> str:
    _decide(dead_letters.replay, request, row, form)
    return "It is being sent again. If it fails once more, it comes back as a failed job of its own."


@dialog_action(
    title="Discard",
    button="Discard it",
    description="It will not run again. What it should have done stays undone unless a sweep does it.",
    permission=PERMISSION,
    check=dead_letters.check_may_decide,
    applies=_is_open,
    effect=_what_runs,
    icon="delete",
    danger=True,
)
def discard_job(admin: Any, request: HttpRequest, row: FailedJob, form: Any) -> str:
    _decide(dead_letters.discard, request, row, form)
    return "Discarded. It will not run again."


class ManyForm(ReasonForm):
    """Which of the open ones, and why; all are chosen to begin with."""

    jobs = forms.MultipleChoiceField(widget=UnfoldAdminCheckboxSelectMultipleWidget, label="Which?")
    field_order = ("jobs", "reason", "key")

    def fit(self, row: Any) -> None:
        rows = FailedJob.objects.open()[:AT_ONCE]
        field: Any = self.fields["jobs"]
        field.choices = [
            (str(job.pk), f"{job.actor} · {job.error[:80]} · {job.failed_at:%d %b %H:%M:%S}") for job in rows
        ]
        # What somebody decided meanwhile is still a choice: it is answered, not silently dropped.
        chosen = list(self.data.getlist("jobs")) if self.is_bound else []  # type: ignore[attr-defined]
        known = {value for value, _ in field.choices}
        field.choices += [(value, value) for value in chosen if value.isdigit() and value not in known]
        field.initial = [value for value, _ in field.choices]
        field.label = f"Which? {len(field.choices)} open, the oldest first"


def _many(verb: Verb, done: str, request: HttpRequest, form: Any) -> Results:
    """One result for each: what one refuses does not keep the others back."""

    def decide(job: FailedJob) -> str:
        _decide(verb, request, job, form, key=f"{form.cleaned_data['key']}:{job.pk}")
        return f"{done.capitalize()}."

    chosen: Sequence[str] = form.cleaned_data["jobs"]
    return each(FailedJob.objects.filter(pk__in=[int(pk) for pk in chosen]).order_by("pk"), decide, done)


@dialog_action(ManyForm, title="Replay several", button="Send them again", permission=PERMISSION, icon="replay", many=True,
               description="Each message chosen goes out once more, under its own correlation id.")  # fmt: skip
def replay_several(admin: Any, request: HttpRequest, row: None, form: Any) -> Results:
    return _many(dead_letters.replay, "sent again", request, form)


@dialog_action(ManyForm, title="Discard several", button="Discard them", permission=PERMISSION, icon="delete", danger=True, many=True,
               description="None of those chosen will run again.")  # fmt: skip
def discard_several(admin: Any, request: HttpRequest, row: None, form: Any) -> Results:
    return _many(dead_letters.discard, "discarded", request, form)


@admin.register(FailedJob)
class FailedJobAdmin(ReadOnlyAdmin):
    list_display = ("failed", "actor", "error_shown", "retries", "state_shown", "decided")
    list_display_links = ("actor",)
    ordering = ("-failed_at",)
    search_fields = ("actor", "correlation_id")
    search_help_text = "Job or correlation id"
    list_filter = (
        queue_filter({"open": _open}),
        choice_filter("state", "state", State.choices),
        period_filter("failed_at", "time failed"),
    )
    actions_list = ("replay_several", "discard_several")
    actions_detail = ("replay_job", "discard_job")
    subject_type = "failed_job"
    empty_text = "Nothing has failed for good. A job that runs out of retries is kept here, with its error."
    list_intro = "Jobs that will not be tried again by themselves. Refusals are answers: something was asked that could not be done."
    replay_job, discard_job = replay_job, discard_job
    replay_several, discard_several = replay_several, discard_several

    def tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        chosen, url = request.GET.get("queue", ""), reverse(LIST)
        counts = {"open": tally(request, FAILED, State.OPEN).many}
        return [
            {"title": title, "link": f"{url}?queue={name}" if name else url, "active": chosen == name,
             "count": counts.get(name, 0)}
            for name, title in TITLES.items()
        ]  # fmt: skip

    @admin.display(description="Failed")
    def failed(self, job: FailedJob) -> SafeString:
        return show.when(job.failed_at)

    @admin.display(description="Error")
    def error_shown(self, job: FailedJob) -> SafeString:
        return show.cut(job.error[:160], job.error[:300])

    @admin.display(description="State")
    def state_shown(self, job: FailedJob) -> SafeString:
        return badge(job)

    @admin.display(description="Decided")
    def decided(self, job: FailedJob) -> SafeString:
        if job.decided_at is None or job.is_refusal:
            return show.NOTHING
        return show.two(timeline.person(job.decided_by), show.when(job.decided_at))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        return (queryset.filter(Q(actor=term) | Q(correlation_id=term)) if term else queryset), False

    def record(self, request: HttpRequest, row: FailedJob) -> Record:
        decided = [
            ("By", called(row.decided_by)),
            ("When", show.at(row.decided_at)),
            ("Sent again", show.at(row.sent_at)),
        ]
        return Record(
            title=row.actor,
            badge=badge(row),
            why=row.why,
            facts=[
                ("What was tried?", [
                    ("Job", row.actor), ("Queue", row.queue), ("Arguments, without secrets", arguments(row) or "None"),
                ]),
                ("How did it fail?", [
                    ("Error", row.error[:500]), ("Code", row.code), ("Retries", str(row.retries)),
                    ("Failed", show.at(row.failed_at)),
                    ("Correlation id", format_html('<span class="c-code">{}</span>', row.correlation_id) if row.correlation_id else ""),
                ]),
                ("What was decided?", [] if row.is_refusal else decided),
            ],
            timeline=timeline.of("failed_job", row.uuid),
            tabs=[Tab("Traceback", lambda: format_html('<pre class="c-pre">{}</pre>', row.traceback))] if row.traceback else [],
        )  # fmt: skip


def arguments(job: FailedJob) -> str:
    """What it was called with, without secrets."""
    named = dict(job.arguments)
    plain = [str(value) for value in named.pop("args", [])] if isinstance(named.get("args"), list) else []
    if isinstance(named.get("kwargs"), dict):
        named |= named.pop("kwargs")
    return ", ".join([*plain, *(f"{name} = {value}" for name, value in named.items())])


def failures_table(rows: Any) -> SafeString:
    """The latest failures, each linked to its page."""
    return show.table(
        ["Failed", "Job", "Error", "State"],
        [
            [show.when(row.failed_at), show.link(row.actor, reverse("admin:jobs_failedjob_change", args=[row.pk])),
             row.error[:140], badge(row)]
            for row in rows.order_by("-failed_at")[:10]
        ],
        empty="Nothing has failed for good.",
    )  # fmt: skip


def _trouble(request: HttpRequest) -> Any:
    found, url = tally(request, FAILED, State.OPEN), f"{reverse(LIST)}?queue=open"
    if found.many and found.since is not None:
        plural = "job has" if found.many == 1 else "jobs have"
        yield Trouble(
            "Jobs", f"{found.many:,} {plural} failed for good and wait for a decision, the oldest since {show.ago(found.since)}.",
            url, True,
        )  # fmt: skip
    else:
        yield Trouble("Jobs", "No failed job waits for a decision.", url)


def _failed_jobs(ids: Any) -> Any:
    rows = FailedJob.objects.filter(uuid__in=ids)
    return {row.uuid: (str(row), reverse("admin:jobs_failedjob_change", args=[row.pk])) for row in rows}


ports.unfinished.register(FAILED, Unfinished(FailedJob, "Failed jobs", "jobs.view_failedjob"), order=50)
ports.subjects.register("failed_job", _failed_jobs)
ports.sidebar.register(
    "failed_jobs",
    Entry("Operations", "Failed jobs", LIST, "error", "jobs.view_failedjob",
          lambda request: tally(request, FAILED, State.OPEN).many, "danger"),
    order=30,
)  # fmt: skip
ports.troubles.register("jobs", Card("jobs.view_failedjob", _trouble), order=10)
for _name, _words in {"failed_job.replayed": "Sent again", "failed_job.discarded": "Discarded"}.items():
    ports.words.register(_name, _words)
