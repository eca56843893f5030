"""Logging in to the console in two steps: the password, then the second factor. Whatever fails looks and costs the same."""

from datetime import datetime
from typing import Final

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password

from backoffice import events, throttle
from backoffice.database import uuid7
from backoffice.errors import DomainError
from backoffice.models import Session, User
from backoffice.staff import console_sessions, locks, second_factor
from backoffice.who import By

WRONG: Final = (
    "E-mail address or password is wrong, or the account is locked. An administrator can tell which."
)
SECONDS: Final = 300
BY_ADDRESS: Final = 40  # an office shares one
BY_PERSON: Final = 10


class NoEntry(DomainError):
    """Unknown address, wrong password, locked out, deactivated, or nobody who works here: all look the same."""

    code = "NO_ENTRY"


class SecondFactorNeeded(DomainError):
    """The console cannot be entered without a second factor."""

    code = "SECOND_FACTOR_NEEDED"


def show_password(*, email: str, password: str, at: datetime, address: str | None = None) -> User:
    """The first step: who it is. Nobody is logged in by it. Every failure takes as long and says the same.

    :raises TooManyRequests: for this address of the network or of mail, known or not.
    :raises NoEntry: if it is not the password of somebody who may enter now.
    """
    throttle.take("staff-log-in-from", address or "?", limit=BY_ADDRESS, seconds=SECONDS)
    throttle.take("staff-log-in", email, limit=BY_PERSON, seconds=SECONDS)
    user: User | None = User.objects.filter(email__iexact=email.strip()).first()
    if user is None:
        make_password(password)  # costs what a wrong password costs
        _failed(None, "password", at)
        raise NoEntry(WRONG)
    right = check_password(password, user.password)
    may = user.is_active and user.kind == User.Kind.STAFF and locks.locked_until(user, at=at) is None
    if not right or not may:
        _failed(user, "password", at)
        raise NoEntry(WRONG)
    return user


def needs_code(user: User) -> bool:
    """Whether the second step asks for a code: wherever somebody has a second factor, asked for or not."""
    return second_factor.of(user) is not None


def needs_enrolling(user: User) -> bool:
    """Whether the second step is to enroll: a second factor is asked for and there is none."""
    return bool(settings.CONFIG.staff_second_factor) and not needs_code(user)


def show_code(user: User, code: str, *, at: datetime) -> None:
    """The second step: a code of the authenticator app, or a recovery code.

    :raises TooManyRequests: if codes are being guessed.
    :raises NoEntry: if the person was locked out or deactivated meanwhile.
    :raises WrongCode, NotEnrolled: as `second_factor.show`.
    """
    throttle.take("staff-code", str(user.uuid), limit=BY_PERSON, seconds=SECONDS)
    if not user.is_active or locks.locked_until(user, at=at) is not None:
        raise NoEntry(WRONG)
    try:
        second_factor.show(user, code, at=at)
    except second_factor.WrongCode:
        _failed(user, "code", at)
        raise


def enter(
    user: User, *, with_code: bool, at: datetime, agent: str = "", address: str | None = None
) -> Session:
    """Begin the session of somebody who has shown all that is asked of them.

    :raises SecondFactorNeeded: if a second factor is asked for, or there is one, and it was not shown.
    """
    if not with_code and (settings.CONFIG.staff_second_factor or needs_code(user)):
        raise SecondFactorNeeded("Log in with your second factor.")
    locks.forget(user)
    throttle.forget("staff-log-in", user.email)
    throttle.forget("staff-code", str(user.uuid))
    return console_sessions.start(user, second_factor=with_code, at=at, agent=agent, address=address)


def _failed(user: User | None, step: str, at: datetime) -> None:
    # An unknown address is not written down: the log holds no personal data.
    by = By.user(user) if user else By.system("console")
    events.record(
        "staff.log_in_failed", subject_type="user", subject_id=user.uuid if user else uuid7(), by=by, at=at,
        payload={"known": user is not None, "step": step},
    )  # fmt: skip
    if user is not None and user.kind == User.Kind.STAFF:
        locks.failed(user, by=by, at=at)
