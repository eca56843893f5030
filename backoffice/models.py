"""The kernel's tables: users, currencies, the event log."""

from datetime import datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group, PermissionsMixin
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from simple_history import register
from simple_history.models import HistoricalRecords

from backoffice.database import PublicIdModel
from backoffice.patience import Patience
from backoffice.secrets import EncryptedField


class HistoricalModel(models.Model):
    """A configuration or case-like record: every version is kept, with who changed it, when and why."""

    history = HistoricalRecords(inherit=True)

    class Meta:
        abstract = True


class UserManager(BaseUserManager):
    """How users are found: by e-mail address, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)  # type: ignore[no-any-return]


class User(PublicIdModel, AbstractBaseUser, PermissionsMixin):
    """Somebody who can log in: a member of staff, or a person acting for a client.

    Clients' users cannot enter the console; staff own no money.
    """

    class Kind(models.TextChoices):
        CLIENT = "client", "Client"
        STAFF = "staff", "Staff"

    email = models.EmailField("e-mail", max_length=254)
    username = models.CharField(max_length=64, blank=True)
    full_name = models.CharField("name", max_length=160, blank=True)
    phone = models.CharField(max_length=32, blank=True)
    email_verified = models.BooleanField("e-mail verified", default=False)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.CLIENT)
    locale = models.CharField(max_length=16, default="en")
    time_zone = models.CharField(max_length=64, default="UTC")
    is_active = models.BooleanField("may log in", default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    history = HistoricalRecords(excluded_fields=["password", "last_login"], m2m_fields=["groups"])
    # Whoever only looks as this person, and at which client of theirs alone; of the object, not the row.
    viewed_client_id: "UUID | None" = None

    objects = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_once"),
            models.UniqueConstraint(Lower("username"), condition=~Q(username=""), name="user_username_once"),
            models.CheckConstraint(
                condition=Q(kind="staff") | Q(is_superuser=False), name="user_client_is_never_superuser"
            ),
        ]

    @property
    def is_staff(self) -> bool:
        """Django's word for “may enter the console”."""
        return self.kind == self.Kind.STAFF

    def get_full_name(self) -> str:
        return self.full_name or self.email

    def get_short_name(self) -> str:
        return self.full_name.split(" ")[0] or self.email

    def __str__(self) -> str:
        return self.full_name or self.email


class Currency(HistoricalModel):
    """A unit of money and how finely it may be booked."""

    class Kind(models.TextChoices):
        FIAT = "fiat", "Fiat"
        CRYPTO = "crypto", "Crypto"

    code = models.CharField(primary_key=True, max_length=12)
    name = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.FIAT)
    exponent = models.PositiveSmallIntegerField(
        "decimals", default=2, help_text="How many decimals an amount may have."
    )
    is_active = models.BooleanField("in use", default=True)

    class Meta:
        verbose_name_plural = "currencies"
        constraints = [
            models.CheckConstraint(condition=Q(exponent__lte=18), name="currency_exponent_at_most_18"),
            models.CheckConstraint(
                condition=Q(code__regex=r"^[A-Z0-9]{2,12}$"), name="currency_code_upper_case"
            ),
        ]

    def __str__(self) -> str:
        return self.code


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


# Roles are Django's groups; who changed one, when, why and what, is kept as of any configuration.
register(Group, app="backoffice", m2m_fields=["permissions"])


class SecondFactor(models.Model):
    """What a member of staff's authenticator app knows: they show its code when they log in. Proven once confirmed.

    A code is good once: the step of the last one used is kept, and no older one is taken.
    """

    user = models.OneToOneField(
        User, primary_key=True, on_delete=models.PROTECT, related_name="second_factor"
    )
    secret = EncryptedField()
    begun_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    last_step = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Second factor of {self.user}"


class RecoveryCode(models.Model):
    """Logs somebody in once when the authenticator app is lost. Only its hash is kept."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="recovery_codes")
    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    # Printing new ones voids the old: kept, so that what was used stays known.
    void = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"recovery code {self.pk}"


class LogInLock(models.Model):
    """How often in a row somebody failed to log in to the console, and until when they are locked out for it."""

    user = models.OneToOneField(User, primary_key=True, on_delete=models.PROTECT, related_name="log_in_lock")
    failures = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField(null=True, blank=True)
    locked_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Log-in lock of {self.user}"


class Access(models.Model):
    """A member of staff looked at something of a client's: who, when, at what. Append-only, partitioned by month, never in the feed."""

    class What(models.TextChoices):
        RECORD = "record", "Opened"
        EDIT = "edit", "Opened to edit"
        HISTORY = "history", "Read the changes of"
        SEARCH = "search", "Found by searching"
        VIEW = "view", "Asked as the client"

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
        indexes = [
            models.Index(fields=["client_id", "-at"], name="access_by_client"),
            models.Index(fields=["by_user", "-at"], name="access_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.get_what_display()} {self.subject}"
