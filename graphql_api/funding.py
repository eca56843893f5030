"""Money between the caller's wallet and their accounts at Deriv."""

from datetime import datetime
from typing import Annotated

import strawberry
from django.utils import timezone
from strawberry.types import Info

from backoffice.models import User
from backoffice.who import By
from brokerage import accounts, funding
from brokerage import models as db
from brokerage.models.funding import FundingQuerySet
from compliance import clients
from graphql_api import connections, limits
from graphql_api.brokerage import id_of
from graphql_api.types import Money, Problem
from graphql_api.viewer import problem_as_answer, problem_as_error, user_of

FundingState = db.Funding.State
strawberry.enum(
    FundingState,
    name="FundingState",
    description="Where it is; DONE, REFUSED and LAPSED are final.",
)
FundingDirection = db.Funding.Direction
strawberry.enum(FundingDirection, name="FundingDirection")


@strawberry.type(description="Money on its way between your wallet and an account at Deriv.")
class Funding:
    id: strawberry.ID
    account_id: strawberry.ID
    direction: FundingDirection
    amount: Money
    state: FundingState
    is_final: bool
    why: str = strawberry.field(description="One sentence: why it is where it is, and what comes next.")
    code_until: datetime | None = strawberry.field(description="Until when Deriv takes the code it sent.")
    requested_at: datetime
    problem_code: str | None

    @staticmethod
    def of(row: db.Funding) -> "Funding":
        return Funding(
            id=strawberry.ID(str(row.uuid)),
            account_id=strawberry.ID(str(row.account.uuid)),
            direction=FundingDirection(row.direction),
            amount=Money.of(row.amount, row.currency_id),
            state=FundingState(row.state),
            is_final=row.is_final,
            why=row.why,
            code_until=row.code_until if row.state == FundingState.CODE_WANTED else None,
            requested_at=row.requested_at,
            problem_code=row.problem_code or None,
        )


@strawberry.type
class FundingAnswer:
    funding: Funding


@strawberry.input
class FundingInput:
    account: strawberry.ID
    amount: str = strawberry.field(description="In the account's currency, as text.")
    key: str = strawberry.field(description="Chosen by the app; the same key again is the same funding.")


FundTradingAccountResult = Annotated[FundingAnswer | Problem, strawberry.union("FundTradingAccountResult")]
WithdrawFromTradingAccountResult = Annotated[
    FundingAnswer | Problem, strawberry.union("WithdrawFromTradingAccountResult")
]
ConfirmAccountWithdrawalResult = Annotated[
    FundingAnswer | Problem, strawberry.union("ConfirmAccountWithdrawalResult")
]


@strawberry.type
class Query:
    @strawberry.field(description="One funding, or null if there is none of yours with this id.")
    @problem_as_error
    def funding(self, info: Info, id: strawberry.ID) -> Funding | None:
        row = _rows(user_of(info)).filter(uuid=id_of(id)).first()
        return Funding.of(row) if row else None

    @strawberry.field(description="Your fundings, the newest first, a page at a time.")
    @problem_as_error
    def fundings(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> connections.Connection[Funding]:
        rows = _rows(user_of(info))
        return connections.paginate(
            rows, show=Funding.of, newest_first=True, first=first, after=after, last=None, before=None
        )


@strawberry.type
class Mutation:
    @strawberry.mutation(
        description="Move money from your wallet to an account at Deriv. It is held at once, and moved in moments."
    )
    @problem_as_answer
    def fund_trading_account(self, info: Info, input: FundingInput) -> FundTradingAccountResult:
        user, account = _acting(info, input.account)
        row = funding.deposit(
            account, amount=input.amount, by=By.user(user), at=timezone.now(), key=input.key
        )
        return FundingAnswer(funding=Funding.of(row))

    @strawberry.mutation(
        description="Ask for money of an account at Deriv. Deriv mails you a code; nothing moves until it is confirmed."
    )
    @problem_as_answer
    def withdraw_from_trading_account(
        self, info: Info, input: FundingInput
    ) -> WithdrawFromTradingAccountResult:
        user, account = _acting(info, input.account)
        row = funding.withdraw(
            account, amount=input.amount, by=By.user(user), at=timezone.now(), key=input.key
        )
        return FundingAnswer(funding=Funding.of(row))

    @strawberry.mutation(
        description="Give the code that Deriv sent for a withdrawal. Given again, nothing changes."
    )
    @problem_as_answer
    def confirm_account_withdrawal(
        self, info: Info, id: strawberry.ID, code: str
    ) -> ConfirmAccountWithdrawalResult:
        user = user_of(info)
        row = funding.of_user(user, id_of(id))
        clients.check_may_act(user, row.client_id)
        limits.take_all(info, ("fund", str(row.client_id)))
        row = funding.confirm(row, code=code, by=By.user(user), at=timezone.now())
        return FundingAnswer(funding=Funding.of(row))


def _rows(user: User) -> FundingQuerySet:
    return db.Funding.objects.of_user(user).select_related("account")


def _acting(info: Info, given: strawberry.ID) -> tuple[User, db.TradingAccount]:
    """One of the caller's accounts with its grant, which they may act on."""
    user = user_of(info)
    row = accounts.of_user(user, id_of(given))
    clients.check_may_act(user, row.client_id)
    limits.take_all(info, ("fund", str(row.client_id)))
    return user, row
