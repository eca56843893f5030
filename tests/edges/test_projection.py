"""Answers read off by a plan are what GraphQL's own execution would have answered, errors included."""

import json
from enum import Enum
from typing import Generic, TypeVar

import pytest
import strawberry
from graphql import parse
from graphql.execution.collect_fields import FieldDetails

from graphql_api import projection
from graphql_api.executor import Executor
from graphql_api.schema import schema as ours

T = TypeVar("T")


@strawberry.enum
class Color(Enum):
    RED = "r"
    BLUE = "b"


@strawberry.type
class Leaf:
    name: str
    size: int
    weight: float | None = None
    color: Color | None = None


@strawberry.type
class Tree(Generic[T]):
    title: str = strawberry.field(name="heading")
    first: T
    leaves: list[T]
    rare: list[T | None] | None = None

    @strawberry.field
    def counted(self, add: int = 0) -> int:
        return len(self.leaves) + add


@strawberry.type
class Other:
    word: str


@strawberry.type
class Query:
    @strawberry.field
    def tree(self, broken: str = "") -> Tree[Leaf] | None:
        leaf = Leaf(name="a", size=1, weight=0.5, color=Color.RED)
        leaves = [leaf, Leaf(name="b", size=2)]
        tree = Tree(title="Oak", first=leaf, leaves=leaves, rare=[None, leaf])
        if broken == "null":
            leaves[1].name = None
        elif broken == "kind":
            leaves[1].size = "many"
        elif broken == "list":
            tree.leaves = 7
        elif broken == "missing":
            del leaf.weight
        elif broken == "rare":
            tree.rare = [leaves[0], Leaf(name=None, size=3)]
        return tree

    @strawberry.field
    def either(self, other: bool) -> list[Leaf | Other]:
        return [Other(word="x"), Leaf(name="a", size=1)][: 1 + other]


plain = strawberry.Schema(query=Query)
quick = strawberry.Schema(query=Query, execution_context_class=Executor)
QUERIES = [
    "{ tree { heading first { name size weight color } leaves { name size } rare { name } } }",
    "{ tree { again: heading kind: __typename leaves { __typename n: name name } } }",
    "{ tree { heading counted leaves { size } } }",  # a resolver among plain fields
    "query($more: Int!, $hide: Boolean!) { tree { counted(add: $more) leaves { name @skip(if: $hide) size } } }",
    "{ tree { ...Some ... on TreeLeaf { first { name } } } } fragment Some on TreeLeaf { leaves { ...Name } first { size } } fragment Name on Leaf { name }",
    "{ either(other: true) { __typename ... on Leaf { name } ... on Other { word } } }",
    *(
        f'{{ tree(broken: "{broken}") {{ heading first {{ name }} leaves {{ name size weight }} rare {{ name }} }} }}'
        for broken in ("null", "kind", "list", "rare")
    ),
    "{ nonsense }",
]


def answer(schema, query):
    found = schema.execute_sync(
        query, variable_values={"more": 3, "hide": True} if "$more" in query else None
    )
    return json.dumps([found.data, [error.formatted for error in found.errors or ()]])


@pytest.mark.parametrize("query", QUERIES)
def test_an_answer_is_the_same_to_the_letter(query):
    assert answer(quick, query) == answer(plain, query)


def test_plain_objects_are_read_off_without_resolving_a_field(monkeypatch):
    resolved = []
    original = Executor.execute_field

    def execute_field(self, parent_type, *rest):
        resolved.append(parent_type.name)
        return original(self, parent_type, *rest)

    monkeypatch.setattr(Executor, "execute_field", execute_field)
    assert "errors" not in answer(quick, QUERIES[0])
    assert resolved == ["Query"], "whatever stands below the root was read off"


def test_the_fields_of_a_list_of_trades_are_plain():
    """Whoever gives one of them a resolver pays for it in every list; the benchmark of the API shows how much."""
    document = parse(
        """{ trades { edges { cursor node { id stake { amount } account { balance { amount } } instrument { name } } }
        pageInfo { hasNextPage } } }"""
    )
    executor = Executor.build(ours._schema, document)
    details = [FieldDetails(executor.operation.selection_set.selections[0], None)]
    connection = ours._schema.type_map["TradeConnection"]
    selected = executor.collect_subfields(connection, details).grouped_field_set
    assert projection.plan(connection, selected, executor.collect_subfields) is not None
