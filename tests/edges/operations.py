"""Every operation of the schema as a valid document with arguments made up from their types: what a stranger could try."""

from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
)

from graphql_api.schema import schema

SCALARS = {
    "String": '"1.00"', "ID": '"0190a0a0-0000-7000-8000-000000000000"', "Int": "1", "Float": "1.0", "Boolean": "true",
    "Date": '"2020-01-01"', "DateTime": '"2026-01-01T00:00:00Z"',
}  # fmt: skip


def queries() -> list[str]:
    return sorted(schema._schema.query_type.fields)


def mutations() -> list[str]:
    return sorted(schema._schema.mutation_type.fields)


def subscriptions() -> list[str]:
    return sorted(schema._schema.subscription_type.fields)


def query(name: str, **given: str) -> str:
    return f"{{ {_field(schema._schema.query_type.fields[name], name, given)} }}"


def mutation(name: str, **given: str) -> str:
    return f"mutation {{ {_field(schema._schema.mutation_type.fields[name], name, given)} }}"


def _field(field: Any, name: str, given: dict[str, str]) -> str:
    arguments = {
        word: given.get(word) or _value(argument.type)
        for word, argument in field.args.items()
        if word in given or (isinstance(argument.type, GraphQLNonNull) and argument.default_value is not None)
    }
    written = f"({', '.join(f'{word}: {value}' for word, value in arguments.items())})" if arguments else ""
    return f"{name}{written} {_selected(field.type)}"


def _selected(kind: Any) -> str:
    named = get_named_type(kind)
    if isinstance(named, GraphQLObjectType | GraphQLUnionType):
        problem = "... on Problem { code message field }" if isinstance(named, GraphQLUnionType) else ""
        return f"{{ __typename {problem} }}"
    return ""


def _value(kind: Any) -> str:
    if isinstance(kind, GraphQLNonNull):
        return _value(kind.of_type)
    if isinstance(kind, GraphQLList):
        return f"[{_value(kind.of_type)}]"
    if isinstance(kind, GraphQLInputObjectType):
        fields = {
            name: _value(field.type)
            for name, field in kind.fields.items()
            if isinstance(field.type, GraphQLNonNull)
        }
        return "{" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}"
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    return SCALARS[kind.name]
