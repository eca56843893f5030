"""A password that was forgotten, and an address that is confirmed: by a link in a mail.

What strangers may ask for answers all alike: what depends on whether somebody is known here happens later, in a worker.
"""

from datetime import datetime
from typing import Final

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from backoffice import events, hashing, mail, mailed_tokens, sessions
from backoffice.errors import InvalidInput
from backoffice.mailed_tokens import LIFETIMES, Purpose
from backoffice.models import Session, User
from backoffice.secrets import seal, unseal
from backoffice.wake import wake
from backoffice.who import By

LONGEST: Final = 512  # beyond that only the hashing gets slower


class WeakPassword(InvalidInput):
    """The password would be easy to guess."""

    code = "WEAK_PASSWORD"
    field = "password"


def check_strength(password: str, user: User) -> None:
    """:raises WeakPassword: if it would be easy to guess, or is endless."""
    if len(password) > LONGEST:
        raise WeakPassword(f"A password has at most {LONGEST} characters.")
    try:
        validate_password(password, user)
    except ValidationError as found:
        raise WeakPassword(" ".join(found.messages)) from None


def request_reset(email: str) -> None:
    """Have a link mailed to whoever logs in with this address, if anybody does. Known or not, this does the same.

    With Redis away nothing is mailed; the person asks again.
    """
    wake("mail.reset_password", seal(email.strip()[:254]))


def mail_reset(sealed: str, *, at: datetime) -> None:
    """Mail the link that was asked for, good for 30 minutes; earlier ones end. For an unknown address: nothing."""
    rows = User.objects.filter(email__iexact=unseal(sealed), kind=User.Kind.CLIENT, is_active=True)
    user = rows.first()
    if user is None:
        return
    with transaction.atomic():
        token = mailed_tokens.issue(user, Purpose.RESET, at=at)
        mail.queue("reset_password", to=user, at=at, good_for=LIFETIMES[Purpose.RESET], token=token)
        _record("user.password_reset_requested", user, By.system("mail"), at)


def reset(token: str, password: str, *, at: datetime) -> User:
    """Set a new password by a mailed token, which is used up. Every session ends; the address counts as confirmed.

    :raises LinkNotGood: if the token may not be used. :raises WeakPassword: if the password is; the token stays good.
    :raises TooManyRequests: while too many passwords are being hashed.
    """
    user = mailed_tokens.look(token, Purpose.RESET, at=at).user
    check_strength(password, user)
    hashed = hashing.make(password)  # slow on purpose: before the transaction, not inside it
    with transaction.atomic():
        user = mailed_tokens.use(token, Purpose.RESET, at=at)
        user.password, user.email_verified = hashed, True
        user.save(update_fields=["password", "email_verified"])
        sessions.end_all(user, end=Session.End.RESET, at=at)
        _record("user.password_reset", user, By.user(user), at)
        mail.queue("password_changed", to=user, at=at, when=f"{at:%d %B %Y at %H:%M} UTC")
    return user


def mail_verification(user: User, *, at: datetime) -> None:
    """Mail a link by which the user confirms their address, good for 3 days; earlier ones end."""
    with transaction.atomic():
        token = mailed_tokens.issue(user, Purpose.VERIFY, at=at)
        mail.queue("verify_email", to=user, at=at, good_for=LIFETIMES[Purpose.VERIFY], token=token)


def verify(token: str, *, at: datetime) -> User:
    """Confirm an address by a mailed token, which is used up. :raises LinkNotGood: if it may not be used."""
    with transaction.atomic():
        user = mailed_tokens.use(token, Purpose.VERIFY, at=at)
        if not user.email_verified:
            user.email_verified = True
            user.save(update_fields=["email_verified"])
            _record("user.email_verified", user, By.user(user), at)
    return user


def _record(name: str, user: User, by: By, at: datetime) -> None:
    events.record(name, subject_type="user", subject_id=user.uuid, by=by, at=at)
