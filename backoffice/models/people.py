"""Who can log in, and what stands between them and the door."""

from typing import ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group, PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from simple_history import register
from simple_history.models import HistoricalRecords

from backoffice.database import PublicIdModel
from backoffice.secrets import EncryptedField


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
