"""How a client app logs in and stays logged in: a short access token, and refresh tokens that are used once."""

import hashlib
import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from backoffice import events, hashing, mail
from backoffice.addresses import network
from backoffice.configuration import configuration
from backoffice.database import uuid7
from backoffice.errors import DomainError, NotFound
from backoffice.models import RefreshToken, Session, User
from backoffice.wake import wake
from backoffice.who import By


class BadCredentials(DomainError):
    """No such log-in: unknown address, wrong password, or an account that may not log in here look the same."""

    code = "BAD_CREDENTIALS"


class TokenExpired(DomainError):
    """The token was good once and is not any more."""

    code = "TOKEN_EXPIRED"


class InvalidToken(DomainError):
    """The token is not one of ours, or its session has ended."""

    code = "INVALID_TOKEN"


class RefreshTokenReused(DomainError):
    """A refresh token came back after it was used: somebody has a copy, so the whole session was ended."""

    code = "REFRESH_TOKEN_REUSED"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client app keeps: `access` until `expires_at`, and `refresh`, good for one use."""

    access: str
    refresh: str
    expires_at: datetime


def log_in(
    *, email: str, password: str, at: datetime, agent: str = "", address: str | None = None
) -> tuple[User, Tokens]:
    """Start a session for a client's user. Every failure takes as long and says the same.

    Where addresses are to be confirmed, whoever has not done so is refused like anybody else, and mailed a new link.

    :raises BadCredentials: if the address is unknown, the password wrong, or the user may not log in here (yet).
    :raises TooManyRequests: while too many passwords are being hashed.
    """
    user = User.objects.filter(email__iexact=email.strip()).first()
    if user is None:
        hashing.make(password)  # costs what a wrong one costs, so that time does not tell who has an account
        _failed(None, at)
        raise BadCredentials("E-mail address or password is wrong.")
    right = hashing.is_right(password, user.password)
    if not right or not user.is_active or user.kind != User.Kind.CLIENT:
        _failed(user, at)
        raise BadCredentials("E-mail address or password is wrong.")
    if settings.CONFIG.confirm_email and not user.email_verified:
        _failed(user, at)
        wake("mail.verify_email", user.pk)
        raise BadCredentials("E-mail address or password is wrong.")
    return user, start(user, at=at, agent=agent, address=address)


def start(user: User, *, at: datetime, agent: str = "", address: str | None = None) -> Tokens:
    """A new session for a user whose identity is proven (by password, or by having just signed up)."""
    device = _device(agent, address)
    with transaction.atomic():
        known = list(Session.objects.filter(user=user).values_list("device", flat=True).distinct()[:200])
        session = Session.objects.create(
            user=user,
            started_at=at,
            refreshed_at=at,
            agent=agent[:200],
            address=address or None,
            device=device,
        )
        _record("user.logged_in", session, user, at)
        if known and device not in known:
            _record("user.new_device", session, user, at)
            mail.queue(
                "new_device", to=user, at=at, when=f"{at:%d %B %Y at %H:%M} UTC",
                origin=address or "an unknown address", app=agent[:120] or "an app that did not say its name",
            )  # fmt: skip
        return _issue(session, user, at)


def _device(agent: str, address: str | None) -> str:
    """An app, whatever its version, in a network: the same again is no new device."""
    app = re.sub(r"[\d.]+", "", agent[:200])
    return hashlib.sha256(f"{app}|{network(address or '')}".encode()).hexdigest()[:32]


def live(user: User, *, at: datetime) -> QuerySet[Session]:
    """The apps a user is logged in with: not ended, and with a refresh token that is still good."""
    since = at - timedelta(days=configuration().refresh_token_days)
    rows = Session.objects.filter(kind=Session.Kind.APP)
    return rows.filter(user=user, ended_at=None, refreshed_at__gt=since).order_by("-id")


def end(user: User, public_id: uuid.UUID, *, at: datetime) -> Session:
    """End one of a user's own sessions, the present one or another. Twice is once. Locks its row.

    :raises NotFound: if the user has no such session.
    """
    with transaction.atomic():
        rows = Session.objects.select_for_update(no_key=True, of=("self",)).select_related("user")
        found = rows.filter(user=user, uuid=public_id).first()
        if found is None:
            raise NotFound("There is no such session.", field="id")
        _end(found, Session.End.ENDED, at)
    return found


def end_all(user: User, *, end: str, at: datetime) -> None:
    """End whatever a user is logged in with, in the caller's transaction. Locks the rows."""
    rows = Session.objects.select_for_update(no_key=True, of=("self",)).select_related("user")
    for session in rows.filter(user=user, ended_at=None).order_by("id"):
        _end(session, end, at)


def refresh(token: str, *, at: datetime) -> Tokens:
    """Swap a refresh token for new tokens. Each is good once: when a used one comes back the session ends.

    Locks the token's row, so of two uses at the same time one is the reuse.

    :raises InvalidToken: if it is unknown or its session has ended.
    :raises TokenExpired: if its time has passed.
    :raises RefreshTokenReused: if it was used before; nobody stays logged in on this session.
    """
    with transaction.atomic():
        found = (
            RefreshToken.objects.select_for_update(of=("self",))
            .select_related("session__user")
            .filter(digest=_digest(token))
            .first()
        )
        if found is None or found.session.ended_at is not None or not found.session.user.is_active:
            raise InvalidToken("This refresh token is not good. Log in again.", field="refresh_token")
        if found.used_at is None:
            if found.expires_at <= at:
                raise TokenExpired("This refresh token has expired. Log in again.", field="refresh_token")
            found.used_at = at
            found.save(update_fields=["used_at"])
            Session.objects.filter(pk=found.session_id).update(refreshed_at=at)
            return _issue(found.session, found.session.user, at)
        _end(found.session, Session.End.REUSED, at)
    # Raised after the commit: ending the session must outlive the refusal.
    raise RefreshTokenReused("This refresh token was used before. Log in again.", field="refresh_token")


