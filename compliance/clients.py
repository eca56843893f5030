"""Opening a client: the person's account with us, and whatever each product adds to it, in one transaction."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import F

from backoffice import events, hashing, mail, metrics, passwords
from backoffice.errors import DomainError, InvalidInput, NotAllowed, NotFound
from backoffice.models import Currency, User
from backoffice.registry import Port
from backoffice.who import By
from compliance.models import Client, Membership


class EmailTaken(DomainError):
    """Somebody already logs in with this address."""

    code = "EMAIL_TAKEN"
    field = "email"


@dataclass(frozen=True, slots=True)
class Opening:
    """A client being opened: what each registered step is given."""

    client: Client
    user: User
    by: By
    at: datetime
    extra: dict[str, str] = field(default_factory=dict)


# What upper packages add when a client is opened (a demo account, a referral), inside the one transaction.
opening_steps: Port[Callable[[Opening], None]] = Port("steps of opening a client")


@metrics.verb("client.open")
def open_client(
    *,
    email: str,
    password: str,
    first_name: str,
    last_name: str,
    at: datetime,
    country: str = "",
    date_of_birth: date | None = None,
    base_currency: str = "USD",
    by: By | None = None,
    extra: dict[str, str] | None = None,
) -> Opening:
    """Open a client with its first user, who owns it; every registered step joins in the same transaction.

    Either all of it exists afterwards or none. The e-mail address is kept as written and compared whatever its
    case. `by` is the new user themself unless a member of staff opens it.

    :raises InvalidInput: if the e-mail, a name, the country or the currency is not one; `field` says which.
    :raises WeakPassword: if the password fails the password rules.
    :raises EmailTaken: if the address is in use. Nothing is created.
    """
    email = _email(email)
    first_name, last_name = _name(first_name, "first_name"), _name(last_name, "last_name")
    country = country.strip().upper()
    if country and not re.fullmatch(r"[A-Z]{2}", country):
        raise InvalidInput("A country is two letters, such as KE.", field="country")
    if date_of_birth and date_of_birth > at.date():
        raise InvalidInput("A date of birth lies in the past.", field="date_of_birth")
    if not Currency.objects.filter(code=base_currency, is_active=True).exists():
        raise InvalidInput(f"“{base_currency[:12]}” is not a currency in use.", field="base_currency")
    user = User(email=email, full_name=f"{first_name} {last_name}", kind=User.Kind.CLIENT)
    passwords.check_strength(password, user)
    user.password = hashing.make(password)  # slow on purpose: before the transaction, not inside it
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            client = Client.objects.create(
                first_name=first_name,
                last_name=last_name,
                country=country,
                date_of_birth=date_of_birth,
                base_currency_id=base_currency,
                opened_at=at,
            )
            Membership.objects.create(client=client, user=user, role=Membership.Role.OWNER)
            opening = Opening(client=client, user=user, by=by or By.user(user), at=at, extra=extra or {})
            for step in opening_steps:
                step(opening)
            events.record(
                "client.opened",
                subject_type="client",
                subject_id=client.uuid,
                client_id=client.uuid,
                by=opening.by,
                at=at,
                payload={"user": user.uuid, "steps": opening_steps.names()},
            )
    except IntegrityError as found:
        if "user_email_once" in str(found):
            raise EmailTaken("Somebody already logs in with this e-mail address.") from None
        raise
    return opening


def sign_up(*, email: str, at: datetime, **given: Any) -> Opening | None:
    """Open a client for a stranger who asks for it, and have them confirm their address by mail.

    Where addresses must be confirmed first the answer is None, known or not: whoever has a log-in already is told so
    by mail, and nothing else happens. Elsewhere a known address is refused. `given` is as for `open_client`.

    :raises EmailTaken: if the address is in use, where nobody need confirm theirs.
    :raises DomainError: as `open_client`.
    """
    must_confirm = settings.CONFIG.confirm_email
    try:
        opening = open_client(email=email, at=at, **given)
    except EmailTaken:
        if not must_confirm:
            raise
        user = User.objects.get(email__iexact=email.strip())
        if user.kind == User.Kind.CLIENT and user.is_active:
            mail.queue("already_a_client", to=user, at=at)
        return None
    passwords.mail_verification(opening.user, at=at)
    return None if must_confirm else opening


def of_user(user: User, public_id: UUID | None) -> Client:
    """One of the clients this person acts for; without an id, the first.

    :raises NotFound: if there is none with this id, or it is somebody else's.
    """
    rows = Client.objects.of_user(user).annotate(acting_as=F("membership__role")).order_by("pk")
    row = (rows if public_id is None else rows.filter(uuid=public_id)).first()
    if row is None:
        raise NotFound("There is no such client.", field="client")
    return row


def acting(user: User, public_id: UUID | None, *, owned: bool = False) -> Client:
    """One of the clients this person acts for, as `of_user`, if they may move its money. One question.

    :raises NotFound: if there is none with this id, or it is somebody else's.
    :raises NotAllowed: if they may only look at its money; with `owned`, unless it is their own.
    """
    row = of_user(user, public_id)
    _check(row.acting_as, owned=owned)  # type: ignore[attr-defined]
    return row


def with_role(rows: Any, path: str = "client") -> Any:
    """Rows that were limited to whom a person acts for (`of_user`), each with their role for its client: no question more."""
    return rows.annotate(acting_as=F(f"{path}__membership__role"))


def check_role(row: Any, *, owned: bool = False) -> None:
    """Of a row `with_role`. :raises NotAllowed: if they may only look; with `owned`, unless the client is their own."""
    _check(row.acting_as, owned=owned)


def check_may_act(user: User, client_id: int) -> None:
    """:raises NotAllowed: if the user may look at this client's money but not act with it."""
    role = Membership.objects.filter(user=user, client=client_id).values_list("role", flat=True).first()
    _check(role, owned=False)


def _check(role: str | None, *, owned: bool) -> None:
    if owned and role != Membership.Role.OWNER:
        raise NotAllowed("Only the owner of the account may say to whom money goes.")
    if role not in (Membership.Role.OWNER, Membership.Role.TRADER):
        raise NotAllowed("You may look at this client's money, not act with it.")


def _email(value: str) -> str:
    value = value.strip()
    try:
        validate_email(value)
    except ValidationError:
        raise InvalidInput("That is not an e-mail address.", field="email") from None
    return value


def _name(value: str, field: str) -> str:
    value = " ".join(value.split())
    if not 1 <= len(value) <= 80 or not value.isprintable():
        raise InvalidInput("A name has 1 to 80 printable characters.", field=field)
    return value
