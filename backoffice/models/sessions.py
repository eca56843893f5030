"""Log-ins that go on: of apps, of staff in the console, and of looks as a client."""

from django.db import models
from django.db.models import F, Q

from backoffice.database import PublicIdModel
from backoffice.models.people import User


class Session(PublicIdModel):
    """A log-in on one device: a client app's, kept alive by refresh tokens; a member of staff's in the console, kept
    alive by the pages they open; or one to look at the client app as a client sees it, for minutes and read only.
    """

    class Kind(models.TextChoices):
        APP = "app", "Client app"
        CONSOLE = "console", "Console"
        VIEW = "view", "View as client"

    class End(models.TextChoices):
        LOGGED_OUT = "logged_out", "Logged out"
        REUSED = "reused", "A used refresh token came back"
        CLOSED = "closed", "Closed by staff"
        ENDED = "ended", "Ended by the person, from another session"
        RESET = "reset", "The password was reset"
        IDLE = "idle", "Nothing done for too long"
        EXPIRED = "expired", "Reached its longest time"
        DEACTIVATED = "deactivated", "The person may not log in any more"
        CREDENTIALS = "credentials", "Password or second factor changed"

    kind = models.CharField(max_length=8, choices=Kind, default=Kind.APP)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_sessions")
    started_at = models.DateTimeField()
    refreshed_at = models.DateTimeField()
    agent = models.CharField(max_length=200, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    # A hash of the app and the network it calls from: whether a log-in comes from where there was one before.
    device = models.CharField(max_length=32, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    end = models.CharField(max_length=12, choices=End, blank=True)
    # Of the console: whether a second factor was shown, and until when the most sensitive actions are open.
    second_factor = models.BooleanField("with second factor", default=False)
    elevated_until = models.DateTimeField(null=True, blank=True)
    # Of a look as a client: as which of the client's people, and which client.
    viewed = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    viewed_client_id = models.UUIDField("client", null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, end="") | (Q(ended_at__isnull=False) & ~Q(end="")),
                name="session_end_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(kind="view", viewed__isnull=False, viewed_client_id__isnull=False)
                | (~Q(kind="view") & Q(viewed__isnull=True, viewed_client_id__isnull=True)),
                name="session_view_is_of_somebody",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="session_by_user"),
            models.Index(
                F("refreshed_at"),
                condition=Q(ended_at__isnull=True) & ~Q(kind="app"),
                name="session_open_staff",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} since {self.started_at:%Y-%m-%d %H:%M}"


class RefreshToken(models.Model):
    """One use of staying logged in. Only its hash is kept; used once, it buys the next."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"token {self.pk} of session {self.session_id}"
