"""Actors of the outbox, and of what is mailed to people who forgot or confirm something."""

from django.utils import timezone

from backoffice import mail, passwords
from backoffice.models import User
from jobs.declare import actor


@actor("mail.deliver", time_limit_seconds=60, max_retries=0)
def deliver(mail_id: int) -> None:
    """Try to send one mail; what the server does not take is tried again by the sweep."""
    mail.deliver(mail_id, at=timezone.now())


@actor("mail.sweep", time_limit_seconds=300, every=15, max_retries=0)
def sweep() -> None:
    """Try what is due: what nobody was woken for, and what the server did not take."""
    mail.sweep(at=timezone.now())


@actor("mail.reset_password", time_limit_seconds=30)
def reset_password(sealed: str) -> None:
    """Mail the link for a new password, if the address is known."""
    passwords.mail_reset(sealed, at=timezone.now())


@actor("mail.verify_email", time_limit_seconds=30)
def verify_email(user_id: int) -> None:
    """Mail the link that confirms an address once more."""
    passwords.mail_verification(User.objects.get(pk=user_id), at=timezone.now())
