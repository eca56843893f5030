"""A person's own log-in: their sessions, a forgotten password, an address to be confirmed."""

from datetime import datetime
from typing import Annotated

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice import models as db
from backoffice import passwords, sessions
from graphql_api import limits
from graphql_api.brokerage import id_of
from graphql_api.types import Problem
from graphql_api.viewer import problem_as_answer, problem_as_error, session_of, user_of


@strawberry.type(name="Session", description="An app of yours that is logged in.")
class OwnSession:
    id: strawberry.ID
    is_current: bool = strawberry.field(description="The one that asks.")
    agent: str = strawberry.field(description="What the app calls itself.")
    address: str | None
    started_at: datetime
    refreshed_at: datetime

    @staticmethod
    def of(row: db.Session, current: db.Session) -> "OwnSession":
        return OwnSession(
            id=strawberry.ID(str(row.uuid)),
            is_current=row.pk == current.pk,
            agent=row.agent,
            address=row.address,
            started_at=row.started_at,
            refreshed_at=row.refreshed_at,
        )


@strawberry.type(description="If somebody logs in with this address, a mail is on its way.")
class MailSent:
    message: str

    @staticmethod
    def new() -> "MailSent":
        return MailSent(message="If this address can be used here, a mail with a link is on its way.")


@strawberry.type
class PasswordReset:
    reset: bool = strawberry.field(description="Every session has ended; log in with the new password.")


@strawberry.type
class EmailVerified:
    verified: bool


@strawberry.type
class SessionClosed:
    id: strawberry.ID


RequestPasswordResetResult = Annotated[MailSent | Problem, strawberry.union("RequestPasswordResetResult")]
ResetPasswordResult = Annotated[PasswordReset | Problem, strawberry.union("ResetPasswordResult")]
VerifyEmailResult = Annotated[EmailVerified | Problem, strawberry.union("VerifyEmailResult")]
CloseSessionResult = Annotated[SessionClosed | Problem, strawberry.union("CloseSessionResult")]


@strawberry.type
class Query:
    @strawberry.field(description="The apps you are logged in with, the newest first.")
    @problem_as_error
    def sessions(self, info: Info) -> list[OwnSession]:
        current = session_of(info)
        return [OwnSession.of(row, current) for row in sessions.live(user_of(info), at=timezone.now())[:100]]


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Have a link for a new password mailed. The answer is the same whether the address is known or not."
    )
    @problem_as_answer
    def request_password_reset(self, info: Info, email: str) -> RequestPasswordResetResult:
        address = limits.address_of(info)
        limits.take_all(info, ("reset_address", address), ("reset_account", email))
        passwords.request_reset(email)
        return MailSent.new()

    @strawberry.mutation(
        description="Choose a new password with the token of the mailed link. It is good once."
    )
    @problem_as_answer
    def reset_password(self, info: Info, token: str, password: str) -> ResetPasswordResult:
        limits.take_all(info, ("token_address", limits.address_of(info)))
        passwords.reset(token, password, at=timezone.now())
        return PasswordReset(reset=True)

    @strawberry.mutation(
        description="Confirm an e-mail address with the token of the mailed link. It is good once."
    )
    @problem_as_answer
    def verify_email(self, info: Info, token: str) -> VerifyEmailResult:
        limits.take_all(info, ("token_address", limits.address_of(info)))
        passwords.verify(token, at=timezone.now())
        return EmailVerified(verified=True)

    @strawberry.mutation(
        description="Log out one of your apps, by the id in `sessions`. Again changes nothing."
    )
    @problem_as_answer
    def close_session(self, info: Info, id: strawberry.ID) -> CloseSessionResult:
        row = sessions.end(user_of(info), id_of(id), at=timezone.now())
        return SessionClosed(id=strawberry.ID(str(row.uuid)))
