"""Who is asking: proven by the access token of the request, or of the socket."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from django.utils import timezone
from graphql import GraphQLError
from strawberry.types import Info

from backoffice import metrics, sessions
from backoffice.errors import DomainError
from backoffice.models import Session, User
from compliance import viewing
from graphql_api.types import Problem, camel

P = ParamSpec("P")
R = TypeVar("R")


SECONDS: Final = metrics.Histogram(
    "api_seconds", "How long operations of the API took, by how they ended", ("operation", "outcome")
)


@contextmanager
def _measured(resolver: Callable[..., Any]) -> Iterator[None]:
    """How long a root field takes, and whether it answered, refused or failed."""
    begun, outcome = time.perf_counter(), "failed"
    try:
        yield
        outcome = "done"
    except DomainError:
        outcome = "refused"
        raise
    finally:
        SECONDS.observe(
            time.perf_counter() - begun, operation=camel(resolver.__name__) or "", outcome=outcome
        )


class NotAuthenticated(DomainError):
    """Nobody is logged in: there was no access token."""

    code = "NOT_AUTHENTICATED"


def bearer(header: str) -> str:
    """The token of an `Authorization: Bearer …` header, or nothing."""
    kind, _, token = header.strip().partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""


def session_of(info: Info) -> Session:
    """The session this request speaks for; looked up once a request.

    :raises NotAuthenticated: if there is no access token.
    :raises TokenExpired, InvalidToken: if it is not good.
    """
    return session_of_request(info.context.request)


def session_of_request(request: Any) -> Session:
    """The session a request speaks for, looked up once. :raises DomainError: as `session_of`."""
    found: Session | None = getattr(request, "api_session", None)
    if found is None:
        token = bearer(request.headers.get("Authorization", ""))
        if not token:
            raise NotAuthenticated("Log in first.")
        found = request.api_session = sessions.authenticate(token, at=timezone.now())
    return found


def user_of(info: Info) -> User:
    """The logged-in user, or whom staff look as. :raises DomainError: as `session_of`."""
    return person(session_of(info))


def person(session: Session) -> User:
    """Whom a session speaks for. :raises InvalidToken: if it is a look that may not go on."""
    return viewing.as_whom(session, at=timezone.now()) if session.kind == Session.Kind.VIEW else session.user


def problem_as_answer(resolver: Callable[P, R]) -> Callable[P, R | Problem]:
    """A resolver whose result is a union with `Problem`: what the verb refuses is its answer."""

    @wraps(resolver)
    def answer(*args: P.args, **kwargs: P.kwargs) -> R | Problem:
        try:
            with _measured(resolver):
                return resolver(*args, **kwargs)
        except DomainError as refusal:
            return Problem.of(refusal)

    return answer


def problem_as_error(resolver: Callable[P, R]) -> Callable[P, R]:
    """Any other resolver: what is refused is a GraphQL error with the refusal's code in its extensions."""

    @wraps(resolver)
    def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with _measured(resolver):
                return resolver(*args, **kwargs)
        except DomainError as refusal:
            raise as_error(refusal) from None

    return answer


def as_error(refusal: DomainError) -> GraphQLError:
    """A refusal as a GraphQL error, with its code (and field) in the extensions."""
    problem = Problem.of(refusal)
    extensions: dict[str, Any] = {"code": problem.code, **getattr(refusal, "extensions", {})}
    if problem.field:
        extensions["field"] = problem.field
    if problem.retry_after_seconds is not None:
        extensions["retryAfterSeconds"] = problem.retry_after_seconds
    return GraphQLError(problem.message, extensions=extensions)
