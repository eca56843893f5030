"""What happened, who looked, and which request was made before."""

from uuid import UUID

from django.db import models
from django.db.models import F, Q

from backoffice.models.people import User


class EventQuerySet(models.QuerySet["Event"]):
    """Reads of the event log."""

    def after(self, position: int) -> "EventQuerySet":
        """Sequenced events past a position, in order: what a cursor reads."""
        return self.filter(position__gt=position).order_by("position")

    def about(self, subject_type: str, subject_id: UUID) -> "EventQuerySet":
        """Everything that happened to one object, oldest first. Its own changes are ordered by its row lock."""
        return self.filter(subject_type=subject_type, subject_id=subject_id).order_by("id")

    def unsequenced(self) -> "EventQuerySet":
        return self.filter(position__isnull=True).order_by("id")


class Event(models.Model):
    """One thing that happened: audit trail, feed and resume point in one append-only row.

    `position` and `hash` are given once, by the sequencer, after the commit; nothing else ever changes.
    """

    id = models.BigAutoField(primary_key=True)
    name = models.CharField(max_length=64)
    version = models.PositiveSmallIntegerField(default=1)
    subject_type = models.CharField("about", max_length=32)
    subject_id = models.UUIDField()
    subject_version = models.PositiveIntegerField(null=True)
    client_id = models.UUIDField("client", null=True)
    by = models.CharField(max_length=64)
    by_user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=models.functions.Now())
    key = models.CharField(max_length=200, blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)
    payload = models.JSONField(default=dict)
    position = models.BigIntegerField(null=True, unique=True)
    hash = models.BinaryField(null=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["subject_type", "subject_id", "id"], name="event_by_subject"),
            models.Index(fields=["client_id", "position"], name="event_by_client"),
            models.Index(F("id"), condition=Q(position__isnull=True), name="event_unsequenced"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(position__isnull=True, hash__isnull=True)
                | Q(position__gte=1, hash__isnull=False),
                name="event_position_with_hash",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.at:%Y-%m-%d %H:%M:%S}"


class Reason(models.Model):
    """Why somebody did what an event records, in their own words.

    Beside the log and not in it: people write names into reasons, and erasure must be able to reach them.
    """

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.PROTECT, related_name="reason")
    text = models.CharField(max_length=500)

    def __str__(self) -> str:
        return self.text


class RequestKey(models.Model):
    """An idempotency key somebody used on a verb, and a hash of what they asked for with it."""

    id = models.BigAutoField(primary_key=True)
    by = models.CharField(max_length=64)
    verb = models.CharField(max_length=48)
    key = models.CharField(max_length=100)
    content_hash = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["by", "verb", "key"], name="request_key_once")]

    def __str__(self) -> str:
        return f"{self.verb} {self.key}"


class Access(models.Model):
    """A member of staff looked at something of a client's: who, when, at what. Append-only, partitioned by month, never in the feed."""

    class What(models.TextChoices):
        RECORD = "record", "Opened"
        EDIT = "edit", "Opened to edit"
        HISTORY = "history", "Read the changes of"
        SEARCH = "search", "Found by searching"
        VIEW = "view", "Asked as the client"
        EXPORT = "export", "Downloaded in a list"

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    by_user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    client_id = models.UUIDField("client")
    what = models.CharField(max_length=8, choices=What)
    # The kind of record, as the app and model are called, or the query asked as the client.
    subject = models.CharField(max_length=64)
    subject_pk = models.CharField(max_length=64, blank=True)
    correlation_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name_plural = "accesses"
        default_permissions = ("view",)
        permissions = [("export_lists", "Can download the lists they see as CSV")]
        indexes = [
            models.Index(fields=["client_id", "-at"], name="access_by_client"),
            models.Index(fields=["by_user", "-at"], name="access_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.get_what_display()} {self.subject}"
