"""A client's permission for us to act at the venue, and the request for one."""

from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from backoffice.database import PublicIdModel
from backoffice.models import User
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField
from compliance.models import Client, desks_of


class GrantQuerySet(models.QuerySet["Grant"]):
    """Reads of grants."""

    def visible_to(self, staff: User) -> "GrantQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def live(self) -> "GrantQuerySet":
        """Not ended: we act by them, or the client may renew them."""
        return self.exclude(state=Grant.State.ENDED)

    def due(self, at: datetime) -> "GrantQuerySet":
        """Whose access token runs out soon and is to be renewed, and nobody is at it."""
        return self.filter(
            Q(renewing_since=None) | Q(renewing_since__lt=at - Grant.RENEWING),
            state=Grant.State.ACTIVE,
            kind=Grant.Kind.OAUTH,
            expires_at__lte=at + Grant.AHEAD,
        ).order_by("expires_at")


class Grant(PublicIdModel):
    """A client's permission for us to act at the venue: one user there, with all their v4 accounts."""

    class Kind(models.TextChoices):
        OAUTH = "oauth", "Signed in at the venue"
        PERSONAL = "personal", "Personal access token"

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        REFUSED = "refused", "Needs the client"
        ENDED = "ended", "Ended"

    MOVES: Final = {
        State.ACTIVE: {State.REFUSED, State.ENDED},
        State.REFUSED: {State.ACTIVE, State.ENDED},
        State.ENDED: set(),
    }
    FINAL: Final = frozenset({State.ENDED})
    RESTING: Final = frozenset({State.ACTIVE})
    PATIENCE: Final = {
        State.REFUSED: Patience(timedelta(days=7), ("refused_at", "granted_at"), "The client"),
    }
    # How long before its end an access token is renewed.
    AHEAD: Final = timedelta(minutes=5)
    # A renewal that has not ended by then died on its way; somebody else tries.
    RENEWING: Final = timedelta(seconds=60)
    # What the venue said of a token before this may have been said of the one before.
    SETTLING: Final = timedelta(seconds=5)

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="grants")
    kind = models.CharField(max_length=8, choices=Kind)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    access_token = EncryptedField(null=True, blank=True)
    refresh_token = EncryptedField(null=True, blank=True)
    scopes = models.CharField(max_length=200, help_text="What it allows, in the venue's words.")
    expires_at = models.DateTimeField(
        "access until", null=True, blank=True, help_text="It is renewed before. Empty: it does not run out."
    )
    problem_code = models.CharField(max_length=40, blank=True, help_text="What the venue said, refusing it.")
    granted_at = models.DateTimeField(help_text="When the client last said yes.")
    renewed_at = models.DateTimeField(null=True, blank=True)
    renewing_since = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    history = HistoricalRecords(
        excluded_fields=["access_token", "refresh_token", "expires_at", "renewed_at", "renewing_since"]
    )

    objects = GrantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="ended", access_token__isnull=True, refresh_token__isnull=True)
                | (~Q(state="ended") & Q(access_token__isnull=False)),
                name="grant_tokens_until_it_ends",
            ),
            models.CheckConstraint(
                condition=Q(kind="personal", refresh_token__isnull=True, expires_at__isnull=True)
                | Q(kind="oauth", expires_at__isnull=False),
                name="grant_personal_never_expires",
            ),
            models.CheckConstraint(
                condition=Q(state="ended", ended_at__isnull=False)
                | (~Q(state="ended") & Q(ended_at__isnull=True)),
                name="grant_ended_at",
            ),
            # The key that accounts point at together with their client: see migration 0011.
            models.UniqueConstraint(fields=["id", "client"], name="grant_of_client"),
        ]
        indexes = [models.Index(fields=["expires_at"], condition=Q(state="active"), name="grant_due")]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.ACTIVE if self.kind == self.Kind.OAUTH:
                return "The client lets us in; its token is renewed by itself before it runs out."
            case self.State.ACTIVE:
                return "The client gave us a token of their own; it is good until they end it at the venue."
            case self.State.REFUSED:
                return "The venue no longer lets us in; the client must link the accounts again."
            case _:
                return "Ended with its last account; no token of it is kept."

    def allows(self, scope: str) -> bool:
        """Whether the client allowed this, in the venue's word for it."""
        return scope in self.scopes.split()

    def __str__(self) -> str:
        return f"Grant of {self.granted_at:%Y-%m-%d %H:%M}"


class GrantRequestQuerySet(models.QuerySet["GrantRequest"]):
    """Reads of requests for a grant."""

    def visible_to(self, staff: User) -> "GrantRequestQuerySet":
        """What this member of staff may see: all, or their desks' clients' if they belong to any desk."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(client__desk__in=desks)

    def overdue(self, at: datetime) -> "GrantRequestQuerySet":
        """Pending for longer than a request is good."""
        return self.filter(
            state=GrantRequest.State.PENDING, requested_at__lte=at - GrantRequest.LIFE
        ).order_by("id")


class GrantRequest(PublicIdModel):
    """A client on their way to the venue and back. The OAuth state itself is never kept, only its hash."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        COMPLETED = "completed", "Completed"
        FAILED = "failed", "Failed"
        LAPSED = "lapsed", "Lapsed"

    MOVES: Final = {
        State.PENDING: {State.COMPLETED, State.FAILED, State.LAPSED},
        State.COMPLETED: set(),
        State.FAILED: set(),
        State.LAPSED: set(),
    }
    FINAL: Final = frozenset({State.COMPLETED, State.FAILED, State.LAPSED})
    PATIENCE: Final = {State.PENDING: Patience(timedelta(minutes=15), "requested_at", "The client")}
    LIFE: Final = timedelta(minutes=10)

    client = models.ForeignKey(Client, on_delete=models.PROTECT, related_name="grant_requests")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    state_hash = models.CharField(max_length=64, unique=True, editable=False)
    verifier = EncryptedField(null=True, blank=True)
    redirect_url = models.URLField("returns to", max_length=500)
    problem_code = models.CharField(max_length=40, blank=True)
    grant = models.ForeignKey(Grant, null=True, blank=True, on_delete=models.PROTECT, related_name="requests")
    requested_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True, help_text="When the client came back.")
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = GrantRequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                # Whoever comes back takes the verifier with them, before anything is asked of the venue.
                condition=Q(verifier__isnull=True) | Q(state="pending", used_at__isnull=True),
                name="grant_request_verifier_once",
            ),
            models.CheckConstraint(
                condition=Q(state="pending", ended_at__isnull=True)
                | (~Q(state="pending") & Q(ended_at__isnull=False)),
                name="grant_request_ended_at",
            ),
            models.CheckConstraint(
                condition=~Q(state="completed") | Q(grant__isnull=False), name="grant_request_completed"
            ),
        ]
        indexes = [
            models.Index(fields=["requested_at"], condition=Q(state="pending"), name="grant_request_pending")
        ]

    @property
    def why(self) -> str:
        """One sentence: why it is where it is, and what happens next."""
        match self.state:
            case self.State.PENDING if self.used_at is not None:
                return "The client came back; the venue is being asked for the tokens."
            case self.State.PENDING:
                return "The client is at the venue's sign-in; it lapses ten minutes after it was asked for."
            case self.State.COMPLETED:
                return "The client said yes, and the accounts are linked."
            case self.State.FAILED:
                return "The venue or we said no; the client may begin again."
            case _:
                return "Nobody came back in time; the client may begin again."

    def __str__(self) -> str:
        return f"Request of {self.requested_at:%Y-%m-%d %H:%M}"
