"""Linking accounts at Deriv, and what a client does with their trading accounts besides trading."""

from datetime import datetime
from typing import Annotated

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice.errors import InvalidInput
from backoffice.models import User
from backoffice.who import By
from brokerage import accounts, demo_accounts, grants, linking
from brokerage import models as db
from compliance import clients
from graphql_api.brokerage import TradingAccount, id_of
from graphql_api.clients import client_of
from graphql_api.types import Problem
from graphql_api.viewer import problem_as_answer, user_of


@strawberry.type(
    description="Open `url` in the browser; Deriv sends the person back with a state and a code."
)
class DerivLinkBegun:
    url: str
    expires_at: datetime = strawberry.field(description="Until when the person may come back.")


@strawberry.type(description="The accounts that are linked now.")
class DerivLinked:
    accounts: list[TradingAccount]
    skipped: list[str] = strawberry.field(
        description="A sentence for each account at Deriv that was left out."
    )


@strawberry.type
class TradingAccountAnswer:
    account: TradingAccount

    @staticmethod
    def of(row: db.TradingAccount) -> "TradingAccountAnswer":
        (fresh,) = _shown([row])
        return TradingAccountAnswer(account=fresh)


@strawberry.input
class BeginDerivLinkInput:
    redirect_url: str = strawberry.field(description="One of the addresses that the deployment lists.")
    client: strawberry.ID | None = strawberry.field(default=None, description="Unset: your first client.")


@strawberry.input(description="Either `state` and `code`, as Deriv sent them back, or `personalToken`.")
class CompleteDerivLinkInput:
    state: str | None = None
    code: str | None = None
    personal_token: str | None = strawberry.field(
        default=None, description="A personal access token of Deriv's, with the scope `trade`."
    )
    client: strawberry.ID | None = strawberry.field(
        default=None, description="With a personal token; unset: your first client."
    )


BeginDerivLinkResult = Annotated[DerivLinkBegun | Problem, strawberry.union("BeginDerivLinkResult")]
CompleteDerivLinkResult = Annotated[DerivLinked | Problem, strawberry.union("CompleteDerivLinkResult")]
UnlinkDerivAccountResult = Annotated[
    TradingAccountAnswer | Problem, strawberry.union("UnlinkDerivAccountResult")
]
SetDefaultAccountResult = Annotated[
    TradingAccountAnswer | Problem, strawberry.union("SetDefaultAccountResult")
]
CreateDemoAccountResult = Annotated[
    TradingAccountAnswer | Problem, strawberry.union("CreateDemoAccountResult")
]
ResetDemoBalanceResult = Annotated[TradingAccountAnswer | Problem, strawberry.union("ResetDemoBalanceResult")]


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Begin linking accounts at Deriv. Nothing is linked before it completes."
    )
    @problem_as_answer
    def begin_deriv_link(self, info: Info, input: BeginDerivLinkInput) -> BeginDerivLinkResult:
        user = user_of(info)
        begun = linking.begin(
            client=client_of(user, input.client),
            user=user,
            redirect_url=input.redirect_url,
            by=By.user(user),
            at=timezone.now(),
        )
        return DerivLinkBegun(url=begun.url, expires_at=begun.expires_at)

    @strawberry.mutation(description="Link every account of the person at Deriv. A state is good once.")
    @problem_as_answer
    def complete_deriv_link(self, info: Info, input: CompleteDerivLinkInput) -> CompleteDerivLinkResult:
        user, by = user_of(info), By.user(user_of(info))
        match input:
            case CompleteDerivLinkInput(state=str(state), code=str(code), personal_token=None):
                found = linking.complete(user=user, state=state, code=code, by=by, now=timezone.now)
            case CompleteDerivLinkInput(state=None, code=None, personal_token=str(token)):
                client = client_of(user, input.client)
                found = linking.complete_with_token(
                    client=client, user=user, token=token, by=by, now=timezone.now
                )
            case _:
                raise InvalidInput("Give state and code, or a personal token, not both.", field="state")
        return DerivLinked(accounts=_shown(found.accounts), skipped=found.skipped)

    @strawberry.mutation(
        description="Take an account away from us; its records stay. Refused while trades on it are not final."
    )
    @problem_as_answer
    def unlink_deriv_account(self, info: Info, account: strawberry.ID, key: str) -> UnlinkDerivAccountResult:
        user, row = _acting(info, account)
        return TradingAccountAnswer.of(grants.unlink(row, by=By.user(user), at=timezone.now(), key=key))

    @strawberry.mutation(description="The account that is used where none is named.")
    @problem_as_answer
    def set_default_account(self, info: Info, account: strawberry.ID) -> SetDefaultAccountResult:
        user, row = _acting(info, account)
        return TradingAccountAnswer.of(accounts.set_default(row, by=By.user(user), at=timezone.now()))

    @strawberry.mutation(
        description="Ask for another demo account. It is `opening` until the venue has answered."
    )
    @problem_as_answer
    def create_demo_account(
        self, info: Info, key: str, client: strawberry.ID | None = None
    ) -> CreateDemoAccountResult:
        user = user_of(info)
        chosen = client_of(user, client)
        clients.check_may_act(user, chosen.pk)
        row = accounts.request_demo(client=chosen, by=By.user(user), at=timezone.now(), key=key)
        return TradingAccountAnswer.of(row)

    @strawberry.mutation(
        description="Bring a demo account back to the balance it began with. The money arrives in moments."
    )
    @problem_as_answer
    def reset_demo_balance(self, info: Info, account: strawberry.ID, key: str) -> ResetDemoBalanceResult:
        user, row = _acting(info, account)
        found = demo_accounts.request_reset(row, by=By.user(user), at=timezone.now(), key=key)
        return TradingAccountAnswer.of(found)


def _acting(info: Info, given: strawberry.ID) -> tuple[User, db.TradingAccount]:
    """One of the caller's accounts, which they may act on."""
    user = user_of(info)
    row = accounts.of_user(user, id_of(given))
    clients.check_may_act(user, row.client_id)
    return user, row


def _shown(rows: list[db.TradingAccount]) -> list[TradingAccount]:
    """The accounts as they are now, in one query."""
    fresh = db.TradingAccount.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk")
    return [TradingAccount.of(row) for row in fresh.select_related("cash", "stakes")]
