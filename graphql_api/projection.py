"""Answers made of plain objects, read off by a plan instead of field by field.

Most of what the API answers are dataclasses whose fields are attributes: nothing is resolved, fetched or awaited on
the way down. For such a selection a plan is made once a request (response name, attribute, how its type is written)
and run over every object of a list. Whatever is not so simple (a resolver, an interface, `@defer`, a value that does
not fit its type) is left to GraphQL's own execution, which also words its errors.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    Undefined,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

Write = Callable[[Any], Any]
Plan = Callable[[Any], dict[str, Any]]
# The fields of an object type and their selections, as graphql-core groups them.
Collect = Callable[[GraphQLObjectType, Any], Any]
_TEXTS: Final = frozenset({"ID", "String"})


class NotPlain(Exception):
    """This value needs GraphQL's own execution."""


def plan(object_type: GraphQLObjectType, selected: Any, collect: Collect) -> Plan | None:
    """How to read these fields off an object of this type; None if it takes more than reading.

    The plan raises `NotPlain` for an object whose values do not fit their types.
    """
    if object_type.is_type_of is not None:
        return None
    steps: list[tuple[str, Write]] = []
    for name, details in selected.items():
        field_name = details[0].node.name.value
        if field_name == "__typename":
            steps.append((name, lambda _, said=object_type.name: said))  # type: ignore[misc]
            continue
        field = object_type.fields.get(field_name)
        if field is None or not getattr(field.resolve, "_is_default", False):
            return None
        if any(detail.defer_usage is not None for detail in details):
            return None
        write = _writer(field.type, details, collect)
        if write is None:
            return None
        attribute = field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].python_name
        steps.append((name, _then(attrgetter(attribute), write)))

    def read(source: Any) -> dict[str, Any]:
        return {name: step(source) for name, step in steps}

    return read


def _then(get: Write, write: Write) -> Write:
    return lambda source: write(get(source))


def _writer(kind: Any, details: Any, collect: Collect) -> Write | None:
    """How a value of this type is written; None if it takes more."""
    if isinstance(kind, GraphQLNonNull):
        inner = _nullable(kind.of_type, details, collect)
        return inner and _required(inner)
    inner = _nullable(kind, details, collect)
    return inner and _optional(inner)


def _nullable(kind: Any, details: Any, collect: Collect) -> Write | None:
    if isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        return _text if kind.name in _TEXTS else _leaf(kind)
    if isinstance(kind, GraphQLList):
        each = _writer(kind.of_type, details, collect)
        return each and _listed(each)
    if isinstance(kind, GraphQLObjectType):
        collected = collect(kind, details)
        return None if collected.new_defer_usages else plan(kind, collected.grouped_field_set, collect)
    return None


def _required(write: Write) -> Write:
    def required(value: Any) -> Any:
        if value is None:
            raise NotPlain
        return write(value)

    return required


def _optional(write: Write) -> Write:
    return lambda value: None if value is None else write(value)


def _listed(each: Write) -> Write:
    def listed(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise NotPlain
        return [each(item) for item in value]

    return listed


def _text(value: Any) -> Any:
    if type(value) is not str:
        raise NotPlain
    return value


def _leaf(kind: Any) -> Write:
    def leaf(value: Any) -> Any:
        written = kind.coerce_output_value(value)
        if written is None or written is Undefined:
            raise NotPlain
        return written

    return leaf
