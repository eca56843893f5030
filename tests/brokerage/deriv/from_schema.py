"""JSON values that a published schema allows, and the same with something broken in them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

WHOLE = st.integers(-(10**12), 10**12)
NUMBERS = WHOLE | st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=6)
TEXTS = st.text(max_size=12)
WRITTEN = NUMBERS.map(lambda number: format(Decimal(number), "f"))
BROKEN = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, WRITTEN, st.just([]), st.just({}), st.just([None]),
    st.sampled_from([10**39, Decimal("1e39"), "1e999999", "NaN", "Infinity", "٣", "1_0", " 1"]),
)  # fmt: skip


def allowed(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> st.SearchStrategy[Any]:
    """What the schema allows; ``root`` is where its references point to."""
    root = schema if root is None else root
    if "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return allowed(found, root)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return st.one_of([allowed(option, root) for option in schema[word]])
    kinds = schema.get("type", ["object"] if "properties" in schema else ["null", "string", "number"])
    return st.one_of(
        [_of_kind(kind, schema, root) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    )


def _of_kind(kind: str, schema: Mapping[str, Any], root: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if kind == "object":
        named = {name: allowed(field, root) for name, field in schema.get("properties", {}).items()}
        required = set(schema.get("required", ()))
        # Mostly with everything in it: an open contract of which half is missing would never be read.
        return st.fixed_dictionaries(named) | st.fixed_dictionaries(
            {name: field for name, field in named.items() if name in required},
            optional={name: field for name, field in named.items() if name not in required},
        )
    if kind == "array":
        return st.lists(allowed(schema.get("items", {}), root), max_size=3)
    if kind == "string":
        # Prices are texts without a pattern.
        return st.from_regex(schema["pattern"], fullmatch=True) if "pattern" in schema else WRITTEN | TEXTS
    return {"integer": WHOLE, "number": NUMBERS, "boolean": st.booleans(), "null": st.none()}[kind]


@st.composite
def broken(draw: st.DrawFn, value: Any) -> Any:
    """The value with one of its parts missing, added, or of another kind."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        what = draw(st.sampled_from(["deeper", "deeper", "without", "more", "renamed"]))
        rest = {key: item for key, item in value.items() if key != name}
        if what == "without":
            return rest
        if what == "more":
            return {**value, "surprise": draw(BROKEN)}
        if what == "renamed":
            return {**rest, f"{name}_": value[name]}
        return {**rest, name: draw(broken(value[name]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [draw(broken(value[0])), *value[1:]]
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and draw(st.booleans()):
        return format(Decimal(value), "f")  # a text where a number was
    if isinstance(value, str) and draw(st.booleans()):
        return draw(NUMBERS)  # and back
    return draw(BROKEN)


def written(value: Any) -> set[str]:
    """Every number in it as it stands there, those in texts included."""
    if isinstance(value, Mapping):
        return set().union(*map(written, value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(written, value))
    return {str(value)} if isinstance(value, int | Decimal | str) and not isinstance(value, bool) else set()
