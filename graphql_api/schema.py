"""The one schema, and what it costs at most to ask it something."""

import logging
from typing import Any

import strawberry
from django.conf import settings
from graphql import GraphQLError
from strawberry.extensions import (
    DisableIntrospection,
    MaskErrors,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    ParserCache,
    QueryDepthLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from graphql_api import brokerage, funding, grants, kernel, subscriptions
from graphql_api.view_only import ViewOnly

log = logging.getLogger(__name__)
MAX_DEPTH = 8
MAX_ALIASES = 15
MAX_TOKENS = 1500


@strawberry.type
class Query(kernel.Query, brokerage.Query, funding.Query):
    """What can be asked."""


@strawberry.type
class Mutation(kernel.Mutation, brokerage.Mutation, grants.Mutation, funding.Mutation):
    """What can be done."""


def _is_ours(error: GraphQLError) -> bool:
    """Whether an error is a defect of ours: its text may hold anything, so the caller gets none of it."""
    return error.original_error is not None and not isinstance(error.original_error, GraphQLError)


def extensions() -> list[Any]:
    """Limits before execution, caches for what is asked again, and no inner text of a defect to the outside."""
    chosen: list[type[SchemaExtension] | SchemaExtension | Any] = [
        lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
        lambda: QueryDepthLimiter(max_depth=MAX_DEPTH),
        lambda: MaxAliasesLimiter(max_alias_count=MAX_ALIASES),
        ViewOnly,
        lambda: ParserCache(maxsize=500),
        lambda: ValidationCache(maxsize=500),
        lambda: MaskErrors(should_mask_error=_is_ours, error_message="Something failed on our side."),
    ]
    if not settings.CONFIG.graphql_introspection:
        chosen.append(DisableIntrospection)
    return chosen


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
    subscription=subscriptions.Subscription,
    extensions=extensions(),
    config=StrawberryConfig(auto_camel_case=True, batching_config=None),
)
