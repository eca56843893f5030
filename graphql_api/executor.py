"""How operations are executed: as GraphQL says, with two short cuts that change no answer."""

from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationType
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graphql_api import projection
from graphql_api.sharing import Shared, SharedData, asked_of


class Executor(StrawberryGraphQLCoreExecutionContext):  # type: ignore[misc,valid-type]
    """Reads plain objects off by a plan, and executes an event once for all sockets that ask the same of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By the fields selected; those are kept with their plan, so that no others take their place in memory.
        self._plans: dict[int, tuple[Any, projection.Plan | None]] = {}

    def execute_operation(self, serially: bool | None = None) -> Any:
        root = self.root_value
        if not isinstance(root, Shared) or self.operation.operation is not OperationType.SUBSCRIPTION:
            return super().execute_operation(serially)
        asked = asked_of(self.operation, self.variable_values.coerced)
        if asked not in root.told:
            found = super().execute_operation(serially)
            if not isinstance(found, ExecutionResult) or found.errors:
                return found
            root.told[asked] = (self.operation, SharedData(found.data or {}))
        return ExecutionResult(root.told[asked][1])

    def execute_fields(
        self, parent_type: Any, source_value: Any, path: Any, grouped_field_set: Any, position_context: Any
    ) -> Any:
        known = self._plans.get(id(grouped_field_set))
        if known is None:
            made = projection.plan(parent_type, grouped_field_set, self.collect_subfields)
            known = self._plans[id(grouped_field_set)] = (grouped_field_set, made)
        if known[1] is not None:
            try:
                return known[1](source_value)
            except (projection.NotPlain, AttributeError, GraphQLError, TypeError, ValueError):
                pass  # GraphQL's own execution words the error, at the place where it belongs
        return super().execute_fields(parent_type, source_value, path, grouped_field_set, position_context)
