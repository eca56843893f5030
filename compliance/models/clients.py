"""Clients, who acts for them, and the desks that look after them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from backoffice.database import PublicIdModel, RateField
from backoffice.models import Currency, HistoricalModel, User


class Desk(HistoricalModel):
    """A team of staff that looks after its own clients."""

    name = models.CharField(max_length=64, unique=True)
    staff = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="desks", blank=True)

    def __str__(self) -> str:
        return self.name


def desks_of(staff: User) -> list[int] | None:
    """The desks a member of staff is limited to; None where they see every client.

    Asked once per loaded user, however many querysets it limits.
    """
    if staff.is_superuser:
        return None
    kept: dict[str, list[int]] = staff.__dict__
    if "_desk_ids" not in kept:
        kept["_desk_ids"] = list(staff.desks.values_list("pk", flat=True))
    return kept["_desk_ids"] or None


def acted_for(user: User, path: str = "") -> Q:
    """Rows of the clients this person acts for, at the end of a path such as `client__`; who only looks as them sees one."""
    found = Q(**{f"{path}membership__user": user})
    return found & Q(**{f"{path}uuid": user.viewed_client_id}) if user.viewed_client_id else found


class ClientQuerySet(models.QuerySet["Client"]):
    """Reads of clients, each already limited to who may see them."""

    def of_user(self, user: User) -> "ClientQuerySet":
        """The clients this person acts for."""
        return self.filter(acted_for(user))

    def visible_to(self, staff: User) -> "ClientQuerySet":
        """The clients this member of staff may see: all, or their desks' if they belong to any."""
        desks = desks_of(staff)
        return self if desks is None else self.filter(desk__in=desks)

    def named(self, term: str) -> "ClientQuerySet":
        """Whose first or last name begins with each word typed, whatever its case; by index."""
        found = self
        for word in term.split()[:4]:
            found = found.filter(Q(first_name__istartswith=word) | Q(last_name__istartswith=word))
        return found if term.strip() else self.none()


class Client(PublicIdModel):
    """The person or firm we serve. Everything a client owns hangs here; users reach it by membership."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        FIRM = "firm", "Firm"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"
        CLOSED = "closed", "Closed"

    class Risk(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"

    kind = models.CharField(max_length=8, choices=Kind, default=Kind.PERSON)
    first_name = models.CharField(max_length=80)
    last_name = models.CharField(max_length=80)
    date_of_birth = models.DateField(null=True, blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="Two letters, ISO 3166.")
    base_currency = models.ForeignKey(Currency, on_delete=models.PROTECT, default="USD", related_name="+")
    markup_rate = RateField(
        "markup",
        null=True,
        blank=True,
        help_text="Our share of a contract's payout; 0.02 is 2 %. Empty: the application's.",
    )
    kyc_level = models.PositiveSmallIntegerField("KYC level", default=0)
    risk_rating = models.CharField(max_length=8, choices=Risk, default=Risk.LOW)
    desk = models.ForeignKey(Desk, null=True, blank=True, on_delete=models.PROTECT, related_name="clients")
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    opened_at = models.DateTimeField()
    history = HistoricalRecords()

    objects = ClientQuerySet.as_manager()

    class Meta:
        permissions = [("see_as_client", "Can look at the client app as a client sees it, read only")]
        constraints = [
            models.CheckConstraint(
                condition=Q(markup_rate__isnull=True) | Q(markup_rate__gte=0, markup_rate__lte="0.03"),
                name="client_markup_0_to_3_percent",
            ),
            models.CheckConstraint(
                condition=Q(country="") | Q(country__regex=r"^[A-Z]{2}$"), name="client_country_two_letters"
            ),
        ]
        indexes = [models.Index(fields=["-opened_at"], name="client_newest")]

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    def __str__(self) -> str:
        return self.name


class Membership(HistoricalModel):
    """A user's right to act for a client."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner"
        TRADER = "trader", "Trader"
        VIEWER = "viewer", "Viewer"

    client = models.ForeignKey(Client, on_delete=models.PROTECT)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role, default=Role.OWNER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} · {self.get_role_display()} of {self.client}"
