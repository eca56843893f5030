"""What runs when, and what failed for good."""

import datetime

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Reads of the schedule."""

    def due(self, at: datetime.datetime) -> "ScheduleQuerySet":
        """What should have run by then, the longest overdue first."""
        return self.filter(enabled=True, next_run_at__lte=at).order_by("next_run_at", "id")

    def locked(self) -> "ScheduleQuerySet":
        """Only rows no other scheduler is working on, locked until the end of the transaction."""
        return self.select_for_update(skip_locked=True, no_key=True)


class Schedule(models.Model):
    """An actor that runs by the clock. Times are UTC; staff may edit every row."""

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=100, unique=True)
    actor = models.CharField(max_length=100)
    every = models.PositiveIntegerField("every (seconds)")
    at_time = models.TimeField(
        "at (UTC)",
        null=True,
        blank=True,
        help_text="Time of day, for schedules of whole days (86400 seconds).",
    )
    enabled = models.BooleanField(default=True)
    catch_up = models.BooleanField(
        default=False, help_text="Make up for each missed run; otherwise missed runs collapse to one."
    )
    next_run_at = models.DateTimeField()
    last_run_at = models.DateTimeField(null=True, blank=True)
    last_result = models.CharField(max_length=200, blank=True)
    # What staff changed; the clock's own marks are no changes.
    history = HistoricalRecords(excluded_fields=["next_run_at", "last_run_at", "last_result"])

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        verbose_name = "scheduled job"
        indexes = [models.Index(fields=["next_run_at"], condition=Q(enabled=True), name="schedule_due")]
        constraints = [
            models.CheckConstraint(condition=Q(every__gte=1), name="schedule_every_at_least_1"),
            models.CheckConstraint(
                condition=Q(at_time__isnull=True) | Q(every__gte=86400), name="schedule_time_of_day_daily"
            ),
            models.CheckConstraint(condition=Q(actor__contains="."), name="schedule_actor_names_queue"),
        ]

    def __str__(self) -> str:
        return self.name


class FailedJob(models.Model):
    """A message that will not be tried again by itself. `code` is a refusal's code, empty for an accident."""

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(max_length=100)
    actor = models.CharField(max_length=100)
    message_id = models.CharField(max_length=64)
    arguments = models.JSONField(default=dict, help_text="Without secrets.")
    code = models.CharField(max_length=64, blank=True)
    error = models.TextField()
    traceback = models.TextField(blank=True)
    retries = models.PositiveIntegerField(default=0)
    correlation_id = models.CharField(max_length=64, blank=True)
    failed_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(F("failed_at").desc(), name="failed_job_latest"),
            models.Index(fields=["actor", "failed_at"], name="failed_job_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.failed_at:%Y-%m-%d %H:%M:%S}"
