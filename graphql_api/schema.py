"""The one schema, and what it costs at most to ask it something."""

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

from graphql_api import brokerage, kernel, subscriptions

MAX_DEPTH = 8
MAX_ALIASES = 15
MAX_TOKENS = 1500


@strawberry.type
class Query(kernel.Query, brokerage.Query):
    """What can be asked."""


@strawberry.type
class Mutation(kernel.Mutation, brokerage.Mutation):
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
        lambda: ParserCache(maxsize=500),
        lambda: ValidationCache(maxsize=500),
        lambda: MaskErrors(should_mask_error=_is_ours, error_message="Something failed on our side."),
    ]
    if not settings.CONFIG.graphql_introspection:
        chosen.append(DisableIntrospection)
    return chosen


schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=subscriptions.Subscription,
    extensions=extensions(),
    config=StrawberryConfig(auto_camel_case=True, batching_config=None),
)
