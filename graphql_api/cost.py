"""What an operation may cost, told before anything is executed, from its document and variables alone.

A list costs its page (`first` or `last`, 20 unless given, never above 100) times what is asked of each row. Fragments
are measured once each, however often and however deeply they are spread, so that a document which would be
exponentially large is known to be without being that large.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
)

from backoffice.errors import DomainError
from graphql_api.connections import LARGEST_PAGE, PAGE

MAX_TOKENS: Final = 1500
MAX_DEPTH: Final = 8
MAX_ALIASES: Final = 15
MAX_BREADTH: Final = 200  # fields side by side, fragments included: comparing them for conflicts is quadratic
MAX_COST: Final = 10_000
# Rows of lists that have no pages.
ROWS: Final = {
    "Query.instruments": 100,
    "Query.tradingAccounts": 20,
    "TradeChange.trades": 20,
    "Statement.lines": 500,
    "Query.wallets": 20,
}
OTHER_ROWS: Final = 10
# What is more than reading rows: a question to the venue, a password to be hashed, anything that changes something.
WEIGHTS: Final = {
    "Query.proposal": 1000,
    "Mutation.signUp": 3000,
    "Mutation.logIn": 3000,
    "Mutation.resetPassword": 3000,
}
A_MUTATION: Final = 200


class TooCostly(DomainError):
    """The operation asks for more at once than anybody may; its extensions say of what, how much, and the limit."""

    code: ClassVar[str] = "TOO_COSTLY"

    def __init__(self, of: str, cost: int, limit: int) -> None:
        # A count may be astronomically large: more digits than anybody reads say no more.
        self.extensions = {"of": of, "cost": min(cost, 10**9), "limit": limit}
        super().__init__(
            f"The operation is too costly: its {of} may be {limit:,} at most. Ask for less at once."
        )


@dataclass(slots=True)
class Weight:
    """What a selection adds up to: its cost, depth, aliases, and fields side by side."""

    cost: int = 0
    depth: int = 0
    aliases: int = 0
    breadth: int = 0


@dataclass(slots=True)
class Measure:
    """Measures one operation; what depends on `variables` is read from them, unknown ones counted as a full page."""

    schema: GraphQLSchema
    fragments: dict[str, FragmentDefinitionNode]
    variables: dict[str, Any] | None
    sizes_from: set[str] = field(default_factory=set)
    _defaults: dict[str, Any] = field(default_factory=dict)
    _known: dict[tuple[str, int | None], Weight] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def of(self, operation: OperationDefinitionNode) -> Weight:
        variables = operation.variable_definitions or ()
        self._defaults = {one.variable.name.value: one.default_value for one in variables}
        root = self.schema.get_root_type(operation.operation)
        return self._selections(operation.selection_set, root, None)

    def _selections(self, selected: SelectionSetNode, parent: Any, page: int | None) -> Weight:
        found = Weight()
        for node in selected.selections:
            if isinstance(node, FieldNode):
                one = self._field(node, parent, page)
                found.breadth += 1
            elif isinstance(node, InlineFragmentNode):
                named = node.type_condition
                inside = self.schema.get_type(named.name.value) if named else parent
                one = self._selections(node.selection_set, inside, page)
                found.breadth += one.breadth
            elif isinstance(node, FragmentSpreadNode):
                one = self._fragment(node.name.value, page)
                found.breadth += one.breadth
            found.cost += one.cost
            found.depth = max(found.depth, one.depth)
            found.aliases += one.aliases
        if found.breadth > MAX_BREADTH:
            raise TooCostly("breadth", found.breadth, MAX_BREADTH)
        return found

    def _fragment(self, name: str, page: int | None) -> Weight:
        if (name, page) in self._known:
            return self._known[name, page]
        fragment = self.fragments.get(name)
        if fragment is None or name in self._open:  # unknown, or a circle: validation says so
            return Weight()
        self._open.add(name)
        on = self.schema.get_type(fragment.type_condition.name.value)
        self._known[name, page] = self._selections(fragment.selection_set, on, page)
        self._open.discard(name)
        return self._known[name, page]

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, page: int | None) -> Weight:
        name = node.name.value
        alias = 1 if node.alias else 0
        if name.startswith("__"):  # introspection has a rule of its own
            return Weight(aliases=alias)
        known: GraphQLField | None = getattr(parent, "fields", {}).get(name)
        owner = parent.name if parent else ""
        here = WEIGHTS.get(f"{owner}.{name}", A_MUTATION if owner == "Mutation" else 1)
        if node.selection_set is None:
            return Weight(cost=here, aliases=alias)
        if known is None:  # validation says so, but not of what is too deep to be looked at
            below, rows = self._selections(node.selection_set, None, None), 1
        else:
            rows = self._rows(node, known, f"{owner}.{name}", page)
            below = self._selections(node.selection_set, get_named_type(known.type), self._page(node, known))
        return Weight(cost=here + rows * below.cost, depth=1 + below.depth, aliases=alias + below.aliases)

    def _rows(self, node: FieldNode, known: GraphQLField, name: str, page: int | None) -> int:
        kind = known.type.of_type if is_non_null_type(known.type) else known.type
        if not is_list_type(kind):
            return 1
        if node.name.value == "edges" and page is not None:
            return page
        return ROWS.get(name, OTHER_ROWS)

    def _page(self, node: FieldNode, known: GraphQLField) -> int | None:
        """How many rows a connection is asked for; None for what is no connection."""
        if "first" not in known.args and "last" not in known.args:
            return None
        given = [arg.value for arg in node.arguments or () if arg.name.value in ("first", "last")]
        sizes = [size for value in given if (size := self._size(value)) is not None]
        return max(sizes, default=PAGE)

    def _size(self, value: Any) -> int | None:
        found: Any = None  # null, or nonsense that validation refuses
        if isinstance(value, VariableNode):
            name = value.name.value
            self.sizes_from.add(name)
            if self.variables is None:
                return LARGEST_PAGE
            if name not in self.variables:
                value = self._defaults.get(name)
            else:
                found = self.variables[name]
        if isinstance(value, IntValueNode):
            found = int(value.value) if len(value.value) < 10 else LARGEST_PAGE
        if found is None:
            return None
        return min(max(found, 0), LARGEST_PAGE) if isinstance(found, int) else LARGEST_PAGE


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """A document's fragments, by their names."""
    return {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}


def check(found: Weight) -> None:
    """:raises TooCostly: if it is deeper, has more aliases, or costs more than anybody may ask for."""
    for of, cost, limit in (
        ("depth", found.depth, MAX_DEPTH), ("aliases", found.aliases, MAX_ALIASES), ("cost", found.cost, MAX_COST),
    ):  # fmt: skip
        if cost > limit:
            raise TooCostly(of, cost, limit)
