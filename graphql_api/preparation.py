"""From a document's text to something that may be executed: parsed, measured and validated, once while it is kept.

Registered documents are kept for as long as the process lives, others while there is room. Room is counted in
characters: a document of a thousand short words holds more memory than one of ten long ones, never more than so
much for each character.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.conf import settings
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import Schema, validate_document

from backoffice.errors import DomainError
from graphql_api import cost, persisted
from graphql_api.viewer import as_error

ROOM: Final = 256 * 1024
MOST: Final = 500
_SIZES_KEPT: Final = 64


class WrongTransport(DomainError):
    """Subscriptions go over a socket, everything else over HTTP."""

    code = "WRONG_TRANSPORT"


@dataclass(slots=True)
class Prepared:
    """A document, what is wrong with it, and what each of its operations costs."""

    document: DocumentNode
    errors: list[GraphQLError]
    schema: Any
    is_pinned: bool = False
    # By operation: the variables that its cost depends on, and its cost for each of their values.
    _costs: dict[str | None, tuple[tuple[str, ...], dict[tuple[Any, ...], None]]] = field(
        default_factory=dict
    )

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation of this name, or the only one."""
        found = [one for one in self.document.definitions if isinstance(one, OperationDefinitionNode)]
        if name is not None:
            found = [one for one in found if one.name and one.name.value == name]
        return found[0] if found else None

    def check_cost(self, name: str | None, variables: dict[str, Any] | None) -> None:
        """:raises TooCostly: if with these variables it asks for more than anybody may. A registered one was checked."""
        operation = self.operation(name)
        if self.is_pinned or operation is None:
            return
        variables = variables or {}
        names, known = self._costs.get(name, ((), {}))
        values = tuple(_plain(variables.get(one, "unset")) for one in names)
        if name in self._costs and values in known:
            return
        measure = cost.Measure(self.schema, cost.fragments_of(self.document), variables)
        cost.check(measure.of(operation))
        names = tuple(sorted(measure.sizes_from))
        if len(known) < _SIZES_KEPT:
            known[tuple(_plain(variables.get(one, "unset")) for one in names)] = None
        self._costs[name] = (names, known)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | str) else repr(type(value))


_pinned: dict[str, Prepared] = {}
# By the schema, too: tests have others.
_kept: OrderedDict[tuple[int, str], Prepared] = OrderedDict()
_lock = threading.Lock()


def prepare(text: str, schema: Schema) -> Prepared:
    """A document ready to be executed, unless it has `errors`. What has errors is not kept.

    :raises GraphQLError: if it cannot be read, or is so large or deep that it is not looked at further.
    """
    if (pinned := _pinned.get(text)) is not None:
        return pinned
    key = (id(schema._schema), text)
    with _lock:
        if (found := _kept.get(key)) is not None:
            _kept.move_to_end(key)
            return found
    made = _prepared(text, schema)
    if made.errors:
        return made
    if persisted.is_registered(text):
        made = _pinned[text] = replace(made, is_pinned=True)
    elif len(text) <= ROOM // 16:
        with _lock:
            _kept[key] = made
            while len(_kept) > MOST or sum(len(one) for _, one in _kept) > ROOM:
                _kept.popitem(last=False)
    return made


def _prepared(text: str, schema: Schema) -> Prepared:
    try:
        document = parse(text, max_tokens=cost.MAX_TOKENS)
        fragments = cost.fragments_of(document)
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                # With every page at its least: what is too much even so is not worth validating.
                found = cost.Measure(schema._schema, fragments, {}).of(operation)
                cost.check(replace(found, cost=0))
        rules = specified_rules
        if not settings.CONFIG.graphql_introspection:
            rules = (*specified_rules, NoSchemaIntrospectionCustomRule)
        errors = validate_document(schema._schema, document, tuple(rules))
    except GraphQLSyntaxError as found_error:
        if "contains more than" in found_error.message:
            raise as_error(cost.TooCostly("tokens", cost.MAX_TOKENS + 1, cost.MAX_TOKENS)) from None
        if "nested too deeply" in found_error.message:
            raise as_error(cost.TooCostly("depth", cost.MAX_DEPTH + 1, cost.MAX_DEPTH)) from None
        raise
    except RecursionError:
        raise as_error(cost.TooCostly("depth", cost.MAX_DEPTH + 1, cost.MAX_DEPTH)) from None
    except cost.TooCostly as refusal:
        raise as_error(refusal) from None
    return Prepared(document, [_told(error) for error in errors], schema._schema)


def _told(error: GraphQLError) -> GraphQLError:
    """Without introspection the schema is not guessed at either."""
    if settings.CONFIG.graphql_introspection or " Did you mean" not in error.message:
        return error
    return GraphQLError(error.message.partition(" Did you mean")[0], nodes=error.nodes)


class Preparation(SchemaExtension):
    """Has each operation prepared and its cost checked, in the place of parsing and validation."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        self._prepared = prepare(context.query or "", context.schema)  # type: ignore[arg-type]
        context.graphql_document = self._prepared.document
        yield

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        context.pre_execution_errors = self._prepared.errors
        if not self._prepared.errors:
            try:
                if not isinstance(context.context, dict):  # the context of HTTP is no dictionary
                    _check_transport(self._prepared, context.operation_name, is_socket=False)
                self._prepared.check_cost(context.operation_name, context.variables)
            except DomainError as refusal:
                context.pre_execution_errors = [as_error(refusal)]
        yield


def check_subscription(asked: dict[str, Any], schema: Schema) -> None:
    """What a socket is asked must be a subscription that can be read.

    :raises GraphQLError: if it cannot be read. :raises WrongTransport: if it is a query or a mutation.
    """
    _check_transport(prepare(asked["query"], schema), asked.get("operationName"), is_socket=True)


def _check_transport(prepared: Prepared, name: str | None, *, is_socket: bool) -> None:
    operation = prepared.operation(name)
    if operation is None or (operation.operation is OperationType.SUBSCRIPTION) != is_socket:
        raise WrongTransport("Subscriptions go over a socket, everything else over HTTP.")
