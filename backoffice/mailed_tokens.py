"""Proof that somebody reads an address: a random token in a mail, kept as a hash, good once and not for long."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from backoffice.errors import DomainError
from backoffice.models import MailedToken, User

Purpose = MailedToken.Purpose
LIFETIMES: Final = {Purpose.RESET: timedelta(minutes=30), Purpose.VERIFY: timedelta(days=3)}


class LinkNotGood(DomainError):
    """The token of a mailed link is not one of ours, was used, or is too old: the three look alike."""

    code = "LINK_NOT_GOOD"
    field = "token"


def issue(user: User, purpose: MailedToken.Purpose, *, at: datetime) -> str:
    """A new token, to be mailed and nowhere else kept. Earlier ones for the same purpose end."""
    MailedToken.objects.filter(user=user, purpose=purpose, used_at=None, expires_at__gt=at).update(
        expires_at=at
    )
    token = secrets.token_urlsafe(32)
    MailedToken.objects.create(
        user=user, purpose=purpose, digest=_digest(token), issued_at=at, expires_at=at + LIFETIMES[purpose]
    )
    return token


def look(token: str, purpose: MailedToken.Purpose, *, at: datetime) -> MailedToken:
    """The token, if it may be used. :raises LinkNotGood: if not."""
    found = MailedToken.objects.select_related("user").filter(digest=_digest(token), purpose=purpose).first()
    if found is None or found.used_at is not None or found.expires_at <= at or not found.user.is_active:
        raise LinkNotGood("This link is not good any more. Ask for another one.")
    return found


def use(token: str, purpose: MailedToken.Purpose, *, at: datetime) -> User:
    """Use a token up, in the caller's transaction; whose it is. Locks its row, so of two uses one is refused.

    :raises LinkNotGood: if it may not be used.
    """
    locked = MailedToken.objects.select_for_update(no_key=True).filter(digest=_digest(token)).first()
    found = look(token, purpose, at=at)
    if locked is not None:
        MailedToken.objects.filter(pk=found.pk).update(used_at=at)
    return found.user


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
