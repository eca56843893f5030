"""The second factor of a member of staff: enrolled once with an authenticator app, shown at every log-in."""

from datetime import datetime

from django.db import transaction

from backoffice import events
from backoffice.errors import DomainError
from backoffice.models import RecoveryCode, SecondFactor, Session, User
from backoffice.staff import codes, console_sessions
from backoffice.who import By


class WrongCode(DomainError):
    """The code is not the one the authenticator app shows now, was used already, or is no recovery code."""

    code = "WRONG_CODE"
    field = "code"


class AlreadyEnrolled(DomainError):
    """There is a second factor already; it is removed before another is enrolled."""

    code = "ALREADY_ENROLLED"


class NotEnrolled(DomainError):
    """There is no second factor."""

    code = "NOT_ENROLLED"


def of(user: User) -> SecondFactor | None:
    """The confirmed second factor of a person, if they have one."""
    return SecondFactor.objects.filter(user=user, confirmed_at__isnull=False).first()


def begin(user: User, *, at: datetime) -> SecondFactor:
    """A secret for an authenticator app, to be confirmed with its code. A second call gives the same secret.

    :raises AlreadyEnrolled: if there is a confirmed one.
    """
    found, _ = SecondFactor.objects.get_or_create(
        user=user, defaults={"secret": codes.new_secret(), "begun_at": at}
    )
    if found.confirmed_at is not None:
        raise AlreadyEnrolled("You have a second factor already. Remove it before you enroll another.")
    return found


def confirm(user: User, code: str, *, at: datetime) -> list[str]:
    """Prove that the app knows the secret: from now on it is asked for. Returns ten recovery codes, told this once.

    Locks the second factor's row; of two confirmations at once the later one is refused.

    :raises AlreadyEnrolled: if it was confirmed before.
    :raises WrongCode: if the code is not the app's. Nothing is changed.
    """
    with transaction.atomic():
        found = _locked(user)
        if found.confirmed_at is not None:
            raise AlreadyEnrolled("You have a second factor already. Remove it before you enroll another.")
        found.last_step = _step(found, code, at)
        found.confirmed_at = at
        found.save(update_fields=["last_step", "confirmed_at"])
        _record("staff.second_factor_enrolled", user, By.user(user), at)
        return _print(user, at)


def show(user: User, code: str, *, at: datetime) -> None:
    """Show the second factor: a code of the app, good once, or a recovery code, good once.

    Locks the second factor's row, so that of the same code sent twice at once one is refused.

    :raises NotEnrolled: if there is none.
    :raises WrongCode: if it is neither. Nothing is changed.
    """
    with transaction.atomic():
        found = _locked(user)
        if found.confirmed_at is None:
            raise NotEnrolled("There is no second factor.")
        plain = codes.plain(code)
        if len(plain) == 6 and plain.isascii() and plain.isdigit():
            found.last_step = _step(found, plain, at)
            found.save(update_fields=["last_step"])
            return
        # The row of the factor is locked, so nobody uses the same recovery code in between.
        one = RecoveryCode.objects.filter(
            user=user, digest=codes.digest(plain, str(user.uuid)), used_at__isnull=True, void=False
        )
        if not one.update(used_at=at):
            raise WrongCode("That code is not good. Each is good once.")
        _record("staff.recovery_code_used", user, By.user(user), at, left=left(user))


def print_codes(user: User, *, at: datetime) -> list[str]:
    """Ten new recovery codes, told this once; the old ones are void.

    :raises NotEnrolled: if there is no second factor they could stand in for.
    """
    with transaction.atomic():
        if _locked(user).confirmed_at is None:
            raise NotEnrolled("There is no second factor.")
        _record("staff.recovery_codes_printed", user, By.user(user), at)
        return _print(user, at)


def check_may_remove(user: User) -> None:
    """:raises NotEnrolled: if there is no second factor."""
    if of(user) is None:
        raise NotEnrolled("There is no second factor to remove.")


def remove(user: User, *, by: By, at: datetime, reason: str) -> None:
    """Take the second factor and its recovery codes away; every session of the person ends at once.

    Where it is asked for, they enroll another at their next log-in.

    :raises NotEnrolled: if there is none.
    """
    with transaction.atomic():
        if _locked(user).confirmed_at is None:
            raise NotEnrolled("There is no second factor to remove.")
        SecondFactor.objects.filter(user=user).delete()
        RecoveryCode.objects.filter(user=user).update(void=True)
        console_sessions.end_all(user, Session.End.CREDENTIALS, by=by, at=at)
        _record("staff.second_factor_removed", user, by, at, reason=reason)


def left(user: User) -> int:
    """How many recovery codes are unused."""
    return RecoveryCode.objects.filter(user=user, used_at__isnull=True, void=False).count()


def _locked(user: User) -> SecondFactor:
    found = SecondFactor.objects.select_for_update(of=("self",), no_key=True).filter(user=user).first()
    if found is None:
        raise NotEnrolled("There is no second factor.")
    return found


def _step(found: SecondFactor, code: str, at: datetime) -> int:
    step = codes.matching_step(found.secret, codes.plain(code), at)
    if step is None or step <= found.last_step:
        raise WrongCode("That code is not good. Each is good once.")
    return step


def _print(user: User, at: datetime) -> list[str]:
    RecoveryCode.objects.filter(user=user, void=False).update(void=True)
    made = [codes.new_recovery_code() for _ in range(codes.RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, digest=codes.digest(code, str(user.uuid)), made_at=at) for code in made
    )
    return made


def _record(
    name: str, user: User, by: By, at: datetime, *, left: int | None = None, reason: str = ""
) -> None:
    payload = {} if left is None else {"codes_left": left}
    events.record(
        name, subject_type="user", subject_id=user.uuid, by=by, at=at, payload=payload, reason=reason
    )
