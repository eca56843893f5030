"""Jobs at a glance: queues, processes, the schedule, and what failed for good."""

from typing import Any

import redis
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django_dramatiq.models import Task

from backoffice import heartbeat
from backoffice.admin import ports, show, timeline
from backoffice.admin.actions import dialog_action
from backoffice.admin.base import ConsoleAdmin
from backoffice.admin.filters import choice_filter
from backoffice.admin.ports import Entry
from backoffice.admin.record import Record, Tab
from backoffice.health import PROCESSES
from backoffice.who import By
from jobs import scheduler
from jobs.admin.dead_letters import failures_table
from jobs.models import FailedJob, Schedule
from jobs.vitals import queue_depths

NAMES = {"worker": "Worker", "scheduler": "Scheduler", "sequencer": "Sequencer", "streams": "Streams"}

# The package's own task table is not kept (its middleware costs nine tenths of the throughput), so it has no page.
if admin.site.is_registered(Task):
    admin.site.unregister(Task)


@dialog_action(
    title="Run now",
    button="Run it now",
    description="It is sent once, now. When it runs next by the clock stays what it is.",
    permission="jobs.run_schedule",
    icon="play_arrow",
)
def run_now(admin: Any, request: HttpRequest, row: Schedule, form: Any) -> str:
    data, by = form.cleaned_data, By.user(request.user)  # type: ignore[arg-type]
    scheduler.run_now(row, by=by, at=timezone.now(), key=data["key"], reason=data["reason"])
    return "Sent. How it ended stands here as its last result."


@admin.register(Schedule)
class ScheduleAdmin(ConsoleAdmin):
    list_display = ("name", "rhythm", "state_shown", "next_run", "last_run", "last_result")
    ordering = ("name",)
    search_fields = ("name",)
    list_filter = (choice_filter("enabled", "state", [("True", "On"), ("False", "Off")]),)
    actions_detail = ("run_now",)
    run_now = run_now
    subject_type = "schedule"
    edit_fields = ("enabled", "every", "at_time", "catch_up")
    list_intro = "What runs by the clock. A change counts from the next run on; times are UTC."
    empty_text = "Nothing is scheduled. The schedule is filled when the back office starts."

    def get_urls(self) -> list[URLPattern]:
        page = path("at-a-glance/", self.admin_site.admin_view(self.at_a_glance), name="jobs_at_a_glance")
        return [page, *super().get_urls()]

    @admin.display(description="Runs")
    def rhythm(self, schedule: Schedule) -> str:
        if schedule.at_time:
            return f"Daily at {schedule.at_time:%H:%M} UTC"
        return f"Every {show.span(schedule.every)}"

    @admin.display(description="State")
    def state_shown(self, schedule: Schedule) -> SafeString:
        return show.badge("On", show.DONE) if schedule.enabled else show.badge("Off")

    @admin.display(description="Next run")
    def next_run(self, schedule: Schedule) -> SafeString:
        return show.when(schedule.next_run_at) if schedule.enabled else show.NOTHING

    @admin.display(description="Last run")
    def last_run(self, schedule: Schedule) -> SafeString:
        return show.when(schedule.last_run_at)

    def record(self, request: HttpRequest, row: Schedule) -> Record:
        return Record(
            title=row.name,
            badge=self.state_shown(row),
            why=f"{self.rhythm(row)}. " + ("Missed runs are made up for." if row.catch_up else "Missed runs collapse to one."),
            facts=[
                ("When does it run?", [
                    ("Rhythm", self.rhythm(row)), ("Next", show.at(row.next_run_at) if row.enabled else "Off"),
                    ("Last", show.at(row.last_run_at)), ("Last result", row.last_result.capitalize()),
                ]),
                ("What runs?", [("Job", row.actor)]),
            ],
            timeline=timeline.of("schedule", row.uuid),
            tabs=[Tab("Latest failures", lambda: failures_table(FailedJob.objects.filter(actor=row.actor)))],
        )  # fmt: skip

    def at_a_glance(self, request: HttpRequest) -> HttpResponse:
        """Queues with their depth, processes with their age, the schedule, and the latest failures, on one page."""
        if request.method not in ("GET", "HEAD") or not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Jobs at a glance",
            "parts": [
                ("Processes", _processes()),
                ("Queues", _queues()),
                ("Schedule", self._schedule()),
                ("Latest failures", failures_table(FailedJob.objects.all())),
            ],
        }
        return TemplateResponse(request, "console/glance.html", context)

    def _schedule(self) -> SafeString:
        return show.table(
            ["Job", "Runs", "State", "Next run", "Last run", "Last result"],
            [[show.link(row.name, self.record_url(row)), self.rhythm(row), self.state_shown(row), self.next_run(row),
              self.last_run(row), row.last_result.capitalize()] for row in Schedule.objects.order_by("name")[:100]],
            empty=self.empty_text,
        )  # fmt: skip


def _processes() -> SafeString:
    try:
        alive = heartbeat.alive()
    except redis.RedisError:
        return show.badge("Redis does not answer", show.WRONG)
    rows: list[list[Any]] = [
        [NAMES.get(name.split(":")[0], name.split(":")[0].capitalize()), name.partition(":")[2].replace(":", ", process ") or "–",
         f"{show.span(age)} ago", show.badge("Alive", show.DONE)]
        for name, age in sorted(alive.items())
    ]  # fmt: skip
    heard = {name.split(":")[0] for name in alive}
    rows += [
        [NAMES[kind], "–", "–", show.badge("Silent", show.WRONG)] for kind in PROCESSES if kind not in heard
    ]
    return show.table(["Process", "Where", "Last heard", "State"], rows)


def _queues() -> SafeString:
    try:
        depths = queue_depths()
    except redis.RedisError:
        return show.badge("Redis does not answer", show.WRONG)
    return show.table(
        ["Queue", "Waiting", "For later", "Dead"],
        [[name.capitalize(), *(show.number(count) for count in counts)] for name, *counts in depths],
        right=(1, 2, 3),
        empty="No queue yet. Queues appear with the first job.",
    )


ports.sidebar.register(
    "jobs",
    Entry("Operations", "Jobs at a glance", "admin:jobs_at_a_glance", "monitor_heart", "jobs.view_schedule"),
    order=10,
)
ports.sidebar.register(
    "schedule",
    Entry("Operations", "Schedule", "admin:jobs_schedule_changelist", "schedule", "jobs.view_schedule"),
    order=20,
)


def _schedules(ids: Any) -> Any:
    rows = Schedule.objects.filter(uuid__in=ids)
    return {row.uuid: (row.name, reverse("admin:jobs_schedule_change", args=[row.pk])) for row in rows}


ports.subjects.register("schedule", _schedules)
ports.words.register("schedule.run_now", "Run by hand")
