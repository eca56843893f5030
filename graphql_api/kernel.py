"""Signing up, logging in and staying logged in."""

from datetime import date, datetime
from typing import Annotated, Any

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice import addresses, sessions
from backoffice.models import User
from compliance import clients
from compliance.models import Membership, acted_for
from graphql_api import limits
from graphql_api.account import MailSent
from graphql_api.types import Problem
from graphql_api.viewer import problem_as_answer, problem_as_error, session_of, user_of


@strawberry.type(description="A client this person acts for.")
class ClientMembership:
    client_id: strawberry.ID
    name: str
    role: str
    kyc_level: int


@strawberry.type(description="The person who is logged in.")
class Me:
    id: strawberry.ID
    email: str
    name: str
    email_verified: bool
    locale: str
    time_zone: str
    clients: list[ClientMembership]

    @staticmethod
    def of(user: User) -> "Me":
        rows = (
            Membership.objects.filter(acted_for(user, "client__"), user=user)
            .select_related("client")
            .order_by("pk")
        )
        return Me(
            id=strawberry.ID(str(user.uuid)),
            email=user.email,
            name=user.full_name,
            email_verified=user.email_verified,
            locale=user.locale,
            time_zone=user.time_zone,
            clients=[
                ClientMembership(
                    client_id=strawberry.ID(str(row.client.uuid)),
                    name=row.client.name,
                    role=row.role,
                    kyc_level=row.client.kyc_level,
                )
                for row in rows
            ],
        )


@strawberry.type(
    description="Keep both: the access token for every request, the refresh token for one renewal."
)
class Tokens:
    access_token: str
    refresh_token: str
    expires_at: datetime

    @staticmethod
    def of(tokens: sessions.Tokens) -> "Tokens":
        return Tokens(access_token=tokens.access, refresh_token=tokens.refresh, expires_at=tokens.expires_at)


@strawberry.type
class SignedIn:
    tokens: Tokens
    me: Me


@strawberry.type
class LoggedOut:
    logged_out: bool


@strawberry.input
class SignUpInput:
    email: str
    password: str
    first_name: str
    last_name: str
    country: str = ""
    date_of_birth: date | None = None


SignUpResult = Annotated[SignedIn | MailSent | Problem, strawberry.union("SignUpResult")]
LogInResult = Annotated[SignedIn | Problem, strawberry.union("LogInResult")]
RefreshTokenResult = Annotated[Tokens | Problem, strawberry.union("RefreshTokenResult")]
LogOutResult = Annotated[LoggedOut | Problem, strawberry.union("LogOutResult")]


@strawberry.type
class Query:
    @strawberry.field(description="The person who is logged in.")
    @problem_as_error
    def me(self, info: Info) -> Me:
        return Me.of(user_of(info))


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Become a client: a log-in, a client, and a demo account that opens in moments. `MailSent` where "
        "the address must be confirmed before the first log-in; it is the same whether the address is known or not."
    )
    @problem_as_answer
    def sign_up(self, info: Info, input: SignUpInput) -> SignUpResult:
        now = timezone.now()
        limits.take_all(info, ("sign_up_address", limits.address_of(info)), ("sign_up_account", input.email))
        opening = clients.sign_up(
            email=input.email,
            password=input.password,
            first_name=input.first_name,
            last_name=input.last_name,
            country=input.country,
            date_of_birth=input.date_of_birth,
            at=now,
        )
        if opening is None:
            return MailSent.new()
        tokens = sessions.start(opening.user, at=now, **_device(info))
        return SignedIn(tokens=Tokens.of(tokens), me=Me.of(opening.user))

    @strawberry.mutation(description="Log in with e-mail address and password.")
    @problem_as_answer
    def log_in(self, info: Info, email: str, password: str) -> LogInResult:
        address, account = limits.address_of(info), email.strip().lower()
        pair = f"{account}|{address}"
        limits.take_all(
            info, ("log_in_account_address", pair), ("log_in_address", address), ("log_in_account", account)
        )
        user, tokens = sessions.log_in(email=email, password=password, at=timezone.now(), **_device(info))
        limits.forget("log_in_account_address", pair)
        return SignedIn(tokens=Tokens.of(tokens), me=Me.of(user))

    @strawberry.mutation(description="Swap a refresh token for new tokens. Each is good once.")
    @problem_as_answer
    def refresh_token(self, info: Info, refresh_token: str) -> RefreshTokenResult:
        limits.take_all(info, ("refresh_address", limits.address_of(info)))
        return Tokens.of(sessions.refresh(refresh_token, at=timezone.now()))

    @strawberry.mutation(description="End this session: its tokens stop working at once.")
    @problem_as_answer
    def log_out(self, info: Info) -> LogOutResult:
        sessions.log_out(session_of(info), at=timezone.now())
        return LoggedOut(logged_out=True)


def _device(info: Info) -> dict[str, Any]:
    request = info.context.request
    return {
        "agent": request.headers.get("User-Agent", ""),
        "address": addresses.of(request) or None,
    }
