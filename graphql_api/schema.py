"""The one schema, and what it costs at most to ask it something."""

import logging
from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaskErrors
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graphql_api import (
    account,
    allowances,
    balances,
    books,
    brokerage,
    funding,
    grants,
    kernel,
    payments,
    subscriptions,
    transfers,
    withdrawals,
)
from graphql_api.executor import Executor
from graphql_api.preparation import Preparation
from graphql_api.view_only import ViewOnly

log = logging.getLogger(__name__)
FAILED = "Something failed on our side."


@strawberry.type
class Query(
    kernel.Query,
    account.Query,
    brokerage.Query,
    funding.Query,
    payments.Query,
    withdrawals.Query,
    books.Query,
    transfers.Query,
    allowances.Query,
):
    """What can be asked."""


@strawberry.type
class Mutation(
    kernel.Mutation,
    account.Mutation,
    brokerage.Mutation,
    grants.Mutation,
    funding.Mutation,
    payments.Mutation,
    withdrawals.Mutation,
    transfers.Mutation,
):
    """What can be done."""


@strawberry.type
class Subscription(subscriptions.Subscription, balances.Subscription):
    """What can be listened to."""


def _is_ours(error: GraphQLError) -> bool:
    """Whether an error is a defect of ours: its text may hold anything, so the caller gets none of it."""
    return error.original_error is not None and not isinstance(error.original_error, GraphQLError)


def masked(error: GraphQLError) -> GraphQLError:
    """An error as the caller gets it."""
    return GraphQLError(FAILED, path=error.path) if _is_ours(error) else error


def extensions() -> list[Any]:
    """Everything is measured before it is executed, and no inner text of a defect leaves."""
    return [
        Preparation,
        ViewOnly,
        lambda: MaskErrors(should_mask_error=_is_ours, error_message=FAILED),
    ]


class Schema(strawberry.Schema):
    """Logs defects of ours with their traceback; what a caller got wrong is the caller's to read."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        for error in errors:
            if _is_ours(error):
                log.error("a resolver failed", exc_info=error.original_error, extra={"path": str(error.path)})


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    extensions=extensions(),
    execution_context_class=Executor,
    config=StrawberryConfig(auto_camel_case=True, batching_config=None),
)
