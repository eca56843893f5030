"""What runs when, and what failed for good."""

import datetime
from typing import Final

from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from backoffice.database import PublicIdModel
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    """Reads of the schedule."""

    def due(self, at: datetime.datetime) -> "ScheduleQuerySet":
        """What should have run by then, the longest overdue first."""
        return self.filter(enabled=True, next_run_at__lte=at).order_by("next_run_at", "id")

    def locked(self) -> "ScheduleQuerySet":
        """Only rows no other scheduler is working on, locked until the end of the transaction."""
        return self.select_for_update(skip_locked=True, no_key=True)


class Schedule(PublicIdModel):
    """An actor that runs by the clock. Times are UTC; staff may edit every row."""

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
        permissions = [("run_schedule", "Can run a scheduled job now")]
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


class FailedJobQuerySet(models.QuerySet["FailedJob"]):
    """Reads of dead letters."""

    def open(self) -> "FailedJobQuerySet":
        """Waiting for somebody's decision, oldest first."""
        return self.filter(state=FailedJob.State.OPEN).order_by("id")

    def replaying(self) -> "FailedJobQuerySet":
        """Decided to be sent again, and not known to have been sent."""
        return self.filter(state=FailedJob.State.REPLAYING).order_by("id")


class FailedJob(PublicIdModel):
    """A message that will not be tried again by itself. Somebody sends it again or discards it, once, with a reason.

    `code` is a refusal's code, empty for an accident. A refusal is an answer: it is kept, and nobody need decide.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        REPLAYING = "replaying", "Being sent again"
        REPLAYED = "replayed", "Sent again"
        DISCARDED = "discarded", "Discarded"

    MOVES: Final = {
        State.OPEN: {State.REPLAYING, State.DISCARDED},
        State.REPLAYING: {State.REPLAYED},
        State.REPLAYED: set(),
        State.DISCARDED: set(),
    }
    PATIENCE: Final = {
        State.OPEN: Patience(datetime.timedelta(hours=1), "failed_at", "Dealing desk"),
        State.REPLAYING: Patience(datetime.timedelta(minutes=1), "decided_at", "A worker"),
    }

    queue = models.CharField(max_length=100)
    actor = models.CharField(max_length=100)
    message_id = models.CharField(max_length=64)
    message = EncryptedField(blank=True, help_text="The whole message, to be sent again.")
    arguments = models.JSONField(default=dict, help_text="Without secrets.")
    code = models.CharField(max_length=64, blank=True)
    error = models.TextField()
    traceback = models.TextField(blank=True)
    retries = models.PositiveIntegerField(default=0)
    correlation_id = models.CharField(max_length=64, blank=True)
    failed_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State, default=State.OPEN)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=64, blank=True)
    sent_at = models.DateTimeField("sent again", null=True, blank=True)

    objects = FailedJobQuerySet.as_manager()

    class Meta:
        permissions = [("decide_failedjob", "Can send a failed job again or discard it")]
        indexes = [
            models.Index(F("failed_at").desc(), name="failed_job_latest"),
            models.Index(fields=["actor", "failed_at"], name="failed_job_by_actor"),
            models.Index(
                fields=["state", "id"],
                condition=Q(state__in=["open", "replaying"]),
                name="failed_job_waiting",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True, decided_by="")
                | (~Q(state="open") & Q(decided_at__isnull=False) & ~Q(decided_by="")),
                name="failed_job_decided_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(state="replayed") ^ Q(sent_at__isnull=True), name="failed_job_replayed_was_sent"
            ),
        ]

    @property
    def is_refusal(self) -> bool:
        return bool(self.code)

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.OPEN:
                return f"It failed after {self.retries} retries; somebody sends it again or discards it."
            case self.State.REPLAYING:
                return "It is to be sent again; a sweep sends it as soon as Redis takes it."
            case self.State.REPLAYED:
                return "It was sent again. If it failed once more, that is a failed job of its own."
            case _ if self.is_refusal:
                return "It was refused, which is an answer: what was asked for could not be done."
            case _:
                return "It was discarded and will not be sent again."

    def __str__(self) -> str:
        return f"{self.actor} {self.failed_at:%Y-%m-%d %H:%M:%S}"
