"""The outbox, and what its links carry."""

from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.db.models import Q

from backoffice.database import PublicIdModel
from backoffice.models.people import User
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField


class MailedToken(models.Model):
    """What a link in a mail carries, as proof that somebody reads that address. Only its hash is kept; good once."""

    class Purpose(models.TextChoices):
        RESET = "reset", "Reset the password"
        VERIFY = "verify", "Confirm the address"

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="mailed_tokens")
    purpose = models.CharField(max_length=8, choices=Purpose)
    digest = models.CharField(max_length=64, unique=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "purpose"], name="mailed_token_by_user")]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}, issued {self.issued_at:%Y-%m-%d %H:%M}"


class MailQuerySet(models.QuerySet["Mail"]):
    """Reads of the outbox."""

    def due(self, at: datetime) -> "MailQuerySet":
        """What may be tried now, the oldest first."""
        return self.filter(state=Mail.State.QUEUED, next_try_at__lte=at).order_by("id")


class Mail(PublicIdModel):
    """A mail on its way out. To whom and with what stays sealed, and what it carried is dropped once it is sent."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENT = "sent", "Sent"
        FAILED = "failed", "Not sent"

    MOVES: Final = {State.QUEUED: {State.SENT, State.FAILED}, State.SENT: set(), State.FAILED: set()}
    PATIENCE: Final = {State.QUEUED: Patience(timedelta(minutes=15), "queued_at", "A worker")}

    user = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="mails")
    to = EncryptedField()
    template = models.CharField(max_length=32)
    context = EncryptedField(null=True, help_text="What the template is filled with, as JSON.")
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    queued_at = models.DateTimeField()
    good_until = models.DateTimeField()
    next_try_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=64, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = MailQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["next_try_at"], condition=Q(state="queued"), name="mail_due"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state="sent") ^ Q(sent_at__isnull=True), name="mail_sent_at"),
            models.CheckConstraint(
                condition=Q(state="queued") ^ Q(context__isnull=True), name="mail_keeps_nothing"
            ),
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.QUEUED if self.tries:
                return f"Try {self.tries} failed ({self.error or 'no answer'}); the next is at {self.next_try_at:%H:%M:%S} UTC."
            case self.State.QUEUED:
                return "A worker takes it in moments."
            case self.State.SENT:
                return "The mail server took it."
            case _:
                return f"It was given up after {self.tries} tries ({self.error})."

    def __str__(self) -> str:
        return f"{self.template} {self.queued_at:%Y-%m-%d %H:%M}"