def log_out(session: Session, *, at: datetime) -> None:
    """End the session; its tokens stop working at once. Twice is once."""
    with transaction.atomic():
        _end(Session.objects.select_for_update(no_key=True).select_related("user").get(pk=session.pk),
             Session.End.LOGGED_OUT, at)  # fmt: skip


class SessionEnded(DomainError):
    """The session has ended already."""

    code = "SESSION_ENDED"


def check_may_close(session: Session) -> None:
    """:raises SessionEnded: if it has ended already."""
    if session.ended_at is not None:
        raise SessionEnded("This session has ended already.")


def close(session: Session, *, by: By, at: datetime, reason: str) -> Session:
    """Staff end a client app's session; its tokens stop working at once.

    :raises SessionEnded: if it has ended already.
    """
    with transaction.atomic():
        session = Session.objects.select_for_update(no_key=True).select_related("user").get(pk=session.pk)
        check_may_close(session)
        session.ended_at, session.end = at, Session.End.CLOSED
        session.save(update_fields=["ended_at", "end"])
        events.record(
            "user.session_closed", subject_type="user", subject_id=session.user.uuid, by=by, at=at,
            payload={"session": session.uuid}, reason=reason,
        )  # fmt: skip
    return session


@dataclass(frozen=True, slots=True)
class Proof:
    """A session (with its user) that an access token speaks for, and until when it does."""

    session: Session
    expires: int

    def check_time(self, *, at: datetime) -> None:
        """:raises TokenExpired: if the token's time has passed."""
        if self.expires <= at.timestamp():
            raise TokenExpired("The access token has expired. Refresh it.")


def authenticate(access: str, *, at: datetime) -> Session:
    """The session (with its user) an access token speaks for. One query.

    :raises TokenExpired: if its time has passed.
    :raises InvalidToken: if it is not ours, or its session has ended.
    """
    return prove(access, at=at).session


def prove(access: str, *, at: datetime) -> Proof:
    """The same, and how long the token speaks for it.

    :raises TokenExpired, InvalidToken: as `authenticate`.
    """
    claims = _claims(access)
    try:
        session_id, expires = uuid.UUID(claims["sid"]), int(claims["exp"])
    except (KeyError, ValueError):
        raise InvalidToken("This access token is not good. Log in again.") from None
    if expires <= at.timestamp():
        raise TokenExpired("The access token has expired. Refresh it.")
    session = _good().select_related("user", "viewed").filter(uuid=session_id).first()
    if session is None:
        raise InvalidToken("This session has ended. Log in again.")
    return Proof(session, expires)


def good_of(ids: Iterable[int]) -> set[int]:
    """Those of these sessions (by primary key) that go on. One query."""
    return set(_good().filter(pk__in=list(ids)).values_list("pk", flat=True))


def _good() -> QuerySet[Session]:
    """Sessions that speak over the API and have not ended, of users who may log in."""
    rows = Session.objects.exclude(kind=Session.Kind.CONSOLE)
    return rows.filter(ended_at__isnull=True, user__is_active=True)


def subject(access: str) -> str:
    """Whose access token this is, by its signature alone: whether it is still good is not asked. Empty if not ours."""
    return str(_claims(access).get("sub", ""))


def _claims(access: str) -> dict[str, Any]:
    """What a token of ours says; nothing if it is not ours."""
    try:
        claims: dict[str, Any] = jwt.decode(
            access, settings.SECRET_KEY, algorithms=["HS256"],
            options={"require": ["exp", "sid"], "verify_exp": False, "verify_iat": False}, audience="api",
        )  # fmt: skip
    except jwt.InvalidTokenError:
        return {}
    return claims


def _issue(session: Session, user: User, at: datetime) -> Tokens:
    config = configuration()
    expires_at = at + timedelta(minutes=config.access_token_minutes)
    token = secrets.token_urlsafe(32)
    RefreshToken.objects.create(
        session=session,
        digest=_digest(token),
        issued_at=at,
        expires_at=at + timedelta(days=config.refresh_token_days),
    )
    return Tokens(access_token(session, expires_at=expires_at), token, expires_at)


def access_token(session: Session, *, expires_at: datetime) -> str:
    """A token that speaks for a session over the API until then, as long as the session is open."""
    claims = {
        "sid": str(session.uuid),
        "sub": str(session.user.uuid),
        "aud": "api",
        "exp": int(expires_at.timestamp()),
    }
    return jwt.encode(claims, settings.SECRET_KEY, algorithm="HS256")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _end(session: Session, end: str, at: datetime) -> None:
    if session.ended_at is not None:
        return
    session.ended_at, session.end = at, end
    session.save(update_fields=["ended_at", "end"])
    _record("user.logged_out", session, session.user, at, end=end)


def _record(name: str, session: Session, user: User, at: datetime, **payload: str) -> None:
    events.record(
        name, subject_type="user", subject_id=user.uuid, by=By.user(user), at=at,
        payload={"session": session.uuid, **payload},
    )  # fmt: skip


def _failed(user: User | None, at: datetime) -> None:
    # An unknown address is not written down: the log holds no personal data.
    events.record(
        "user.log_in_failed", subject_type="user", subject_id=user.uuid if user else uuid7(),
        by=By.user(user) if user else By.system("api"), at=at, payload={"known": user is not None},
    )  # fmt: skip
